# Fuzz targets; each also replays its corpus as a plain program in TESTS.
#   EXTRA_PROGRAMS += test/fuzz/conf
#   fuzz_list += test/fuzz/conf

check_PROGRAMS += test/fuzz/conf
TESTS += test/fuzz/conf
fuzz_list += test/fuzz/conf
test_fuzz_conf_SOURCES = test/fuzz/conf.c test/fuzz/replay.c
test_fuzz_conf_LDADD = $(LIBJE_TEST)

if HAVE_JEPROF_LIBS
JEPROF_FUZZ_CPPFLAGS = $(JEPROF_CPPFLAGS) -I$(top_srcdir)/test \
	-I$(top_srcdir)/test/fuzz
# Not AM_LDFLAGS: a static program would need what libdw is made of.
JEPROF_FUZZ_LINK = $(SANITIZER)
JEPROF_FUZZ_LIBS = libjeprof.a libjetestharness.a $(JEPROF_LIBS)
jeprof_fuzz = test/fuzz/jeprof_read test/fuzz/jeprof_symbols
check_PROGRAMS += $(jeprof_fuzz)
TESTS += $(jeprof_fuzz)
fuzz_list += $(jeprof_fuzz)
test_fuzz_jeprof_read_SOURCES = test/fuzz/jeprof_read.c \
	test/fuzz/replay.c
test_fuzz_jeprof_read_CPPFLAGS = $(JEPROF_FUZZ_CPPFLAGS)
test_fuzz_jeprof_read_LDFLAGS = $(JEPROF_FUZZ_LINK)
test_fuzz_jeprof_read_LDADD = $(JEPROF_FUZZ_LIBS)
test_fuzz_jeprof_symbols_SOURCES = test/fuzz/jeprof_symbols.c \
	test/fuzz/replay.c
test_fuzz_jeprof_symbols_CPPFLAGS = $(JEPROF_FUZZ_CPPFLAGS)
test_fuzz_jeprof_symbols_LDFLAGS = $(JEPROF_FUZZ_LINK)
test_fuzz_jeprof_symbols_LDADD = $(JEPROF_FUZZ_LIBS)
endif

check_PROGRAMS += test/fuzz/ctl
TESTS += test/fuzz/ctl
fuzz_list += test/fuzz/ctl
test_fuzz_ctl_SOURCES = test/fuzz/ctl.c test/fuzz/replay.c
test_fuzz_ctl_LDADD = $(LIBJE_TEST)

# The whole interface; twice, the second time with planted mistakes. Its
# system calls go through test/refuse.c. Some of the interface is glibc's.
if HAVE_GLIBC
API_FUZZ_SOURCES = test/fuzz/api.c test/fuzz/api_machine.c \
	test/fuzz/api_controls.c test/fuzz/api_hooks.c test/fuzz/api_model.c \
	test/fuzz/api_cxx.c test/fuzz/replay.c test/refuse.c test/books.c \
	src/api/glibc.c
API_FUZZ_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/test/fuzz
check_PROGRAMS += test/fuzz/api test/fuzz/api_planted
TESTS += test/fuzz/api test/fuzz/api_planted
fuzz_list += test/fuzz/api
test_fuzz_api_SOURCES = $(API_FUZZ_SOURCES)
test_fuzz_api_CPPFLAGS = $(API_FUZZ_CPPFLAGS)
test_fuzz_api_LDADD = $(LIBJE_TEST)
test_fuzz_api_LDFLAGS = $(WRAPPED_CALLS)
test_fuzz_api_planted_SOURCES = $(API_FUZZ_SOURCES)
test_fuzz_api_planted_CPPFLAGS = $(API_FUZZ_CPPFLAGS) -DAPI_PLANTS=1
test_fuzz_api_planted_LDADD = $(LIBJE_TEST)
test_fuzz_api_planted_LDFLAGS = $(WRAPPED_CALLS)
endif
