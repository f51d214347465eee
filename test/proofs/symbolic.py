"""What: runs a function of LLVM's textual intermediate code on symbolic
arguments and says, as one SMT-LIB script, whether it can return false, trap,
or reach what cannot be reached.

A word is a Python number or the name of a defined SMT constant. Branches on
numbers are followed, so loops with known bounds unroll; branches on names
fork the path. Memory has known addresses only: (object, offset). What a
global holds that nobody has written is free, and the same at each look.

Invariants: (I1) an instruction, type or intrinsic that is not modelled ends
the run with its text: nothing is passed over; (I2) a division is described by
quotient and remainder, so that solvers need not build dividers.

Locking: none.
"""

import re
from dataclasses import dataclass, field

PATHS_MAX = 5000
STEPS_MAX = 400000
POINTER_BITS = 64

# Calls that no path may reach: each is a violated precondition.
FORBIDDEN_CALLS = re.compile(
    r'llvm\.(ubsantrap|trap)|fail_assert|fail_fatal|abort')
# Notes to the optimizer, without effect.
IGNORED_CALLS = re.compile(
    r'llvm\.(assume|lifetime|dbg|experimental\.noalias)')


class Unsupported(Exception):
    """An instruction that this file does not model."""


# ---- the text ----

def strip_attributes(line):
    """Without metadata, comments and alignments."""
    line = re.sub(r',? ![\w.]+( !\d+)?', '', line.split(' ; ')[0])
    line = re.sub(r', align \d+', '', line)
    return re.sub(r' #\d+', '', line).strip()


