# Stress programs: run T seconds (environment), print their seed, exit 0.
#   make stress T=600
# The same source twice: with the public names, and with the je_ names of the
# library under a sanitizer that owns malloc.
check_PROGRAMS += test/stress/shadow test/stress/shadow_je
stress_list += test/stress/shadow test/stress/shadow_je
TESTS += test/stress/planted.sh test/stress/sleep.sh

test_stress_shadow_SOURCES = test/stress/shadow.c
test_stress_shadow_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_shadow_LDADD = $(LIBJEMALLOC)
test_stress_shadow_je_SOURCES = test/stress/shadow.c
test_stress_shadow_je_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/stress/stats
stress_list += test/stress/stats
test_stress_stats_SOURCES = test/stress/stats.c
test_stress_stats_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_stats_LDADD = $(LIBJEMALLOC)

# Has its own copy of the module that it times.
check_PROGRAMS += test/stress/holds
stress_list += test/stress/holds
test_stress_holds_SOURCES = test/stress/holds.c
test_stress_holds_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/stress/sleepers
test_stress_sleepers_SOURCES = test/stress/sleepers.c
test_stress_sleepers_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_sleepers_LDADD = $(LIBJEMALLOC)

check_PROGRAMS += test/stress/faults
# ThreadSanitizer does not live with mappings that are refused.
if !SANITIZED
stress_list += test/stress/faults
endif
test_stress_faults_SOURCES = test/integration/faults.c test/refuse.c test/books.c
test_stress_faults_CPPFLAGS = $(UNIT_CPPFLAGS) -DFAULTS_ARE_STRESS=1
test_stress_faults_LDADD = $(LIBJE_TEST)
test_stress_faults_LDFLAGS = $(WRAPPED_CALLS)

# All of the interface, of which some is glibc's.
if HAVE_GLIBC
check_PROGRAMS += test/stress/soak
if !SANITIZED
stress_list += test/stress/soak
endif
test_stress_soak_SOURCES = test/stress/soak.c test/fuzz/api_machine.c \
	test/fuzz/api_controls.c test/fuzz/api_hooks.c test/fuzz/api_model.c \
	test/fuzz/api_cxx.c test/refuse.c test/books.c src/api/glibc.c
test_stress_soak_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/test/fuzz
test_stress_soak_LDADD = $(LIBJE_TEST)
test_stress_soak_LDFLAGS = $(WRAPPED_CALLS)
endif

check_PROGRAMS += test/stress/idle
test_stress_idle_SOURCES = test/stress/idle.c
test_stress_idle_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_idle_LDADD = $(LIBJEMALLOC)

# Threads that allocate while one forks. -fno-builtin: what it allocates and
# frees at once would be left out.
check_PROGRAMS += test/stress/forks
# A sanitizer holds locks of its own in the child.
if !SANITIZED
stress_list += test/stress/forks
endif
test_stress_forks_SOURCES = test/stress/forks.c
test_stress_forks_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_forks_CFLAGS = $(AM_CFLAGS) -fno-builtin
test_stress_forks_LDADD = $(LIBJEMALLOC)

# The profiler, with a library that comes and goes.
if !PREFIXED
check_PROGRAMS += test/stress/prof
TESTS += test/stress/prof
stress_list += test/stress/prof
endif
test_stress_prof_SOURCES = test/stress/prof.c
test_stress_prof_CPPFLAGS = $(INTEGRATION_CPPFLAGS) \
	-DMODULE_PATH='"$(abs_top_builddir)/test/stress/prof_module.so"'
test_stress_prof_CFLAGS = $(AM_CFLAGS) -fno-builtin
test_stress_prof_LDADD = $(LIBJEMALLOC)
EXTRA_test_stress_prof_DEPENDENCIES = test/stress/prof_module.so
EXTRA_DIST += test/stress/prof_module.cc test/stress/prof_module.c
CLEANFILES += test/stress/prof_module.so

PROF_MODULE_C = $(CC) $(CFLAGS) -fno-builtin \
	$(top_srcdir)/test/stress/prof_module.c
if HAVE_CXX
if ENABLE_CXX
PROF_MODULE = $(CXX) $(CXXFLAGS) $(top_srcdir)/test/stress/prof_module.cc
else
PROF_MODULE = $(PROF_MODULE_C)
endif
else
PROF_MODULE = $(PROF_MODULE_C)
endif
test/stress/prof_module.so: test/stress/prof_module.cc test/stress/prof_module.c
	@$(MKDIR_P) test/stress
	$(AM_V_GEN)$(PROF_MODULE) -shared -fPIC -o $@

# Many short threads. Not in stress_list: it ends when it is done.
check_PROGRAMS += test/stress/births
test_stress_births_SOURCES = test/stress/births.c
test_stress_births_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_births_CFLAGS = $(AM_CFLAGS) -fno-builtin
test_stress_births_LDADD = $(LIBJEMALLOC)
