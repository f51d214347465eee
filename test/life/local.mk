# Tests of the life of a process: start, threads, signals, forks, libraries
# that come and go, other allocators, and the end.
LIFE_CFLAGS = $(AM_CFLAGS) -fno-builtin
LIFE_LDADD = $(LIBJETESTHARNESS) $(LIBJEMALLOC)

check_PROGRAMS += test/life/foreign
TESTS += test/life/foreign \
	test/life/forks.sh \
	test/life/load.sh

test_life_foreign_SOURCES = test/life/foreign.c
test_life_foreign_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_foreign_CFLAGS = $(LIFE_CFLAGS)
test_life_foreign_LDADD = $(LIFE_LDADD)
