/*
 * What: the profiler while everything happens at once: threads that sample
 * each block, libraries that come and go, allocate and throw, a signal that
 * interrupts anything a thousand times a second, forks whose children
 * allocate and dump, dumps, resets and switches. Ends after T seconds
 * (environment, default 5).
 *
 * Invariants: (I1) blocks keep their contents; (I2) a child that does not end
 * well fails the run.
 *
 * Locking: atomics.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jemalloc/jemalloc.h"

#define THREADS 16
#define SLOTS   64

const char *malloc_conf = "prof:true,lg_prof_sample:0,prof_accum:true,"
                          "prof_recent_alloc_max:100,prof_prefix:stress_prof,"
                          "prof_keep:2";

static atomic_bool stop;
static atomic_ulong operations;
static atomic_ulong ticks;
static const char *module_path;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "stress/prof: %s\n", what);
    _exit(1);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Different depths make different stacks. */
__attribute__((noinline)) static void *deep_alloc(unsigned depth, size_t size)
{
    void *p = depth == 0 ? malloc(size) : deep_alloc(depth - 1, size);
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static void check(const unsigned char *p, size_t size, unsigned char mark)
{
    if (p[0] != mark || p[size - 1] != mark) {
        fail("a block lost its contents");
    }
}

static void churn(uint64_t *seed, unsigned count)
{
    unsigned char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS];
    for (unsigned i = 0; i < count; i++) {
        uint64_t r = next_random(seed);
        unsigned k = r % SLOTS;
        if (blocks[k] != NULL) {
            check(blocks[k], sizes[k], (unsigned char)k);
        }
        if (blocks[k] != NULL && r % 5 == 0) {
            sizes[k] = 1 + (r >> 20) % 40000;
            blocks[k] = realloc(blocks[k], sizes[k]);
        } else {
            free(blocks[k]);
            sizes[k] = 1 + (r >> 20) % 2000;
            blocks[k] = deep_alloc((r >> 40) % 20, sizes[k]);
        }
        if (blocks[k] == NULL) {
            fail("no memory");
        }
        memset(blocks[k], (int)k, sizes[k]);
        atomic_fetch_add(&operations, 1);
    }
    for (unsigned k = 0; k < SLOTS; k++) {
        free(blocks[k]);
    }
}

/* A library is loaded, allocates through us, throws if it can, and goes. */
static void load_and_unload(void)
{
    if (*module_path == '\0') {
        return; /* a static program loads nothing */
    }
    void *module = dlopen(module_path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        fail(dlerror());
    }
    void *(*make)(size_t) = (void *(*)(size_t))dlsym(module, "module_make");
    int (*throw_and_catch)(void) = (int (*)(void))dlsym(module, "module_throw");
    if (make == NULL) {
        fail("module_make is missing");
    }
    for (unsigned i = 0; i < 20; i++) {
        void *p = make(100 + i);
        free(p);
        if (throw_and_catch != NULL && throw_and_catch() != 7) {
            fail("an exception got lost");
        }
    }
    dlclose(module);
}

static void control(unsigned long r)
{
    bool on = true;
    bool off = false;
    switch (r % 6) {
    case 0:
        if (mallctl("prof.dump", NULL, NULL, NULL, 0) != 0) {
            fail("a dump failed");
        }
        break;
    case 1:
        (void)mallctl("prof.reset", NULL, NULL, NULL, 0);
        break;
    case 2:
        (void)mallctl("prof.active", NULL, NULL, &off, sizeof(off));
        (void)mallctl("prof.active", NULL, NULL, &on, sizeof(on));
        break;
    default: {
        const char *name = r % 2 != 0 ? "one" : "another name";
        (void)mallctl("thread.prof.name", NULL, NULL, &name, sizeof(name));
    }
    }
}

static void fork_once(uint64_t *seed)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* a child that hangs is a failure */
        churn(seed, 50);
        char path[64];
        snprintf(path, sizeof(path), "stress_prof.child.%d", (int)getpid());
        const char *name = path;
        int error = mallctl("prof.dump", NULL, NULL, &name, sizeof(name));
        unlink(path);
        _exit(error == 0 ? 0 : 3);
    }
    int status;
    if (child > 0 && (waitpid(child, &status, 0) != child || status != 0)) {
        fail("a child did not end well");
    }
}

static void *work(void *opaque)
{
    uint64_t seed = 88172645463325252U + (uintptr_t)opaque * 7919;
    while (!atomic_load(&stop)) {
        churn(&seed, 200);
        uint64_t r = next_random(&seed);
        if (r % 3 == 0) {
            load_and_unload();
        } else if (r % 17 == 1) {
            fork_once(&seed);
        } else if (r % 5 == 1) {
            control(r >> 8);
        }
    }
    return NULL;
}

/* Threads that come and go. */
static void *short_life(void *opaque)
{
    uint64_t seed = 99 + (uintptr_t)opaque;
    churn(&seed, 20);
    return NULL;
}

static void on_tick(int number)
{
    (void)number;
    atomic_fetch_add(&ticks, 1);
}

/* A thousand times a second, one thread after the other. */
static void *tick(void *opaque)
{
    const pthread_t *threads = opaque;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        pthread_kill(threads[i % THREADS], SIGPROF);
        next.tv_nsec += 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

static void remove_dumps(void)
{
    (void)system("rm -f stress_prof.*.heap");
}

int main(void)
{
    const char *text = getenv("T");
    double seconds = text == NULL ? 5 : atof(text);
    module_path = getenv("JE_STRESS_MODULE");
    if (module_path == NULL) {
        module_path = MODULE_PATH;
    }
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)i) != 0) {
            fail("no thread");
        }
    }
    pthread_t ticker;
    if (pthread_create(&ticker, NULL, tick, threads) != 0) {
        fail("no thread");
    }
    time_t end = time(NULL) + (time_t)seconds;
    for (uintptr_t i = 0; time(NULL) < end; i++) {
        pthread_t one;
        if (pthread_create(&one, NULL, short_life, (void *)i) == 0) {
            pthread_join(one, NULL);
        }
        usleep(1000);
    }
    atomic_store(&stop, true);
    pthread_join(ticker, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    remove_dumps();
    printf("1..1\nok 1 - %lu operations, %lu ticks\n", atomic_load(&operations),
        atomic_load(&ticks));
    return atomic_load(&operations) == 0;
}
