/*
 * What: which loaded program or library an address belongs to, and where its
 * unwind tables are, learnt from the process map when an address is first
 * seen. The dynamic linker is not asked: its locks may be held by whoever
 * allocates.
 *
 * Permanent modules (the executable, libc, the loader, the vDSO, ourselves)
 * are never unmapped and are read directly. All others are read through
 * os_peek, which cannot fault, and are recognised again by a stamp, so that
 * a library loaded where another one was is never mistaken for it.
 *
 * Invariants: (I1) async-signal-safe, no lock waited for, nothing allocated;
 * (I2) no byte of a module is trusted: reads are bounded by its range.
 *
 * Locking: slots are copied with sequence counters; one writer at a time,
 * who is not waited for.
 */
#ifndef JE_PROF_PROF_MODULE_H
#define JE_PROF_PROF_MODULE_H

#include "util/common.h"

typedef struct {
    uintptr_t start; /* all of it, from the ELF header on */
    uintptr_t end;
    uintptr_t code_start; /* the executable segment of the address asked for */
    uintptr_t code_end;
    uintptr_t tables; /* .eh_frame_hdr, or .eh_frame; 0 if it has neither */
    uintptr_t tables_end;
    uintptr_t data_start; /* the segment of the tables */
    uintptr_t data_end;
    uint64_t stamp;
    uint64_t seen_ns; /* code of no module: when that was found */
    uint32_t id;      /* of this entry; 0 is none */
    bool permanent;
    bool unknown;  /* mapped code without an ELF header: a JIT compiler's */
    bool unsorted; /* `tables` is .eh_frame: there is no table to search in */
} prof_module_t;

/*
 * The module around `pc`; false if there is none or it could not be found
 * now. An `unknown` range counts as found.
 */
bool prof_module_find(uintptr_t pc, prof_module_t *module);

/* The entry with that id, if it is still there and its module too. */
bool prof_module_is_valid(uint32_t id);

/*
 * Bytes of the module at `addr` that could be copied: of the two segments
 * above. Between segments there may be nothing.
 */
size_t prof_module_read(
    const prof_module_t *module, void *to, uintptr_t addr, size_t size);

/*
 * Reading tables that are not sorted counts as looking up does: whether there
 * is time left, and what was spent.
 */
bool prof_module_may_search(void);
void prof_module_spend(uint64_t ns);

/* Where the code of this library is, if it is a shared one; how many bytes. */
uintptr_t prof_module_own(uintptr_t *start);

/* Build id of the ELF file mapped at `header`; its bytes, 0 if it has none. */
size_t prof_module_build_id(uintptr_t header, uint8_t *id, size_t max);

/* Forgets everything. */
void prof_module_reset_for_test(void);

#endif
