/*
 * What: programs whose memory comes and goes, with idle periods in between,
 * for watching how much stays resident: `phases keys|tabs|server IDLE`.
 *   keys    a key-value store with a thread that writes logs now and then:
 *           filled, overwritten, nearly all deleted, idle, filled by half, idle
 *   tabs    a browser: a thread a tab, opened and closed in turns, seven
 *           open, all closed, idle
 *   server  threads with requests, sessions and a cache of three ages: quiet,
 *           busy, idle, busy again, idle
 * Prints `phase NAME` when one begins and `live BYTES` as it goes on.
 *
 * Invariants: (I1) work is cut into slices of SLICE_MS, so that programs on
 * allocators of different speed stay in step; (I2) every page of a block is
 * written when it is allocated; (I3) idle is one sleep of all threads.
 *
 * Locking: none: `live` is atomic, a tab's or worker's blocks are its own.
 */
#include "work.h"

#include <stdatomic.h>
#include <time.h>

#define SLICE_MS 100
#define PAGE     4096
#define MIB      ((uint64_t)1 << 20)

static _Atomic uint64_t live;
static uint64_t idle_seconds;

static void *take(size_t size)
{
    char *block = work_alloc(size);

    for (size_t at = PAGE; at + PAGE < size; at += PAGE) {
        block[at] = 1;
    }
    atomic_fetch_add(&live, size);
    return block;
}

static void give(void **slot)
{
    if (*slot != NULL) {
        atomic_fetch_sub(&live, work_stamped(*slot));
        work_free(*slot);
        *slot = NULL;
    }
}

static void say(const char *what, uint64_t number)
{
    printf("%s %llu\n", what, (unsigned long long)number);
    fflush(stdout);
}

static void phase(const char *name)
{
    printf("phase %s\n", name);
    say("live", live);
}

