# Models: the lock-free parts in all orders. Short in `make check`.
#   make model   larger bounds: minutes
if !SANITIZED
TESTS += test/model/run.py
endif
model: build_lib
	@$(AM_TESTS_ENVIRONMENT) python3 $(top_srcdir)/test/model/run.py --full
