# Tests of the program bin/jeprof/jeprof. large.py makes input to measure it
# with; it is no test.
if HAVE_JEPROF_LIBS
TESTS += test/jeprof/formats.py test/jeprof/guide.py test/jeprof/library.py \
	test/jeprof/peer.py test/jeprof/remote.py test/jeprof/samples.py \
	test/jeprof/sites.py test/jeprof/symbols.py
endif
