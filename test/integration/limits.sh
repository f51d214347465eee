#!/bin/bash
#
# What: TAP test of programs with the library preloaded where the system gives
# little or refuses: small RLIMIT_AS, no descriptors, no second thread, no
# /proc, system calls that fail from the n-th on. Also what a process that
# sleeps costs, and what a core file holds.
#
# Invariants: (I1) a program may say that it has no memory and end with an
# error; a signal, a hang, or a message of ours that is no English is a
# failure; (I2) what needs a tool, or a right, that is not here is skipped.
#
# Locking: none.
set -u

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
cc="${CC:-cc} -O1 -fno-builtin"
preload=(env LD_PRELOAD="$JE_LIBRARY")

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi

# check NAME COMMAND...: exit status 77 means skipped, stdout tells why.
check() {
    local name=$1 status=0
    shift
    count=$((count + 1))
    ("$@") >"$work/out" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        echo "ok $count - $name"
    elif [ $status -eq 77 ]; then
        echo "ok $count - $name # SKIP $(head -1 "$work/out")"
    else
        echo "# status $status"
        sed 's/^/# /' "$work/out" | head -20
        echo "not ok $count - $name"
    fi
}

skip() {
    echo "$1"
    exit 77
}

# ended STATUS: the program was not ended by a signal, nor by the time limit.
ended() {
    [ "$1" -ne 124 ] && [ "$1" -lt 128 ]
}

# ---- little address space --------------------------------------------------

# Takes all there is in blocks of one size after another, three times over.
cat >"$work/fill.c" <<'EOF'
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    static const size_t sizes[] = {100, 5000, 70000, 1000000, 100};
    size_t least = (size_t)-1;
    for (int i = 0; i < 15; i++) {
        void **first = NULL, **block;
        size_t sum = 0;
        while ((block = malloc(sizes[i % 5])) != NULL) {
            *block = first;
            first = block;
            sum += sizes[i % 5];
        }
        least = sum < least ? sum : least;
        while (first != NULL) {
            block = *first;
            free(first);
            first = (void **)block;
        }
    }
    printf("%zu\n", least >> 10);
    return 0;
}
EOF
$cc "$work/fill.c" -o "$work/fill"

# address_space MIB LEAST_KIB: starts, and can have that much again and again.
address_space() {
    local got
    got=$(ulimit -v $(($1 * 1024)); "${preload[@]}" "$work/fill") || return 1
    echo "at least $got KiB of $1 MiB"
    [ "$got" -ge "$2" ]
}
check "16 MiB of addresses" address_space 16 2000
for mib in 24 32 64 128 300; do
    check "$mib MiB of addresses" address_space $mib $(((mib - 12) * 600))
done

shell_in() {
    local got
    got=$(ulimit -v $(($1 * 1024)); "${preload[@]}" bash -c \
        'for i in {1..300}; do a+=($i); done; echo ${#a[@]}')
    echo "$got"
    [ "$got" = 300 ]
}
check "bash in 32 MiB of addresses" shell_in 32

# ---- things that are missing ------------------------------------------------

cat >"$work/threads.c" <<'EOF'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *run(void *argument)
{
    for (int i = 0; i < 1000; i++) {
        char *p = malloc((size_t)i * 50 + 1);
        if (p != NULL) {
            memset(p, i, (size_t)i * 50 + 1);
        }
        free(p);
    }
    return argument;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    run(NULL);
    void *p = malloc(30000000);
    if (p != NULL) {
        memset(p, 1, 30000000);
    }
    free(p);
    if (argc > 1) {
        usleep((useconds_t)atoi(argv[1]) * 1000);
    }
    puts("done");
    return 0;
}
EOF
$cc "$work/threads.c" -o "$work/threads" -pthread

says_done() {
    local got
    got=$("$@" 2>&1)
    echo "$got"
    [ "$got" = done ]
}
no_descriptors() {
    command -v prlimit >/dev/null || skip "no prlimit"
    # Opened before the limit: the loader needs descriptors too.
    says_done "${preload[@]}" bash -c 'ulimit -n 3; exec 3>&-; echo done'
}
check "a full table of descriptors" no_descriptors

