# Benchmarks, and BENCH_RUN: the command that runs and compares them.
#   EXTRA_PROGRAMS += test/bench/pair
#   bench_list += test/bench/pair
BENCH_RUN = $(call run_each,$(bench_list))