static void sleep_ms(uint64_t ms)
{
    struct timespec rest = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&rest, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Ends a slice that began at `start`. */
static void slice_end(uint64_t start)
{
    uint64_t spent = now_ms() - start;

    say("live", live);
    if (spent < SLICE_MS) {
        sleep_ms(SLICE_MS - spent);
    }
}

static void idle(void)
{
    phase("idle");
    sleep_ms(idle_seconds * 1000);
}

/* ---- keys ---------------------------------------------------------------- */

#define KEYS 400000

static void **keys;
static uint64_t keys_state = 1;

static size_t value_size(uint64_t *state)
{
    return work_below(state, 2) != 0 ? 24 + work_below(state, 300)
                                     : 300 + work_below(state, 3700);
}

/* Replaces `part` of 1,000 keys in `slices`; in order, or at random. */
static void write_keys(uint64_t count, unsigned slices, int in_order)
{
    for (unsigned i = 0; i < slices; i++) {
        uint64_t start = now_ms();
        uint64_t from = count * i / slices, end = count * (i + 1) / slices;

        for (uint64_t j = from; j < end; j++) {
            uint64_t at = in_order ? j : work_below(&keys_state, KEYS);

            give(&keys[at]);
            keys[at] = take(value_size(&keys_state));
        }
        slice_end(start);
    }
}

static void delete_keys(unsigned percent, unsigned slices)
{
    for (unsigned i = 0; i < slices; i++) {
        uint64_t start = now_ms();

        for (uint64_t j = i; j < KEYS; j += slices) {
            if (work_below(&keys_state, 100) < percent) {
                give(&keys[j]);
            }
        }
        slice_end(start);
    }
}

/* Such servers have threads that mostly wait. */
static void *run_helper(void *arg)
{
    _Atomic int *ending = arg;

    while (!atomic_load(ending)) {
        free(work_get(100));
        sleep_ms(10 * SLICE_MS);
    }
    return NULL;
}

static void run_keys(void)
{
    static _Atomic int ending;
    pthread_t helper;

    work_require(
        pthread_create(&helper, NULL, run_helper, &ending) == 0, "no thread");
    keys = calloc(KEYS, sizeof(*keys));
    work_require(keys != NULL, "out of memory");
    phase("fill");
    write_keys(KEYS, 30, 1);
    phase("overwrite");
    write_keys(KEYS, 30, 0);
    phase("delete 97 %");
    delete_keys(97, 10);
    idle();
    phase("fill half");
    write_keys(KEYS / 2, 15, 0);
    idle();
    phase("drop all");
    delete_keys(101, 1);
    free(keys);
    atomic_store(&ending, 1);
    pthread_join(helper, NULL);
}

/* ---- tabs ---------------------------------------------------------------- */

#define TABS       12
#define TAB_BLOCKS 120000

typedef struct {
    pthread_t thread;
    _Atomic int closing;
    int is_open;
    uint64_t seed;
} tab_t;

static tab_t tabs[TABS];

static size_t tab_size(uint64_t *state)
{
    uint32_t draw = work_below(state, 1000);

    if (draw < 800) {
        return 16 + work_below(state, 240);
    }
    if (draw < 980) {
        return 256 + work_below(state, 1800);
    }
    return draw < 999 ? 2048 + work_below(state, 14000)
                      : 65536 + work_below(state, 300000);
}

/* Loads, then goes on replacing a little until it is closed. */
static void *run_tab(void *arg)
{
    tab_t *tab = arg;
    uint64_t state = tab->seed;
    uint64_t count = TAB_BLOCKS / 2 + work_below(&state, TAB_BLOCKS / 2);
    void **blocks = calloc(count, sizeof(*blocks));

    work_require(blocks != NULL, "out of memory");
    for (uint64_t i = 0; i < count * 3 / 2; i++) {
        void **slot =
            &blocks[i < count ? i : work_below(&state, (uint32_t)count)];

        give(slot);
        *slot = take(tab_size(&state));
    }
    while (!atomic_load(&tab->closing)) {
        for (int i = 0; i < 500; i++) {
            void **slot = &blocks[work_below(&state, (uint32_t)count)];

            give(slot);
            *slot = take(tab_size(&state));
        }
        sleep_ms(SLICE_MS);
    }
    for (uint64_t i = 0; i < count; i++) {
        give(&blocks[i]);
    }
    free(blocks);
    return NULL;
}

static void open_tab(tab_t *tab, uint64_t seed)
{
    tab->seed = seed;
    tab->is_open = 1;
    atomic_store(&tab->closing, 0);
    work_require(
        pthread_create(&tab->thread, NULL, run_tab, tab) == 0, "no thread");
}

static void close_tab(tab_t *tab)
{
    if (tab->is_open) {
        atomic_store(&tab->closing, 1);
        pthread_join(tab->thread, NULL);
        tab->is_open = 0;
    }
}

static void surf(uint64_t *state, unsigned slices)
{
    for (unsigned i = 0; i < slices; i++) {
        uint64_t start = now_ms();
        tab_t *tab = &tabs[work_below(state, TABS)];

        if (tab->is_open) {
            close_tab(tab);
        } else {
            open_tab(tab, i + 1);
        }
        slice_end(start);
        sleep_ms(SLICE_MS);
    }
}

static void watch(unsigned slices)
{
    for (unsigned i = 0; i < slices; i++) {
        slice_end(now_ms());
    }
}

static void run_tabs(void)
{
    uint64_t state = 1;

    phase("surf");
    surf(&state, 40);
    phase("seven tabs");
    for (int i = 0; i < TABS; i++) {
        if (i < 7 && !tabs[i].is_open) {
            open_tab(&tabs[i], 1000 + (uint64_t)i);
        } else if (i >= 7) {
            close_tab(&tabs[i]);
        }
    }
    watch(40);
    phase("close all");
    for (int i = 0; i < TABS; i++) {
        close_tab(&tabs[i]);
    }
    idle();
}

/* ---- server -------------------------------------------------------------- */

#define WORKERS  4
#define CACHE    40000
#define SESSIONS 60000
#define REQUEST  200

typedef struct {
    void *cache[CACHE];
    void *sessions[SESSIONS];
    uint64_t state;
} worker_t;

static worker_t *workers;
static pthread_barrier_t gate;
static _Atomic int load; /* Requests a worker and slice; -1 ends. */

/* A request: scratch of its own; now and then a session, rarely a cached one.
 */
static void serve(worker_t *worker)
{
    void *scratch[REQUEST];
    uint64_t *state = &worker->state;

    for (int i = 0; i < REQUEST; i++) {
        scratch[i] = take(16 + work_below(state, 500));
    }
    for (int i = 0; i < 12; i++) {
        void **slot = &worker->sessions[work_below(state, SESSIONS)];

        give(slot);
        *slot = take(100 + work_below(state, 1500));
    }
    if (work_below(state, 2) == 0) {
        void **slot = &worker->cache[work_below(state, CACHE)];

        give(slot);
        *slot = take(200 + work_below(state, 4000));
    }
    for (int i = 0; i < REQUEST; i++) {
        give(&scratch[i]);
    }
}

/* Sessions end by themselves, the faster the less there is to do. */
static void expire(worker_t *worker, int requests)
{
    for (int i = 0; i < SESSIONS / (requests > 100 ? 40 : 8); i++) {
        give(&worker->sessions[work_below(&worker->state, SESSIONS)]);
    }
}

static void *run_worker(void *number)
{
    worker_t *worker = &workers[(uintptr_t)number];
    int requests;

    worker->state = (uintptr_t)number + 1;
    for (;;) {
        pthread_barrier_wait(&gate);
        requests = atomic_load(&load);
        if (requests < 0) {
            return NULL;
        }
        for (int i = 0; i < requests; i++) {
            serve(worker);
        }
        expire(worker, requests);
        pthread_barrier_wait(&gate);
    }
}

static void offer(const char *name, int requests, unsigned slices)
{
    phase(name);
    for (unsigned i = 0; i < slices; i++) {
        uint64_t start = now_ms();

        atomic_store(&load, requests);
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        slice_end(start);
    }
}

static void run_server(void)
{
    pthread_t threads[WORKERS];

    workers = calloc(WORKERS, sizeof(*workers));
    work_require(
        workers != NULL && pthread_barrier_init(&gate, NULL, WORKERS + 1) == 0,
        "out of memory");
    for (uintptr_t i = 0; i < WORKERS; i++) {
        work_require(
            pthread_create(&threads[i], NULL, run_worker, (void *)i) == 0,
            "no thread");
    }
    offer("quiet", 20, 15);
    offer("busy", 600, 40);
    offer("quiet", 20, 25);
    idle();
    offer("busy", 600, 20);
    idle();
    phase("drop all");
    atomic_store(&load, -1);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        for (int j = 0; j < CACHE; j++) {
            give(&workers[i].cache[j]);
        }
        for (int j = 0; j < SESSIONS; j++) {
            give(&workers[i].sessions[j]);
        }
    }
    free(workers);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } kinds[] = {
        {"keys", run_keys}, {"tabs", run_tabs}, {"server", run_server}};

    work_require(argc > 1, "keys, tabs or server?");
    idle_seconds = work_arg(argc, argv, 2, 15);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(argv[1], kinds[i].name) == 0) {
            kinds[i].run();
            work_require(live == 0, "blocks are left over");
            phase("end");
            return 0;
        }
    }
    work_die("the first argument is none of keys, tabs, server");
    return 1;
}