# Another user: root may have as many threads as it likes.
no_threads() {
    command -v setpriv >/dev/null || skip "no setpriv"
    [ "$(id -u)" -eq 0 ] || skip "needs root to become nobody"
    chmod 755 "$work"
    setpriv --reuid 65534 --clear-groups test -r "$JE_LIBRARY" -a -x "$work/threads" ||
        skip "nobody may not read the build directory"
    says_done setpriv --reuid 65534 --clear-groups prlimit --nproc=1 \
        env LD_PRELOAD="$JE_LIBRARY" "$work/threads" &&
        says_done setpriv --reuid 65534 --clear-groups prlimit --nproc=1 \
            env LD_PRELOAD="$JE_LIBRARY" MALLOC_CONF=background_thread:true \
            "$work/threads"
}
check "no thread but the first" no_threads

no_proc() {
    unshare -m true 2>/dev/null || skip "may not change mounts"
    says_done unshare -m bash -c \
        "mount -t tmpfs none /proc && LD_PRELOAD='$JE_LIBRARY' '$work/threads'"
}
check "no /proc" no_proc

# ---- system calls that fail --------------------------------------------------

can_trace() {
    command -v strace >/dev/null || skip "no strace"
    strace -o /dev/null true 2>/dev/null || skip "may not trace processes"
}

# on_its_own CALL ERROR FROM COMMAND...: without the library all is well.
on_its_own() {
    local status=0
    timeout 60 strace -f -o /dev/null -e trace="$1" \
        -e inject="$1:error=$2:when=$3+" "${@:4}" >/dev/null 2>&1 || status=$?
    ended $status
}

# refuse CALL ERROR FROM COMMAND...: the calls fail from that one on.
refuse() {
    local call=$1 error=$2 from=$3 status=0
    shift 3
    timeout 60 strace -f -o "$work/trace" -e trace="$call" \
        -e inject="$call:error=$error:when=$from+" \
        -E LD_PRELOAD="$JE_LIBRARY" "$@" >"$work/said" 2>&1 || status=$?
    if ! ended $status && on_its_own "$call" "$error" "$from" "$@"; then
        echo "$call $error from $from on: status $status"
        head -5 "$work/said"
        tail -5 "$work/trace"
        return 1
    fi
}

refuse_each() {
    can_trace
    local call=$1 error=$2 from
    shift 2
    for from in "$@"; do
        refuse "$call" "$error" "$from" bash -c \
            'for i in {1..50}; do a+=("$i $i"); done; echo "${a[@]}"' ||
            return 1
        refuse "$call" "$error" "$from" "$work/threads" || return 1
    done
}
check "mmap fails" refuse_each mmap ENOMEM 1 8 16 20 22 24 26 28 30 34 38
check "mmap is forbidden" refuse_each mmap EPERM 22 26 32
check "munmap fails" refuse_each munmap ENOMEM 1 2 3
check "munmap is forbidden" refuse_each munmap EPERM 2
check "madvise fails" refuse_each madvise ENOSYS 1 2
check "madvise is forbidden" refuse_each madvise EPERM 1
check "mprotect fails" refuse_each mprotect ENOMEM 1 4 8 9 10
check "mremap fails" refuse_each mremap ENOSYS 1
check "threads fail" refuse_each clone,clone3 EAGAIN 1 2
check "membarrier fails" refuse_each membarrier ENOSYS 1
check "open fails" refuse_each open,openat ENOSYS 3 5 9

# ---- asleep ------------------------------------------------------------------

