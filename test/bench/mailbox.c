/*
 * What: producers and consumers. Every block is asked for by one thread and
 * freed by another; batches travel through a short queue.
 *
 * Invariants: (I1) as many batches are taken as were put; (I2) at most QUEUE
 * batches wait, so memory is bounded by the threads, not by their speed.
 *
 * Locking: `lock` guards the queue and the counters.
 */
#include "work.h"

#include <pthread.h>

#define QUEUE       64
#define BATCH       256
#define THREADS_MAX 64

typedef struct {
    void *blocks[BATCH];
} batch_t;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t room;
    pthread_cond_t mail;
    batch_t *waiting[QUEUE];
    unsigned first;
    unsigned count;
    uint64_t expected;
} box = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .room = PTHREAD_COND_INITIALIZER,
    .mail = PTHREAD_COND_INITIALIZER,
};

static uint64_t batches;

static void put(batch_t *batch)
{
    pthread_mutex_lock(&box.lock);
    while (box.count == QUEUE) {
        pthread_cond_wait(&box.room, &box.lock);
    }
    box.waiting[(box.first + box.count++) % QUEUE] = batch;
    pthread_cond_signal(&box.mail);
    pthread_mutex_unlock(&box.lock);
}

/* The next batch; NULL after the last. */
static batch_t *take(void)
{
    batch_t *batch = NULL;

    pthread_mutex_lock(&box.lock);
    while (box.count == 0 && box.expected != 0) {
        pthread_cond_wait(&box.mail, &box.lock);
    }
    if (box.count != 0) {
        batch = box.waiting[box.first];
        box.first = (box.first + 1) % QUEUE;
        box.count--;
        box.expected--;
        pthread_cond_signal(&box.room);
    }
    if (box.expected == 0) {
        pthread_cond_broadcast(&box.mail);
    }
    pthread_mutex_unlock(&box.lock);
    return batch;
}

static void *produce(void *arg)
{
    uint64_t state = (uintptr_t)arg;

    for (uint64_t i = 0; i < batches; i++) {
        batch_t *batch = malloc(sizeof(*batch));

        work_require(batch != NULL, "out of memory");
        for (int j = 0; j < BATCH; j++) {
            batch->blocks[j] = work_alloc(8 + work_below(&state, 500));
        }
        put(batch);
    }
    return NULL;
}

static void *consume(void *arg)
{
    batch_t *batch;

    (void)arg;
    while ((batch = take()) != NULL) {
        for (int j = 0; j < BATCH; j++) {
            work_free(batch->blocks[j]);
        }
        free(batch);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static pthread_t threads[THREADS_MAX][2];
    uint64_t pairs = work_arg(argc, argv, 1, 4);

    batches = work_arg(argc, argv, 2, 12000);
    work_require(pairs <= THREADS_MAX, "too many threads");
    box.expected = pairs * batches;
    for (uintptr_t i = 0; i < pairs; i++) {
        void *seed = (void *)(i + 1);

        work_require(
            pthread_create(&threads[i][0], NULL, produce, seed) == 0 &&
                pthread_create(&threads[i][1], NULL, consume, NULL) == 0,
            "no thread");
    }
    for (uint64_t i = 0; i < pairs; i++) {
        pthread_join(threads[i][0], NULL);
        pthread_join(threads[i][1], NULL);
    }
    return 0;
}
