/*
 * What: see prof_module.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_module.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "os/linkage.h"
#include "os/os.h"
#include "os/peek.h"
#include "prof/prof_sections.h"
#include "util/atomic.h"
#include "util/hash.h"

/* More modules than that are found anew each time. */
#define SLOTS 1024

/* What the stamp is taken of: header, segments and mostly the build id. */
#define STAMP_BYTES 768

/* Segments looked at; programs have about a dozen. */
#define SEGMENTS_MAX 32

/* Code without a module is looked up again after this time. */
#define UNKNOWN_TRUST_NS 1000000000ULL

/*
 * Time of the processor that looking up may take: a debt of at most DEBT_NS,
 * paid off at one nanosecond in DEBT_SHARE. Short stacks for a moment are
 * better than a program that reads its map all the time.
 */
#define DEBT_NS    50000000ULL
#define DEBT_SHARE 16

#define WORDS (sizeof(prof_module_t) / sizeof(uint64_t))
static_assert(sizeof(prof_module_t) % sizeof(uint64_t) == 0, "copied by words");

typedef struct {
    _Atomic uint32_t sequence; /* odd while it is written */
    _Atomic uint64_t words[WORDS];
} slot_t;

static struct {
    slot_t slots[SLOTS];
    _Atomic uint32_t used;
    _Atomic uint32_t next_id;
    _Atomic bool writing;
    _Atomic uint64_t debt_ns;
    _Atomic uint64_t debt_time_ns;
    _Atomic uintptr_t own_start;
    _Atomic uintptr_t own_end;
} modules;

/* ---- slots ---- */

static bool slot_get(slot_t *slot, prof_module_t *out)
{
    uint64_t words[WORDS];
    uint32_t before = atomic_get_acquire(&slot->sequence);
    for (unsigned i = 0; i < WORDS; i++) {
        words[i] = atomic_get_relaxed(&slot->words[i]);
    }
    atomic_thread_fence(memory_order_acquire);
    if (before % 2 != 0 || atomic_get_relaxed(&slot->sequence) != before) {
        return false;
    }
    memcpy(out, words, sizeof(*out));
    return out->id != 0;
}

static void slot_put(slot_t *slot, const prof_module_t *module)
{
    uint64_t words[WORDS];
    memcpy(words, module, sizeof(words));
    uint32_t sequence = atomic_get_relaxed(&slot->sequence);
    atomic_put_relaxed(&slot->sequence, sequence + 1);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < WORDS; i++) {
        atomic_put_relaxed(&slot->words[i], words[i]);
    }
    atomic_put_release(&slot->sequence, sequence + 2);
}

/* An id says which slot it was given for. */
static slot_t *slot_of(uint32_t id)
{
    return &modules.slots[id % SLOTS];
}

static bool begin_writing(void)
{
    return !atomic_exchange(&modules.writing, true);
}

static void end_writing(void)
{
    atomic_put_release(&modules.writing, false);
}

static void remember(prof_module_t *module)
{
    if (!begin_writing()) {
        return; /* it serves this walk, and the next one finds it again */
    }
    uint32_t id = atomic_get_relaxed(&modules.next_id) + 1;
    id += id == 0;
    atomic_put_relaxed(&modules.next_id, id);
    module->id = id;
    slot_put(slot_of(id), module);
    if (id < SLOTS && id >= atomic_get_relaxed(&modules.used)) {
        atomic_put_release(&modules.used, id + 1);
    } else if (id >= SLOTS) {
        atomic_put_release(&modules.used, SLOTS);
    }
    end_writing();
}

static void forget(const prof_module_t *module)
{
    prof_module_t now;
    if (!begin_writing()) {
        return;
    }
    if (slot_get(slot_of(module->id), &now) && now.id == module->id) {
        slot_put(slot_of(module->id), &(prof_module_t){.id = 0});
    }
    end_writing();
}

/* ---- looking at a module ---- */

size_t prof_module_read(
    const prof_module_t *module, void *to, uintptr_t addr, size_t size)
{
    bool is_code =
        addr - module->code_start < module->code_end - module->code_start;
    uintptr_t start = is_code ? module->code_start : module->data_start;
    uintptr_t end = is_code ? module->code_end : module->data_end;
    if (addr - start >= end - start) {
        return 0;
    }
    if (size > end - addr) {
        size = end - addr;
    }
    if (!module->permanent) {
        return os_peek(to, addr, size);
    }
    memcpy(to, (const void *)addr, size); /* NOLINT */
    return size;
}

JE_NOINLINE static uint64_t stamp_of(uintptr_t header)
{
    uint64_t words[STAMP_BYTES / sizeof(uint64_t)];
    uint64_t stamp = 1;
    size_t got = os_peek(words, header, sizeof(words)) / sizeof(uint64_t);
    for (size_t i = 0; i < got; i++) {
        stamp = hash_mix(stamp ^ words[i]);
    }
    return stamp;
}

static bool read_elf(uintptr_t header, ElfW(Ehdr) * elf)
{
    return os_peek(elf, header, sizeof(*elf)) == sizeof(*elf) &&
           memcmp(elf->e_ident, ELFMAG, SELFMAG) == 0 &&
           elf->e_phentsize == sizeof(ElfW(Phdr)) &&
           elf->e_phnum <= SEGMENTS_MAX;
}

