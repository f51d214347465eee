/*
 * What: see books.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "books.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena_table.h"
#include "extent/extent_map.h"
#include "harness.h"
#include "os/os.h"
#include "refuse.h"
#include "stats/snapshot.h"

static void add_arena(arena_t *arena, void *opaque)
{
    size_t *sum = opaque;
    page_store_t *ps = &arena->pages;
    mutex_lock(&ps->lock);
    *sum += atomic_get_relaxed(&ps->active_bytes) + ps->guard_bytes +
            ps->abandoned_bytes;
    for (page_set_t set = 0; set < PAGE_SET_COUNT; set++) {
        *sum += ps->sets[set].bytes;
    }
    mutex_unlock(&ps->lock);
    mutex_lock(&arena->base.lock);
    *sum += arena->base.mapped_bytes;
    mutex_unlock(&arena->base.lock);
}

/* The copy of all counters that controls read. */
static size_t snapshot_bytes(void)
{
    size_t bytes = 0;
    snapshot_lock();
    (void)snapshot_memory_locked(&bytes);
    snapshot_unlock();
    return bytes;
}

size_t books_known_bytes(void)
{
    size_t sum =
        base_shared.mapped_bytes + page_store_orphan_bytes() + snapshot_bytes();
    arena_table_visit(add_arena, &sum);
    for (size_t i = 0; i < MAP_ROOT_COUNT; i++) {
        if (atomic_get_relaxed(&extent_map_root[i]) != 0) {
            sum += bits_round_up(EXTENT_MAP_LEAF_BYTES, os_page_size());
        }
    }
    return sum;
}

/* The next line of a file, without allocation; NULL at the end. */
static char *next_line(int fd, char *buffer, size_t bytes, size_t *have)
{
    char *end;
    while ((end = memchr(buffer, '\n', *have)) == NULL) {
        ssize_t got = read(fd, buffer + *have, bytes - *have);
        if (got <= 0) {
            return NULL;
        }
        *have += (size_t)got;
    }
    *end = '\0';
    return end + 1;
}

size_t books_kernel_bytes(void)
{
    static char buffer[4096];
    size_t have = 0;
    size_t sum = 0;
    char *rest;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    while ((rest = next_line(fd, buffer, sizeof(buffer), &have)) != NULL) {
        char *after;
        uintptr_t low = strtoull(buffer, &after, 16);
        uintptr_t high = strtoull(after + 1, NULL, 16);
        bool is_file = strchr(buffer, '/') != NULL;
        bool is_special = strchr(buffer, '[') != NULL;
        if (!is_file && (!is_special || strstr(buffer, "[heap]") != NULL)) {
            sum += high - low;
        }
        have -= (size_t)(rest - buffer);
        memmove(buffer, rest, have);
    }
    close(fd);
    return sum;
}

size_t books_slack_bytes(void)
{
    return refuse_kept_bytes() + refuse_break_moves() * os_page_size();
}
