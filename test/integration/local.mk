# Integration tests: the library as users see it.
#   check_PROGRAMS += test/integration/fork
#   TESTS += test/integration/fork
#   test_integration_fork_SOURCES = test/integration/fork.c
#   test_integration_fork_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
#   test_integration_fork_LDADD = $(LIBJETESTHARNESS) $(LIBJEMALLOC)
# Scripts print TAP too: TESTS += test/integration/preload.sh
# What needs the plain names malloc, free... stands in `if !PREFIXED`.
