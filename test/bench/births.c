/*
 * What: threads are born, allocate a little, and die, a few at a time. Half
 * of what they allocate is left to the first thread, which frees it.
 *
 * Invariants: (I1) what a thread leaves behind is what it promised.
 *
 * Locking: none; a thread's blocks are looked at after it was joined.
 */
#include "work.h"

#define GROUP 8
#define TAKES 60

static void *left[GROUP][TAKES / 2];
static uint64_t generation;

static size_t size_of(uint64_t self, uint64_t i)
{
    return 8 + (self * 131 + i * 67 + generation) % 1500;
}

static void *live(void *number)
{
    uintptr_t self = (uintptr_t)number;

    for (uint64_t i = 0; i < TAKES / 2; i++) {
        void *mine = work_alloc(size_of(self, i));

        left[self][i] = work_alloc(size_of(self + 1, i));
        work_free(mine);
    }
    return NULL;
}

static uint64_t bury(void)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < GROUP; i++) {
        for (uint64_t j = 0; j < TAKES / 2; j++) {
            size_t size = work_stamped(left[i][j]);

            work_require(size == size_of(i + 1, j), "not what was left");
            sum += size;
            work_free(left[i][j]);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    uint64_t births = work_arg(argc, argv, 1, 12000);
    uint64_t sum = 0;

    for (generation = 0; generation < births / GROUP; generation++) {
        work_threads(GROUP, live);
        sum += bury();
    }
    return work_report(births / GROUP * GROUP * TAKES, sum);
}
