# Benchmarks, and BENCH_RUN: the command that runs and compares them. The
# scripts compile their helpers themselves, in a directory that they remove,
# so nothing here is built before somebody measures.
#
#   make bench               short run: a tiny program, then whole programs
#   make bench T=30          the same with programs at full size
#   make bench-instructions  instructions per operation (needs Valgrind)
#   make bench-footprint     memory, calls and time of a tiny program, checked
#
# BENCH_PEERS names the other columns; BENCH_FLAGS adds options to compare and
# instructions, such as `--json FILE`. Each script has a --help.

BENCH_PEERS = peers
BENCH_FLAGS =
BENCH_THIS = --library this=$(abs_top_builddir)/lib/$(SHARED_NAME)
BENCH_DIR = CC='$(CC)' $(top_srcdir)/test/bench

BENCH_RUN = \
	$(BENCH_DIR)/footprint $(BENCH_THIS) --library $(BENCH_PEERS) && \
	$(BENCH_DIR)/compare $(BENCH_THIS) --library $(BENCH_PEERS) \
		--scale `awk 'BEGIN { print $(T) / 30 }'` $(BENCH_FLAGS)

bench-instructions: build_lib
	$(BENCH_DIR)/instructions $(BENCH_THIS) --library $(BENCH_PEERS) \
		$(BENCH_FLAGS)

bench-footprint: build_lib
	$(BENCH_DIR)/footprint $(BENCH_THIS) --check

.PHONY: bench-instructions bench-footprint
