/*
 * What: the first call of several threads at once (api/init.c): one of them
 * boots, once; the others wait and see all that it did; calls from inside are
 * served when they can be, and never wait; what failed is tried again.
 *
 * What the boot consists of is left out but for two steps: one before anything
 * can be served, and one after.
 *
 * Invariants: as in explore.h.
 *
 * Locking: none.
 */
#include "explore.h"

#include "api/init.c"

static unsigned attempts; /* ordinary: two at once are a race, too */
static unsigned failures; /* of the heap, still to come */
static unsigned heap;
static unsigned process;

/* ---- what is called, through boot_calls.c ---- */

bool model_boot_heap(void);
bool model_boot_process(void);

/* The heap is not there yet: whoever asks from here gets nothing. */
bool model_boot_heap(void)
{
    attempts++;
    MODEL_REQUIRE(!init_ensure());
    if (failures != 0) {
        failures--;
        return false;
    }
    heap++;
    return true;
}

/* From here on calls from inside are served. */
bool model_boot_process(void)
{
    MODEL_REQUIRE(init_ensure());
    process++;
    return true;
}

/* ---- models ---- */

static void setup(void)
{
    failures = 0;
}

static void setup_failing(void)
{
    failures = 1;
}

static void call(unsigned me)
{
    (void)me;
    MODEL_REQUIRE(init_ensure());
    MODEL_REQUIRE(heap == 1 && process == 1);
}

/* Who met the failure, or came after it, may call again. */
static void call_again(unsigned me)
{
    (void)me;
    if (!init_ensure()) {
        MODEL_REQUIRE(init_ensure());
    }
    MODEL_REQUIRE(heap == 1 && process == 1);
}

static void check(void)
{
    MODEL_REQUIRE(attempts == 1 && heap == 1 && init_state == INIT_READY);
}

static void check_again(void)
{
    MODEL_REQUIRE(attempts == 2 && heap == 1 && init_state == INIT_READY);
}

static const model_t models[] = {
    {"two boot", 2, setup, call, check},
    {"three boot", 3, setup, call, check},
    {"two boot, no memory at first", 2, setup_failing, call_again, check_again},
};

int main(int argc, char **argv)
{
    /* The constructor came first. */
    memset(&init_private, 0, sizeof(init_private));
    init_state = INIT_COLD;
    attempts = heap = process = 0;
    return model_main(models, sizeof(models) / sizeof(models[0]), argc, argv);
}
