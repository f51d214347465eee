# Faults planted into copies of the library, to see which the tests notice:
#   make mutants [N=50] [SEED=1] [ONLY=src/arena] [LIMIT=10]
# N faults drawn by SEED; ONLY names like that; LIMIT leaves out slower tests;
# MUTANTS_FLAGS="--again" or "--report": see test/mutants/run.
N = 300
SEED = 1
ONLY =
LIMIT = 10
MUTANTS_FLAGS =

mutants:
	@env -u MAKEFLAGS -u MAKELEVEL python3 $(srcdir)/test/mutants/run \
		-n $(N) --seed '$(SEED)' --only '$(ONLY)' --limit $(LIMIT) \
		--source '$(abs_top_srcdir)' --work mutants.build $(MUTANTS_FLAGS)

.PHONY: mutants
