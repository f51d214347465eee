# Faults planted into copies of the library, to see which the tests notice:
#   make mutants [N=50] [SEED=1] [ONLY=src/arena] [LIMIT=10]
# N faults drawn by SEED; ONLY names like that; LIMIT leaves out slower tests.
N = 300
SEED = 1
ONLY =
LIMIT = 10

mutants:
	@env -u MAKEFLAGS -u MAKELEVEL python3 $(srcdir)/test/mutants/run \
		-n $(N) --seed '$(SEED)' --only '$(ONLY)' --limit $(LIMIT) \
		--source '$(abs_top_srcdir)' --work mutants.build

.PHONY: mutants
