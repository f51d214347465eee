/*
 * What: the lock of os/mutex.h in all orders: one thread at a time, nobody
 * sleeps for ever, what was done under it is seen by the next; and the gate
 * that fork closes.
 *
 * Invariants: as in explore.h.
 *
 * Locking: none.
 */
#include "explore.h"

#include "os/mutex.h"
#include "os/os.h"

static mutex_t lock;
static unsigned inside; /* ordinary: two at once are a race, too */
static unsigned entered;

static void pass(void)
{
    mutex_lock(&lock);
    entered++;
    inside++;
    MODEL_REQUIRE(inside == 1);
    inside--;
    mutex_unlock(&lock);
}

static void setup(void)
{
    mutex_boot(0);
    mutex_init(&lock, LOCK_RANK_BIN);
}

static void setup_spinning(void)
{
    mutex_boot(1);
    mutex_init(&lock, LOCK_RANK_BIN);
}

static void pass_once(unsigned me)
{
    (void)me;
    pass();
}

static void pass_twice(unsigned me)
{
    (void)me;
    pass();
    pass();
}

static void two_passed(void)
{
    MODEL_REQUIRE(entered == 2 && lock.word == 0 && lock.waiters == 0);
}

static void three_passed(void)
{
    MODEL_REQUIRE(entered == 3 && lock.word == 0 && lock.waiters == 0);
}

static void four_passed(void)
{
    MODEL_REQUIRE(entered == 4 && lock.word == 0 && lock.waiters == 0);
}

/* Who cannot have it does something else. */
static void pass_or_try(unsigned me)
{
    if (me == 0) {
        pass();
    } else if (mutex_trylock(&lock)) {
        entered++;
        inside++;
        MODEL_REQUIRE(inside == 1);
        inside--;
        mutex_unlock(&lock);
    } else {
        entered += 0U;
    }
}

static void one_or_two_passed(void)
{
    MODEL_REQUIRE((entered == 1 || entered == 2) && lock.word == 0);
}

/* Thread 0 forks: between begin and end what the lock guards is its own. */
static void fork_or_pass(unsigned me)
{
    if (me != 0) {
        pass();
        return;
    }
    mutex_fork_begin();
    mutex_fork_drain(&lock);
    inside++;
    entered++;
    MODEL_REQUIRE(inside == 1);
    inside--;
    mutex_fork_end();
}

static const model_t models[] = {
    {"two threads lock", 2, setup, pass_once, two_passed},
    {"two threads lock twice", 2, setup, pass_twice, four_passed},
    {"two threads spin", 2, setup_spinning, pass_twice, four_passed},
    {"three threads lock", 3, setup, pass_once, three_passed},
    {"one locks, one tries", 2, setup, pass_or_try, one_or_two_passed},
    {"one forks, one locks", 2, setup, fork_or_pass, two_passed},
    {"one forks, two lock", 3, setup, fork_or_pass, three_passed},
};

int main(int argc, char **argv)
{
    return model_main(models, sizeof(models) / sizeof(models[0]), argc, argv);
}
