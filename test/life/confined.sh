#!/bin/bash
#
# What: TAP test of programs in confinement with the library preloaded: a user
# namespace of their own; one that they make or enter themselves, which the
# kernel allows a process with one thread only; not one process more; no
# descriptor more; filters of system calls as containers have them, and
# stricter ones. bash, python3, git and a C program with threads, under
# several settings of the library.
#
# Invariants: (I1) each run must print what the same run prints without the
# library, and end as it does; (I2) what does not run without the library, and
# what the kernel or the machine lacks, is skipped and named.
#
# Locking: none.
set -u

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi
if [ -n "${JE_FOREIGN:-}${JE_EMULATOR:-}" ]; then
    echo "1..0 # SKIP the system's programs cannot have the library"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Another user has to read it.
chmod 755 "$work"
cp "$JE_LIBRARY" "$work/library.so"
cc="${CC:-cc} -O1 -D_GNU_SOURCE -fno-builtin -pthread"
count=0

# Not a script that looks for it first, nor one that others may not read.
python=python3
[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3

settings=("" background_thread:true hardened:1
    "prof:true,lg_prof_sample:12,prof_prefix:$work/profile")

# ---- programs ----------------------------------------------------------------

# Threads where they can be had, then one.
cat >"$work/threads.c" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *run(void *argument)
{
    static const size_t sizes[] = {30, 700, 9000, 40000, 200000};
    char *ring[16] = {NULL};
    for (int i = 0; i < 1000; i++) {
        size_t size = sizes[i % 5] + (size_t)i;
        free(ring[i % 16]);
        ring[i % 16] = malloc(size);
        if (ring[i % 16] == NULL) {
            abort();
        }
        memset(ring[i % 16], i, i % 5 == 4 ? 100 : size);
    }
    for (int i = 0; i < 16; i++) {
        free(ring[i]);
    }
    return argument;
}
int main(void)
{
    pthread_t threads[4];
    int n = 0;
    while (n < 4 && pthread_create(&threads[n], NULL, run, NULL) == 0) {
        n++;
    }
    run(NULL);
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    puts("done");
    return 0;
}
END
# Allocates, frees, sleeps until unused memory could be given back, then
# makes a namespace of users, enters one, and has threads only then.
cat >"$work/enter.c" <<'END'
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *argument)
{
    for (int i = 0; i < 300; i++) {
        char *p = malloc((size_t)i * 1000 + 1);
        memset(p, i, (size_t)i * 1000 + 1);
        free(p);
    }
    return argument;
}
/* A namespace that another process has made, by its descriptor. */
static int of_child(int *hold)
{
    int ready[2], stay[2];
    char name[64], byte = 0;
    if (pipe(ready) != 0 || pipe(stay) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        byte = unshare(CLONE_NEWUSER) == 0;
        (void)!write(ready[1], &byte, 1);
        close(stay[1]);
        (void)!read(stay[0], &byte, 1);
        _exit(0);
    }
    (void)!read(ready[0], &byte, 1);
    snprintf(name, sizeof(name), "/proc/%d/ns/user", (int)child);
    *hold = stay[1];
    return byte == 1 ? open(name, O_RDONLY | O_CLOEXEC) : -1;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    int hold = -1, failed;
    work(NULL);
    usleep(150000);
    work(NULL);
    if (argc > 1 && strcmp(argv[1], "setns") == 0) {
        int fd = of_child(&hold);
        failed = fd < 0 || setns(fd, CLONE_NEWUSER) != 0;
    } else {
        failed = unshare(CLONE_NEWUSER) != 0;
    }
    if (failed) {
        printf("%s: %s\n", argv[argc - 1], strerror(errno));
        return 1;
    }
    close(hold);
    while (wait(NULL) > 0) {
    }
    if (pthread_create(&thread, NULL, work, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    work(NULL);
    puts("done");
    return 0;
}
END
# filter LIST COMMAND...: the calls of the list fail: "container" those that
# containers refuse, "strict" also all that an allocator may like to have.
cat >"$work/filter.c" <<'END'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#define REFUSE(call, error)                                                    \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define CONTAINER                                                              \
    BPF_STMT(                                                                  \
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),          \
        REFUSE(435 /* clone3 */, ENOSYS), REFUSE(SYS_unshare, EPERM),          \
        REFUSE(SYS_setns, EPERM), REFUSE(SYS_mount, EPERM),                    \
        REFUSE(SYS_ptrace, EPERM), REFUSE(SYS_process_vm_readv, EPERM),        \
        REFUSE(SYS_process_vm_writev, EPERM),                                  \
        REFUSE(SYS_perf_event_open, EPERM), REFUSE(SYS_bpf, EPERM),            \
        REFUSE(SYS_keyctl, EPERM), REFUSE(SYS_userfaultfd, EPERM),             \
        REFUSE(SYS_mbind, EPERM), REFUSE(SYS_set_mempolicy, EPERM),            \
        REFUSE(SYS_get_mempolicy, EPERM), REFUSE(SYS_move_pages, EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
static struct sock_filter container[] = {CONTAINER, ALLOW};
static struct sock_filter strict[] = {CONTAINER, REFUSE(SYS_madvise, EPERM),
    REFUSE(440 /* process_madvise */, ENOSYS), REFUSE(SYS_mremap, EPERM),
    REFUSE(SYS_mincore, EPERM), REFUSE(SYS_membarrier, EPERM),
    REFUSE(SYS_memfd_create, EPERM), REFUSE(SYS_sched_getaffinity, EPERM),
    REFUSE(SYS_getcpu, EPERM), REFUSE(SYS_sched_yield, EPERM),
    REFUSE(SYS_prlimit64, EPERM), REFUSE(SYS_brk, ENOMEM),
    REFUSE(SYS_readlink, EPERM), REFUSE(SYS_getrandom, EPERM),
    REFUSE(SYS_sysinfo, EPERM), ALLOW};
#define COUNT(list) ((unsigned short)(sizeof(list) / sizeof((list)[0])))
int main(int argc, char **argv)
{
    struct sock_fprog c = {COUNT(container), container};
    struct sock_fprog s = {COUNT(strict), strict};
    if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
            strcmp(argv[1], "strict") == 0 ? &s : &c, 0, 0) != 0) {
        return 77;
    }
    execvp(argv[2], argv + 2);
    return 127;
}
END
for program in threads enter filter; do
    # shellcheck disable=SC2086 # words
    $cc "$work/$program.c" -o "$work/$program" || rm -f "$work/$program"
done

seq 1 3000 >"$work/old"
seq 2 3 9000 >"$work/new"
script='
import json, threading
def work():
    json.loads(json.dumps([{"key %d" % i: "x" * (i % 500)} for i in range(3000)]))
threads = [threading.Thread(target=work) for _ in range(3)]
try:
    for t in threads:
        t.start()
except RuntimeError:
    pass
for t in threads:
    if t.ident is not None:
        t.join()
work()
print("done")'
# shellcheck disable=SC2016 # for the other shell
shell='for i in {1..3000}; do a+=("$i $i"); done
unset "a[7]"; b=("${a[@]/1/2}"); echo "${#b[@]} ${b[2000]}"'

# run_all COMMAND...: each program below the command; prints what each says.
run_all() {
    local status
    for program in bash python3 git threads; do
        status=0
        case $program in
        bash) "$@" bash -c "$shell" ;;
        python3) "$@" "$python" -c "$script" ;;
        git) "$@" git diff --no-index --numstat "$work/old" "$work/new" ;;
        threads) "$@" "$work/threads" ;;
        esac 2>"$work/stderr" || status=$?
        echo "$program ends with $status"
        [ $status -le 1 ] || sed 's/^/    /' "$work/stderr" | head -5 >&2
    done
}

