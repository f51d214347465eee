/*
 * What: producers and consumers. Every block is asked for by one thread and
 * freed by another; each pair of the two has a ring of its own, and what
 * lies in it is shown to the consumer one by one or in batches.
 *
 * Invariants: (I1) the sizes taken add up to those put; (I2) at most WAITING
 * blocks of a producer wait, so memory is bounded by the threads, not by
 * their speed; (I3) an allocator's locks are the only ones.
 *
 * Locking: none: a ring has one writer of each of its ends. Who finds nothing
 * to do sleeps for a moment.
 */
#include "work.h"

#include <stdatomic.h>
#include <time.h>

#define WAITING  4096
#define NAP_NS   50000
#define SMALLEST 8
#define LARGEST  500

typedef struct {
    _Alignas(128) _Atomic uint64_t put;
    _Alignas(128) _Atomic uint64_t taken;
    _Atomic int ended;
    void **blocks;
} ring_t;

static uint64_t producers, consumers, batch, blocks, capacity;
static ring_t *rings;
static uint64_t put_bytes[WORK_THREADS], taken_bytes[WORK_THREADS];

static void nap(void)
{
    struct timespec moment = {0, NAP_NS};

    nanosleep(&moment, NULL);
}

static ring_t *ring_between(uint64_t producer, uint64_t consumer)
{
    return &rings[producer * consumers + consumer];
}

/* Fills the next `count` places of a ring, then shows them. */
static uint64_t put(ring_t *ring, uint64_t count, uint64_t *state)
{
    uint64_t at = atomic_load_explicit(&ring->put, memory_order_relaxed);
    uint64_t bytes = 0;

    while (
        at + count - atomic_load_explicit(&ring->taken, memory_order_acquire) >
        capacity) {
        nap();
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t size = SMALLEST + work_below(state, LARGEST - SMALLEST);

        ring->blocks[(at + i) % capacity] = work_alloc(size);
        bytes += size;
    }
    atomic_store_explicit(&ring->put, at + count, memory_order_release);
    return bytes;
}

static void *produce(uint64_t self)
{
    uint64_t state = self + 1, bytes = 0, next = self;

    for (uint64_t done = 0; done < blocks; done += batch) {
        uint64_t count = blocks - done < batch ? blocks - done : batch;

        bytes += put(ring_between(self, next++ % consumers), count, &state);
    }
    for (uint64_t i = 0; i < consumers; i++) {
        atomic_store(&ring_between(self, i)->ended, 1);
    }
    put_bytes[self] = bytes;
    return NULL;
}

/* Frees what a ring shows; false if that was nothing. */
static int take(ring_t *ring, uint64_t *bytes)
{
    uint64_t at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    uint64_t end = atomic_load_explicit(&ring->put, memory_order_acquire);

    if (at == end) {
        return 0;
    }
    for (; at != end; at++) {
        void *block = ring->blocks[at % capacity];

        *bytes += work_stamped(block);
        work_free(block);
    }
    atomic_store_explicit(&ring->taken, end, memory_order_release);
    return 1;
}

static void *consume(uint64_t self)
{
    uint64_t bytes = 0;
    int found, ended;

    do {
        found = 0;
        ended = 1;
        for (uint64_t i = 0; i < producers; i++) {
            ring_t *ring = ring_between(i, self);

            ended &= atomic_load(&ring->ended);
            found |= take(ring, &bytes);
        }
        if (!found && !ended) {
            nap();
        }
    } while (found || !ended);
    taken_bytes[self] = bytes;
    return NULL;
}

static void *work(void *number)
{
    uint64_t self = (uintptr_t)number;

    return self < producers ? produce(self) : consume(self - producers);
}

int main(int argc, char **argv)
{
    uint64_t bytes;

    producers = work_arg(argc, argv, 1, 1);
    consumers = work_arg(argc, argv, 2, 1);
    batch = work_arg(argc, argv, 3, 1);
    blocks = work_arg(argc, argv, 4, 10000000) / producers;
    capacity = WAITING / consumers;
    work_require(batch <= capacity, "a batch does not fit a ring");
    rings = aligned_alloc(128, producers * consumers * sizeof(*rings));
    work_require(rings != NULL, "out of memory");
    memset(rings, 0, producers * consumers * sizeof(*rings));
    for (uint64_t i = 0; i < producers * consumers; i++) {
        rings[i].blocks = work_get(capacity * sizeof(void *));
    }
    work_threads(producers + consumers, work);
    bytes = work_sum(put_bytes, producers);
    work_require(bytes == work_sum(taken_bytes, consumers),
        "blocks were lost on their way");
    for (uint64_t i = 0; i < producers * consumers; i++) {
        free(rings[i].blocks);
    }
    free(rings);
    return work_report(blocks * producers, bytes);
}
