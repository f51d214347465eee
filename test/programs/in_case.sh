# shellcheck shell=bash
# What: runs one case: `bash in_case.sh CASE`, in the case's own directory.
# Gives the case its verbs (plain, under, serve, same, ...), runs case_run,
# then demands the witness' proof that the library was in use.
#
# Invariants: (I1) only the program under test sees LD_PRELOAD, never this
# shell; (I2) a case that never called `under` or `serve` fails; (I3) `run`
# sweeps away what is left of a case, so no case needs a trap of its own.
#
# Environment, from `run`: PROGRAMS_*.
set -eu
shopt -s extglob

witness_log=$PWD/witness.log
measures=$PWD/measures
server_pids=()

# Defaults a case may replace.
case_way=preload    # preload, or linked: found through LD_LIBRARY_PATH
case_proof=''       # pattern: base name of a process that must be on record
case_own_malloc='-' # pattern: programs that define their own malloc
case_limit=900      # seconds for one program

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    exit 1
}

# pick CHECK QUICK FULL: the amount of work that fits the size asked for.
pick() {
    case $PROGRAMS_SIZE in
    check) echo "$1" ;;
    quick) echo "$2" ;;
    *) echo "$3" ;;
    esac
}

# supervise_args MODE PROGRAM: leaves the words for `supervise` in $words.
supervise_args() {
    words=(-t "$case_limit" -o "$measures" -n "$1 ${2##*/}")
    if [ "$1" = plain ]; then
        return
    fi
    words+=(-e "WITNESS_LOG=$witness_log")
    words+=(-e "WITNESS_LIBRARY=$PROGRAMS_LIBRARY")
    if [ "$case_way" = linked ]; then
        words+=(-e "LD_PRELOAD=$PROGRAMS_WITNESS")
        words+=(-e "LD_LIBRARY_PATH=${PROGRAMS_LIBRARY%/*}")
    else
        words+=(-e "LD_PRELOAD=$PROGRAMS_WITNESS:$PROGRAMS_LIBRARY")
    fi
}

# plain COMMAND: without the library. under COMMAND: with it.
plain() {
    supervise_args plain "$1"
    "$PROGRAMS_SUPERVISE" "${words[@]}" -- "$@"
}

under() {
    supervise_args under "$1"
    "$PROGRAMS_SUPERVISE" "${words[@]}" -- "$@"
}

# both COMMAND: runs it plain, then under the library, and compares what it
# writes to its standard output.
both() {
    plain "$@" >plain.out
    under "$@" >under.out
    [ -s plain.out ] || fail "$1 wrote nothing"
    same plain.out under.out
}

# serve LOG COMMAND: starts a server under the library.
serve() {
    local log=$1
    shift
    supervise_args under "$1"
    "$PROGRAMS_SUPERVISE" "${words[@]}" -- "$@" >"$log" 2>&1 </dev/null &
    server_pids+=($!)
    server_log=$log
}

# wait_until COMMAND: until it succeeds or the servers are gone or 30 s passed.
wait_until() {
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "${server_pids[@]}"; then
            tail -n 30 "$server_log" >&2
            fail "no answer to: $*"
        fi
        sleep 0.1
    done
}

# stop_servers [ACCEPTED STATUS]: each must still live, and end well.
stop_servers() {
    local accepted=${1:-0} pid status
    for pid in "${server_pids[@]}"; do
        kill -TERM "$pid" || fail "a server died before its time"
        status=0
        wait "$pid" || status=$?
        if [ "$status" != 0 ] && [ "$status" != "$accepted" ]; then
            tail -n 30 "$server_log" >&2
            fail "a server ended with status $status"
        fi
    done
    server_pids=()
}

# same FILE FILE: equal byte for byte.
same() {
    cmp -- "$1" "$2" || {
        diff -- "$1" "$2" | head -n 20 >&2 || :
        fail "$1 and $2 differ"
    }
}

# expect ACTUAL WANTED WHAT
expect() {
    [ "$1" = "$2" ] || fail "$3: got '$1', wanted '$2'"
}

# expect_line FILE REGEX
expect_line() {
    grep -Eq -- "$2" "$1" || {
        tail -n 30 -- "$1" >&2
        fail "$1 has no line like: $2"
    }
}

# bill_line FILE NAME: bytes on a line of the bill of resident memory.
bill_line() {
    sed -n "s/^  $2 *-\\{0,1\\} *\\([0-9]\\{1,\\}\\) .*/\\1/p" "$1" | tail -n 1
}

# check_bill FILE BYTES: the bill in a report adds up to what the kernel
# counts, which is at least so much.
check_bill() {
    local total counted off
    total=$(bill_line "$1" total)
    counted=$(bill_line "$1" vm_rss)
    [ "${counted:-0}" -ge "$2" ] || fail "only ${counted:-no} bytes resident"
    off=$((total > counted ? total - counted : counted - total))
    [ $((off * 100)) -le $((counted * 3)) ] ||
        fail "the bill says $total, the kernel $counted"
}

# A TCP port of the loopback interface that nobody answers on.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# Every process on record ran on the library, and the right one is there.
# Where the library is found through its name, only programs that are linked
# with it can have it: then the record of the others says nothing.
check_proof() {
    local program owner state seen=no
    while IFS=$'\t' read -r program owner state; do
        # shellcheck disable=SC2254 # patterns are meant as such
        case ${program##*/} in
        $case_proof) seen=yes ;;
        *) [ "$case_way" = preload ] || continue ;;
        esac
        [ "$state" = loaded ] || fail "$program: the library is not loaded"
        # shellcheck disable=SC2254
        case ${program##*/} in
        $case_own_malloc) continue ;;
        esac
        [ "$owner" = "$PROGRAMS_LIBRARY" ] ||
            fail "$program: malloc comes from $owner"
    done <"$witness_log"
    [ "$seen" = yes ] || fail "no $case_proof ran under the library"
}

: >"$witness_log"
chmod 666 "$witness_log"
case_file=$PROGRAMS_DIR/cases/$1.sh
# shellcheck source=/dev/null
. "$case_file"
case_run
check_proof
