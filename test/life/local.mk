# Tests of the life of a process: start, threads, signals, forks, libraries
# that come and go, other allocators, and the end.
LIFE_CFLAGS = $(AM_CFLAGS) -fno-builtin
LIFE_LDADD = $(LIBJETESTHARNESS) $(LIBJEMALLOC)

life_programs = \
	test/life/foreign \
	test/life/signals \
	test/life/spawn \
	test/life/threads
check_PROGRAMS += $(life_programs)
TESTS += $(life_programs) \
	test/life/births.sh \
	test/life/confined.sh \
	test/life/end.sh \
	test/life/forks.sh \
	test/life/load.sh

test_life_foreign_SOURCES = test/life/foreign.c
test_life_foreign_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_foreign_CFLAGS = $(LIFE_CFLAGS)
test_life_foreign_LDADD = $(LIFE_LDADD)

test_life_signals_SOURCES = test/life/signals.c
test_life_signals_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_signals_CFLAGS = $(LIFE_CFLAGS)
test_life_signals_LDADD = $(LIFE_LDADD)

test_life_spawn_SOURCES = test/life/spawn.c
test_life_spawn_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_spawn_CFLAGS = $(LIFE_CFLAGS)
test_life_spawn_LDADD = $(LIFE_LDADD)

test_life_threads_SOURCES = test/life/threads.c
test_life_threads_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_threads_CFLAGS = $(LIFE_CFLAGS)
test_life_threads_LDADD = $(LIFE_LDADD)

# Refused system calls.
check_PROGRAMS += test/life/sandbox
TESTS += test/life/sandbox
test_life_sandbox_SOURCES = test/life/sandbox.c
test_life_sandbox_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_sandbox_CFLAGS = $(LIFE_CFLAGS)
test_life_sandbox_LDADD = $(LIFE_LDADD)

# What the library takes of a thread's stack, and of memory for each thread.
# Options are in MALLOC_CONF, by its plain name.
if !PREFIXED
check_PROGRAMS += test/life/stacks
TESTS += test/life/stacks
test_life_stacks_SOURCES = test/life/stacks.c
test_life_stacks_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_stacks_CFLAGS = $(LIFE_CFLAGS)
test_life_stacks_LDADD = $(LIFE_LDADD)
# Bound at the start: the linker's frames are none of the library's.
test_life_stacks_LDFLAGS = $(AM_LDFLAGS) -Wl,-z,now
endif

check_PROGRAMS += test/life/resident
TESTS += test/life/resident
test_life_resident_SOURCES = test/life/resident.c
test_life_resident_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_life_resident_CFLAGS = $(LIFE_CFLAGS)
test_life_resident_LDADD = $(LIFE_LDADD)
