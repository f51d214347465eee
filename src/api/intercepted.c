/*
 * What: finds out before main whether Valgrind put its own malloc in the
 * place of ours, by asking for a block. It does by default, in libraries and
 * programs alike; `--soname-synonyms=somalloc=nouserintercepts` keeps it from
 * that, and it cannot in programs without a dynamic linker.
 *
 * Invariants: (I1) no block of the public functions came from elsewhere
 * before: what is replaced is so from the start.
 *
 * Locking: none; there is one thread.
 */
#include "api/init.h"
#include "arena/block.h"
#include "arena/ledger.h"
#include "extent/extent_hooks.h" /* the public header, with je_ names */
#include "os/reentry.h"
#include "os/valgrind.h"
#include "thread/tsd.h"

static const ledger_public_t public_functions = {
    .malloc = je_malloc,
    .calloc = je_calloc,
    .memalign = je_memalign,
    .realloc = je_realloc,
    .usable_size = je_malloc_usable_size,
    .free = je_free,
};

/*
 * Whether a block of one byte is from Valgrind: not from us, and not from a
 * malloc of the program's own, whose neighbours may be touched. Other tools
 * than memcheck do not tell.
 */
static bool is_of_valgrind(const char *p)
{
    ledger_block_t block;
    return !ledger_find(p, &block) && block_find(p).extent == NULL &&
           (valgrind_mode == VALGRIND_OFF ||
               (valgrind_may_touch(p) && !valgrind_may_touch(p + 1)));
}

__attribute__((constructor)) static void intercepted_find_out(void)
{
    if (!valgrind_is_running() || !init_ensure()) {
        return;
    }
    reentry_enter(); /* leaves the thread's cache as it is */
    char *p = public_functions.malloc(1);
    if (p != NULL && is_of_valgrind(p)) {
        ledger_set_public(&public_functions);
        tsd_instrument();
    }
    public_functions.free(p);
    reentry_leave();
}
