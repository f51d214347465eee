/*
 * What: eight threads call the whole interface at random, each with a shadow
 * model (test/fuzz/api_machine.h), while one system call of the library in
 * twenty fails. Threads end and others take their place all the time, and
 * hand blocks to one another. Requests succeed or give a clean NULL; the
 * validators run each second. Then calls succeed again, and so must every
 * request; and when all is freed, the library, the calls it made and the
 * kernel agree on what is mapped.
 *
 *   soak [SECONDS [SEED]]
 *
 * The seconds may also come from the environment variable T, options for the
 * library from SOAK_OPTIONS.
 *
 * Invariants: (I1) the same seed gives each thread the same sequence of
 * instructions and of refusals; what they meet still depends on timing;
 * (I2) a run in which nothing was refused fails.
 *
 * Locking: one mutex for the blocks that are between threads.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api_machine.h"
#include "api_plant.h"
#include "arena/arena_table.h"
#include "books.h"
#include "refuse.h"

#define WORKERS      8
#define LIFE_STEPS   3000
#define TRAVELLERS   32
#define REFUSE_1_IN  20
#define WARM_THREADS (3 * WORKERS)
/* Small enough that libc keeps the stacks of all threads that ended. */
#define STACK_BYTES ((size_t)256 << 10)

const char *je_malloc_conf;
plant_t api_plant;

__attribute__((constructor(101))) static void choose_options(void)
{
    je_malloc_conf = getenv("SOAK_OPTIONS");
    je_malloc_conf =
        je_malloc_conf != NULL ? je_malloc_conf : MACHINE_FAST "tcache:true";
}

typedef struct {
    machine_t machine;
    pthread_t thread;
    uint64_t random;
    unsigned long steps;
} worker_t;

static worker_t workers[WORKERS];
static uint64_t seed;
static double deadline;

