# Integration tests: the library as users see it. -fno-builtin: a compiler
# that knows what malloc means would leave out what the tests look at.
INTEGRATION_CFLAGS = $(AM_CFLAGS) -fno-builtin
INTEGRATION_LDADD = $(LIBJETESTHARNESS) $(LIBJEMALLOC)

# With any prefix.
integration_programs = \
	test/integration/allocx \
	test/integration/faults \
	test/integration/fork \
	test/integration/growth \
	test/integration/hooks \
	test/integration/limits \
	test/integration/misuse \
	test/integration/sizeclasses \
	test/integration/threads
# What needs the plain names malloc, free, MALLOC_CONF...
if !PREFIXED
integration_programs += \
	test/integration/conf \
	test/integration/extras \
	test/integration/guards \
	test/integration/hardened \
	test/integration/idle \
	test/integration/libc \
	test/integration/options \
	test/integration/presets \
	test/integration/probes \
	test/integration/prof \
	test/integration/interval \
	test/integration/request \
	test/integration/rss \
	test/integration/sampling \
	test/integration/stats
check_PROGRAMS += test/integration/report_dump
TESTS += test/integration/report.sh
endif

check_PROGRAMS += $(integration_programs)
TESTS += $(integration_programs) \
	test/integration/cxx.sh \
	test/integration/foreign.sh \
	test/integration/guards.sh \
	test/integration/header.sh \
	test/integration/limits.sh \
	test/integration/preload.sh

test_integration_allocx_SOURCES = test/integration/allocx.c
test_integration_allocx_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_allocx_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_allocx_LDADD = $(INTEGRATION_LDADD)

test_integration_conf_SOURCES = test/integration/conf.c
test_integration_conf_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_conf_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_conf_LDADD = $(INTEGRATION_LDADD)

test_integration_extras_SOURCES = test/integration/extras.c
test_integration_extras_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_extras_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_extras_LDADD = $(INTEGRATION_LDADD)

test_integration_guards_SOURCES = test/integration/guards.c
test_integration_guards_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_guards_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_guards_LDADD = $(INTEGRATION_LDADD)

test_integration_hardened_SOURCES = test/integration/hardened.c
test_integration_hardened_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_hardened_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_hardened_LDADD = $(INTEGRATION_LDADD)

test_integration_fork_SOURCES = test/integration/fork.c
test_integration_fork_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_fork_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_fork_LDADD = $(INTEGRATION_LDADD)

test_integration_growth_SOURCES = test/integration/growth.c
test_integration_growth_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_growth_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_growth_LDADD = $(INTEGRATION_LDADD)

test_integration_hooks_SOURCES = test/integration/hooks.c
test_integration_hooks_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_hooks_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_hooks_LDADD = $(INTEGRATION_LDADD)

test_integration_limits_SOURCES = test/integration/limits.c
test_integration_limits_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_limits_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_limits_LDADD = $(INTEGRATION_LDADD)

test_integration_libc_SOURCES = test/integration/libc.c
test_integration_libc_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_libc_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_libc_LDADD = $(INTEGRATION_LDADD)

test_integration_misuse_SOURCES = test/integration/misuse.c
test_integration_misuse_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_misuse_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_misuse_LDADD = $(INTEGRATION_LDADD)

test_integration_options_SOURCES = test/integration/options.c
test_integration_options_CPPFLAGS = $(INTEGRATION_CPPFLAGS) -I$(top_srcdir)/src
test_integration_options_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_options_LDADD = $(INTEGRATION_LDADD)

test_integration_presets_SOURCES = test/integration/presets.c
test_integration_presets_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_presets_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_presets_LDADD = $(INTEGRATION_LDADD)

test_integration_sizeclasses_SOURCES = test/integration/sizeclasses.c
test_integration_sizeclasses_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_sizeclasses_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_sizeclasses_LDADD = $(INTEGRATION_LDADD)

test_integration_threads_SOURCES = test/integration/threads.c
test_integration_threads_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_threads_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_threads_LDADD = $(INTEGRATION_LDADD)

test_integration_idle_SOURCES = test/integration/idle.c
test_integration_idle_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_idle_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_idle_LDADD = $(INTEGRATION_LDADD)

# Over the je_ names: the library's system calls go through test/refuse.c.
WRAPPED_CALLS = $(AM_LDFLAGS) \
	-Wl,--wrap=mmap \
	-Wl,--wrap=mmap64 \
	-Wl,--wrap=munmap \
	-Wl,--wrap=mremap \
	-Wl,--wrap=madvise \
	-Wl,--wrap=mprotect \
	-Wl,--wrap=sbrk \
	-Wl,--wrap=pthread_create \
	-Wl,--wrap=pthread_key_create \
	-Wl,--wrap=pthread_setspecific \
	-Wl,--wrap=pthread_atfork \
	-Wl,--wrap=sched_getaffinity \
	-Wl,--wrap=sched_getcpu \
	-Wl,--wrap=getrlimit \
	-Wl,--wrap=getrlimit64 \
	-Wl,--wrap=readlink \
	-Wl,--wrap=open \
	-Wl,--wrap=open64 \
	-Wl,--wrap=read \
	-Wl,--wrap=syscall
test_integration_faults_SOURCES = test/integration/faults.c test/refuse.c test/books.c
test_integration_faults_LDADD = $(LIBJE_TEST)
test_integration_faults_LDFLAGS = $(WRAPPED_CALLS)

test_integration_report_dump_SOURCES = test/integration/report_dump.c
test_integration_report_dump_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_report_dump_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_report_dump_LDADD = $(INTEGRATION_LDADD)

test_integration_interval_SOURCES = test/integration/interval.c
test_integration_interval_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_interval_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_interval_LDADD = $(INTEGRATION_LDADD)

test_integration_request_SOURCES = test/integration/request.c
test_integration_request_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_request_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_request_LDADD = $(INTEGRATION_LDADD)

test_integration_rss_SOURCES = test/integration/rss.c
test_integration_rss_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_rss_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_rss_LDADD = $(INTEGRATION_LDADD)

test_integration_sampling_SOURCES = test/integration/sampling.c
test_integration_sampling_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_sampling_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_sampling_LDADD = $(INTEGRATION_LDADD)

test_integration_stats_SOURCES = test/integration/stats.c
test_integration_stats_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_stats_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_stats_LDADD = $(INTEGRATION_LDADD)

test_integration_probes_SOURCES = test/integration/probes.c
test_integration_probes_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_probes_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_probes_LDADD = $(INTEGRATION_LDADD)

test_integration_prof_SOURCES = test/integration/prof.c
test_integration_prof_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_integration_prof_CFLAGS = $(INTEGRATION_CFLAGS)
test_integration_prof_LDADD = $(INTEGRATION_LDADD)
