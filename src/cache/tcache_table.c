/*
 * What: see tcache_table.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/tcache_table.h"

#include <errno.h>

#include "arena/arena_table.h"
#include "cache/cache_slots.h"
#include "cache/tcache_steal.h"
#include "os/mutex.h"

/* log2 of the words that a tcache_t takes; its counters are 64 bits wide. */
#define TCACHE_LG_WORDS (sizeof(void *) == 8 ? 9 : 10)

static_assert(sizeof(tcache_t) <= sizeof(void *) << TCACHE_LG_WORDS,
    "a cache fits its array");

/* Caches that are looked at before others get the register's lock again. */
#define LOOKS_AT_ONCE  64
#define VISITS_AT_ONCE 16

static struct {
    mutex_t lock;
    list_node_t caches;
    uint32_t round; /* of looks at all caches */
    uint32_t visit; /* of visits to all caches */
    list_node_t *next_visit;
    bool no_barrier; /* the system has none: caches stay with their threads */
    tcache_t *_Atomic explicit_caches[TCACHE_ID_LIMIT];
    uint16_t free_ids[TCACHE_ID_LIMIT];
    unsigned free_count;
    unsigned next_id;
} table;

void tcache_table_boot(void)
{
    mutex_init(&table.lock, LOCK_RANK_TCACHE_TABLE);
    list_init(&table.caches);
}

void tcache_table_insert(tcache_t *tcache)
{
    mutex_lock(&table.lock);
    list_insert(&table.caches, &tcache->link);
    mutex_unlock(&table.lock);
}

/* A visitor that waits for the lock stays beside its place. */
static void unlink_locked(list_node_t *node)
{
    if (table.next_visit == node) {
        table.next_visit = node->next;
    }
    list_remove(node);
}

void tcache_table_remove(tcache_t *tcache)
{
    mutex_lock(&table.lock);
    unlink_locked(&tcache->link);
    tcache_settle(tcache);
    mutex_unlock(&table.lock);
}

void tcache_table_visit(
    void (*visit)(const tcache_t *tcache, void *opaque), void *opaque)
{
    mutex_lock(&table.lock);
    table.visit++;
    table.next_visit = table.caches.next;
    while (table.next_visit != &table.caches) {
        for (unsigned i = 0;
             i < VISITS_AT_ONCE && table.next_visit != &table.caches; i++) {
            tcache_t *tcache = list_entry(table.next_visit, tcache_t, link);
            table.next_visit = table.next_visit->next;
            /* Looks at all caches move them behind those not visited yet. */
            if (tcache->owner.visit != table.visit) {
                tcache->owner.visit = table.visit;
                visit(tcache, opaque);
            }
        }
        mutex_unlock(&table.lock);
        os_yield();
        mutex_lock(&table.lock);
    }
    table.next_visit = NULL;
    mutex_unlock(&table.lock);
}

mutex_stats_t tcache_table_mutex_stats(void)
{
    mutex_lock(&table.lock);
    mutex_stats_t stats = mutex_stats_read(&table.lock);
    mutex_unlock(&table.lock);
    return stats;
}

void tcache_table_reset_mutex_stats(void)
{
    mutex_lock(&table.lock);
    table.lock.stats = (mutex_stats_t){0};
    mutex_unlock(&table.lock);
}

/* ---- reclaiming ---- */

/* What a look at some caches finds. */
typedef struct {
    tcache_t *victims[TCACHE_STEAL_BATCH];
    unsigned victim_count;
    bool even_awake; /* and not those alone that sleep */
    bool again;      /* there will be something to reclaim later */
} look_t;

static void look_at(look_t *look, tcache_t *tcache)
{
    tcache_owner_t *owner = &tcache->owner;
    if (atomic_get_relaxed(&owner->claimed) && owner->emptied) {
        return;
    }
    if (owner->doors == NULL || table.no_barrier) {
        return;
    }
    if (tcache_was_active(tcache) && !look->even_awake) {
        look->again = true;
    } else if (tcache_is_worth_stealing(tcache)) {
        look->victims[look->victim_count++] = tcache;
    }
}

/* The first cache of the list that was not looked at in this round. */
static tcache_t *next_in_round(void)
{
    list_node_t *node = list_first(&table.caches);
    if (node == NULL) {
        return NULL;
    }
    tcache_t *tcache = list_entry(node, tcache_t, link);
    if (tcache->owner.round == table.round) {
        return NULL;
    }
    tcache->owner.round = table.round;
    unlink_locked(node);
    list_insert(&table.caches, node);
    return tcache;
}