/* Blocks on their way from one thread to another. */
static struct {
    pthread_mutex_t lock;
    model_block_t blocks[TRAVELLERS];
    unsigned count;
} travel = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t next_random(worker_t *w)
{
    uint64_t z = (w->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- blocks that travel ---- */

/* An arena of the machine's own may end, and its blocks with it. */
static bool may_travel(machine_t *m, void *p)
{
    unsigned arena = machine_arena_of(m, p);
    for (unsigned i = 0; i < MACHINE_ARENAS; i++) {
        if (m->arenas[i] == arena + 1) {
            return false;
        }
    }
    return true;
}

static void send(machine_t *m)
{
    if (m->model.count == 0 || !may_travel(m, m->model.blocks[0].p)) {
        return;
    }
    pthread_mutex_lock(&travel.lock);
    if (travel.count < TRAVELLERS) {
        travel.blocks[travel.count++] = model_take(&m->model, 0);
    }
    pthread_mutex_unlock(&travel.lock);
}

static void receive(machine_t *m)
{
    model_block_t block = {.p = NULL};
    pthread_mutex_lock(&travel.lock);
    if (travel.count > 0 && machine_has_room(m)) {
        block = travel.blocks[--travel.count];
    }
    pthread_mutex_unlock(&travel.lock);
    if (block.p != NULL) {
        model_put_back(&m->model, &block);
    }
}

/* ---- workers ---- */

static bool is_over(void)
{
    return now() >= deadline || model_complaint() != NULL;
}

/* One life of a worker: its blocks outlive it, its thread's cache does not. */
static void *live(void *argument)
{
    worker_t *w = argument;
    refuse_seed(next_random(w));
    machine_enter_thread(&w->machine);
    for (unsigned i = 0; i < LIFE_STEPS; i++) {
        uint64_t record = next_random(w);
        machine_step(&w->machine, (const uint8_t *)&record);
        if (i % 16 == 0) {
            send(&w->machine);
            receive(&w->machine);
        }
        if (i % 64 == 0 && is_over()) {
            break;
        }
        w->steps++;
    }
    if (model_complaint() == NULL) {
        machine_leave_thread(&w->machine);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    int error = refuse_not_thread(thread, run, argument);
    if (error != 0) {
        fprintf(stderr, "soak: no thread: %s\n", strerror(error));
        exit(2);
    }
}

static void *live_again(void *argument)
{
    worker_t *w = argument;
    while (!is_over()) {
        pthread_t life;
        start(&life, live, w);
        pthread_join(life, NULL);
    }
    return NULL;
}

/* Validates each second until the time is over. */
static void work(double seconds)
{
    deadline = now() + seconds;
    for (unsigned i = 0; i < WORKERS; i++) {
        start(&workers[i].thread, live_again, &workers[i]);
    }
    while (!is_over()) {
        double left = deadline - now();
        struct timespec pause = {
            left > 1, left > 1 || left < 0 ? 0 : (long)(left * 999999999)};
        (void)nanosleep(&pause, NULL);
        arena_table_check();
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}

/* ---- the whole run ---- */

static pthread_barrier_t together;

static void *be_there(void *argument)
{
    je_free(je_malloc(100));
    pthread_barrier_wait(&together);
    return argument;
}

/* As many threads at once as there will be: libc keeps what they took. */
static void warm_up(void)
{
    pthread_t threads[WARM_THREADS];
    pthread_attr_t attributes;
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 1);
#endif
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_setattr_default_np(&attributes);
    pthread_barrier_init(&together, NULL, WARM_THREADS);
    for (unsigned i = 0; i < WARM_THREADS; i++) {
        start(&threads[i], be_there, NULL);
    }
    for (unsigned i = 0; i < WARM_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    arena_table_check();
}

/* The blocks that are between threads, and those of each machine. */
static void free_all(void)
{
    while (travel.count > 0 && model_complaint() == NULL) {
        receive(&workers[0].machine);
        machine_end(&workers[0].machine);
    }
    for (unsigned i = 0; i < WORKERS && model_complaint() == NULL; i++) {
        machine_end(&workers[i].machine);
    }
    (void)machine_control("thread.tcache.flush", NULL, 0, NULL, 0);
    (void)machine_control("arena.4096.purge", NULL, 0, NULL, 0);
}

static void check_books(size_t unknown, size_t others)
{
    size_t known = books_known_bytes() + unknown;
    size_t mapped = refuse_mapped_bytes();
    size_t after = books_kernel_bytes() - mapped;
    arena_table_check();
    if (known > mapped || mapped > known + books_slack_bytes()) {
        model_complain("the library knows %zu bytes, and has mapped %zu; %zu "
                       "may be lost",
            known, mapped, books_slack_bytes());
    }
    if (after != others) {
        model_complain(
            "the kernel had %zu bytes of others, and has %zu", others, after);
    }
}

static void soak(double seconds)
{
    warm_up();
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].random = seed * WORKERS + i;
        machine_begin(&workers[i].machine, false);
    }
    uint64_t epoch = 1;
    (void)machine_control("epoch", NULL, 0, &epoch, sizeof(epoch));
    size_t unknown = refuse_mapped_bytes() - books_known_bytes();
    size_t others = books_kernel_bytes() - refuse_mapped_bytes();
    atomic_store(&machine_refusing, true);
    refuse_begin(REFUSE_SOME, REFUSE_1_IN);
    work(seconds * 0.9);
    uint64_t calls = refuse_end();
    atomic_store(&machine_refusing, false);
    unsigned long failures = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        failures += workers[i].machine.failures;
        machine_recover(&workers[i].machine);
    }
    work(seconds * 0.1);
    free_all();
    if (model_complaint() == NULL) {
        check_books(unknown, others);
    }
    unsigned long steps = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        steps += workers[i].steps;
    }
    printf("soak: %lu steps, %llu system calls, %lu requests failed\n", steps,
        (unsigned long long)calls, failures);
    if (failures == 0) {
        model_complain("nothing was refused");
    }
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : getenv("T");
    double seconds = text != NULL ? strtod(text, NULL) : 5;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0)
                    : (uint64_t)getpid() * 1000003u + (uint64_t)time(NULL);
    if (seconds <= 0 || seconds > 1e6) {
        fprintf(stderr, "soak: cannot run '%s' seconds\n", text);
        return 2;
    }
    printf("soak: seed %llu, %.0f s\n", (unsigned long long)seed, seconds);
    fflush(stdout);
    soak(seconds);
    printf("soak: %s\n", model_complaint() == NULL ? "ok" : model_complaint());
    return model_complaint() != NULL;
}
