# What: python's own tests of lists, dictionaries, JSON and threads, without
# python's small-object allocator.
#
# Exercises: what the interpreter's authors thought of, among it allocations
# that must fail with MemoryError, and hundreds of short threads.
#
# Answer: the test runner says success and names the number of tests run.
case_about="PYTHONMALLOC=malloc: python's own list, dict, json, thread tests"
case_sets='quick'
case_tools=python3
# A regular expression, for apt-get: the package bears the version's name.
case_packages='python3 ^libpython3\.[0-9]+-testsuite$'
case_proof='python3*'

# Debian's interpreter first: its tests are known to pass on Debian.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import test.test_dict' 2>/dev/null
        then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}

case_ready() {
    [ -n "$(find_python)" ] || echo 'no python3 with the package test'
}

# When the tests fail: say whether the library has anything to do with it.
compare_failure() {
    cat under.out
    if plain "${command[@]}" >plain.out 2>&1; then
        fail 'the tests fail under the library only'
    fi
    fail 'the tests fail without the library, too: mend this python first'
}

case_run() {
    export PYTHONMALLOC=malloc
    # One test fails wherever a .pth file of the machine imports threading.
    command=("$(find_python)" -m test --timeout 250 -w
        -i test_import_from_another_thread
        test_list test_dict test_json test_threading)
    under "${command[@]}" >under.out 2>&1 || compare_failure
    expect_line under.out '[rR]esult: SUCCESS'
    expect_line under.out '4 tests OK'
}