def split_top(text, separator=','):
    """Splits at separators outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in '([{<':
            depth += 1
        elif c in ')]}>':
            depth -= 1
        elif c == separator and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    tail = text[start:].strip()
    return parts + [tail] if tail else parts


@dataclass
class Function:
    """One function: parameters as (type, name), blocks of lines by label."""
    name: str
    result: str
    parameters: list
    blocks: dict = field(default_factory=dict)
    entry: str = ''


@dataclass
class Module:
    functions: dict
    types: dict
    globals: dict


TYPE = r'(?:%[\w.$]+|i\d+|ptr|void|\{[^}]*\}|\[[^\]]*(?:\[[^\]]*\])*[^\]]*\])'
ATTRIBUTES = re.compile(
    r'\b(?:noundef|zeroext|signext|nonnull|nocapture|readonly|readnone|'
    r'writeonly|noalias|returned|immarg|dereferenceable(?:_or_null)?\(\d+\)|'
    r'align \d+|range\([^)]*\)(?: )?|captures\([^)]*\)|allocalign) ?')


def parse_typed(text):
    """'i64 noundef %x' -> ('i64', '%x')"""
    text = ATTRIBUTES.sub('', text).strip()
    match = re.match(r'(%s(?:\s*\*)*)\s*(.*)$' % TYPE, text)
    if not match:
        raise Unsupported(text)
    return match.group(1).replace(' ', ''), match.group(2).strip()


def parse_header(line):
    match = re.match(r'define .*?(%s\**) @"?([\w.$]+)"?\(' % TYPE,
        ATTRIBUTES.sub('', line))
    inner = line[line.index('@'):]
    inner = inner[inner.index('(') + 1:]
    depth, end = 1, 0
    for end, c in enumerate(inner):
        depth += (c == '(') - (c == ')')
        if depth == 0:
            break
    parameters = [parse_typed(p) for p in split_top(inner[:end])]
    return Function(match.group(2), match.group(1), parameters)


def parse(text):
    module = Module({}, {}, {})
    function, label = None, None
    pending = ''
    for raw in text.splitlines():
        line = raw.strip()
        if function is None:
            if line.startswith('define '):
                function = parse_header(line)
                label = None
            elif re.match(r'%[\w.$]+ = type ', line):
                name, body = line.split(' = type ')
                module.types[name] = body
            elif line.startswith('@'):
                name = line.split(' = ')[0]
                module.globals[name] = line
            continue
        if line == '}':
            module.functions[function.name] = function
            function = None
            continue
        match = re.match(r'("?[\w.$-]+"?):', line)
        if match and not pending:
            label = '%' + match.group(1)
            function.blocks[label] = []
            function.entry = function.entry or label
        elif line and not line.startswith(';'):
            if label is None:
                label = '%entry.implicit'
                function.blocks[label] = []
                function.entry = label
            # A switch goes over several lines.
            pending = (pending + ' ' + strip_attributes(line)).strip()
            if pending.startswith('switch') and not pending.endswith(']'):
                continue
            function.blocks[label].append(pending)
            pending = ''
    return module


# ---- words ----

def mask(width):
    return (1 << width) - 1


def literal(value, width):
    return '(_ bv%d %d)' % (value & mask(width), width)


def signed(value, width):
    return value - (1 << width) if value >> (width - 1) else value


@dataclass(frozen=True)
class Pointer:
    """Object and byte offset; a string object is a global or NULL."""
    object: str
    offset: int


BINARY = {
    'add': ('bvadd', lambda a, b, w: a + b),
    'sub': ('bvsub', lambda a, b, w: a - b),
    'mul': ('bvmul', lambda a, b, w: a * b),
    'and': ('bvand', lambda a, b, w: a & b),
    'or': ('bvor', lambda a, b, w: a | b),
    'xor': ('bvxor', lambda a, b, w: a ^ b),
    'shl': ('bvshl', lambda a, b, w: a << b if b < w else 0),
    'lshr': ('bvlshr', lambda a, b, w: a >> b if b < w else 0),
    'ashr': ('bvashr', lambda a, b, w: signed(a, w) >> min(b, w - 1)),
}

COMPARE = {
    'eq': ('=', lambda a, b, w: a == b),
    'ne': ('distinct', lambda a, b, w: a != b),
    'ult': ('bvult', lambda a, b, w: a < b),
    'ule': ('bvule', lambda a, b, w: a <= b),
    'ugt': ('bvugt', lambda a, b, w: a > b),
    'uge': ('bvuge', lambda a, b, w: a >= b),
    'slt': ('bvslt', lambda a, b, w: signed(a, w) < signed(b, w)),
    'sle': ('bvsle', lambda a, b, w: signed(a, w) <= signed(b, w)),
    'sgt': ('bvsgt', lambda a, b, w: signed(a, w) > signed(b, w)),
    'sge': ('bvsge', lambda a, b, w: signed(a, w) >= signed(b, w)),
}


class Path:
    """One path: conditions, memory, and how many steps it took."""

    def __init__(self):
        self.conditions = []
        self.memory = {}
        self.cleared = []
        self.objects = 0

    def fork(self):
        other = Path()
        other.conditions = list(self.conditions)
        other.memory = dict(self.memory)
        other.cleared = self.cleared
        other.objects = self.objects
        return other


class Run:
    """Proof of one function: `script` after `explore`."""

    def __init__(self, module, name):
        self.module = module
        self.name = name
        self.lines = []
        self.cache = {}
        self.count = 0
        self.steps = 0
        self.violations = []
        self.paths = 0
        self.checks = 0
        self.inputs = []

    # -- terms --

    def define(self, expression, width):
        key = (expression, width)
        if key not in self.cache:
            self.count += 1
            name = 't%d' % self.count
            self.lines.append('(define-fun %s () (_ BitVec %d) %s)' %
                (name, width, expression))
            self.cache[key] = name
        return self.cache[key]

    def free(self, name, width):
        """A word about which nothing is known; one for each name."""
        name = re.sub(r'[^\w]', '_', name)
        key = ('free', name, width)
        if key not in self.cache:
            symbol = 'in_%s_%d' % (name, width)
            self.lines.append('(declare-const %s (_ BitVec %d))' %
                (symbol, width))
            self.cache[key] = symbol
            self.inputs.append(symbol)
        return self.cache[key]

    @staticmethod
    def text(value, width):
        return literal(value, width) if isinstance(value, int) else value

    def binary(self, op, a, b, width):
        smt, fold = BINARY[op]
        if isinstance(a, int) and isinstance(b, int):
            return fold(a, b, width) & mask(width)
        if op in ('add', 'or', 'xor', 'shl', 'lshr', 'sub') and b == 0:
            return a
        if op in ('add', 'or', 'xor') and a == 0:
            return b
        if op in ('and', 'mul') and 0 in (a, b):
            return 0
        if op == 'mul' and 1 in (a, b):
            return a if b == 1 else b
        return self.define('(%s %s %s)' %
            (smt, self.text(a, width), self.text(b, width)), width)

    def divide(self, a, b, width):
        """Quotient and remainder (I2)."""
        if isinstance(a, int) and isinstance(b, int):
            return divmod(a, b)
        if isinstance(b, int) and b & (b - 1) == 0 and b:
            shift = b.bit_length() - 1
            return (self.binary('lshr', a, shift, width),
                self.binary('and', a, b - 1, width))
        key = ('div', a, b, width)
        if key not in self.cache:
            self.count += 1
            q, r = 'q%d' % self.count, 'r%d' % self.count
            for name in (q, r):
                self.lines.append(
                    '(declare-const %s (_ BitVec %d))' % (name, width))
            ta, tb = self.text(a, width), self.text(b, width)
            product = self.binary('mul', q, b, width)
            self.lines.append(
                '(assert (=> (distinct %s %s) (and (bvult %s %s) '
                '(= %s (bvadd %s %s)) (bvule %s %s) %s)))' % (
                    tb, literal(0, width), r, tb, ta,
                    self.text(product, width), r,
                    self.text(product, width), ta,
                    '(not %s)' % self.overflows(q, b, width)))
            self.cache[key] = (q, r)
        return self.cache[key]

    def wide_product(self, a, b, width):
        """The product in twice the width."""
        return self.binary('mul', self.extend(a, width, 2 * width, False),
            self.extend(b, width, 2 * width, False), 2 * width)

    def overflows(self, a, b, width):
        """As a truth value: whether the product exceeds the width."""
        wide = self.text(self.wide_product(a, b, width), 2 * width)
        return '(distinct ((_ extract %d %d) %s) %s)' % (
            2 * width - 1, width, wide, literal(0, width))

    def compare(self, how, a, b, width):
        smt, fold = COMPARE[how]
        if isinstance(a, int) and isinstance(b, int):
            return int(fold(a, b, width))
        return self.truth('(%s %s %s)' %
            (smt, self.text(a, width), self.text(b, width)))

    def truth(self, condition):
        return self.define('(ite %s #b1 #b0)' % condition, 1)

    def choose(self, condition, a, b, width):
        if isinstance(condition, int):
            return a if condition else b
        if a == b:
            return a
        if isinstance(a, Pointer) or isinstance(b, Pointer):
            raise Unsupported('select between pointers')
        return self.define('(ite (= %s #b1) %s %s)' % (
            condition, self.text(a, width), self.text(b, width)), width)

    def extend(self, value, have, want, is_signed):
        if isinstance(value, int):
            return (signed(value, have) if is_signed else value) & mask(want)
        return self.define('((_ %s_extend %d) %s)' % (
            'sign' if is_signed else 'zero', want - have, value), want)

    def truncate(self, value, want):
        if isinstance(value, int):
            return value & mask(want)
        return self.define('((_ extract %d 0) %s)' % (want - 1, value), want)

    def population(self, value, width):
        if isinstance(value, int):
            return bin(value).count('1')
        total = 0
        for i in range(width):
            bit = self.define('((_ extract %d %d) %s)' % (i, i, value), 1)
            total = self.binary('add', total,
                self.extend(bit, 1, width, False), width)
        return total

    def leading_zeros(self, value, width):
        if isinstance(value, int):
            return width - value.bit_length()
        result = width
        for i in range(width):
            bit = self.define('((_ extract %d %d) %s)' % (i, i, value), 1)
            result = self.choose(bit, width - 1 - i, result, width)
        return result

    def trailing_zeros(self, value, width):
        if isinstance(value, int):
            return (value & -value).bit_length() - 1 if value else width
        result = width
        for i in reversed(range(width)):
            bit = self.define('((_ extract %d %d) %s)' % (i, i, value), 1)
            result = self.choose(bit, i, result, width)
        return result

    # -- types --

    def size_of(self, type_name):
        """Bytes and alignment."""
        type_name = type_name.strip()
        if type_name.endswith('*') or type_name == 'ptr':
            return POINTER_BITS // 8, POINTER_BITS // 8
        if re.fullmatch(r'i\d+', type_name):
            size = max(1, int(type_name[1:]) // 8)
            return size, min(size, 16)
        if type_name in self.module.types:
            return self.size_of(self.module.types[type_name])
        match = re.fullmatch(r'\[(\d+) x (.*)\]', type_name)
        if match:
            size, alignment = self.size_of(match.group(2))
            return int(match.group(1)) * size, alignment
        match = re.fullmatch(r'\{(.*)\}', type_name)
        if match:
            offset, most = 0, 1
            for part in split_top(match.group(1)):
                size, alignment = self.size_of(part)
                offset = -(-offset // alignment) * alignment + size
                most = max(most, alignment)
            return -(-offset // most) * most, most
        raise Unsupported('size of ' + type_name)

    def member(self, type_name, index):
        """Offset and type of a member of an aggregate."""
        type_name = self.module.types.get(type_name, type_name)
        match = re.fullmatch(r'\[(\d+) x (.*)\]', type_name)
        if match:
            return index * self.size_of(match.group(2))[0], match.group(2)
        match = re.fullmatch(r'\{(.*)\}', type_name)
        if not match:
            raise Unsupported('member of ' + type_name)
        offset = 0
        for i, part in enumerate(split_top(match.group(1))):
            size, alignment = self.size_of(part)
            offset = -(-offset // alignment) * alignment
            if i == index:
                return offset, part
            offset += size
        raise Unsupported('member %d of %s' % (index, type_name))

    # -- operands --

    @staticmethod
    def width_of(type_name):
        if type_name.endswith('*') or type_name == 'ptr':
            return POINTER_BITS
        if re.fullmatch(r'i\d+', type_name):
            return int(type_name[1:])
        raise Unsupported('word of type ' + type_name)

    def operand(self, text, type_name, env):
        text = text.strip()
        if text.startswith('%'):
            return env[text]
        if re.fullmatch(r'-?\d+', text):
            return int(text) & mask(self.width_of(type_name))
        if text in ('true', 'false'):
            return int(text == 'true')
        if text == 'null':
            return 0
        if text in ('undef', 'poison'):
            self.count += 1
            return self.free('undef%d' % self.count, self.width_of(type_name))
        if text.startswith('@'):
            return Pointer(text, 0)
        match = re.match(
            r'getelementptr (?:inbounds )?(?:nuw )?\((.*)\)$', text)
        if match:
            return self.element(match.group(1), env)
        match = re.match(r'(?:ptrtoint|bitcast|inttoptr) \((.*) to (.*)\)$',
            text)
        if match:
            inner, value = parse_typed(match.group(1))
            result = self.operand(value, inner, env)
            if text.startswith('ptrtoint'):
                return self.as_number(result)
            return result
        match = re.match(r'(icmp \w+|\w+)(?: nuw| nsw)* \((.*)\)$', text)
        if match and match.group(1).split()[0] in ('icmp', *BINARY):
            return self.constant(match.group(1), match.group(2), env)
        raise Unsupported('operand ' + text)

    def constant(self, op, text, env):
        """An operation within an operand."""
        (type_name, left), (_, right) = [
            parse_typed(part) for part in split_top(text)]
        width = self.width_of(type_name)
        a = self.as_number(self.operand(left, type_name, env))
        b = self.as_number(self.operand(right, type_name, env))
        if op.startswith('icmp'):
            return self.compare(op.split()[1], a, b, width)
        return self.binary(op, a, b, width)

    def as_number(self, value):
        if not isinstance(value, Pointer):
            return value
        base = self.free('address' + value.object, POINTER_BITS)
        return self.binary('add', base, value.offset & mask(64), POINTER_BITS)

    def element(self, text, env):
        parts = split_top(text)
        type_name = parts[0]
        pointer_type, pointer = parse_typed(parts[1])
        base = self.operand(pointer, pointer_type, env)
        offset = 0
        for i, part in enumerate(parts[2:]):
            index_type, value = parse_typed(part)
            width = self.width_of(index_type)
            index = self.operand(value, index_type, env)
            if i == 0:
                scale = self.size_of(type_name)[0]
            elif isinstance(index, int):
                moved, type_name = self.member(
                    type_name, signed(index, width))
                offset = self.binary('add', offset, moved & mask(64), 64)
                continue
            else:
                scale, type_name = self.member(type_name, 1)
            index = self.extend(index, width, 64, True)
            offset = self.binary('add', offset,
                self.binary('mul', index, scale, 64), 64)
        if isinstance(base, Pointer) and isinstance(offset, int):
            return Pointer(base.object, base.offset + signed(offset, 64))
        return self.binary('add', self.as_number(base), offset, 64)

    # -- memory --

    def load(self, path, pointer, width):
        if not isinstance(pointer, Pointer):
            raise Unsupported('load from a computed address')
        have = path.memory.get(pointer)
        if have is not None:
            value, stored = have
            if stored == width:
                return value
            raise Unsupported('load of another width than stored')
        line = self.module.globals.get(pointer.object, '')
        value = None
        for name, start, end in path.cleared:
            if name == pointer.object and start <= pointer.offset < end:
                value = 0
        if ' constant ' in line and pointer.offset == 0:
            match = re.search(r' constant i\d+ (-?\d+)', line)
            value = int(match.group(1)) & mask(width) if match else None
        if value is None:
            if not pointer.object.startswith('@'):
                raise Unsupported('load of what was never stored')
            value = self.free('%s_%d' % (pointer.object, pointer.offset), width)
        path.memory[pointer] = (value, width)
        return value

    @staticmethod
    def clear(path, pointer, byte, size):
        """Only of what is known, and to zero."""
        if byte != 0 or not isinstance(size, int) or \
                not isinstance(pointer, Pointer):
            raise Unsupported('memset of what is not known')
        for key in list(path.memory):
            if key.object == pointer.object and \
                    pointer.offset <= key.offset < pointer.offset + size:
                del path.memory[key]
        path.cleared = path.cleared + [
            (pointer.object, pointer.offset, pointer.offset + size)]

    def store(self, path, pointer, value, width):
        if not isinstance(pointer, Pointer):
            raise Unsupported('store to a computed address')
        for other in range(pointer.offset - 15, pointer.offset + width // 8):
            key = Pointer(pointer.object, other)
            if key in path.memory and (key == pointer or
                    other + path.memory[key][1] // 8 > pointer.offset):
                del path.memory[key]
        path.memory[pointer] = (value, width)

    # -- execution --

    def call(self, path, function, arguments):
        """Runs to all ends: a list of (path, result)."""
        results = []
        env = {name: value for (_, name), value in
            zip(function.parameters, arguments)}
        work = [(path, function.entry, None, env)]
        while work:
            state = work.pop()
            self.block(function, *state, work, results)
            if len(work) + len(results) > PATHS_MAX:
                raise Unsupported('more than %d paths' % PATHS_MAX)
        return results

    def block(self, function, path, label, came_from, env, work, results):
        values = {}
        lines = function.blocks[label]
        position = 0
        while position < len(lines) and ' = phi ' in lines[position]:
            name, type_name, edges = re.match(
                r'(%%[\w.$-]+) = phi (%s\**) (.*)$' % TYPE,
                lines[position]).groups()
            for value, origin in re.findall(
                    r'\[ (.*?), (%[\w.$"-]+) \]', edges):
                if origin == came_from:
                    values[name] = self.operand(value, type_name, env)
            position += 1
        env = {**env, **values}
        self.lines_from(
            function, path, label, env, lines, position, work, results)

    def lines_from(self, function, path, label, env, lines, position, work,
            results):
        for number in range(position, len(lines)):
            line = lines[number]
            self.steps += 1
            if self.steps > STEPS_MAX:
                raise Unsupported('a loop without a known bound')
            if re.match(r'(br|switch|ret|unreachable)\b', line):
                self.terminate(path, label, env, line, work, results)
                return
            called = re.match(
                r'(?:(%[\w.$-]+) = )?(?:tail |notail |musttail )*call ', line)
            if called and self.is_defined(line):
                ends = self.call_defined(path, env, line)
                for other, value in ends:
                    inner = dict(env)
                    if called.group(1):
                        inner[called.group(1)] = value
                    self.lines_from(function, other, label, inner, lines,
                        number + 1, work, results)
                return
            if not self.instruction(path, env, line):
                return

    def terminate(self, path, label, env, line, work, results):
        if line.startswith('ret'):
            if line == 'ret void':
                results.append((path, None))
            else:
                type_name, value = parse_typed(line[4:])
                results.append((path, self.operand(value, type_name, env)))
        elif line.startswith('unreachable'):
            self.violation(path, None)
        elif line.startswith('br label'):
            work.append((path, line.split()[-1], label, env))
        elif line.startswith('br'):
            value, yes, no = re.match(
                r'br i1 (.*?), label (\S+), label (\S+)$', line).groups()
            condition = self.operand(value, 'i1', env)
            self.branch(path, label, env, work,
                [(condition, yes), (self.binary('xor', condition, 1, 1), no)])
        else:
            self.switch(path, label, env, line, work)

    def switch(self, path, label, env, line, work):
        type_name, value, default, cases = re.match(
            r'switch (i\d+) (.*?), label (\S+) \[(.*)\]', line).groups()
        width = self.width_of(type_name)
        value = self.operand(value, type_name, env)
        choices, none = [], 1
        for case, target in re.findall(r'i\d+ (-?\d+), label (\S+)', cases):
            same = self.compare('eq', value, int(case) & mask(width), width)
            choices.append((same, target))
            none = self.binary('and', none,
                self.binary('xor', same, 1, 1), 1)
        self.branch(path, label, env, work, choices + [(none, default)])

    def branch(self, path, label, env, work, choices):
        for condition, target in choices:
            if condition == 0:
                continue
            other = path.fork()
            if condition != 1:
                other.conditions.append(condition)
            work.append((other, target, label, env))

    def violation(self, path, result):
        """What must not be: the path with a false result, or at all."""
        self.checks += 1
        conditions = ['(= %s #b1)' % c for c in path.conditions]
        if result is not None:
            if result == 1:
                return
            conditions.append('(= %s #b0)' % self.text(result, 1))
        self.violations.append(
            '(and true %s)' % ' '.join(conditions))

    def is_defined(self, line):
        match = re.search(r'@"?([\w.$]+)"?\(', line)
        return match is not None and match.group(1) in self.module.functions

    def arguments(self, line, env):
        inner = line[line.index('@'):]
        inner = inner[inner.index('(') + 1:inner.rindex(')')]
        values = []
        for part in split_top(inner):
            type_name, value = parse_typed(part)
            values.append((type_name, self.operand(value, type_name, env)))
        return values

    def call_defined(self, path, env, line):
        name = re.search(r'@"?([\w.$]+)"?\(', line).group(1)
        values = [v for _, v in self.arguments(line, env)]
        return self.call(path, self.module.functions[name], values)

    def instruction(self, path, env, line):
        """False if the path ends here."""
        target = None
        match = re.match(r'(%[\w.$-]+) = (.*)$', line)
        if match:
            target, line = match.groups()
        line = re.sub(r'^(tail|notail|musttail) ', '', line)
        op = line.split()[0]
        if op == 'call':
            result, goes_on = self.intrinsic(path, env, line)
            if not goes_on:
                return False
        elif op == 'store':
            self.store_line(path, env, line)
            return True
        else:
            result = self.compute(path, env, op, line)
        if target is not None:
            env[target] = result
        return True

    def store_line(self, path, env, line):
        text = re.sub(r'^store (atomic |volatile )*', '', line)
        text = re.sub(r' (syncscope\("\w+"\) )?(monotonic|release|seq_cst)$',
            '', text)
        what, where = split_top(text)
        type_name, value = parse_typed(what)
        pointer_type, pointer = parse_typed(where)
        self.store(path, self.operand(pointer, pointer_type, env),
            self.operand(value, type_name, env), self.width_of(type_name))

    def compute(self, path, env, op, line):
        rest = line[len(op):].strip()
        if op in BINARY or op in ('udiv', 'urem'):
            rest = re.sub(r'^((nuw|nsw|exact|disjoint) )*', '', rest)
            left, right = split_top(rest)
            type_name, value = parse_typed(left)
            width = self.width_of(type_name)
            a = self.as_number(self.operand(value, type_name, env))
            b = self.as_number(self.operand(right, type_name, env))
            if op in BINARY:
                return self.binary(op, a, b, width)
            return self.divide(a, b, width)[op == 'urem']
        if op == 'icmp':
            rest = re.sub(r'^samesign ', '', rest)
            how, rest = rest.split(' ', 1)
            left, right = split_top(rest)
            type_name, value = parse_typed(left)
            a = self.operand(value, type_name, env)
            b = self.operand(right, type_name, env)
            if isinstance(a, Pointer) and isinstance(b, Pointer) and \
                    a.object == b.object:
                a, b = a.offset & mask(64), b.offset & mask(64)
            return self.compare(how, self.as_number(a), self.as_number(b),
                self.width_of(type_name))
        if op == 'select':
            condition, yes, no = [parse_typed(p) for p in split_top(rest)]
            return self.choose(self.operand(condition[1], 'i1', env),
                self.operand(yes[1], yes[0], env),
                self.operand(no[1], no[0], env), self.width_of(yes[0]))
        if op in ('zext', 'sext', 'trunc', 'bitcast', 'ptrtoint',
                'inttoptr'):
            return self.convert(env, op, rest)
        if op == 'freeze':
            type_name, value = parse_typed(rest)
            return self.operand(value, type_name, env)
        if op == 'extractvalue':
            value, index = split_top(rest)
            return env[value.split()[-1]][int(index)]
        if op == 'alloca':
            path.objects += 1
            return Pointer('stack%d' % path.objects, 0)
        if op == 'load':
            rest = re.sub(r'^(atomic |volatile )*', '', rest)
            rest = re.sub(
                r' (syncscope\("\w+"\) )?(monotonic|acquire|seq_cst)$', '',
                rest)
            type_name, where = split_top(rest)
            pointer_type, pointer = parse_typed(where)
            return self.load(path, self.operand(pointer, pointer_type, env),
                self.width_of(type_name))
        if op == 'getelementptr':
            return self.element(
                re.sub(r'^((inbounds|nuw|nusw) )*', '', rest), env)
        raise Unsupported(line)

    def convert(self, env, op, rest):
        rest = re.sub(r'^((nneg|nuw|nsw) )*', '', rest)
        source, want_type = rest.rsplit(' to ', 1)
        type_name, value = parse_typed(source)
        value = self.operand(value, type_name, env)
        if op in ('bitcast', 'inttoptr'):
            return value
        if op == 'ptrtoint':
            value = self.as_number(value)
        have, want = self.width_of(type_name), self.width_of(want_type)
        if have == want:
            return value
        if have > want:
            return self.truncate(value, want)
        return self.extend(value, have, want, op == 'sext')

    def intrinsic(self, path, env, line):
        """(result, whether the path goes on)"""
        match = re.search(r'@"?([\w.$]+)"?\(', line)
        if match is None:
            if ' asm ' in line:
                return self.assembly(env, line), True
            raise Unsupported(line)
        name = match.group(1)
        if FORBIDDEN_CALLS.match(name):
            self.violation(path, None)
            return None, False
        if IGNORED_CALLS.match(name):
            return None, True
        values = self.arguments(line, env)
        if name.startswith('llvm.memset'):
            self.clear(path, *[v for _, v in values[:3]])
            return None, True
        if name.startswith('llvm.'):
            return self.known(name, values), True
        raise Unsupported('call of ' + name)

    def assembly(self, env, line):
        """An empty assembly block that hands its operand through."""
        match = re.search(r'asm (?:sideeffect )?"", "=r,0.*?"\((.*)\)', line)
        if not match:
            raise Unsupported(line)
        type_name, value = parse_typed(match.group(1))
        return self.operand(value, type_name, env)

    def known(self, name, values):
        kind = name.split('.')[1]
        width = self.width_of(values[0][0])
        a = values[0][1]
        b = values[1][1] if len(values) > 1 else None
        if kind == 'ctlz':
            return self.leading_zeros(a, width)
        if kind == 'cttz':
            return self.trailing_zeros(a, width)
        if kind == 'ctpop':
            return self.population(a, width)
        if kind in ('umin', 'umax', 'smin', 'smax'):
            how = kind[0] + ('lt' if kind.endswith('min') else 'gt')
            return self.choose(self.compare(how, a, b, width), a, b, width)
        if kind == 'umul':
            if isinstance(a, int) and isinstance(b, int):
                return (a * b & mask(width), int(a * b > mask(width)))
            return (self.truncate(self.wide_product(a, b, width), width),
                self.truth(self.overflows(a, b, width)))
        if kind == 'uadd':
            total = self.binary('add', a, b, width)
            over = self.compare('ult', total, a, width)
            if name.startswith('llvm.uadd.sat'):
                return self.choose(over, mask(width), total, width)
            return (total, over)
        if kind == 'usub':
            under = self.compare('ult', a, b, width)
            rest = self.binary('sub', a, b, width)
            if name.startswith('llvm.usub.sat'):
                return self.choose(under, 0, rest, width)
            return (rest, under)
        if kind == 'sadd':
            wide = self.binary('add', self.extend(a, width, width + 1, True),
                self.extend(b, width, width + 1, True), width + 1)
            rest = self.truncate(wide, width)
            return (rest, self.compare('ne', wide,
                self.extend(rest, width, width + 1, True), width + 1))
        if kind == 'expect':
            return a
        raise Unsupported('call of ' + name)

    # -- the proof --

    def explore(self, fixed):
        """Runs the function; parameters in `fixed` have that value."""
        function = self.module.functions[self.name]
        arguments = []
        for type_name, name in function.parameters:
            name = name.lstrip('%')
            width = self.width_of(type_name)
            arguments.append(fixed[name] & mask(width) if name in fixed
                else self.free(name, width))
        ends = self.call(Path(), function, arguments)
        self.paths += len(ends)
        for path, result in ends:
            self.violation(path, result)

    def script(self):
        goal = '(assert (or false %s))' % '\n  '.join(self.violations)
        return '\n'.join(['(set-logic QF_BV)'] + self.lines +
            [goal, '(check-sat)'])
