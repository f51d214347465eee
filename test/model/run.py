"""What: builds the models and explores them; then faults are planted in copies
of the sources, each of which a model must find. One TAP test.

    run.py          short bounds (make check)
    run.py --full   larger bounds (make model)
    run.py PROGRAM...

Invariants: a fault whose text the sources no longer hold fails, and so does a
model that finds none.

Locking: none.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get('JE_SRCDIR', os.path.join(HERE, '..', '..'))
BUILD = os.environ.get('JE_BUILDDIR', '.')
sys.path.insert(0, os.path.join(SOURCE, 'test', 'proofs'))
sys.dont_write_bytecode = True

from faults import plant  # noqa: E402

# The library's sources of each program; init.c brings stubs for the rest.
PROGRAMS = {
    'mutex': ['os/mutex.c'],
    'steal': ['os/mutex.c', 'cache/tcache_steal.c', 'cache/tcache.c',
        'thread/tsd.c', 'conf/sizeclass.c'],
    'tables': ['os/mutex.c', 'extent/extent_map.c', 'cache/tcache_table.c'],
    'boot': ['os/mutex.c'],
}
WITH_STUBS = ('boot',)

# Bounds of models of two threads, and of more: see explore.h.
SHORT = ('3', '2')
FULL = ('-1', '6')
SECONDS = 900
JOBS = 2

FLAGS = ['-std=gnu11', '-O1', '-w', '-pthread', '-fno-builtin',
    '-ffunction-sections', '-fdata-sections', '-fno-pie', '-femulated-tls',
    '-fno-vectorize', '-fno-slp-vectorize', '-fsanitize=thread', '-mllvm',
    '-tsan-instrument-read-before-write=1', '-mllvm',
    '-tsan-instrument-func-entry-exit=0', '-D_GNU_SOURCE=', '-DJE_TEST',
    '-DJEMALLOC_NO_RENAME']

MUTEX_H, MUTEX = 'os/mutex.h', 'os/mutex.c'
STEAL_H, STEAL = 'cache/tcache_steal.h', 'cache/tcache_steal.c'
BARRIER = '''
    }
    if (!os_barrier_everywhere()) {
        return false;
    }'''

# Program, file, text, text instead.
FAULTS = (
    ('mutex', MUTEX_H,
        'atomic_exchange_explicit(&mutex->word, 0, memory_order_release)',
        'atomic_exchange_explicit(&mutex->word, 0, memory_order_relaxed)'),
    ('mutex', MUTEX, 'mutex_word_held - MUTEX_HELD + MUTEX_CONTENDED',
        'mutex_word_held'),
    ('mutex', MUTEX_H, '        mutex_unlock_slow(mutex);', '        ;'),
    ('mutex', MUTEX, '        wait_for_word(mutex);\n        step_back(mutex);',
        '        ;'),
    ('mutex', MUTEX, '    atomic_store(&mutex_gate, 0);\n'
        '    os_wake(&mutex_gate, GATE_WAKES);', '    atomic_store(&mutex_gate, 0);'),
    ('mutex', MUTEX_H, '&mutex_gate, memory_order_seq_cst',
        '&mutex_gate, memory_order_relaxed'),
    ('mutex', MUTEX, 'atomic_store(&mutex_gate, mutex->rank + 1U);',
        'atomic_put_release(&mutex_gate, mutex->rank + 1U);'),
    ('steal', STEAL, '        tcache_claim(victims[i]);' + BARRIER,
        '        tcache_claim(victims[i]);\n    }'),
    ('steal', STEAL, '        read_heads(victims[i], heads[i]);' + BARRIER,
        '        read_heads(victims[i], heads[i]);\n    }'),
    ('steal', STEAL, '? 1 : 0;', '? 0 : 0;'),
    ('steal', STEAL, 'if (!left_alone[i])', 'if (true)'),
    ('steal', STEAL, ' ||\n                        is_door_open(victims[i])',
        ''),
    ('steal', STEAL, 'atomic_get_acquire(&victims[i]->owner.busy)',
        'atomic_get_relaxed(&victims[i]->owner.busy)'),
    ('steal', STEAL, '        memmove(head, tcache->bins.heads[c], '
        'left * sizeof(*head));', '        ;'),
    ('steal', STEAL_H, 'atomic_put_release(\n        &tcache->owner.busy',
        'atomic_put_relaxed(\n        &tcache->owner.busy'),
    ('steal', STEAL_H, 'atomic_bump(&tcache->owner.busy, 1);\n'
        '    atomic_signal_fence(memory_order_seq_cst);\n'
        '    return JE_UNLIKELY(atomic_get_acquire(&tcache->owner.claimed));',
        'bool claimed = atomic_get_acquire(&tcache->owner.claimed);\n'
        'atomic_bump(&tcache->owner.busy, 1);\nreturn claimed;'),
    ('steal', STEAL_H, 'return JE_UNLIKELY(atomic_get_acquire('
        '&tcache->owner.claimed));', 'return false;'),
    ('steal', 'thread/tsd.c', 'if (!tcache_enter(&tsd->tcache)) {',
        'if (!tcache_enter(&tsd->tcache) || true) {'),
    ('tables', 'extent/extent_map.c',
        'if (atomic_get_relaxed(&extent_map_root[index]) == 0)', 'if (true)'),
    ('tables', 'extent/extent_map.c',
        'atomic_put_relaxed(extent_map_cell(addr), e);', ';'),
    ('tables', 'cache/tcache_table.c',
        'atomic_put_release(&table.explicit_caches[*id], tcache)',
        'atomic_put_relaxed(&table.explicit_caches[*id], tcache)'),
    ('tables', 'cache/tcache_table.c',
        'atomic_get_acquire(&table.explicit_caches[id])',
        'atomic_get_relaxed(&table.explicit_caches[id])'),
    ('boot', 'api/init.c', '    atomic_put_release(&init_state, state);',
        '    atomic_put_relaxed(&init_state, state);'),
    ('boot', 'api/init.h', 'atomic_get_acquire(&init_state) == INIT_READY',
        'atomic_get_relaxed(&init_state) == INIT_READY'),
    ('boot', 'api/init.c', 'int state = atomic_get_acquire(&init_state);',
        'int state = atomic_get_relaxed(&init_state);'),
    ('boot', 'api/init.c', 'return state == INIT_SERVING;', 'return false;'),
    ('boot', 'api/init.c',
        'if (!atomic_compare_exchange_strong(&init_state, &cold, '
        'INIT_BOOTING)) {', 'if (atomic_get_acquire(&init_state) != cold || '
        '(atomic_put_release(&init_state, INIT_BOOTING), false)) {'),
)


class Builder:
    """Compiles below one scratch directory."""

    def __init__(self, scratch):
        self.scratch = scratch
        config = open(os.path.join(BUILD, 'config.h'), encoding='utf-8').read()
        # A small root, no memcheck, no assertions about real threads.
        config = re.sub(r'(define CONFIG_LG_VADDR) .*', r'\1 34', config)
        config = re.sub(r'(define CONFIG_(?:DEBUG|VALGRIND)) .*', r'\1 0',
            config)
        os.makedirs(scratch + '/config')
        with open(scratch + '/config/config.h', 'w', encoding='utf-8') as out:
            out.write(config)
        self.explorer = self.object(os.path.join(HERE, 'explore.c'),
            ['-std=gnu11', '-O2', '-g', '-fno-pie'], [HERE], 'explore')
        self.kept = {}

    @staticmethod
    def run(command):
        run = subprocess.run(command, capture_output=True, text=True,
            check=False)
        if run.returncode != 0:
            raise RuntimeError('%s\n%s' % (' '.join(command), run.stderr))
        return run.stdout

    def object(self, path, flags, includes, name):
        handle, out = tempfile.mkstemp('.o', name + '.', self.scratch)
        os.close(handle)
        self.run(['clang'] + flags + ['-I' + i for i in includes] +
            ['-c', path, '-o', out])
        return out

    def program(self, name, overlay=None, fault=None):
        """
        Path of the program. Below `overlay` is the file `fault`; if it is one
        of the program's sources, the others are as they were.
        """
        includes = [overlay] if overlay else []
        includes += [self.scratch + '/config', BUILD, SOURCE + '/src',
            BUILD + '/include', HERE]
        flags = FLAGS + ['-include', os.path.join(HERE, 'redirect.h')]
        objects = []
        for source in [name + '.c', 'system.c'] + PROGRAMS[name]:
            copy = os.path.join(overlay or '', source)
            if source in PROGRAMS[name]:
                path = os.path.join(SOURCE, 'src', source)
            else:
                path = os.path.join(HERE, source)
            if overlay and os.path.exists(copy):
                objects.append(self.object(copy, flags, includes, name))
            elif overlay and fault in PROGRAMS[name]:
                objects.append(self.kept[name, source])
            else:
                out = self.object(path, flags, includes, name)
                objects.append(out)
                if not overlay:
                    self.kept[name, source] = out
        if name in WITH_STUBS:
            objects.append(self.object(os.path.join(HERE, name + '_calls.c'),
                ['-fno-pie'], [], name + '_calls'))
            objects.append(self.stubs(name, objects))
        objects.append(self.explorer)
        out = tempfile.mktemp('', name + '.', self.scratch)
        # Functions that no model calls may call what is not there.
        self.run(['clang', '-no-pie', '-Wl,--gc-sections',
            '-Wl,--unresolved-symbols=ignore-all'] + objects + ['-o', out])
        return out

    def stubs(self, name, objects):
        """What is called and not there succeeds; other variables are zero."""
        table = self.run(['nm'] + objects)
        defined = set(re.findall(r'^\w+ [A-Z] (\S+)$', table, re.MULTILINE))
        relocations = re.findall(r'R_\w+_(\w+)\s+\w+ (\w+)',
            self.run(['readelf', '-rW'] + objects))
        path = os.path.join(self.scratch, name + '_stubs.c')
        defined |= {'memcpy', 'memset', 'memcmp', 'abort', 'atexit'}
        calls = {s for kind, s in relocations if kind in CALLS} - defined
        others = {s for _, s in relocations} - calls - defined
        with open(path, 'w', encoding='utf-8') as out:
            for symbol in sorted(calls):
                out.write('int __attribute__((weak)) %s(void) { return 1; }\n' %
                    symbol)
            for symbol in sorted(others):
                out.write('char __attribute__((weak, aligned(4096))) '
                    '%s[65536];\n' % symbol)
        return self.object(path, ['-w', '-fno-pie', '-fno-builtin'], [],
            name + '_stubs')


# Relocations of calls, by processor.
CALLS = ('PLT32', 'CALL26', 'JUMP26')


class Tap:
    count = 0
    failed = 0

    def report(self, held, text):
        self.count += 1
        self.failed += not held
        print('%s %d - %s' % ('ok' if held else 'not ok', self.count, text),
            flush=True)


def explore(tap, program, name, bounds):
    start = time.time()
    run = subprocess.run([program, *bounds], capture_output=True, text=True,
        check=False, timeout=SECONDS)
    found = 0
    for line in run.stdout.splitlines():
        match = re.match(r'(ok|not ok) - (.*)$', line)
        if match:
            found += 1
            tap.report(match.group(1) == 'ok', '%s: %s' %
                (name, match.group(2)))
        else:
            print(line)
    if run.returncode not in (0, 1) or found == 0:
        tap.report(False, '%s ended with %d' % (name, run.returncode))
    print('# %s: %.1f s' % (name, time.time() - start))


def try_fault(builder, fault):
    """(whether it was found, what to say)"""
    name, path, before, after = fault
    what = ' '.join(('%s: %s -> %s' % (path, before, after)).split())
    overlay = tempfile.mkdtemp(prefix='fault.', dir=builder.scratch)
    try:
        plant(SOURCE, overlay, path, before, after)
        run = subprocess.run([builder.program(name, overlay, path), *SHORT],
            capture_output=True, text=True, check=False, timeout=SECONDS)
    except (RuntimeError, subprocess.TimeoutExpired) as problem:
        return False, '%s: %s' % (what, problem)
    first = re.search(r'# (.*) \(execution (\d+)\)', run.stdout)
    if run.returncode != 1 or first is None:
        return False, '%s: finds nothing: %s' % (name, what)
    return True, '%s: %s, execution %s: %s' % (name, *first.groups(), what)


def main():
    arguments = sys.argv[1:]
    names = [a for a in arguments if not a.startswith('-')] or list(PROGRAMS)
    for tool in ('clang', 'nm'):
        if shutil.which(tool) is None:
            print('1..0 # SKIP no ' + tool)
            return 0
    with open(os.path.join(BUILD, 'config.h'), encoding='utf-8') as config:
        narrow = 'define CONFIG_LG_VADDR 32' in config.read()
    if narrow or sys.platform != 'linux':
        print('1..0 # SKIP for Linux and words of 64 bits')
        return 0
    tap = Tap()
    start = time.time()
    scratch = tempfile.mkdtemp(prefix='model.', dir=BUILD)
    try:
        builder = Builder(os.path.abspath(scratch))
        bounds = FULL if '--full' in arguments else SHORT
        for name in names:
            explore(tap, builder.program(name), name, bounds)
        chosen = [f for f in FAULTS if f[0] in names]
        with ThreadPoolExecutor(JOBS) as pool:
            for held, what in pool.map(
                    lambda f: try_fault(builder, f), chosen):
                tap.report(held, what)
    finally:
        shutil.rmtree(scratch)
    print('# %.1f s' % (time.time() - start))
    print('1..%d' % tap.count)
    return int(tap.failed != 0)


if __name__ == '__main__':
    sys.exit(main())
