/*
 * What: a thread allocates and frees through its door while another empties
 * its cache, in all orders: the fast path, the slow calls, claiming, stealing
 * and settling of cache/ and thread/ as they are. Each block is at each moment
 * cached, in use or at home.
 *
 * Invariants: as in explore.h.
 *
 * Locking: none.
 */
#include "explore.h"

/* For the register's lock. */
#include "cache/tcache_table.c"
#include "thread/tsd.h"

/* One class that the fast path pops, and one that it only pushes. */
#define POPPED 1
#define PUSHED 2
#define SLOTS  8 /* the last one is the sentinel */

#define UNSEEN __attribute__((no_sanitize("thread"))) static

static tsd_t record;
static unsigned class;
static void *slots[SLOTS];

typedef enum { NOWHERE, CACHED, USED, HOME } place_t;

static char blocks[SLOTS];
static place_t places[SLOTS];

UNSEEN void move(const void *block, place_t from, place_t to)
{
    size_t i = (size_t)((const char *)block - blocks);
    model_require(i < SLOTS, "not a block");
    model_require(places[i] == from, from == USED ? "free of what is not in use"
                                     : to == USED
                                         ? "allocation of what is not cached"
                                         : "steal of what is not cached");
    places[i] = to;
}

/* ---- below the cache ---- */

void block_flush(arena_t *arena, unsigned class_byte, void *const *ptrs,
    unsigned count, uint64_t requests)
{
    (void)arena;
    (void)class_byte;
    (void)requests;
    for (unsigned i = 0; i < count; i++) {
        move(ptrs[i], CACHED, HOME);
    }
}

void large_cache_flush_clean(large_cache_t *cache)
{
    (void)cache;
}

void large_cache_flush(large_cache_t *cache)
{
    (void)cache;
}

void arena_note_requests(
    arena_t *arena, unsigned class_byte, unsigned shard, uint64_t requests)
{
    (void)arena;
    (void)class_byte;
    (void)shard;
    (void)requests;
}

/* A block that was never given out. */
static void *fresh(unsigned i)
{
    void *block = &blocks[SLOTS - 1 - i];
    move(block, NOWHERE, USED);
    return block;
}

/* ---- the owner ---- */

static void *take(unsigned i)
{
    void *p = class == POPPED ? cache_bins_pop(tsd_door, class) : NULL;
    if (p == NULL) {
        tsd_enter(&record);
        p = cache_bins_pop(&record.tcache.bins, class);
        tsd_leave(&record);
    }
    if (p == NULL) {
        return fresh(i);
    }
    move(p, CACHED, USED);
    return p;
}

static void give(void *p)
{
    move(p, USED, CACHED);
    if (cache_bins_push(tsd_doors[CACHE_DOOR_GIVE], class, p)) {
        return;
    }
    tsd_enter(&record);
    if (!cache_bins_push(&record.tcache.bins, class, p)) {
        tcache_return(&record.tcache, class, &p, 1);
    }
    tsd_leave(&record);
}

/* The slow calls that do most: everything goes home, or more comes. */
static void flush(void)
{
    tsd_enter(&record);
    tcache_flush(&record.tcache);
    tsd_leave(&record);
}

static void refill(void)
{
    tcache_bin_t *cold = &record.tcache.cold[class];
    tsd_enter(&record);
    for (unsigned i = 0; i < 2; i++) {
        void *p = fresh(i);
        move(p, USED, CACHED);
        MODEL_REQUIRE(cache_bins_push(&record.tcache.bins, class, p));
    }
    cold->batch = 2;
    tsd_leave(&record);
}

static void fill(unsigned of_class, unsigned count)
{
    class = of_class;
    record.tcache.max_class = class;
    tcache_t *tcache = &record.tcache;
    tcache_bin_t *cold = &tcache->cold[class];
    tcache->bins = cache_bins_closed;
    cold->bottom = &slots[SLOTS - 1];
    cold->capacity = SLOTS - 1;
    tcache->bins.heads[class] = cold->bottom - count;
    tcache->bins.limits[class] = slots;
    for (unsigned i = 0; i < count; i++) {
        tcache->bins.heads[class][i] = &blocks[i];
        places[i] = CACHED;
    }
    tcache->owner.doors = tsd_doors;
    tcache_table_boot();
    mutex_boot(0);
    record.tcache_enabled = true;
    tsd_self = &record;
    tsd_open_door();
    model_racy(tsd_doors, sizeof(tsd_doors));
    model_racy(&tcache->bins.heads[class], sizeof(void *));
    model_racy(slots, sizeof(slots));
    /* A count for statistics, which the thief tells the arena. */
    model_racy(&tcache->bins.requests[class], sizeof(uint64_t));
}

