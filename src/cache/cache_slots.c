/*
 * What: see cache_slots.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "cache/cache_slots.h"

#include "extent/base.h"
#include "os/mutex.h"

typedef struct free_array {
    struct free_array *next;
} free_array_t;

static struct {
    mutex_t lock;
    free_array_t *free[CACHE_SLOTS_LG_MAX + 1];
} slots_state;

void cache_slots_boot(void)
{
    mutex_init(&slots_state.lock, LOCK_RANK_CACHE_SLOTS);
}

void *cache_slots_alloc(unsigned lg)
{
    assert(lg >= CACHE_SLOTS_LG_MIN && lg <= CACHE_SLOTS_LG_MAX);
    mutex_lock(&slots_state.lock);
    free_array_t *array = slots_state.free[lg];
    if (array != NULL) {
        slots_state.free[lg] = array->next;
    }
    mutex_unlock(&slots_state.lock);
    if (array != NULL) {
        return array;
    }
    size_t bytes = sizeof(void *) << lg;
    return base_alloc(
        &base_shared, bytes, bytes < JE_CACHELINE ? bytes : JE_CACHELINE);
}

void cache_slots_free(void *slots, unsigned lg)
{
    free_array_t *array = slots;
    mutex_lock(&slots_state.lock);
    array->next = slots_state.free[lg];
    slots_state.free[lg] = array;
    mutex_unlock(&slots_state.lock);
}

void cache_slots_prefork(void)
{
    mutex_fork_drain(&slots_state.lock);
}
