# Unit tests: one program per module, named like it.
#   check_PROGRAMS += test/unit/conf
#   TESTS += test/unit/conf
#   test_unit_conf_SOURCES = test/unit/conf.c
#   test_unit_conf_LDADD = $(LIBJE_TEST)
