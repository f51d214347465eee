/*
 * What: steps of the boot that boot.c stands in for. Without their headers:
 * what they are given does not matter. The others are made by run.py.
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include <stdbool.h>

bool model_boot_heap(void);
bool model_boot_process(void);
int conf_boot(void);
bool arena_table_boot(void);
bool tsd_boot(void);

int conf_boot(void)
{
    return 0;
}

bool arena_table_boot(void)
{
    return model_boot_heap();
}

bool tsd_boot(void)
{
    return model_boot_process();
}
