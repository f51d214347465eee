#!/bin/bash
#
# What: TAP test of the ends of a process: functions for the end that
# allocate and free, in the program and in libraries; exit while threads
# allocate, by whichever thread; thread-locals of C++ that are destroyed.
#
# Invariants: nothing is written outside a temporary directory.
#
# Locking: none.
set -eu

# shellcheck source=../platforms/with.sh
. "$JE_SRCDIR/test/platforms/with.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
cc="${CC:-cc} -O1 -g -D_GNU_SOURCE -fno-builtin"
cxx="${CXX:-c++} -O1 -g -std=c++17"

if [ -n "${JE_PREFIX:-}${JE_SANITIZER:-}" ]; then
    echo "1..0 # SKIP this build does not replace malloc"
    exit 0
fi

# says NAME TEXT COMMAND...: ends with 0 and prints that.
says() {
    local name=$1 expected=$2 status=0 got
    shift 2
    count=$((count + 1))
    got=$(within 60 LD_PRELOAD="$JE_LIBRARY" "$@" 2>&1) || status=$?
    if [ $status -eq 0 ] && [ "$got" = "$expected" ]; then
        echo "ok $count - $name"
    else
        echo "# status $status, printed '$got', not '$expected'"
        echo "not ok $count - $name"
    fi
}

skip() {
    count=$((count + 1))
    echo "ok $count - $1 # SKIP ${2:-not available here}"
}

cat >"$work/use.h" <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const size_t sizes[] = {1, 100, 3000, 20000, 100000, 5 << 20};
static void use(void)
{
    for (int i = 0; i < 30; i++) {
        char *p = malloc(sizes[i % 6]);
        if (p == NULL) {
            abort();
        }
        memset(p, i, sizes[i % 6]);
        p = realloc(p, sizes[(i + 1) % 6]);
        if (p == NULL || p[0] != (char)i) {
            abort();
        }
        free(p);
    }
}
static __attribute__((unused)) void *use_for_ever(void *arg)
{
    for (;;) {
        use();
    }
    return arg;
}
static __attribute__((unused)) void start_threads(void)
{
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        pthread_create(&thread, NULL, use_for_ever, NULL);
        pthread_detach(thread);
    }
}
static __attribute__((unused)) void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0) {
        abort();
    }
}
END
cat >"$work/lib.c" <<'END'
#include "use.h"
static char *kept;
__attribute__((constructor)) static void begin(void)
{
    kept = strdup("kept by a library");
    use();
}
__attribute__((destructor)) static void end(void)
{
    use();
    if (strcmp(kept, "kept by a library") == 0) {
        say("d");
    }
    free(kept);
}
END
cat >"$work/ends.c" <<'END'
#include "use.h"
static char *kept;
static void at_exit(void)
{
    use();
    free(kept);
    kept = strdup("again");
    say("a");
}
static void at_the_very_end(void)
{
    use();
    say(strcmp(kept, "again") == 0 ? "A" : "?");
    free(kept);
}
#ifdef __GLIBC__
static void on_the_way(int status, void *arg)
{
    use();
    free(arg);
    say(status == 0 ? "o" : "?");
}
#endif
int main(int argc, char **argv)
{
    kept = strdup("first");
    atexit(at_the_very_end);
    atexit(at_exit);
#ifdef __GLIBC__
    on_exit(on_the_way, malloc(3000));
#else
    say("o");
#endif
    if (argc > 1 && strcmp(argv[1], "threads") == 0) {
        start_threads();
        usleep(20000);
    }
    return 0;
}
END
$cc -shared -fPIC -I"$work" "$work/lib.c" -o "$work/libend.so"
$cc -I"$work" "$work/ends.c" -o "$work/ends" -Wl,--no-as-needed "$work/libend.so" \
    -Wl,-rpath,"$work" -pthread
