# Programs of this library under Valgrind's memcheck; check.py compiles them
# itself, in a directory that it removes. With --all it does everything.
TESTS += test/valgrind/check.py
