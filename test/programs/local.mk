# Whole programs of others that run under the library.
#
#   test/programs/run --list               what there is
#   test/programs/run --quick --install    what CI runs, four minutes
#   test/programs/run --all --install      everything, with full work
#
# The script compiles its two helpers itself, in a directory that it removes.
TESTS += test/programs/check.sh
