/*
 * What: a server whose connections outlive its threads. Each worker holds a
 * table of blocks and replaces random ones; after a while it starts its
 * successor, hands the table over and ends, so that most blocks are freed
 * by another thread than the one that asked for them.
 *
 * Invariants: (I1) a table has one owner at a time; (I2) the work is fixed:
 * WORKERS lines of GENERATIONS threads with REPLACED blocks each.
 *
 * Locking: `lock` guards `running` and `sum`; tables need none (I1).
 */
#include "work.h"

#define TABLE    2000
#define REPLACED 60000
#define SMALLEST 8
#define LARGEST  1000

typedef struct {
    uint64_t state;
    uint64_t generations;
    uint64_t bytes;
    void *blocks[TABLE];
} line_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static uint64_t running;
static uint64_t sum; /* Guarded by lock. */

static size_t some_size(line_t *line)
{
    return SMALLEST + work_below(&line->state, LARGEST - SMALLEST);
}

static void finish(line_t *line)
{
    for (int i = 0; i < TABLE; i++) {
        work_free(line->blocks[i]);
    }
    pthread_mutex_lock(&lock);
    sum += line->bytes;
    running--;
    pthread_cond_signal(&ended);
    pthread_mutex_unlock(&lock);
    free(line);
}

static void *serve(void *arg);

static void start(line_t *line)
{
    pthread_t thread;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    work_require(pthread_create(&thread, &attr, serve, line) == 0, "no thread");
    pthread_attr_destroy(&attr);
}

static void *serve(void *arg)
{
    line_t *line = arg;

    for (int i = 0; i < REPLACED; i++) {
        void **slot = &line->blocks[work_below(&line->state, TABLE)];

        size_t size = some_size(line);

        work_free(*slot);
        *slot = work_alloc(size);
        line->bytes += size;
    }
    if (--line->generations == 0) {
        finish(line);
    } else {
        start(line);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t workers = work_arg(argc, argv, 1, 8);
    uint64_t generations = work_arg(argc, argv, 2, 100);

    running = workers;
    for (uint64_t i = 0; i < workers; i++) {
        line_t *line = calloc(1, sizeof(*line));

        work_require(line != NULL, "out of memory");
        line->state = i + 1;
        line->generations = generations;
        start(line);
    }
    pthread_mutex_lock(&lock);
    while (running != 0) {
        pthread_cond_wait(&ended, &lock);
    }
    pthread_mutex_unlock(&lock);
    return work_report(workers * generations * REPLACED, sum);
}
