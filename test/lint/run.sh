#!/usr/bin/env bash
# What: the checks that no test program can make: layers, headers, symbols,
# format, shape, static analysis. One line a check; all run, then the exit
# status tells. `make lint` calls it in the build tree.
#
# Invariants: a check whose tool is missing fails, it is never passed over.
# LINT_ONLY="name ..." in the environment chooses.
# shellcheck disable=SC2317,SC2016
set -u
source_dir=${JE_SRCDIR:?run it with make lint}
build_dir=${JE_BUILDDIR:?run it with make lint}
prefix=${JE_PREFIX:-}
cd "$source_dir" || exit 1
scratch=$build_dir/lint.tmp
mkdir -p "$scratch"
includes=(-D_GNU_SOURCE= -I"$build_dir" -Isrc -I"$build_dir/include" -Itest)
# Programs of the tests speak to the library in different ways; internals
# are checked as the unit tests see them.
mapfile -t library_files < <(find src -name '*.[ch]' | sort)
mapfile -t library_sources < <(find src -name '*.c' | sort)
mapfile -t all_files < <(find src test bin include -name '*.[ch]' | sort)

check_layers() {
    python3 test/lint/layers.py src "$build_dir/src"
}

check_shape() {
    python3 test/lint/shape.py "${library_files[@]}" test/harness.[ch] \
        bin/jeprof/*.[ch]
}

# Each header compiles alone, as C and (the public one) as C++.
check_headers() {
    local header failed=0
    while read -r header; do
        printf '#include "%s"\n' "$header" >"$scratch/header.c"
        "${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror -pthread \
            -fsyntax-only "${includes[@]}" "$scratch/header.c" || {
            echo "$header does not compile alone"
            failed=1
        }
    done < <(find src -name '*.h' -printf '%P\n'; echo jemalloc/jemalloc.h)
    printf '#include <jemalloc/jemalloc.h>\n#include <malloc.h>\n' \
        >"$scratch/header.cpp"
    local compiler
    for compiler in g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        "$compiler" -Wall -Wextra -Werror -fsyntax-only \
            -I"$build_dir/include" "$scratch/header.cpp" || failed=1
    done
    return "$failed"
}

same_symbols() {
    local file=$1
    shift
    "$@" "$file" | awk 'NF == 3 && $2 != "A" { print $3 }' | sort \
        >"$scratch/have"
    sort "$build_dir/public_symbols" >"$scratch/want"
    echo "$file: $(wc -l <"$scratch/have") symbols"
    diff --label "listed" --label "in $file" -u "$scratch/want" \
        "$scratch/have"
}

# The shared and the static libraries export what is listed, no more or less.
check_symbols() {
    local file failed=0 seen=0
    for file in "$build_dir"/lib/libjemalloc*; do
        [ -L "$file" ] && continue
        seen=1
        case $file in
        *.a) same_symbols "$file" nm -g --defined-only || failed=1 ;;
        *) same_symbols "$file" nm -D --defined-only || failed=1 ;;
        esac
    done
    [ "$seen" = 1 ] || echo "no library in $build_dir/lib"
    [ "$seen" = 1 ] && [ "$failed" = 0 ]
}

# The library needs libc alone.
check_needed() {
    local needed
    needed=$(readelf -d "$build_dir"/lib/libjemalloc*.so.2 |
        sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p')
    echo "needs: $needed"
    ! grep -Eqv '^(libc\.so|libc\.musl|ld-linux)' <<<"$needed"
}

check_format() {
    clang-format --dry-run --Werror "${all_files[@]}" 2>&1 |
        sed -n 's/: error: code should be clang-formatted.*//p' |
        cut -d: -f1 | sort | uniq -c | tee "$scratch/format"
    [ ! -s "$scratch/format" ]
}

check_tidy() {
    printf '%s\n' "${library_sources[@]}" |
        xargs -P "$(nproc)" -I FILE sh -c 'file=$1; shift
            out=$(clang-tidy --quiet --warnings-as-errors="*" "$file" \
                -- -std=gnu11 "$@" 2>&1) || { echo "$out"; exit 1; }' \
        tidy FILE "${includes[@]}"
}

# clang's own analysis of who holds which lock, and its other warnings.
check_threads() {
    clang -fsyntax-only -std=gnu11 -Wall -Wextra -Wshadow -Wthread-safety \
        -Werror "${includes[@]}" "${library_sources[@]}"
}

# Every source is listed in src/local.mk.
check_listed() {
    local source failed=0
    for source in "${library_sources[@]}"; do
        grep -qw "$source" src/local.mk || {
            echo "$source is not in src/local.mk"
            failed=1
        }
    done
    return "$failed"
}

# The manual agrees with the tables of the source.
check_documents() {
    bash test/lint/documents.sh
}

check_scripts() {
    local script failed=0
    while read -r script; do
        bash -n "$script" || failed=1
    done < <(find . -path ./.git -prune -o -path ./.build -prune -o \
        -name '*.sh' -print; echo .ci/run)
    return "$failed"
}

checks=${LINT_ONLY:-listed layers shape headers symbols needed format threads tidy scripts}
if [ -z "${LINT_ONLY:-}" ] && [ -e test/lint/documents.sh ]; then
    checks="$checks documents"
fi
failed=0
for check in $checks; do
    declare -F "check_$check" >/dev/null || {
        echo "not ok - lint $check: there is no such check"
        failed=1
        continue
    }
    case $check in
    symbols) [ -z "$prefix" ] || continue ;;
    esac
    if "check_$check" >"$scratch/$check.out" 2>&1; then
        echo "ok - lint $check: $(tail -n 1 "$scratch/$check.out")"
    else
        echo "not ok - lint $check"
        sed 's/^/    /' "$scratch/$check.out" | head -n 60
        failed=1
    fi
done
exit $failed