# qemu-user 7.2 leaves out the end of the dynamic linker's last page if pages
# are larger than the machine's: a program that needs a library and has any
# other one preloaded does not start.
cp "$work/libend.so" "$work/libother.so"
if [ -n "${JE_EMULATOR:-}" ] && [ "$(within 60 \
    LD_PRELOAD="$work/libother.so" "$work/ends" 2>&1)" != oaAdd ]; then
    for name in "functions for the end allocate" \
        "the same while threads allocate" "and twenty times more"; do
        skip "$name" "no library at all can be preloaded here"
    done
else
    says "functions for the end allocate" oaAd "$work/ends"
    says "the same while threads allocate" oaAd "$work/ends" threads
    ok=0
    for _ in $(seq 20); do
        [ "$(within 60 LD_PRELOAD="$JE_LIBRARY" "$work/ends" threads 2>&1)" \
            = oaAd ] && ok=$((ok + 1))
    done
    count=$((count + 1))
    if [ $ok -eq 20 ]; then
        echo "ok $count - and twenty times more"
    else
        echo "not ok $count - and twenty times more: $ok were"
    fi
fi

cat >"$work/threads.c" <<'END'
#include "use.h"
static void at_exit(void)
{
    use();
    say("a");
}
static void *leave(void *how)
{
    use();
    if (how != NULL) {
        usleep(30000); /* main is gone by then */
        use();
        exit(0);
    }
    say("t");
    return NULL;
}
int main(int argc, char **argv)
{
    pthread_t thread;
    atexit(at_exit);
    if (argc != 2) {
        return 2;
    }
    if (strcmp(argv[1], "last") == 0) {
        /* The process ends when its last thread has. */
        pthread_create(&thread, NULL, leave, NULL);
        use();
        pthread_exit(NULL);
    }
    if (strcmp(argv[1], "other") == 0) {
        start_threads();
        pthread_create(&thread, NULL, leave, &thread);
        use();
        pthread_exit(NULL);
    }
    start_threads();
    use();
    quick_exit(0);
}
END
$cc -I"$work" "$work/threads.c" -o "$work/threads" -pthread
says "main ends first, the last thread ends the process" ta \
    "$work/threads" last
says "the same with a background thread" ta \
    MALLOC_CONF=background_thread:true "$work/threads" last
says "the same with a thread that prints at a signal" ta \
    MALLOC_CONF=stats_signal:USR1 "$work/threads" last
says "exit by another thread, after main" a "$work/threads" other
says "quick_exit while threads allocate" "" "$work/threads" quick

cat >"$work/locals.cc" <<'END'
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
static int destroyed;
struct Last {
    std::vector<std::string> names;
    ~Last()
    {
        for (int i = 0; i < 1000; i++) {
            names.push_back(std::string(100 + i, 'x'));
        }
        std::map<int, std::string> more;
        for (int i = 0; i < 1000; i++) {
            more[i] = names[i];
        }
        __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
    }
};
thread_local Last one, two;
static std::unique_ptr<Last> global(new Last);
struct Farewell {
    ~Farewell() { std::printf("%d\n", destroyed); }
} farewell;
int main()
{
    std::vector<std::thread> threads;
    for (int i = 0; i < 10; i++) {
        threads.emplace_back([] {
            one.names.push_back("one");
            two.names.resize(50);
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    std::thread([] { one.names.clear(); }).detach();
    one.names.push_back("main");
    while (__atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) < 22) {
        std::this_thread::yield();
    }
}
END
loader_of() {
    readelf -l "$1" | grep 'interpreter:'
}
# Ten threads and the detached one, the main thread: each has two.
if $cxx "$work/locals.cc" -o "$work/locals" -pthread 2>/dev/null &&
    [ "$(loader_of "$work/locals")" = "$(loader_of "$work/ends")" ]; then
    says "thread-locals of C++" 24 "$work/locals"
else
    skip "thread-locals of C++"
fi
echo "1..$count"
