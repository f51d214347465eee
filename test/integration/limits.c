/*
 * What: the library at the limits of its address space: few mappings
 * whatever is freed, all of a small RLIMIT_AS usable again and again, also by
 * other threads and for other sizes, and a process that may not have another
 * mapping.
 *
 * Invariants: each case that sets a limit runs in a process of its own; what
 * blocks hold is checked before they are freed.
 *
 * Locking: none; one thread at a time.
 */
#include "harness.h"
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * As short of memory as a program can be; four arenas whatever the CPUs.
 * Programs of 32 bits do not retain unless told to.
 */
const char *malloc_conf = "narenas:4,junk:false,abort:false,retain:true";

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ---- the kernel's view ---- */

typedef struct {
    unsigned count;      /* mappings */
    size_t bytes;        /* of addresses */
    size_t usable_bytes; /* of private memory that may be written */
} mappings_t;

static void add_mapping(mappings_t *all, const char *line)
{
    char *after;
    uintptr_t low = strtoull(line, &after, 16);
    uintptr_t high = strtoull(after + 1, &after, 16);
    all->count++;
    all->bytes += high - low;
    if (after[2] == 'w' && after[4] == 'p') {
        all->usable_bytes += high - low;
    }
}

/* Reads the list of mappings without allocating. */
static mappings_t mappings(void)
{
    char buffer[8192];
    size_t have = 0;
    ssize_t got;
    mappings_t all = {0, 0, 0};
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    while ((got = read(fd, buffer + have, sizeof(buffer) - have)) > 0) {
        have += (size_t)got;
        char *line = buffer;
        char *end;
        while ((end = memchr(line, '\n', have)) != NULL) {
            *end = '\0';
            add_mapping(&all, line);
            have -= (size_t)(end + 1 - line);
            line = end + 1;
        }
        memmove(buffer, line, have);
    }
    close(fd);
    return all;
}

static bool sanitized(void)
{
    const char *flags = getenv("JE_SANITIZER");
    return flags != NULL && *flags != '\0';
}

static void purge(void)
{
    EXPECT_EQ_I64(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0), 0);
    EXPECT_EQ_I64(mallctl("arena.4096.purge", NULL, NULL, NULL, 0), 0);
}

/* ---- few mappings ---- */

#define SCATTERED 20000

static void scatter(void *argument)
{
    size_t size = *(const size_t *)argument;
    static char *blocks[SCATTERED];
    for (unsigned i = 0; i < SCATTERED; i++) {
        blocks[i] = malloc(size);
        REQUIRE(blocks[i] != NULL);
        *blocks[i] = (char)i;
    }
    for (unsigned i = 0; i < SCATTERED; i += 2) {
        free(blocks[i]);
    }
    purge();
    EXPECT_LT_U64(mappings().count, 100);
    for (unsigned i = 1; i < SCATTERED; i += 2) {
        EXPECT_EQ_I64(*blocks[i], (char)i);
        if (i % 200 != 1) {
            free(blocks[i]);
        }
    }
    purge();
    EXPECT_LT_U64(mappings().count, 200);
    for (unsigned i = 1; i < SCATTERED; i += 200) {
        EXPECT_EQ_I64(*blocks[i], (char)i);
        free(blocks[i]);
    }
    purge();
    EXPECT_LT_U64(mappings().count, 100);
}

static void run_child(void (*run)(void *), void *argument)
{
    static test_child_t child;
    child = test_in_child(run, argument);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

TEST(scattered_frees_make_few_mappings)
{
    static const size_t sizes[] = {16 * KIB, 64 * KIB, 256 * KIB};
    if (sizeof(void *) < 8 || sanitized()) {
        test_skip("needs 5 GiB of addresses");
    }
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        run_child(scatter, &size);
    }
}

