# Fuzz targets; each also replays its corpus as a plain program in TESTS.
#   EXTRA_PROGRAMS += test/fuzz/conf
#   fuzz_list += test/fuzz/conf