/* ---- the thief, who does not come to an empty cache, as in look_at ---- */

static void steal(void)
{
    tcache_t *victim = &record.tcache;
    tcache_owner_t *owner = &victim->owner;
    mutex_lock(&table.lock);
    if (!atomic_get_relaxed(&owner->claimed) || !owner->emptied) {
        MODEL_REQUIRE(tcache_steal(&victim, 1));
    }
    mutex_unlock(&table.lock);
}

/* In the end the owner settles; then each cached block is there once. */
static void check(void)
{
    tcache_t *tcache = &record.tcache;
    tcache_settle(tcache);
    unsigned held = 0;
    for (void **slot = tcache->bins.heads[class];
         slot < tcache->cold[class].bottom; slot++) {
        model_require(*slot != NULL, "a gap in a settled stack");
        if (*slot != NULL) {
            move(*slot, CACHED, NOWHERE);
            held++;
        }
    }
    model_require(held == tcache_cached(tcache, class), "a wrong count");
    for (unsigned i = 0; i < SLOTS; i++) {
        model_require(places[i] != CACHED, "a lost block");
    }
    model_require(tcache->cold[class].stolen == 0, "stolen after settling");
    model_require(*tcache->cold[class].bottom == NULL, "no sentinel");
}

/* ---- models ---- */

static void setup_three(void)
{
    fill(POPPED, 3);
}

static void setup_one(void)
{
    fill(POPPED, 1);
}

static void setup_pushed(void)
{
    fill(PUSHED, 3);
}

static void take_one(unsigned me)
{
    if (me == 0) {
        (void)take(0);
    } else {
        steal();
    }
}

static void take_two(unsigned me)
{
    if (me == 0) {
        (void)take(0);
        (void)take(1);
    } else {
        steal();
    }
}

static void give_one(unsigned me)
{
    if (me == 0) {
        give(fresh(0));
    } else {
        steal();
    }
}

static void take_and_give(unsigned me)
{
    if (me == 0) {
        give(take(0));
    } else {
        steal();
    }
}

static void give_and_take(unsigned me)
{
    if (me == 0) {
        give(fresh(0));
        (void)take(1);
    } else {
        steal();
    }
}

static void flush_all(unsigned me)
{
    if (me == 0) {
        flush();
    } else {
        steal();
    }
}

static void refill_and_take(unsigned me)
{
    if (me == 0) {
        refill();
        (void)take(2);
    } else {
        steal();
    }
}

static void shut_and_open(unsigned me)
{
    if (me == 0) {
        tsd_shut_door();
        tsd_open_door();
        (void)take(0);
        (void)take(1);
    } else {
        steal();
    }
}

static void stolen_twice(unsigned me)
{
    if (me == 0) {
        (void)take(0);
    } else {
        steal();
        steal();
    }
}

static void two_thieves(unsigned me)
{
    if (me == 0) {
        (void)take(0);
    } else {
        steal();
    }
}

static const model_t models[] = {
    {"take, steal", 2, setup_three, take_one, check},
    {"give, steal", 2, setup_three, give_one, check},
    {"take two, steal", 2, setup_three, take_two, check},
    {"take of one, steal", 2, setup_one, take_two, check},
    {"take and give, steal", 2, setup_three, take_and_give, check},
    {"give and take, steal", 2, setup_three, give_and_take, check},
    {"flush, steal", 2, setup_three, flush_all, check},
    {"refill and take, steal", 2, setup_three, refill_and_take, check},
    {"shut, open and take, steal", 2, setup_three, shut_and_open, check},
    {"give of a class only pushed, steal", 2, setup_pushed, give_one, check},
    {"give and take of it, steal", 2, setup_pushed, give_and_take, check},
    {"take, steal twice", 2, setup_three, stolen_twice, check},
    {"take, two thieves", 3, setup_three, two_thieves, check},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < SC_LOOKUP_COUNT; i++) {
        sizeclass_table[i] = 1;
    }
    return model_main(models, sizeof(models) / sizeof(models[0]), argc, argv);
}
