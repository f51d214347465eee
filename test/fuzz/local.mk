# Fuzz targets; each also replays its corpus as a plain program in TESTS.
#   EXTRA_PROGRAMS += test/fuzz/conf
#   fuzz_list += test/fuzz/conf

check_PROGRAMS += test/fuzz/conf
TESTS += test/fuzz/conf
fuzz_list += test/fuzz/conf
test_fuzz_conf_SOURCES = test/fuzz/conf.c
test_fuzz_conf_LDADD = $(LIBJE_TEST)
