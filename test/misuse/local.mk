# Misuse of memory: which of it the library stops, at each level of
# protection. The cases are programs of their own, which the library is
# preloaded into, so that other libraries can be put beside it:
#
#   test/misuse/run --table                       ours
#   test/misuse/run --table --peers               and others
#   test/misuse/run --write-expected default      after a change, for review
MISUSE_CFLAGS = $(AM_CFLAGS) -fno-builtin
MISUSE_COMMON = test/misuse/driver.c test/misuse/scene.c \
	test/misuse/scene.h test/misuse/verdict.h

check_PROGRAMS += test/misuse/case
test_misuse_case_SOURCES = $(MISUSE_COMMON) \
	test/misuse/after_free.c \
	test/misuse/bad_pointer.c \
	test/misuse/double_free.c \
	test/misuse/impossible.c \
	test/misuse/invalid_free.c \
	test/misuse/kinds.c \
	test/misuse/overflow.c \
	test/misuse/reads.c \
	test/misuse/size_mismatch.c \
	test/misuse/underflow.c \
	test/misuse/uninitialised.c \
	test/misuse/valid.c \
	test/misuse/zero_size.c
test_misuse_case_CPPFLAGS = -D_GNU_SOURCE=
test_misuse_case_CFLAGS = $(MISUSE_CFLAGS)

if HAVE_CXX
if ENABLE_CXX
check_PROGRAMS += test/misuse/case_cxx
endif
endif
test_misuse_case_cxx_SOURCES = $(MISUSE_COMMON) \
	test/misuse/kinds_cxx.c \
	test/misuse/operators.cc \
	test/misuse/valid_cxx.cc
test_misuse_case_cxx_CPPFLAGS = -U_GNU_SOURCE -D_GNU_SOURCE=
test_misuse_case_cxx_CFLAGS = $(MISUSE_CFLAGS)
test_misuse_case_cxx_CXXFLAGS = $(AM_CXXFLAGS) -std=c++17 -pthread \
	-fsized-deallocation -fno-builtin
test_misuse_case_cxx_LDFLAGS = $(AM_LDFLAGS) -pthread

TESTS += test/misuse/check.sh
