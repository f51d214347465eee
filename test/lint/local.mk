# What `make check` proves about the build itself.
TESTS += test/lint/install.sh
