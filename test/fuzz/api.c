/*
 * What: any sequence of calls of the whole interface, while hooks and system
 * calls fail, against a shadow model: see api_machine.h for what an input
 * means, and api_model.h for what must hold. After each input everything is
 * freed, the library's own validators run, and its counters and its address
 * space are as before.
 *
 * Options are read once in a process, so each process has one profile: the one
 * that API_PROFILE names (all of them in turn, each in a process of its own,
 * where that is unset and the program is no libFuzzer's; then all but the
 * first take a third of the inputs each, API_SHARE says which).
 *
 *   api list      prints the profiles that this library can have
 *
 * With API_TRACE in the environment each step is printed.
 *
 * Compiled with -DAPI_PLANTS=1 it plants the mistakes of api_plant.h instead,
 * each of which must be seen.
 *
 * Invariants: (I1) what an input finds does not depend on those before it, but
 * for the pages and slabs that they left behind.
 *
 * Locking: none.
 *
 * Run as replay.h says.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_machine.h"
#include "api_plant.h"
#include "arena/arena_table.h"
#include "books.h"
#include "conf/conf.h"
#include "conf/sizeclass.h"
#include "harness.h"
#include "refuse.h"
#include "replay.h"

#define STEPS_MAX 96
#define INPUT_MAX (STEPS_MAX * MACHINE_RECORD)
#define ROUNDS    40
/* Where all profiles run, most of them take one input in so many. */
#define SHARES 3
/* Inputs between two counts of what the statistics say. */
#define COUNT_PERIOD 8

const char *je_malloc_conf;
/* A thread that purges would come between what books are compared. */
const char *je_malloc_conf_2_conf_harder = "background_thread:false";
plant_t api_plant;

static const struct {
    const char *name;
    const char *options;
    const char *needs; /* an option that not every library knows, or NULL */
} profiles[] = {
    {"default", MACHINE_FAST "tcache:true", NULL},
    {"as-built", "", NULL},
    {"low-memory", MACHINE_FAST "profile:low-memory", NULL},
    {"latency", MACHINE_FAST "profile:latency", NULL},
    {"debug", "profile:debug", NULL},
    {"hardened", "profile:hardened", NULL},
    {"hardened-1", MACHINE_FAST "hardened:1", "hardened"},
    {"hardened-2", MACHINE_FAST "hardened:2", "hardened"},
    {"canary", MACHINE_FAST "canary:true", "canary"},
    {"held-back",
        MACHINE_FAST "zero_on_free:true,quarantine_small:4096,"
                     "quarantine_large:1048576,randomize:true",
        "quarantine_small"},
    {"guard-sample", MACHINE_FAST "guard_sample:10", "guard_sample"},
    {"prof", MACHINE_FAST "prof:true,lg_prof_sample:10,prof_prefix:", NULL},
    {"prof-accum",
        MACHINE_FAST "prof:true,lg_prof_sample:8,prof_prefix:,prof_accum:true,"
                     "prof_stats:true,prof_recent_alloc_max:20",
        NULL},
    {"junk", "junk:true", NULL},
    {"zero", "zero:true,zero_realloc:alloc", NULL},
    {"guards", MACHINE_FAST "san_guard_small:1,san_guard_large:1", NULL},
    {"some-guards", MACHINE_FAST "san_guard_small:3,san_guard_large:2", NULL},
    {"percpu", MACHINE_FAST "percpu_arena:percpu", NULL},
    {"unmap", MACHINE_FAST "retain:false", NULL},
    {"break", MACHINE_FAST "dss:primary", NULL},
    {"no-break", MACHINE_FAST "dss:disabled", NULL},
    {"no-tcache", MACHINE_FAST "tcache:false", NULL},
    {"small-tcache",
        MACHINE_FAST "tcache_max:1024,tcache_nslots_small_max:4,"
                     "lg_tcache_flush_small_div:2,experimental_tcache_gc:false",
        NULL},
    {"one-arena", MACHINE_FAST "narenas:1,bin_shards:1-14336:4", NULL},
    {"aligned",
        MACHINE_FAST "cache_oblivious:false,disable_large_size_classes:false",
        NULL},
    {"decay-0", MACHINE_FAST "dirty_decay_ms:0", NULL},
    {"muzzy", MACHINE_FAST "dirty_decay_ms:0,muzzy_decay_ms:20", NULL},
    {"never", MACHINE_FAST "dirty_decay_ms:-1,muzzy_decay_ms:-1", NULL},
    {"huge",
        MACHINE_FAST
        "thp:always,metadata_thp:always,oversize_threshold:1048576",
        NULL},
};

