# Proofs of the arithmetic: what can be counted out in `make check`, the rest
# for all arguments by a solver.
#   make prove   with clang and z3: a minute
check_PROGRAMS += test/proofs/enumerate
TESTS += test/proofs/enumerate
test_proofs_enumerate_SOURCES = test/proofs/enumerate.c
test_proofs_enumerate_LDADD = $(LIBJE_TEST)

prove: build_lib
	@$(AM_TESTS_ENVIRONMENT) python3 $(top_srcdir)/test/proofs/prove.py
