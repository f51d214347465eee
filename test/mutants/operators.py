"""
What: the faults. Reads one C file of the library as text and lists every
place where an operator below can plant one.

Invariants: (I1) a fault replaces text by text with as many line breaks, so
line numbers (and `__LINE__`) stay; (I2) comments, strings, preprocessor
lines other than constants, assertions, messages and validators (`*_check`)
are never touched; (I3) names are stable: file, function, hash of the line's
text, operator, and a number where these are equal.

The style of the sources is taken for granted (clang-format runs over them):
a function's braces stand in column 0, binary operators between blanks.
"""
import hashlib
import re

# Operator -> what the table in doc/TESTING.md says of it.
OPERATORS = {
    "lock": "a lock is neither taken nor given back",
    "error": "a failure goes unnoticed",
    "bound": "a comparison is off by the equal case",
    "one": "+ 1 or - 1 is left out",
    "loop": "a loop ends one step early",
    "order": "a memory order is weakened to relaxed",
    "store": "a state change is left out",
    "call": "a call for its effect is left out",
    "stats": "a statistics update is left out",
    "negate": "a condition is turned round",
    "logic": "&& and || are exchanged",
    "return": "another value is returned",
    "limit": "a constant is doubled",
}

MASKED = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.S | re.M)
# Calls that check or tell, but change nothing.
QUIET = re.compile(
    r"\b(?:assert|assert_slow|static_assert|fail_\w+|log_\w+|va_\w+"
    r"|VALGRIND_\w+)\(")
PLACE = r"\(?\*?[A-Za-z_](?:\w|->|\.|\[[^\[\]\n]*\])*\)?"
STORE = re.compile(
    r"^([ \t]+)((" + PLACE + r") (=|[-+|&^*/]=|<<=|>>=) [^;{}]*;)", re.M)
STEP = re.compile(r"^([ \t]+)((" + PLACE + r")(?:\+\+|--);)", re.M)
CALL = re.compile(r"^([ \t]+)((?:\(void\))?([a-z]\w*)\()", re.M)
WRITES = re.compile(r"^(atomic_(put|add|sub|bump|store|fetch|exchange)"
                    r"|racy_put)")
COUNTS = re.compile(r"stats|\bn_?[a-z]+$|count|hits|_ops$|requests|peak")
COMPARE = re.compile(r" (<=|>=|<|>)(?=\s)")
OTHER_BOUND = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
ONE = re.compile(r" ([-+]) 1[uU]?[lL]{0,2}\b(?!\.|\s*(?:<<|\*|/|%))")
LOOP = re.compile(r"\bfor \([^;\n]*;\s*([^;]*?)(?<= < )([^;&|]+);")
RETURN = re.compile(r"^([ \t]+)return ([^;{}]+);", re.M)
ORDERS = [
    (re.compile(r"\batomic_get_acquire\b"), "atomic_get_relaxed"),
    (re.compile(r"\batomic_put_release\b"), "atomic_put_relaxed"),
    (re.compile(r"\bmemory_order_(?:acquire|release|acq_rel|seq_cst)\b"),
     "memory_order_relaxed"),
]
CONSTANT = re.compile(
    r"^#[ ]*define[ ]+([A-Z]\w*)[ ]+(\(?[0-9][\w ()*+<>-]*?)[ \t]*"
    r"(?=$|/\*)", re.M)
FAILURE_BODY = re.compile(
    r"\s*\{\s*(?:[\w>.-]+ = [^;{}]+;\s*)?"
    r"(?:return (?:NULL|false|-1|[A-Z][A-Z_]+|0);|goto \w+;|return;)\s*\}")


class Mutant:
    """One fault: its name, and the edits [(start, end, text)] that make it."""

    def __init__(self, name, operator, edits, line, lines):
        self.name = name
        self.operator = operator
        self.edits = edits
        self.line = line    # where it begins
        self.lines = lines  # every line that must run for it to matter


def mask(text):
    """The text with everything blanked that is not code (I2)."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    text = MASKED.sub(blank, text)
    spans = [(m.start(), closing(text, m.end() - 1)) for m in
             QUIET.finditer(text)]
    for start, end in spans:
        text = (text[:start] + re.sub(r"[^\n]", " ", text[start:end + 1]) +
                text[end + 1:])
    return text


def closing(text, start):
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
            if depth == 0:
                return i
    return len(text) - 1


def functions(masked):
    """Yields (name, head, start, end) of each function's body."""
    for opened in re.finditer(r"^\{$", masked, re.M):
        start = opened.start()
        before = masked[:start]
        begin = max(before.rfind(";\n"), before.rfind("\n}"),
                    before.rfind("\n\n"), 0)
        head = " ".join(before[begin:].split())
        names = [n for n in re.findall(r"\b(\w+)\s*\(", head)
                 if n.upper() != n and not n.startswith("_")]
        if not names:
            continue
        end = masked.find("\n}", start)
        yield names[0], head, start, end


def is_statement(masked, offset):
    """Whether what stands there begins a statement, not continues one."""
    return masked[:offset].rstrip()[-1:] in (";", "{", "}", ":")


def blanked(text):
    """An empty statement with the line breaks of `text` (I1)."""
    return "(void)0;" + "\n" * text.count("\n")