#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static const char *profile_name;

/* Before the library asks. */
__attribute__((constructor(101))) static void choose_profile(void)
{
    profile_name = getenv("API_PROFILE");
    profile_name = profile_name != NULL ? profile_name : "default";
    for (size_t i = 0; i < PROFILES; i++) {
        if (strcmp(profiles[i].name, profile_name) == 0) {
            je_malloc_conf = profiles[i].options;
            return;
        }
    }
    fprintf(stderr,
        "API_PROFILE=%s: no such profile; \"api list\" names them\n",
        profile_name);
    exit(2);
}

static bool is_known(size_t profile)
{
    const char *needs = profiles[profile].needs;
    return needs == NULL || conf_option_find(needs, strlen(needs)) != NULL;
}

/* ---- what must hold between two inputs ---- */

static struct {
    size_t allocated;
    size_t unknown; /* mapped, but no arena's */
    size_t held;    /* so much may be held back after it was freed, */
                    /* and for ever what could not be opened up again */
    int64_t net;
    unsigned long inputs;
} before;

static size_t allocated_bytes(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0;
    (void)machine_control("epoch", NULL, 0, &epoch, sizeof(epoch));
    (void)machine_control("stats.allocated", &bytes, sizeof(bytes), NULL, 0);
    return bytes;
}

/* What quarantine may keep of all classes, where the library has it. */
static size_t held_bytes(void)
{
    size_t small = 0;
    size_t large = 0;
    (void)machine_control(
        "opt.quarantine_small", &small, sizeof(small), NULL, 0);
    (void)machine_control(
        "opt.quarantine_large", &large, sizeof(large), NULL, 0);
    return small * SC_SMALL_COUNT * 2 + large * 4;
}

/* A first thread, a cache, a block of no bytes: what they map stays. */
static void settle(void)
{
    static machine_t m;
    static const uint8_t thread[MACHINE_RECORD] = {247};
    je_free(je_malloc(0));
    machine_begin(&m, true);
    machine_step(&m, thread);
    machine_end(&m);
    before.allocated = allocated_bytes();
    before.held = held_bytes();
    before.unknown = refuse_mapped_bytes() - books_known_bytes();
    (void)machine_net(&before.net);
}

static void check_end(void)
{
    int64_t net = 0;
    (void)machine_control("thread.tcache.flush", NULL, 0, NULL, 0);
    int error = machine_control("arena.4096.purge", NULL, 0, NULL, 0);
    size_t known = books_known_bytes() + before.unknown;
    size_t mapped = refuse_mapped_bytes();
    if (error != 0 || known > mapped || mapped > known + books_slack_bytes()) {
        model_complain("the library knows %zu bytes, and has mapped %zu; "
                       "%zu may be lost",
            known, mapped, books_slack_bytes());
    }
    if (!machine_net(&net)) {
        model_complain("thread.allocated cannot be read");
    }
    if (before.inputs++ % COUNT_PERIOD == 0 || API_PLANTS) {
        arena_table_check();
        size_t allocated = allocated_bytes();
        if (allocated < before.allocated ||
            allocated - before.allocated > before.held + books_slack_bytes()) {
            model_complain("stats.allocated was %zu, and is %zu",
                before.allocated, allocated);
        }
    }
}