# ---- confinements ------------------------------------------------------------

report() {
    count=$((count + 1))
    echo "$1 $count - $2"
}

# compare NAME RUN COMMAND...: RUN as it is, then under each setting. What a
# program cannot do on its own is not asked of it with the library.
compare() {
    local name=$1 run=$2 alone with
    shift 2
    alone=$($run "$@" 2>"$work/why")
    if ! grep -q 'done\|ends with 0' <<<"$alone"; then
        report ok "$name # SKIP not without the library either: $(
            { head -1 "$work/why"; echo "$alone"; } | grep . | head -1)"
        return
    fi
    grep 'ends with' <<<"$alone" | grep -v 'ends with [01]$' |
        sed "s/^/# $name, without the library: /"
    for setting in "${settings[@]}"; do
        with=$($run "$@" env LD_PRELOAD="$work/library.so" \
            MALLOC_CONF="$setting" 2>"$work/why")
        if [ "$with" = "$alone" ]; then
            report ok "$name, ${setting%%,*}"
        else
            diff <(echo "$alone") <(echo "$with") | sed 's/^/# /' | head -20
            sed 's/^/# /' "$work/why" | head -20
            report "not ok" "$name, ${setting%%,*}"
        fi
    done
}

# lacking NAME WHY
lacking() {
    report ok "$1 # SKIP $2"
}

compare "unconfined" run_all

if ! command -v unshare >/dev/null; then
    lacking "a user namespace" "no unshare"
elif ! unshare -U true 2>"$work/why"; then
    lacking "a user namespace" "the kernel refuses them: $(head -1 "$work/why")"
else
    compare "a user namespace" run_all unshare -U
    compare "a user namespace, as its root" run_all unshare -U -r
fi

enter() {
    local how=$1
    shift
    "$@" "$work/enter" "$how"
    echo "ends with $?"
}
# Who asks for a thread of the library's has one from the start.
all=("${settings[@]}")
settings=("${all[0]}" "${all[@]:2}")
compare "unshare by the program itself" enter unshare
compare "setns by the program itself" enter setns
settings=("${all[@]}")

if ! command -v prlimit >/dev/null; then
    lacking "prlimit" "no prlimit"
else
    if [ "$(id -u)" -ne 0 ] || ! command -v setpriv >/dev/null; then
        lacking "no process more" "needs root and setpriv: root has no limit"
    else
        compare "no process more" run_all setpriv --reuid 65534 \
            --clear-groups prlimit --nproc=1
    fi
fi

# The loader itself needs one, so the programs set the limit.
full_table() {
    local script_limit='
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))'
    "$@" bash -c "exec 3>&- 4>&- 5>&-; ulimit -n 3; $shell"
    echo "bash ends with $?"
    "$@" "$python" -c "$script_limit$script"
    echo "python3 ends with $?"
    "$@" bash -c "ulimit -n 4; exec '$work/threads'"
    echo "threads ends with $?"
    "$@" bash -c \
        "ulimit -n 8; exec git diff --no-index --numstat '$work/old' '$work/new'"
    echo "git ends with $?"
}
compare "no descriptor more" full_table

if [ ! -x "$work/filter" ]; then
    lacking "filters" "no seccomp for this processor"
elif ! "$work/filter" container true; then
    lacking "filters" "the kernel takes none"
else
    compare "as a container" run_all "$work/filter" container
    compare "strictly filtered" run_all "$work/filter" strict
fi

echo "1..$count"