class Finder:
    """Finds the faults of one file."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.masked = mask(text)
        self.found = []
        self.names = {}

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def statement(self, start, end):
        """The statement around: compilers name its first line or its last."""
        while start > 0 and self.masked[start - 1] not in ";{}":
            start -= 1
        while self.masked[start].isspace() and start < end:
            start += 1
        while end < len(self.masked) - 1 and self.masked[end] not in ";{}":
            end += 1
        return start, end

    def add(self, function, operator, edits):
        first = edits[0][0]
        begin = self.text.rfind("\n", 0, first) + 1
        end = self.text.find("\n", first)
        content = self.text[begin:end].strip()
        digest = hashlib.sha1(content.encode()).hexdigest()[:8]
        name = f"{self.path}:{function}:{digest}:{operator}"
        number = self.names.get(name, 0) + 1
        self.names[name] = number
        if number > 1:
            name += f":{number}"
        lines = set()
        for start, stop, _ in edits:
            start, stop = self.statement(start, stop)
            lines.update(range(self.line_of(start), self.line_of(stop) + 1))
        self.found.append(Mutant(
            name, operator, edits, self.line_of(first), sorted(lines)))

    def all(self):
        for name, head, start, end in functions(self.masked):
            if name.endswith("_check") or "_for_test" in name:
                continue
            self.conditions(name, start, end)
            self.comparisons(name, start, end)
            self.statements(name, start, end)
            self.locks(name, start, end)
            self.orders(name, start, end)
            self.returns(name, head, start, end)
        self.constants()
        self.found.sort(key=lambda m: (m.line, m.name))
        return self.found

    def conditions(self, name, start, end):
        for match in re.finditer(r"\bif \(", self.masked[start:end]):
            opened = start + match.end() - 1
            closed = closing(self.masked, opened)
            condition = self.text[opened + 1:closed]
            if "config_" in condition:
                continue
            self.add(name, "negate",
                     [(opened, closed + 1, f"(!({condition}))")])
            if FAILURE_BODY.match(self.masked, closed + 1):
                self.add(name, "error",
                         [(opened, closed + 1, f"(({condition}) && false)")])
        for match in re.finditer(r"\s(&&|\|\|)\s", self.masked[start:end]):
            other = "||" if match.group(1) == "&&" else "&&"
            self.add(name, "logic", [(start + match.start(1),
                                      start + match.end(1), other)])

    def comparisons(self, name, start, end):
        body = self.masked[start:end]
        for match in COMPARE.finditer(body):
            self.add(name, "bound",
                     [(start + match.start(1), start + match.end(1),
                       OTHER_BOUND[match.group(1)])])
        for match in ONE.finditer(body):
            self.add(name, "one",
                     [(start + match.start(), start + match.end(), "")])
        for match in LOOP.finditer(body):
            bound = self.text[start + match.start(2):start + match.end(2)]
            self.add(name, "loop",
                     [(start + match.start(2), start + match.end(2),
                       f"({bound}) - 1")])

    def statements(self, name, start, end):
        body = self.masked[start:end]
        for pattern in (STORE, STEP):
            for match in pattern.finditer(body):
                if not is_statement(self.masked, start + match.start(2)):
                    continue
                steps = pattern is STEP or match.group(4) in ("+=", "-=")
                operator = ("stats" if steps and COUNTS.search(match.group(3))
                            else "store")
                self.remove(name, operator, start + match.start(2),
                            start + match.end(2))
        for match in CALL.finditer(body):
            called = match.group(3)
            if called in ("if", "for", "while", "switch", "return", "sizeof",
                          "list_foreach", "mutex_lock", "mutex_unlock"):
                continue
            closed = closing(self.masked, start + match.end() - 1)
            if self.masked[closed + 1:closed + 2] != ";" or \
                    not is_statement(self.masked, start + match.start(2)):
                continue
            inside = self.masked[start + match.end():closed]
            if not WRITES.match(called):
                operator = "call"
            elif COUNTS.search(inside.split(",")[0]):
                operator = "stats"
            else:
                operator = "store"
            self.remove(name, operator, start + match.start(2), closed + 2)

    def remove(self, name, operator, start, end):
        self.add(name, operator,
                 [(start, end, blanked(self.text[start:end]))])

    def locks(self, name, start, end):
        body = self.masked[start:end]
        seen = set()
        for match in re.finditer(r"\bmutex_lock\((.*)\);", body):
            lock = match.group(1)
            if lock in seen:
                continue
            seen.add(lock)
            pair = re.compile(
                r"\bmutex_(?:un)?lock\(" + re.escape(lock) + r"\);")
            self.add(name, "lock",
                     [(start + m.start(), start + m.end(), "(void)0;")
                      for m in pair.finditer(body)])

    def orders(self, name, start, end):
        for pattern, weaker in ORDERS:
            for match in pattern.finditer(self.masked[start:end]):
                self.add(name, "order", [(start + match.start(),
                                          start + match.end(), weaker)])

    def returns(self, name, head, start, end):
        kind = head.split(name + "(")[0]
        for match in RETURN.finditer(self.masked[start:end]):
            value = self.text[start + match.start(2):start + match.end(2)]
            if "*" in kind:
                other = "NULL" if value != "NULL" else None
            elif re.search(r"\bbool\b", kind):
                other = "true" if value == "false" else "false"
            elif re.search(r"\b(int|unsigned|size_t|ssize_t|u?int\d+_t"
                           r"|uintptr_t)\b", kind):
                other = "1" if value == "0" else "0"
            else:
                other = None
            if other is not None:
                lines = "\n" * value.count("\n")
                self.add(name, "return",
                         [(start + match.start(2), start + match.end(2),
                           other + lines)])

    def constants(self):
        for match in CONSTANT.finditer(self.text):
            value = match.group(2)
            if value in ("0", "1"):
                continue
            self.add(match.group(1), "limit",
                     [(match.start(2), match.end(2), f"(({value}) * 2)")])


def find(path, text):
    """Every fault of a file, in the order of its lines."""
    return Finder(path, text).all()


def apply(text, mutant):
    for start, end, new in sorted(mutant.edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def code_lines(text):
    """Lines with code on them: what a file's share is reckoned from."""
    return sum(1 for line in mask(text).split("\n")
               if re.search(r"\w", line))