/* For whoever must find out why. */
static void trace(const machine_t *m, const uint8_t *r)
{
    int64_t net = 0;
    if (getenv("API_TRACE") != NULL) {
        (void)machine_net(&net);
        fprintf(stderr,
            "%-24s %3u %02x %02x %02x %04x %02x %02x: %u blocks, %zu bytes, "
            "%lld off\n",
            m->operation, r[0], r[1], r[2], r[3], r[4] | r[5] << 8, r[6], r[7],
            m->model.count, m->model.live_bytes,
            (long long)(net - m->net_adjust - (int64_t)m->model.live_bytes));
    }
}

/* Whether this process runs the input, or leaves it to others. */
static bool is_mine(const uint8_t *data, size_t size)
{
    const char *share = getenv("API_SHARE");
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    return share == NULL || sum % SHARES == (unsigned)atoi(share) % SHARES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static machine_t m;
    if (!is_mine(data, size)) {
        return 0;
    }
    if (before.inputs == 0) {
        settle();
    }
    size = size < INPUT_MAX ? size : INPUT_MAX;
    machine_begin(&m, true);
    for (size_t at = 0; at + MACHINE_RECORD <= size; at += MACHINE_RECORD) {
        machine_step(&m, data + at);
        trace(&m, data + at);
    }
    machine_end(&m);
    if (model_complaint() == NULL) {
        check_end();
    }
    replay_check(model_complaint() == NULL, "the shadow model");
    return 0;
}

/* ---- inputs are changed by whole records ---- */

static size_t below(size_t limit);

static void random_record(uint8_t *r)
{
    for (unsigned i = 0; i < MACHINE_RECORD; i++) {
        r[i] = (uint8_t)below(256);
    }
}

static size_t insert(uint8_t *data, size_t n, size_t most)
{
    size_t at = below(n + 1);
    uint8_t *r = data + at * MACHINE_RECORD;
    if (n == most) {
        return n;
    }
    memmove(r + MACHINE_RECORD, r, (n - at) * MACHINE_RECORD);
    if (n > 0 && below(3) == 0) { /* another of the same kind */
        memcpy(r, data + below(n) * MACHINE_RECORD, MACHINE_RECORD);
        r[1 + below(MACHINE_RECORD - 1)] = (uint8_t)below(256);
    } else {
        random_record(r);
    }
    return n + 1;
}

static size_t take_out(uint8_t *data, size_t n)
{
    size_t at = below(n);
    uint8_t *r = data + at * MACHINE_RECORD;
    memmove(r, r + MACHINE_RECORD, (n - at - 1) * MACHINE_RECORD);
    return n - 1;
}

static void swap(uint8_t *data, size_t n)
{
    uint8_t kept[MACHINE_RECORD];
    uint8_t *a = data + below(n) * MACHINE_RECORD;
    uint8_t *b = data + below(n) * MACHINE_RECORD;
    memcpy(kept, a, MACHINE_RECORD);
    memmove(a, b, MACHINE_RECORD);
    memcpy(b, kept, MACHINE_RECORD);
}

static size_t mutate_once(uint8_t *data, size_t n, size_t most)
{
    size_t choice = below(8);
    if (n == 0 || choice < 3) {
        return insert(data, n, most);
    }
    if (choice == 3) {
        return take_out(data, n);
    }
    if (choice == 4) {
        swap(data, n);
    } else {
        data[below(n * MACHINE_RECORD)] = (uint8_t)below(256);
    }
    return n;
}

static size_t mutate(uint8_t *data, size_t size, size_t max)
{
    size_t n = size / MACHINE_RECORD;
    size_t most = (max < INPUT_MAX ? max : INPUT_MAX) / MACHINE_RECORD;
    n = n < most ? n : most;
    for (size_t times = below(6) + 1; times > 0 && most > 0; times--) {
        n = mutate_once(data, n, most);
    }
    return n * MACHINE_RECORD;
}

static void list_profiles(void)
{
    for (size_t i = 0; i < PROFILES; i++) {
        if (is_known(i)) {
            puts(profiles[i].name);
        }
    }
}

#ifdef JE_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 2 && strcmp((*argv)[1], "list") == 0) {
        list_profiles();
        exit(0);
    }
    return 0;
}

static uint64_t random_state;

static size_t below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((random_state >> 33) % limit);
}