static bool read_segment(uintptr_t header, const ElfW(Ehdr) * elf,
    unsigned index, ElfW(Phdr) * segment)
{
    uintptr_t at = header + elf->e_phoff + index * sizeof(*segment);
    return os_peek(segment, at, sizeof(*segment)) == sizeof(*segment);
}

/* The segment of the tables, as far as the file fills it. */
static void bound_tables(
    const ElfW(Ehdr) * elf, uintptr_t shift, prof_module_t *module)
{
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_segment(module->start, elf, i, &segment)) {
            return;
        }
        uintptr_t start = shift + segment.p_vaddr;
        if (segment.p_type == PT_LOAD &&
            module->tables - start < segment.p_filesz) {
            module->data_start = start;
            module->data_end = start + segment.p_filesz;
        }
    }
}

/* Longest name of a file that is opened for its sections. */
#define NAME_BYTES 256

typedef struct {
    uintptr_t addr;
    char name[NAME_BYTES];
} named_t;

static bool stop_at(const os_mapping_t *mapping, void *opaque)
{
    const named_t *named = opaque;
    return mapping->end <= named->addr;
}

/*
 * The tables of a module without a sorted index: one linked by a compiler
 * that leaves it out of wholly static programs, or of all.
 */
JE_NOINLINE static void find_unsorted(
    const ElfW(Ehdr) * elf, uintptr_t shift, prof_module_t *module)
{
    named_t named = {.addr = module->start};
    prof_section_t section;
    bool is_program =
        os_fixtures().program - module->start < module->end - module->start;
    if (!is_program &&
        !os_visit_mappings(stop_at, &named, named.name, sizeof(named.name))) {
        return;
    }
    if (!prof_sections_find(is_program ? "/proc/self/exe" : named.name, elf,
            ".eh_frame", &section)) {
        return;
    }
    uintptr_t at = shift + (uintptr_t)section.addr;
    if (at >= module->start && at < module->end &&
        section.size <= module->end - at) {
        module->tables = at;
        module->tables_end = at + (uintptr_t)section.size;
        module->unsorted = true;
    }
}

/* Reads the ELF header at `header`; false if it is none with `pc` in it. */
JE_NOINLINE static bool read_header(
    uintptr_t header, uintptr_t pc, prof_module_t *module)
{
    ElfW(Ehdr) elf;
    if (!read_elf(header, &elf)) {
        return false;
    }
    uintptr_t tables = 0;
    size_t tables_bytes = 0;
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < elf.e_phnum; i++) {
            ElfW(Phdr) segment;
            if (!read_segment(header, &elf, i, &segment)) {
                return false;
            }
            uintptr_t begin = segment.p_vaddr;
            uintptr_t end = begin + segment.p_memsz;
            if (segment.p_type == PT_GNU_EH_FRAME) {
                tables = begin;
                tables_bytes = segment.p_memsz;
            }
            if (segment.p_type != PT_LOAD) {
                continue;
            }
            low = low < begin ? low : begin;
            high = high > end ? high : end;
            if (pass == 1 && (segment.p_flags & PF_X) != 0 &&
                pc - (header - low + begin) < segment.p_memsz) {
                module->code_start = header - low + begin;
                module->code_end = header - low + end;
            }
        }
        low &= ~(uintptr_t)(os_page_size() - 1);
    }
    if (module->code_end == 0) {
        return false;
    }
    module->start = header;
    module->end = header + (high - low);
    module->tables = tables == 0 ? 0 : header - low + tables;
    module->tables_end = module->tables + tables_bytes;
    if (tables == 0) {
        find_unsorted(&elf, header - low, module);
    }
    bound_tables(&elf, header - low, module);
    return true;
}

static bool contains(const prof_module_t *module, uintptr_t addr)
{
    return addr - module->start < module->end - module->start;
}

static void judge(prof_module_t *module)
{
    os_fixtures_t fixed = os_fixtures();
    bool own = contains(module, (uintptr_t)&prof_module_find);
    module->permanent = own || contains(module, fixed.program) ||
                        contains(module, fixed.vdso) ||
                        contains(module, fixed.loader) ||
                        contains(module, fixed.libc) ||
                        linkage_stays(module->start, module->end);
    if (own && !contains(module, fixed.program)) {
        atomic_put_relaxed(&modules.own_end, module->end);
        atomic_put_release(&modules.own_start, module->start);
    }
    if (!module->permanent) {
        module->stamp = stamp_of(module->start);
    }
}

typedef struct {
    uintptr_t pc;
    uintptr_t header; /* the last mapping that begins a file */
    os_mapping_t around;
    bool found;
} search_t;