/* False when the round is over. */
static bool reclaim_some_locked(bool even_awake, bool *again)
{
    look_t look = {.even_awake = even_awake};
    tcache_t *tcache = NULL;
    for (unsigned i = 0;
         i < LOOKS_AT_ONCE && look.victim_count < TCACHE_STEAL_BATCH; i++) {
        tcache = next_in_round();
        if (tcache == NULL) {
            break;
        }
        look_at(&look, tcache);
    }
    if (look.victim_count != 0) {
        if (tcache_steal(look.victims, look.victim_count)) {
            look.again = true; /* some may have been busy */
        } else {
            table.no_barrier = true;
        }
    }
    *again |= look.again;
    return tcache != NULL;
}

static bool reclaim(bool even_awake)
{
    bool again = false;
    bool more = true;
    mutex_lock(&table.lock);
    table.round++;
    mutex_unlock(&table.lock);
    while (more) {
        mutex_lock(&table.lock);
        more = reclaim_some_locked(even_awake, &again);
        mutex_unlock(&table.lock);
    }
    return again;
}

bool tcache_table_reclaim_idle(void)
{
    return reclaim(false);
}

bool tcache_table_reclaim_all_for_test(void)
{
    return reclaim(true);
}

void tcache_table_claim_all(void)
{
    mutex_lock(&table.lock);
    list_foreach (node, &table.caches) {
        tcache_t *tcache = list_entry(node, tcache_t, link);
        if (tcache->owner.doors != NULL) {
            tcache_claim(tcache);
        }
    }
    mutex_unlock(&table.lock);
}

void tcache_table_settle(tcache_t *tcache)
{
    mutex_lock(&table.lock);
    tcache_settle(tcache);
    mutex_unlock(&table.lock);
}

/* ---- explicit caches ---- */

int tcache_table_create(arena_t *arena, unsigned *id)
{
    tcache_t *tcache = cache_slots_alloc(TCACHE_LG_WORDS);
    if (tcache == NULL) {
        return EAGAIN;
    }
    tcache_init(tcache, arena, 0, NULL);
    int error = 0;
    mutex_lock(&table.lock);
    if (table.free_count != 0) {
        *id = table.free_ids[--table.free_count];
    } else if (table.next_id < TCACHE_ID_LIMIT) {
        *id = table.next_id++;
    } else {
        error = EAGAIN;
    }
    if (error == 0) {
        list_insert(&table.caches, &tcache->link);
        atomic_put_release(&table.explicit_caches[*id], tcache);
    }
    mutex_unlock(&table.lock);
    if (error != 0) {
        cache_slots_free(tcache, TCACHE_LG_WORDS);
    }
    return error;
}

tcache_t *tcache_table_lookup(unsigned id)
{
    return id < TCACHE_ID_LIMIT ? atomic_get_acquire(&table.explicit_caches[id])
                                : NULL;
}

int tcache_table_flush(unsigned id)
{
    tcache_t *tcache = tcache_table_lookup(id);
    if (tcache == NULL) {
        return EFAULT;
    }
    tcache_flush(tcache);
    /* Its arena may end now; the next thread to use it brings another. */
    tcache->arena = NULL;
    return 0;
}

int tcache_table_destroy(unsigned id)
{
    mutex_lock(&table.lock);
    tcache_t *tcache = tcache_table_lookup(id);
    if (tcache != NULL) {
        atomic_put_release(&table.explicit_caches[id], NULL);
        unlink_locked(&tcache->link);
        table.free_ids[table.free_count++] = (uint16_t)id;
    }
    mutex_unlock(&table.lock);
    if (tcache == NULL) {
        return EFAULT;
    }
    tcache_fini(tcache);
    cache_slots_free(tcache, TCACHE_LG_WORDS);
    return 0;
}

static bool is_explicit(const tcache_t *tcache)
{
    for (unsigned i = 0; i < table.next_id; i++) {
        if (atomic_get_relaxed(&table.explicit_caches[i]) == tcache) {
            return true;
        }
    }
    return false;
}

void tcache_table_keep_only(const tcache_t *own)
{
    /* A new list: unlinking each node would copy the pages of them all. */
    list_node_t *node = table.caches.next;
    list_init(&table.caches);
    while (node != &table.caches) {
        tcache_t *tcache = list_entry(node, tcache_t, link);
        node = node->next;
        if (tcache == own || is_explicit(tcache)) {
            list_insert(&table.caches, &tcache->link);
        } else {
            arena_table_unbind(tcache->arena);
        }
    }
}

JE_NO_LOCK_ANALYSIS
void tcache_table_prefork(void)
{
    mutex_lock(&table.lock);
}

JE_NO_LOCK_ANALYSIS
void tcache_table_postfork_parent(void)
{
    mutex_unlock(&table.lock);
}
