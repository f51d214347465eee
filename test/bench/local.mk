# Benchmarks, and BENCH_RUN: the command that runs and compares them. The
# scripts compile their programs themselves, in a directory that they remove,
# so nothing here is built before somebody measures. doc/BENCHMARKS.md says
# what each of them stresses, and how to read what it prints.
#
#   make bench               a third of the work, three turns
#   make bench T=30 REPEAT=5 the whole work, five turns
#   make bench-instructions  instructions per operation (needs Valgrind)
#   make bench-memory        resident memory through busy and idle phases
#   make bench-scaling       cost against live blocks, threads, arenas
#   make bench-footprint     memory, calls and time of a tiny program, checked
#
# BENCH_PEERS names the other columns; BENCH_FLAGS adds options, such as
# `--only REGEX`. Each script has a --help. Pages and figures lie in
# bench-*.html and bench-*.json of the build directory.

REPEAT = 3
BENCH_PEERS = peers
BENCH_FLAGS =
BENCH_THIS = --library this=$(abs_top_builddir)/lib/$(SHARED_NAME)
BENCH_DIR = CC='$(CC)' CXX='$(CXX)' $(top_srcdir)/test/bench
BENCH_OUT = --json bench-$(1).json --html bench-$(1).html
CLEANFILES += bench-*.html bench-*.json

BENCH_RUN = \
	$(BENCH_DIR)/compare $(BENCH_THIS) --library $(BENCH_PEERS) \
		--repeat $(REPEAT) --scale `awk 'BEGIN { print $(T) / 30 }'` \
		$(call BENCH_OUT,programs) $(BENCH_FLAGS)

bench-instructions: build_lib
	$(BENCH_DIR)/instructions $(BENCH_THIS) --library $(BENCH_PEERS) \
		$(BENCH_FLAGS)

bench-memory: build_lib
	$(BENCH_DIR)/memory $(BENCH_THIS) --library $(BENCH_PEERS) \
		$(call BENCH_OUT,memory) $(BENCH_FLAGS)

bench-scaling: build_lib
	$(BENCH_DIR)/scaling $(BENCH_THIS) --library $(BENCH_PEERS) \
		$(call BENCH_OUT,scaling) $(BENCH_FLAGS)

bench-footprint: build_lib
	$(BENCH_DIR)/footprint $(BENCH_THIS) --check

.PHONY: bench-instructions bench-memory bench-scaling bench-footprint