# Of ours after the work is done: one wake-up a second while memory decays,
# none later. With a decay time of 1 s it is over after 4 of the 8 seconds.
sleeping() {
    can_trace
    local calls late
    timeout 120 strace -f -r -tt -o "$work/trace" -E LD_PRELOAD="$JE_LIBRARY" \
        -E MALLOC_CONF=dirty_decay_ms:1000,muzzy_decay_ms:0 \
        "$work/threads" 8000 >/dev/null 2>&1 || return 1
    # From the sleep's call on; the last lines are the end of the process.
    sed -n '/nanosleep(/,$p' "$work/trace" | grep -v 'nanosleep\|exit' \
        >"$work/asleep"
    calls=$(grep -c 'futex(.*FUTEX_WAIT' "$work/asleep")
    late=$(awk -v start="$(head -1 "$work/trace" | awk '{print $2}')" '
        function seconds(t, part) {
            split(t, part, ":")
            return part[1] * 3600 + part[2] * 60 + part[3]
        }
        seconds($2) - seconds(start) > 6 &&
            seconds($2) - seconds(start) < 8' "$work/asleep" | wc -l)
    echo "$calls waits while asleep, $late calls in the last seconds"
    cat "$work/asleep"
    [ "$calls" -le 8 ] && [ "$late" -eq 0 ]
}
check "asleep: a wake-up a second, then none" sleeping

# ---- core files --------------------------------------------------------------

# core_of MIB: that much is retained, as much is in use.
cat >"$work/dump.c" <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int mallctl(const char *, void *, size_t *, void *, size_t);
int main(int argc, char **argv)
{
    size_t mib = (size_t)atoi(argv[1]), each = argc > 2 ? 3 : 1;
    char **p = malloc(2 * mib * sizeof(*p));
    for (size_t i = 0; i < 2 * mib; i += each) {
        p[i] = malloc(each << 20);
        memset(p[i], (int)i + 1, each << 20);
    }
    for (size_t i = 0; i < mib; i += each) {
        free(p[i]);
    }
    mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
    char text[4096] = "";
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(text, sizeof(text), status) != NULL) {
        if (strncmp(text, "VmRSS:", 6) == 0) {
            printf("%d\n", atoi(text + 6));
        }
    }
    fflush(stdout);
    abort();
}
EOF
$cc "$work/dump.c" -o "$work/dump" -L"$(dirname "$JE_LIBRARY")" -ljemalloc \
    -Wl,-rpath,"$(dirname "$JE_LIBRARY")"
core_of() {
    local rss size pattern core
    pattern=$(cat /proc/sys/kernel/core_pattern 2>/dev/null)
    case $pattern in
    '' | /* | '|'*) skip "core files go to '$pattern'" ;;
    esac
    cd "$work" || return 1
    ulimit -c unlimited 2>/dev/null || skip "no core files"
    rss=$("$work/dump" "$@" 2>/dev/null)
    core=$(ls "$work" | grep '^core' | head -1)
    [ -n "$core" ] || skip "no core file was written"
    size=$(($(stat -c %s "$work/$core") / 1024))
    rm -f "$work/$core"
    echo "resident $rss KiB, core $size KiB"
    [ $size -le $((rss * 12 / 10)) ]
}
check "a core file leaves out what is retained" core_of "${CORE_MIB:-64}"
check "a core file leaves out what is retained, of larger blocks" \
    core_of "${CORE_MIB:-64}" larger

# ---- strict accounting of memory ----------------------------------------------

# With vm.overcommit_memory=2 what is not used must not count. The setting is
# the machine's: changed for a second, by root, and put back whatever happens.
strict_accounting() {
    local setting=/proc/sys/vm/overcommit_memory old got
    old=$(cat $setting 2>/dev/null) || skip "no $setting"
    [ -w $setting ] || skip "$setting may not be written"
    [ -n "${JE_TEST_SYSCTL:-}" ] || skip "set JE_TEST_SYSCTL=1 to change $setting"
    trap 'echo '"$old"' >'$setting EXIT
    echo 2 >$setting || skip "$setting is read-only"
    got=$("${preload[@]}" "$work/strict")
    echo "$old" >$setting
    echo "$got"
    [ "${got%% *}" -lt 60000 ]
}
cat >"$work/strict.c" <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int mallctl(const char *, void *, size_t *, void *, size_t)
    __attribute__((weak));
/* KiB of this process that count: mappings with the flag "ac". */
static long committed(void)
{
    char line[512];
    long kib = 0, size = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Size:", 5) == 0) {
            size = atol(line + 5);
        } else if (strncmp(line, "VmFlags:", 8) == 0 &&
                   strstr(line, " ac") != NULL) {
            kib += size;
        }
    }
    fclose(file);
    return kib;
}
int main(void)
{
    static char *p[400];
    long before = committed();
    for (int i = 0; i < 400; i++) {
        p[i] = malloc(1 << 20);
        memset(p[i], 1, 1 << 20);
    }
    long used = committed();
    for (int i = 0; i < 400; i++) {
        free(p[i]);
    }
    mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
    printf("%ld KiB count when %ld were used\n", committed() - before,
        used - before);
    return 0;
}
EOF
$cc "$work/strict.c" -o "$work/strict" -rdynamic
check "strict accounting of memory" strict_accounting

echo "1..$count"