/* What is retained may not be written: no dump has it, no limit counts it. */
static void retain(void *argument)
{
    (void)argument;
    enum { COUNT = 96 };
    char *blocks[COUNT];
    size_t before = mappings().usable_bytes;
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = malloc(MIB);
        REQUIRE(blocks[i] != NULL);
        memset(blocks[i], 1, MIB);
    }
    EXPECT_GE_U64(mappings().usable_bytes, before + COUNT * MIB);
    for (unsigned i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
    purge();
    mappings_t now = mappings();
    EXPECT_LE_U64(now.usable_bytes, before + COUNT * MIB / 2);
    EXPECT_GE_U64(now.bytes, before + COUNT * MIB);
    /* And it can be had again, as zeros. */
    char *again = calloc(COUNT / 2, MIB);
    REQUIRE(again != NULL);
    for (size_t at = 0; at < COUNT / 2 * MIB; at += 4096) {
        EXPECT_EQ_I64(again[at], 0);
        again[at] = 1;
    }
    EXPECT_LE_U64(mappings().bytes, now.bytes + 60 * MIB);
    free(again);
}

TEST(retained_memory_is_given_up)
{
    run_child(retain, NULL);
}

/* ---- RLIMIT_AS ---- */

typedef struct link {
    struct link *next;
    size_t size;
} link_t;

/* Takes blocks of a size until there is no more; the bytes taken. */
static size_t fill(link_t **first, size_t size)
{
    size_t sum = 0;
    link_t *link;
    errno = 0;
    while ((link = malloc(size)) != NULL) {
        *link = (link_t){*first, size};
        ((char *)link)[size - 1] = (char)size;
        *first = link;
        sum += size;
    }
    EXPECT_EQ_I64(errno, ENOMEM);
    return sum;
}

static void empty(link_t **first)
{
    while (*first != NULL) {
        link_t *link = *first;
        EXPECT(link->size <= sizeof(*link) ||
               ((char *)link)[link->size - 1] == (char)link->size);
        *first = link->next;
        free(link);
    }
}

static void limit_addresses(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void need_limits(void)
{
    if (sanitized()) {
        test_skip("sanitizers need an address space of their own");
    }
    if (test_is_emulated()) {
        test_skip("the emulator limits no addresses");
    }
}

#define ROOM (96 * MIB)

static const size_t fill_sizes[] = {MIB, 64, 20 * KIB, 3000, 200 * KIB,
    16 * MIB, 5000, 8 * MIB, 100 * KIB, 1000};

/* Fills and empties with one size after the other; the worst is at [1]. */
static void *fill_in_turns(void *argument)
{
    size_t *sums = argument;
    link_t *blocks = NULL;
    for (unsigned i = 0; i < sizeof(fill_sizes) / sizeof(fill_sizes[0]); i++) {
        size_t sum = fill(&blocks, fill_sizes[i]);
        sums[0] = sum > sums[0] ? sum : sums[0];
        sums[1] = sum < sums[1] ? sum : sums[1];
        empty(&blocks);
    }
    return NULL;
}

static void in_turns(void *argument)
{
    (void)argument;
    size_t sums[2] = {0, SIZE_MAX};
    limit_addresses(mappings().bytes + ROOM);
    for (unsigned round = 0; round < 2; round++) {
        (void)fill_in_turns(sums);
    }
    /* What was mapped and not used before comes on top. */
    EXPECT_LE_U64(sums[0], ROOM / 10 * 11);
    EXPECT_GE_U64(sums[0], ROOM / 10 * 8);
    /* Small blocks have headers and slabs to share it with. */
    EXPECT_GE_U64(sums[1], ROOM / 10 * 6);
}

TEST(all_of_a_small_address_space_for_each_size)
{
    need_limits();
    run_child(in_turns, NULL);
}

static void by_threads(void *argument)
{
    (void)argument;
    size_t sums[2] = {0, SIZE_MAX};
    limit_addresses(mappings().bytes + ROOM);
    for (unsigned i = 0; i < 6; i++) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 * KIB);
        REQUIRE(pthread_create(&thread, &attributes, fill_in_turns, sums) == 0);
        pthread_join(thread, NULL);
    }
    EXPECT_GE_U64(sums[0], ROOM / 10 * 8);
    EXPECT_GE_U64(sums[1], ROOM / 10 * 6);
}

TEST(what_other_arenas_retain_is_had)
{
    need_limits();
    run_child(by_threads, NULL);
}

