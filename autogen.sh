#!/bin/sh
# Makes ./configure from configure.ac, and runs it with the arguments given
# unless NOCONFIGURE is set in the environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
(cd "$here" && autoreconf --install --warnings=all,no-obsolete)
if [ -z "${NOCONFIGURE:-}" ]; then
    exec "$here/configure" "$@"
fi
