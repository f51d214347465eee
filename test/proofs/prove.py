"""What: the proofs, as one TAP test: each harness file is compiled to
intermediate code, optimized like the library, and each proof_ function in it
is shown to hold for all arguments (symbolic.py, with z3). Then faults are
planted in copies of the sources: the proof named with each must be refuted.

    prove.py [NAME...]           these proofs, without faults; or all
    prove.py --faults [NAME...]  the faults alone, of these proofs

Invariants: a solver that does not know, or finds no time, fails the test; so
does a fault whose text the sources no longer hold.

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

sys.dont_write_bytecode = True

import symbolic  # noqa: E402
from faults import FAULTS, plant  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get('JE_SRCDIR', os.path.join(HERE, '..', '..'))
BUILD = os.environ.get('JE_BUILDDIR', '.')
SOLVER_SECONDS = 240
JOBS = 2

FILES = ('bits', 'sizes', 'api', 'extents', 'decay')

# Parameters that are gone through one by one: addresses must be known, and
# factors are better constants.
COUNTED = {
    'bitmap_set': {'bit': range(128)},
    'bitmap_clear': {'bit': range(128)},
    'bitmap_fill': {'bits': range(140)},
    'bitmap_find': {'word': range(2)},
    'bitmap_find_beyond': {'from': range(128, 260)},
    'weight': {'age': range(128)},
}

# Without vectors, whose types symbolic.py does not know.
FLAGS = ['-std=gnu11', '-O2', '-w', '-pthread', '-fno-discard-value-names',
    '-fno-vectorize', '-fno-slp-vectorize', '-fsanitize=undefined',
    '-fsanitize-trap=all',
    '-fno-sanitize=null,alignment,object-size,pointer-overflow,bool,enum',
    '-DJE_TEST', '-DJEMALLOC_NO_RENAME', '-D_GNU_SOURCE=', '-S',
    '-emit-llvm', '-o', '-']


def compile_file(name, overlay=None):
    """The harness's module; `overlay` is a directory looked at first."""
    paths = [overlay] if overlay else []
    paths += [BUILD, SOURCE + '/src', BUILD + '/include', HERE]
    run = subprocess.run(['clang'] + FLAGS + ['-I' + p for p in paths] +
        [os.path.join(HERE, name + '.c')], capture_output=True, text=True,
        check=False)
    if run.returncode != 0:
        raise RuntimeError('%s.c does not compile:\n%s' % (name, run.stderr))
    return symbolic.parse(run.stdout)


class Proof:
    """What came of one: verdict 'unsat' is proved."""

    def __init__(self, module, name):
        start = time.time()
        counted = COUNTED.get(name, {})
        self.runs = []
        for parameter, values in counted.items() or [(None, [0])]:
            for value in values:
                run = symbolic.Run(module, 'proof_' + name)
                run.explore({parameter: value} if parameter else {})
                self.runs.append(run)
        self.name = name
        self.values = self.solve([run.script() for run in self.runs])
        self.seconds = time.time() - start

    def solve(self, scripts):
        """Sets the verdict; the values that refute, if any do."""
        z3 = subprocess.run(['z3', '-in', '-T:%d' % SOLVER_SECONDS],
            input='\n(get-model)\n(reset)\n'.join(scripts) +
            '\n(get-model)\n', capture_output=True, text=True, check=False)
        verdicts = re.findall(r'^(sat|unsat|unknown|timeout)$', z3.stdout,
            re.MULTILINE)
        proved = verdicts == ['unsat'] * len(scripts)
        refuted = 'sat' in verdicts
        self.verdict = 'unsat' if proved else 'sat' if refuted else 'unknown'
        found = re.findall(r'\(define-fun in_(\w+)_(\d+) \(\) \(_ BitVec \d+\)'
            r'\s+#x([0-9a-f]+)', z3.stdout)
        return ' '.join('%s=0x%s' % (name, value.lstrip('0') or '0')
            for name, _, value in found)

    def domain(self):
        names = [re.match(r'in_(\w+)_(\d+)$', n) for n in self.runs[0].inputs]
        return ' '.join('%s:%s' % n.groups() for n in names) or 'none'

    def line(self):
        text = '%s: free bits %s; %d conditions on %d paths' % (
            self.name, self.domain(), sum(r.checks for r in self.runs),
            sum(r.paths for r in self.runs))
        if len(self.runs) > 1:
            text += ', %d cases' % len(self.runs)
        return '%s; %.1f s%s' % (text, self.seconds, '' if
            self.verdict == 'unsat' else '; %s %s' %
            (self.verdict, self.values))


def names_of(module):
    return [n[6:] for n in module.functions if n.startswith('proof_')]


def attempt(module, name):
    try:
        return Proof(module, name)
    except symbolic.Unsupported as problem:
        return '%s: not modelled: %s' % (name, problem)


class Tap:
    count = 0
    failed = 0

    def report(self, held, text):
        self.count += 1
        self.failed += not held
        print('%s %d - %s' % ('ok' if held else 'not ok', self.count, text),
            flush=True)


def prove_all(tap, pool, only):
    for name in FILES:
        module = compile_file(name)
        wanted = [n for n in names_of(module) if not only or n in only]
        for proof in pool.map(lambda n, m=module: attempt(m, n), wanted):
            if isinstance(proof, str):
                tap.report(False, proof)
            else:
                tap.report(proof.verdict == 'unsat', name + '/' + proof.line())


def try_fault(fault):
    """(whether the proof failed as it must, what to say)"""
    path, before, after, harness, name = fault
    what = '%s: %s -> %s' % (path, before.strip(), after.strip() or 'nothing')
    overlay = tempfile.mkdtemp(prefix='proofs.', dir=BUILD)
    try:
        plant(SOURCE, overlay, path, before, after)
        proof = attempt(compile_file(harness, overlay), name)
        if isinstance(proof, str):
            return False, '%s: %s' % (what, proof)
        return proof.verdict == 'sat', '%s refutes %s (%s; %.1f s)' % (
            name, ' '.join(what.split()), proof.values or proof.verdict,
            proof.seconds)
    except RuntimeError as problem:
        return False, str(problem)
    finally:
        shutil.rmtree(overlay)


def main():
    arguments = sys.argv[1:]
    faults_only = '--faults' in arguments
    only = [a for a in arguments if not a.startswith('-')]
    for tool in ('clang', 'z3'):
        if shutil.which(tool) is None:
            print('1..0 # SKIP no ' + tool)
            return 0
    with open(os.path.join(BUILD, 'config.h'), encoding='utf-8') as config:
        if '#define CONFIG_LG_VADDR 32' in config.read():
            print('1..0 # SKIP words of 64 bits are what is proved')
            return 0
    tap = Tap()
    start = time.time()
    with ThreadPoolExecutor(JOBS) as pool:
        if not faults_only:
            prove_all(tap, pool, only)
        if faults_only or not only:
            chosen = [f for f in FAULTS if not only or f[4] in only]
            for held, text in pool.map(try_fault, chosen):
                tap.report(held, text)
    print('# %.1f s' % (time.time() - start))
    print('1..%d' % tap.count)
    print('%d passed, %d failed, 0 skipped' %
        (tap.count - tap.failed, tap.failed))
    return int(tap.failed != 0)


if __name__ == '__main__':
    sys.exit(main())