/* A request that no process can serve takes nothing from what is kept. */
TEST(absurd_requests_cost_nothing)
{
    size_t before;
    size_t after;
    size_t length = sizeof(before);
    uint64_t epoch = 1;
    volatile size_t absurd = SIZE_MAX / 8 * 7; /* compilers would complain */
    free(malloc(40 * MIB));
    free(malloc(6 * MIB));
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    REQUIRE(mallctl("stats.retained", &before, &length, NULL, 0) == 0);
    EXPECT_EQ_PTR(malloc(absurd), NULL);
    EXPECT_EQ_I64(errno, ENOMEM);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    REQUIRE(mallctl("stats.retained", &after, &length, NULL, 0) == 0);
    EXPECT_GE_U64(after, before);
}

/* ---- vm.max_map_count ---- */

#define OTHERS ((size_t)80000)

/* Takes all mappings that the process may have; a page each. */
static char *take_all_mappings(size_t page)
{
    char *p = mmap(NULL, OTHERS * page, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    for (size_t i = 1; i < OTHERS; i += 2) {
        if (mprotect(p + i * page, page, PROT_READ) != 0) {
            EXPECT_EQ_I64(errno, ENOMEM);
            return p;
        }
    }
    munmap(p, OTHERS * page);
    return NULL;
}

/* All sizes in turns, freed in between; the requests that failed. */
static unsigned churn(void)
{
    static char *live[256];
    static size_t sizes[256];
    unsigned failed = 0;
    uint64_t random = 1;
    for (unsigned i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned slot = (unsigned)(random >> 40) % 256;
        if (live[slot] != NULL) {
            EXPECT_EQ_I64(live[slot][0], (char)slot);
            EXPECT_EQ_I64(live[slot][sizes[slot] - 1], (char)slot);
            free(live[slot]);
        }
        sizes[slot] = (size_t)1 + (random >> 20) % ((size_t)16 << (slot % 18));
        live[slot] = slot % 32 == 0 ? aligned_alloc(64 * KIB, sizes[slot])
                                    : malloc(sizes[slot]);
        if (live[slot] == NULL) {
            failed++;
            continue;
        }
        live[slot][0] = live[slot][sizes[slot] - 1] = (char)slot;
        if (i % 1000 == 0) {
            purge();
        }
    }
    for (unsigned slot = 0; slot < 256; slot++) {
        free(live[slot]);
        live[slot] = NULL;
    }
    purge();
    return failed;
}

static void without_mappings(void *argument)
{
    (void)argument;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    EXPECT_EQ_U64(churn(), 0);
    char *others = take_all_mappings(page);
    if (others == NULL) {
        _exit(77);
    }
    unsigned failed = churn();
    EXPECT_EQ_U64(failed, 0); /* all can be had of what is retained */
    char *larger = malloc(200 * MIB);
    if (larger != NULL) {
        larger[0] = larger[200 * MIB - 1] = 1;
        free(larger);
    }
    (void)churn();
    munmap(others, OTHERS * page);
    EXPECT_EQ_U64(churn(), 0);
    larger = malloc(200 * MIB);
    EXPECT_NE_PTR(larger, NULL);
    free(larger);
    EXPECT_LT_U64(mappings().count, 150);
}

TEST(a_process_that_may_not_have_another_mapping)
{
    static test_child_t child;
    if (sizeof(void *) < 8 || sanitized()) {
        test_skip("needs 80,000 pages of addresses, and mappings of its own");
    }
    if (test_is_emulated()) {
        /* qemu-user 7.2 calls g_malloc0 for ever when it gets none. */
        test_skip("the emulator needs mappings of its own");
    }
    child = test_in_child(without_mappings, NULL);
    if (child.status == 77 << 8) {
        test_skip("this kernel allows more mappings than the test makes");
    }
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

int main(void)
{
    return test_run(TEST_CASE(scattered_frees_make_few_mappings),
        TEST_CASE(retained_memory_is_given_up),
        TEST_CASE(all_of_a_small_address_space_for_each_size),
        TEST_CASE(what_other_arenas_retain_is_had),
        TEST_CASE(absurd_requests_cost_nothing),
        TEST_CASE(a_process_that_may_not_have_another_mapping), NULL);
}
