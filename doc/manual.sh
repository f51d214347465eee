#!/bin/bash
# What: writes the manual page: doc/jemalloc.3.in with the entries of options
# and controls, which come from src/conf/options.def and src/ctl/nodes.def.
#
#   CPP='gcc -E' doc/manual.sh SOURCE_DIR VERSION >jemalloc.3
#
# Invariants: the preprocessor reads the rows, so that a row means here what it
# means to the compiler; a row that is not understood ends the script.
#
# Locking: none.
set -eu
source_dir=$1
version=$2
cpp=${CPP:-gcc -E}

# rows FILE: the preprocessed rows of stdin, "@ ..." one a line.
rows() {
    # shellcheck disable=SC2086 # CPP may carry flags
    $cpp -P -I"$source_dir/src" -I. -imacros conf/limits.h -x c - |
        tr '\n' ' ' | sed 's/@/\n@/g' | grep '^@'
}

option_rows() {
    rows <<'END'
#define OPTION(kind, name, def, min, max, rule, status, ctl, ignored, help) \
    @O| kind | name | def | ignored | help
#include "conf/options.def"
END
}

withdrawn_rows() {
    rows <<'END'
#define OPTION(kind, name, def, min, max, rule, status, ctl, ignored, help)
#define WITHDRAWN(name, tolerated, instead) @W| name | instead
#include "conf/options.def"
END
}

node_rows() {
    rows <<'END'
#define GROUP(group) @G| group
#define END @E|
#define ROW(name, type, class, function, object, number, help) \
    @R| name | type | class | help
#define BRANCH(name, group, help) @B| name | group | help
#define INDEXED(name, group, check, help) @I| name | group | help
#include "ctl/nodes.def"
END
}

# What a reader wants to see: strings joined, roff's own characters escaped.
common='
function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
function text(s) {
    s = trim(s)
    gsub(/" *"/, "", s)
    gsub(/^"|"$/, "", s)
    gsub(/\\/, "\\e", s)
    return s
}
function roff(s, words, count, i, line, out) {
    count = split(text(s), words, " ")
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line words[i]) > 76) {
            out = out line "\n"
            line = ""
        }
        if (line == "" && words[i] ~ /^[.\x27]/) words[i] = "\\&" words[i]
        line = line (line == "" ? "" : " ") words[i]
    }
    return out line
}'

options() {
    option_rows | awk -F'[|]' "$common"'
    function number(s, parts) {
        gsub(/\(size_t\)|[()U ]/, "", s)
        if (split(s, parts, "<<") == 2)
            return sprintf("%.0f", parts[1] * 2 ^ parts[2])
        if (split(s, parts, "[*/]") == 3)
            return sprintf("%.0f", parts[1] * parts[2] / parts[3])
        return s
    }
    function value(kind, s, parts) {
        s = trim(s)
        if (s ~ /^[01] *\?/) {
            split(s, parts, /[?:]/)
            return value(kind, s ~ /^1/ ? parts[2] : parts[3])
        }
        if (s ~ /^sizeof/) return "true on 64-bit machines"
        if (kind == "BOOL") return s == "1" ? "true" : "false"
        if (kind == "ENUM") {
            sub(/HEAP_V2$/, "HEAP-V2", s)
            sub(/.*_/, "", s)
            s = tolower(s)
            sub(/-/, "_", s)
            return s
        }
        if (kind == "RATIO") return number(s) / 65536
        if (kind == "RANGES" || kind == "SIGNAL") return "none"
        if (kind == "TEXT" || kind == "LETTERS")
            return s == "\"\"" ? "empty" : text(s)
        return number(s)
    }
    BEGIN {
        name["BOOL"] = "bool"; name["SIZE"] = "size"; name["SSIZE"] = "signed"
        name["UNSIGNED"] = "number"; name["U64"] = "number"
        name["I64"] = "signed"; name["RATIO"] = "ratio"; name["ENUM"] = "word"
        name["TEXT"] = "text"; name["LETTERS"] = "letters"
        name["SIGNAL"] = "signal"; name["RANGES"] = "ranges"
    }
    {
        kind = trim($2)
        if (!(kind in name)) { print "manual.sh: option of kind " kind \
            >"/dev/stderr"; exit 1 }
        ignored = trim($5)
        printf ".It Ic %s Pq Vt %s , No default : %s\n%s\n", trim($3), \
            name[kind], value(kind, $4), roff($6)
        if (ignored ~ /^"/) print roff("Ignored: " text(ignored) ".")
    }'
}

withdrawn() {
    withdrawn_rows | awk -F'[|]' "$common"'
    {
        s = text($3)
        printf ".It Ic %s\n%s\n", trim($2), \
            roff(toupper(substr(s, 1, 1)) substr(s, 2) ".")
    }'
}

controls() {
    node_rows | awk -F'[|]' "$common"'
    BEGIN {
        type["BOOL"] = "bool"; type["SIZE"] = "size_t"
        type["SSIZE"] = "ssize_t"; type["UNSIGNED"] = "unsigned"
        type["U64"] = "uint64_t"; type["U32"] = "uint32_t"
        type["I64"] = "int64_t"; type["TEXT"] = "const char *"
        type["POINTER"] = "void *"; type["NONE"] = ""
        type["ENUM"] = "const char *"; type["RANGES"] = "const char *"
        type["LETTERS"] = "const char *"; type["SIGNAL"] = "const char *"
        type["RATIO"] = "const char *"
    }
    /^@G/ { group = trim($2); next }
    /^@E/ { next }
    { key = group SUBSEP count[group]++; row[key] = $0 }
    function letters(class) {
        sub(/^OWN_/, "", class)
        return class == "READ" ? "r-" : class == "WRITE" ? "-w" : \
            class == "BOTH" ? "rw" : class == "ACT" ? "--" : "??"
    }
    function walk(group, prefix, i, part, full) {
        for (i = 0; i < count[group]; i++) {
            split(row[group, i], part, /[|]/)
            full = prefix (prefix == "" ? "" : ".") text(part[2])
            if (part[1] == "@R") {
                printf ".It Ic %s Pq %s%s%s\n%s\n", full, \
                    letters(trim(part[4])), \
                    type[trim(part[3])] == "" ? "" : " Vt ", \
                    (trim(part[3]) in type) ? type[trim(part[3])] : \
                        tolower(trim(part[3])), roff(part[5])
            } else if (part[1] == "@B") {
                walk(trim(part[3]), full)
            } else {
                walk(trim(part[3]), full ".<i>")
            }
        }
    }
    END { walk("root", "") }'
}

while IFS= read -r line; do
    case $line in
    @OPTIONS@) options ;;
    @WITHDRAWN@) withdrawn ;;
    @CONTROLS@) controls ;;
    *) printf '%s\n' "${line//@VERSION@/$version}" ;;
    esac
done <"$source_dir/doc/jemalloc.3.in"
