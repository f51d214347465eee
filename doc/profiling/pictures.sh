#!/usr/bin/env bash
# What: makes the pictures of doc/PROFILING.md again, in a build directory:
#     ../doc/profiling/pictures.sh
# Needs cc, graphviz, python3 and, for the flame graph, chromium.
#
# Invariants: works in a directory of its own, removed at the end; a picture
# is replaced when it is complete.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$PWD
if [ ! -x bin/jeprof/jeprof ] || [ ! -e lib/libjemalloc.so ]; then
    echo "$0: no bin/jeprof/jeprof and lib/libjemalloc.so here: run it in a" \
        "directory where the library was built" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jeprof=$build/bin/jeprof/jeprof
cc -g -O2 -I"$build/include" "$here/shop.c" -L"$build/lib" -ljemalloc \
    -Wl,-rpath,"$build/lib" -o "$work/shop"
cd "$work"

MALLOC_CONF=prof:true,lg_prof_sample:16,lg_prof_interval:25,prof_prefix:leak \
    ./shop leak >/dev/null
last=$(find . -name 'leak.*.heap' | sort -t. -k4n | tail -n 1)
"$jeprof" --svg --base="$(find . -name 'leak.*.i0.heap')" shop "$last" >leak.svg

MALLOC_CONF=prof:true,lg_prof_sample:16,prof_final:true,prof_prefix:hog \
    ./shop hog >/dev/null
"$jeprof" --flame shop hog.*.heap >hog.html
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
    --window-size=1000,330 --screenshot=hog.png "file://$work/hog.html" \
    2>chromium.log || cat chromium.log >&2

for kind in holes apart; do
    MALLOC_CONF=dirty_decay_ms:0,stats_print:true,stats_print_opts:Jgmablxehr \
        ./shop $kind 2>$kind.json >/dev/null
done
python3 "$here/bill.py" holes.json apart.json >holes.svg

mv leak.svg hog.png holes.svg "$here"
