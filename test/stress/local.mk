# Stress programs: run T seconds (environment), print their seed, exit 0.
#   make stress T=600
# The same source twice: with the public names, and with the je_ names of the
# library under a sanitizer that owns malloc.
check_PROGRAMS += test/stress/shadow test/stress/shadow_je
stress_list += test/stress/shadow test/stress/shadow_je
TESTS += test/stress/planted.sh

test_stress_shadow_SOURCES = test/stress/shadow.c
test_stress_shadow_CPPFLAGS = $(INTEGRATION_CPPFLAGS)
test_stress_shadow_LDADD = $(LIBJEMALLOC)
test_stress_shadow_je_SOURCES = test/stress/shadow.c
test_stress_shadow_je_LDADD = $(LIBJE_TEST)
