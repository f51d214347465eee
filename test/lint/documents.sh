#!/usr/bin/env bash
# What: fails when a document and the source disagree: a path that does not
# exist, a name that the source does not have, an option that no row of
# options.def describes, a lock rank that doc/ARCHITECTURE.md lacks or puts in
# another place, a list of files that is not that of src/LAYERS; or when the
# manual lacks an exported symbol, an option or a control.
#
# Invariants: only what stands in `backquotes` is taken for a name; what a
# build makes counts as existing if its .in file does.
#
# Locking: none.
# shellcheck disable=SC2016
set -eu

source_dir=${JE_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build_dir=${JE_BUILDDIR:?run it with make lint}
cd "$source_dir"
shopt -s nullglob
documents=(README.md doc/*.md)
architecture=doc/ARCHITECTURE.md
problems=0
checked=0

problem() {
    echo "$*"
    problems=$((problems + 1))
}

# quoted FILE: what stands in backquotes, one a line.
quoted() {
    { grep -oE '`[^`]+`' "$1" || true; } | tr -d '`' | sort -u
}

path_exists() {
    local base
    for base in "$1" "src/$1" "bin/$1"; do
        [ -e "$base" ] || [ -e "$base.in" ] && return 0
    done
    return 1
}

check_paths() {
    local file word
    for file in "${documents[@]}"; do
        while read -r word; do
            checked=$((checked + 1))
            path_exists "$word" || problem "$file: there is no $word"
        done < <(quoted "$file" | tr ' ' '\n' | sed 's|^\./||' | grep -E \
            '^((\.ci|bin|doc|include|src|test|util|os|conf|extent|arena|cache|prof|thread|stats|ctl|api)/[A-Za-z0-9_./-]*|[A-Za-z0-9_-]+\.(sh|md|ac|am))$' |
            sort -u)
        # Programs that a reader is told to start.
        while read -r word; do
            checked=$((checked + 1))
            [ "$word" = configure ] || path_exists "$word" ||
                problem "$file: there is no ./$word to run"
        done < <({ grep -oE '(^|[ `])\./[A-Za-z0-9_./-]+' "$file" || true; } |
            sed 's|.*\./||' | sort -u)
    done
}

# Functions, types and variables: `page_store_alloc`, but not `name` alone.
check_names() {
    local file name
    local words=$build_dir/lint.tmp/words
    cat src/*/*.[ch] src/*/*.def include/jemalloc/jemalloc.h.in \
        configure.ac | grep -oE '[A-Za-z_][A-Za-z0-9_]*' | sort -u >"$words"
    for file in "${documents[@]}"; do
        while read -r name; do
            checked=$((checked + 1))
            grep -qxF "$name" "$words" ||
                problem "$file: the source has no $name"
        done < <(quoted "$file" | grep -xE '[a-z]+(_[a-z0-9]+)+')
    done
}

# The rows as "name help" lines.
option_rows() {
    printf '%s\n' '#define OPTION(kind, name, def, min, max, rule, status, ctl, ignored, help) @ name help' \
        '#include "conf/options.def"' |
        "${CC:-gcc}" -E -P -Isrc - | tr '\n' ' ' | tr '@' '\n' |
        sed 's/^ *//; s/" *"//g; s/ *$//' | grep .
}

check_options() {
    local name help file
    local rows=$build_dir/lint.tmp/options
    option_rows >"$rows"
    while read -r name help; do
        checked=$((checked + 1))
        [[ $help =~ ^\"[A-Z].{10,}\.\"$ ]] ||
            problem "src/conf/options.def: $name has no sentence of help"
    done <"$rows"
    for file in "${documents[@]}"; do
        while read -r name; do
            checked=$((checked + 1))
            cut -d' ' -f1 "$rows" | grep -qxF "$name" ||
                problem "$file: there is no option $name"
        done < <(quoted "$file" | sed 's/^MALLOC_CONF=//; s/ .*//' |
            tr ',' '\n' | grep -xE '[a-z_]+:[a-z0-9_.-]+' | cut -d: -f1)
    done
}

# Same ranks, same order.
check_ranks() {
    local want have
    want=$(sed -n 's/^ *LOCK_RANK_\([A-Z_]*\),$/\1/p' src/os/lock_rank.h |
        { grep -vx COUNT || true; })
    have=$(sed -n '/^| Rank |/,/^$/s/^| \([A-Z][A-Z_]*\) |.*/\1/p' \
        "$architecture")
    checked=$((checked + $(wc -w <<<"$want")))
    [ -n "$want" ] || problem "src/os/lock_rank.h: no ranks found"
    [ "$want" = "$have" ] || problem "$architecture: its table of locks is not that of lock_rank.h:
$(diff <(echo "$want") <(echo "$have") || true)"
}

check_layers() {
    local directory files stem
    while read -r directory files; do
        case $directory in '' | '#'* | '{' | '}') continue ;; esac
        checked=$((checked + 1))
        for stem in $files; do
            [ -n "$(echo "src/$directory/$stem".*)" ] ||
                problem "src/LAYERS: there is no src/$directory/$stem"
        done
        grep -qE "^\| \`$directory\` \|.*\| \`$files\` \|$" "$architecture" ||
            problem "$architecture: row $directory does not list \"$files\""
    done < <(tr -s ' ' <src/LAYERS)
}

# What is exported is explained by hand; options and controls come from their
# tables, so there it is their sentences that may be missing.
check_manual() {
    local page=$build_dir/lint.tmp/jemalloc.3 kind name
    (cd "$build_dir" && CPP="${CC:-gcc} -E" bash "$source_dir/doc/manual.sh" \
        "$source_dir" 0) >"$page" || problem "doc/manual.sh: failed"
    while read -r kind name; do
        case $kind in api | glibc) ;; *) continue ;; esac
        checked=$((checked + 1))
        grep -qE "^\.(Fn|Vt|Ft).*[ (*]$name([ );]|$)" "$page" ||
            problem "doc/jemalloc.3.in: there is no $name"
    done <include/jemalloc/symbols.list
    while read -r _ name; do
        checked=$((checked + 1))
        grep -qE "^\.It Ic $name Pq" "$page" ||
            problem "doc/jemalloc.3.in: there is no option $name"
    done < <(cut -d' ' -f1 "$build_dir/lint.tmp/options" | sed 's/^/. /')
    checked=$((checked + $(grep -c '^\.It Ic' "$page")))
    name=$(awk '/^\.It Ic/ { entry = $3; next }
        entry != "" && !/^[A-Z\\]/ { print entry }
        { entry = "" }' "$page" | tr '\n' ' ')
    [ -z "$name" ] || problem "the manual has no sentence for: $name"
    if command -v mandoc >/dev/null; then
        if mandoc -T lint -W warning "$page" | grep -v 'mandoc.db'; then
            problem "doc/jemalloc.3.in: mandoc warns"
        fi
    fi
}

mkdir -p "$build_dir/lint.tmp"
check_paths
check_names
check_options
check_ranks
check_layers
check_manual
echo "$checked names in ${#documents[@]} documents, $problems problems"
[ "$problems" -eq 0 ] && [ "$checked" -gt 0 ]