static bool search_visit(const os_mapping_t *mapping, void *opaque)
{
    search_t *search = opaque;
    /* Memory of the program may change its rights while it is looked at. */
    bool is_image = mapping->file || mapping->start == os_fixtures().vdso;
    if (is_image && mapping->offset == 0 && mapping->readable &&
        mapping->start <= search->pc) {
        uint32_t magic = 0;
        if (os_peek(&magic, mapping->start, sizeof(magic)) == sizeof(magic) &&
            memcmp(&magic, ELFMAG, SELFMAG) == 0) {
            search->header = mapping->start;
        }
    }
    if (search->pc < mapping->end) {
        search->found = search->pc >= mapping->start && mapping->executable;
        search->around = *mapping;
        return false;
    }
    return true;
}

/* The slow way: through the process map. */
JE_NOINLINE static bool search_maps(uintptr_t pc, prof_module_t *module)
{
    search_t search = {.pc = pc};
    if (!os_visit_mappings(search_visit, &search, NULL, 0) || !search.found) {
        return false;
    }
    memset(module, 0, sizeof(*module));
    if (search.header != 0 && read_header(search.header, pc, module)) {
        judge(module);
    } else {
        *module = (prof_module_t){.start = search.around.start,
            .end = search.around.end,
            .code_start = search.around.start,
            .code_end = search.around.end,
            .seen_ns = os_clock_ns(),
            .unknown = true};
    }
    remember(module);
    return true;
}

/* ---- build ids ---- */

/* The note of the linker in [at, end), if it is there. */
static size_t find_build_id(
    uintptr_t at, uintptr_t end, uint8_t *id, size_t max)
{
    ElfW(Nhdr) note;
    while (at < end && end - at > sizeof(note) &&
           os_peek(&note, at, sizeof(note)) == sizeof(note)) {
        char name[4];
        uintptr_t name_at = at + sizeof(note);
        uintptr_t data_at = name_at + ((note.n_namesz + 3U) & ~3U);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(name) &&
            note.n_descsz <= max &&
            os_peek(name, name_at, sizeof(name)) == sizeof(name) &&
            memcmp(name, "GNU", sizeof(name)) == 0) {
            return os_peek(id, data_at, note.n_descsz);
        }
        uintptr_t next = data_at + ((note.n_descsz + 3U) & ~3U);
        if (next <= at) {
            break;
        }
        at = next;
    }
    return 0;
}

size_t prof_module_build_id(uintptr_t header, uint8_t *id, size_t max)
{
    ElfW(Ehdr) elf;
    if (!read_elf(header, &elf)) {
        return 0;
    }
    for (unsigned i = 0; i < elf.e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_segment(header, &elf, i, &segment)) {
            return 0;
        }
        if (segment.p_type == PT_NOTE) {
            /* Notes lie in the first segment, where files are as in memory. */
            uintptr_t note = header + segment.p_offset;
            size_t got = find_build_id(note, note + segment.p_filesz, id, max);
            if (got != 0) {
                return got;
            }
        }
    }
    return 0;
}

/* ---- the budget ---- */

bool prof_module_may_search(void)
{
    uint64_t now = os_clock_precise_ns();
    uint64_t since = atomic_exchange(&modules.debt_time_ns, now);
    uint64_t paid = now > since ? (now - since) / DEBT_SHARE : 0;
    uint64_t debt = atomic_get_relaxed(&modules.debt_ns);
    debt = debt > paid ? debt - paid : 0;
    atomic_put_relaxed(&modules.debt_ns, debt);
    return debt < DEBT_NS;
}

void prof_module_spend(uint64_t ns)
{
    (void)atomic_add_relaxed(&modules.debt_ns, ns);
}

static bool search_within_budget(uintptr_t pc, prof_module_t *module)
{
    if (!prof_module_may_search()) {
        return false;
    }
    uint64_t start = os_clock_thread_ns();
    bool found = search_maps(pc, module);
    prof_module_spend(os_clock_thread_ns() - start);
    return found;
}

/* ---- interface ---- */

static bool is_still_there(const prof_module_t *module)
{
    if (module->permanent) {
        return true;
    }
    if (module->unknown) {
        return os_clock_ns() - module->seen_ns < UNKNOWN_TRUST_NS;
    }
    return stamp_of(module->start) == module->stamp;
}

bool prof_module_is_valid(uint32_t id)
{
    prof_module_t module;
    return slot_get(slot_of(id), &module) && module.id == id &&
           is_still_there(&module);
}

bool prof_module_find(uintptr_t pc, prof_module_t *module)
{
    uint32_t used = atomic_get_acquire(&modules.used);
    for (uint32_t i = 0; i < used; i++) {
        slot_t *slot = &modules.slots[i];
        if (slot_get(slot, module) &&
            pc - module->code_start < module->code_end - module->code_start) {
            if (is_still_there(module)) {
                return true;
            }
            forget(module);
        }
    }
    return search_within_budget(pc, module);
}

uintptr_t prof_module_own(uintptr_t *start)
{
    *start = atomic_get_acquire(&modules.own_start);
    return *start == 0 ? 0 : atomic_get_relaxed(&modules.own_end) - *start;
}

void prof_module_reset_for_test(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        slot_put(&modules.slots[i], &(prof_module_t){.id = 0});
    }
    atomic_put_relaxed(&modules.used, 0);
    atomic_put_relaxed(&modules.next_id, 0);
    atomic_put_relaxed(&modules.debt_ns, 0);
}