size_t LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t max, unsigned seed)
{
    random_state = seed;
    return mutate(data, size, max);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
    const uint8_t *b, size_t b_size, uint8_t *out, size_t max, unsigned seed);

/* The front of one, and the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
    const uint8_t *b, size_t b_size, uint8_t *out, size_t max, unsigned seed)
{
    random_state = seed;
    size_t front = below(a_size / MACHINE_RECORD + 1) * MACHINE_RECORD;
    size_t skipped = below(b_size / MACHINE_RECORD + 1) * MACHINE_RECORD;
    front = front < max ? front : max / MACHINE_RECORD * MACHINE_RECORD;
    size_t rest =
        b_size - skipped < max - front ? b_size - skipped : max - front;
    memcpy(out, a, front);
    memcpy(out + front, b + skipped, rest);
    return front + rest;
}

#else

static size_t below(size_t limit)
{
    return replay_below(limit);
}

static size_t make(uint8_t *data)
{
    size_t size = replay_pick(data);
    if (below(3) == 0) {
        size = replay_splice(data, below(size + 1) & ~(size_t)7);
    }
    return mutate(data, size, INPUT_MAX);
}

static const replay_target_t target = {
    .name = "api", .input_max = INPUT_MAX, .rounds = ROUNDS, .make = make};

/* ---- each profile in a process of its own ---- */

static char **arguments;

/* All but the first take a third of the inputs each, one after the other. */
static void become_profile(void *name)
{
    char share[8];
    size_t i = 0;
    while (strcmp(profiles[i].name, name) != 0) {
        i++;
    }
    (void)snprintf(share, sizeof(share), "%zu", i % SHARES);
    if (i != 0) {
        (void)setenv("API_SHARE", share, 1);
    }
    (void)setenv("API_PROFILE", name, 1);
    test_exec_self(arguments);
}

static void run_profile(size_t profile)
{
    static test_child_t child;
    if (!is_known(profile)) {
        test_note("%s: this library does not know the option %s",
            profiles[profile].name, profiles[profile].needs);
        return;
    }
    child = test_in_child(become_profile, (void *)profiles[profile].name);
    if (child.status != 0) {
        test_note("API_PROFILE=%s: status %d: %s", profiles[profile].name,
            child.status, child.err);
    }
    EXPECT_EQ_I64(child.status, 0);
}

/* In three cases, each of which has the harness's time. */
static void run_profiles(size_t first)
{
    for (size_t i = first; i < PROFILES; i += 3) {
        run_profile(i);
    }
}

TEST(profiles_first)
{
    run_profiles(0);
}

TEST(profiles_second)
{
    run_profiles(1);
}

TEST(profiles_third)
{
    run_profiles(2);
}

/* ---- planted mistakes ---- */

/* Random inputs, of which a few must do. */
#    define PLANT_ROUNDS 30

static void run_planted(void *plant)
{
    uint8_t data[INPUT_MAX];
    uint64_t state = 12345;
    api_plant = *(plant_t *)plant;
    for (unsigned round = 0; round < PLANT_ROUNDS; round++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            data[i] = (uint8_t)(state >> 56);
        }
        (void)LLVMFuzzerTestOneInput(data, sizeof(data));
        if (model_complaint() != NULL) {
            _exit(77);
        }
    }
}

TEST(planted_mistakes)
{
    static test_child_t child;
    for (int plant = PLANT_NONE; plant < PLANT_COUNT; plant++) {
        plant_t which = (plant_t)plant;
        child = test_in_child(run_planted, &which);
        test_note("%d: %.200s", plant, child.err);
        EXPECT_EQ_I64(child.status, plant == PLANT_NONE ? 0 : 77 << 8);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        list_profiles();
        return 0;
    }
    if (API_PLANTS) {
        return test_run(TEST_CASE(planted_mistakes), NULL);
    }
    if (argc == 1 && getenv("API_PROFILE") == NULL) {
        arguments = argv + 1;
        return test_run(TEST_CASE(profiles_first), TEST_CASE(profiles_second),
            TEST_CASE(profiles_third), NULL);
    }
    return replay_main(argc, argv, &target);
}

#endif
