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
#include "os/mutex.h"

/* log2 of the words that a tcache_t takes; its counters are 64 bits wide. */
#define TCACHE_LG_WORDS (sizeof(void *) == 8 ? 9 : 10)

static_assert(sizeof(tcache_t) <= sizeof(void *) << TCACHE_LG_WORDS,
    "a cache fits its array");

static struct {
    mutex_t lock;
    list_node_t caches;
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

void tcache_table_remove(tcache_t *tcache)
{
    mutex_lock(&table.lock);
    list_remove(&tcache->link);
    mutex_unlock(&table.lock);
}

void tcache_table_visit(
    void (*visit)(const tcache_t *tcache, void *opaque), void *opaque)
{
    mutex_lock(&table.lock);
    list_foreach (node, &table.caches) {
        visit(list_entry(node, tcache_t, link), opaque);
    }
    mutex_unlock(&table.lock);
}

size_t tcache_table_reclaim_idle(void)
{
    size_t bytes = 0;
    mutex_lock(&table.lock);
    list_foreach (node, &table.caches) {
        tcache_t *tcache = list_entry(node, tcache_t, link);
        bytes += large_cache_reclaim_idle(&tcache->large);
    }
    mutex_unlock(&table.lock);
    return bytes;
}

int tcache_table_create(arena_t *arena, unsigned *id)
{
    tcache_t *tcache = cache_slots_alloc(TCACHE_LG_WORDS);
    if (tcache == NULL) {
        return EAGAIN;
    }
    tcache_init(tcache, arena, 0);
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
    return 0;
}

int tcache_table_destroy(unsigned id)
{
    mutex_lock(&table.lock);
    tcache_t *tcache = tcache_table_lookup(id);
    if (tcache != NULL) {
        atomic_put_release(&table.explicit_caches[id], NULL);
        list_remove(&tcache->link);
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
    list_node_t *node = table.caches.next;
    while (node != &table.caches) {
        list_node_t *next = node->next;
        tcache_t *tcache = list_entry(node, tcache_t, link);
        if (tcache != own && !is_explicit(tcache)) {
            list_remove(node);
            arena_table_unbind(tcache->arena);
        }
        node = next;
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

void tcache_table_postfork_child(void)
{
    mutex_reinit(&table.lock);
}
