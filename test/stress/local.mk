# Stress programs: run T seconds (environment), print their seed, exit 0.
#   EXTRA_PROGRAMS += test/stress/threads
#   stress_list += test/stress/threads
