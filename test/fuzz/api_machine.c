/*
 * What: see api_machine.h; here the blocks: calls that allocate, resize and
 * free.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "api_machine.h"

#include <errno.h>
#include <string.h>

#include "api_cxx.h"
#include "api_plant.h"
#include "arena/guarded.h"
#include "conf/sizeclass.h"

/* The header has it only where libc has it too. */
void *je_pvalloc(size_t size);

#ifdef __GLIBC__
void *je_reallocarray(void *ptr, size_t num, size_t size);
#else
/* Elsewhere libc has it, and asks for realloc. */
static void *je_reallocarray(void *ptr, size_t num, size_t size)
{
    if (size != 0 && num > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return je_realloc(ptr, num * size);
}
#endif

#define PAGE_BYTES ((size_t)4096)
#define SMALL_MAX  ((size_t)14336)
#define LARGE_MIN  ((size_t)16384)
/* From this size or alignment on nobody need have memory. */
#define VAST_BYTES ((size_t)1 << 30)

/* Evaluates a call, with an errno that shows whether it changes. */
#define CALL(expression) (errno = MACHINE_ERRNO, (expression))

atomic_bool machine_refusing;

/* ---- what a record means ---- */

static size_t number16(const uint8_t *bytes)
{
    return bytes[0] | (size_t)bytes[1] << 8;
}

static size_t special_size(size_t n)
{
    static const size_t sizes[] = {0, 1, SIZE_MAX, SIZE_MAX - 1,
        SIZE_MAX - 4095, SIZE_MAX - 4096, SIZE_MAX / 2, SIZE_MAX / 2 + 1,
        SIZE_MAX / 16 * 7 + 8, SIZE_MAX / 16 * 7, SIZE_MAX / 4, SIZE_MAX / 2048,
        (size_t)8 << 20, ((size_t)8 << 20) - 1, (size_t)9 << 20,
        ((size_t)2 << 20) + 1};
    return sizes[n % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* The top three bits say how the other thirteen are meant. */
size_t machine_size(const uint8_t *bytes)
{
    size_t n = number16(bytes) & 0x1fff;
    switch (bytes[1] >> 5) {
    case 0:
        return n;
    case 1:
        return n % 256;
    case 2: { /* at the edge of a size class */
        size_t power = (size_t)16 << (n & 15);
        return power + power / 4 * (n >> 4 & 3) + (n >> 6 & 3) - 1;
    }
    case 3:
        return (n & 0xff) * PAGE_BYTES + (n >> 8);
    case 4:
        return n * 128;
    case 5:
        return n * 4;
    case 6:
        return (n & 7) == 0 ? n << 9 : n;
    default:
        return (n & 7) == 0 ? special_size(n >> 3) : n % 16384;
    }
}

/* What byte 6 means as an alignment: powers of two, and others. */
static size_t record_alignment(const uint8_t *r)
{
    static const size_t odd[] = {0, 3, 24, 4097, SIZE_MAX, SIZE_MAX / 2 + 1,
        SIZE_MAX / 4 + 1, SIZE_MAX / 4096 + 1};
    unsigned n = r[6] % 32;
    return n < 24 ? (size_t)1 << n : odd[n - 24];
}

static bool is_power(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static int record_cache(const machine_t *m, const uint8_t *r)
{
    unsigned choice = r[2] & 7;
    if (choice < 3) {
        return 0;
    }
    unsigned cache = choice >= 5 ? m->caches[choice - 5] : 0;
    return cache == 0 ? MALLOCX_TCACHE_NONE : (int)MALLOCX_TCACHE(cache - 1);
}

int machine_flags(const machine_t *m, const uint8_t *r, size_t *alignment)
{
    int flags = record_cache(m, r) | ((r[2] & 8) != 0 ? MALLOCX_ZERO : 0);
    unsigned choice = r[2] >> 5;
    *alignment = 0;
    if ((r[2] & 16) != 0 && is_power(record_alignment(r))) {
        *alignment = record_alignment(r);
        flags |= MALLOCX_ALIGN(*alignment);
    }
    if (choice == 7 && m->automatic != 0) {
        flags |= MALLOCX_ARENA(r[3] % m->automatic);
    } else if (choice >= 4 && choice < 7 && m->arenas[choice - 4] != 0) {
        flags |= MALLOCX_ARENA(m->arenas[choice - 4] - 1);
    }
    return flags;
}

int machine_pick(const machine_t *m, const uint8_t *r)
{
    return m->model.count == 0 ? -1 : (int)(r[1] % m->model.count);
}

bool machine_has_room(const machine_t *m)
{
    return m->model.count < MODEL_BLOCKS;
}

/* ---- answers ---- */

bool machine_may_refuse(const machine_t *m)
{
    bool may = atomic_load(&machine_refusing);
    for (unsigned i = 0; i < MACHINE_ARENAS; i++) {
        may = may || (m->arenas[i] != 0 && m->with_hooks[i] &&
                         hooks_may_refuse(&m->owners[i]));
    }
    return may;
}

/* Whether such a request may find no memory. */
static bool may_be_null(
    const machine_t *m, size_t size, size_t alignment, int flags)
{
    if (size >= VAST_BYTES || alignment >= VAST_BYTES ||
        atomic_load(&machine_refusing)) {
        return true;
    }
    bool elsewhere = m->bound >= 0 || (unsigned)flags >> 20 != 0;
    return elsewhere && machine_may_refuse(m);
}

static void check_errno(const machine_t *m, int expected)
{
    int found = errno + (PLANTED(PLANT_ERRNO) ? 1 : 0);
    if (found != expected) {
        const uint8_t *r = m->record;
        model_complain("%s (%02x %02x %02x %02x%02x %02x%02x) leaves errno "
                       "%d, not %d",
            m->operation, r[1], r[2], r[3], r[5], r[4], r[7], r[6], found,
            expected);
    }
}

/* A NULL, and what errno says then. */
static void check_null(
    const machine_t *m, size_t size, size_t alignment, int flags)
{
    check_errno(m, ENOMEM);
    if (!may_be_null(m, size, alignment, flags)) {
        model_complain("%s has no memory for %zu bytes at a multiple of %zu, "
                       "flags %#x, %zu bytes live",
            m->operation, size, alignment, (unsigned)flags,
            m->model.live_bytes);
    }
}

static void check_arena(machine_t *m, void *p, int flags)
{
    unsigned wanted = ((unsigned)flags >> 20) - 1;
    unsigned found = machine_arena_of(m, p) + (PLANTED(PLANT_ARENA) ? 1 : 0);
    if (found != wanted) {
        model_complain("%s with flags %#x gives %p of arena %u", m->operation,
            (unsigned)flags, p, found);
    }
}

bool machine_note(
    machine_t *m, void *p, size_t size, size_t alignment, bool zero, int flags)
{
    if (PLANTED(PLANT_NULL)) {
        errno = ENOMEM;
        p = NULL;
    }
    if (p == NULL) {
        m->failures++;
        check_null(m, size, alignment, flags);
        return false;
    }
    check_errno(m, MACHINE_ERRNO);
    model_add(&m->model, &(model_answer_t){p, size, alignment, zero});
    if ((flags & 0xfff00) == MALLOCX_TCACHE_NONE &&
        (unsigned)flags >> 20 != 0) {
        check_arena(m, p, flags);
    }
    return true;
}

/* ---- allocation ---- */

static void op_malloc(machine_t *m, const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    machine_note(m, CALL(je_malloc(size)), size, 0, false, 0);
}

static void op_calloc(machine_t *m, const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    size_t num = (size_t)r[6] % 17 + 1;
    if (r[2] % 8 == 0) {
        num = SIZE_MAX / (size == 0 ? 1 : size) + 1;
        void *p = CALL(je_calloc(num, size));
        if (num != 0 && size != 0) {
            check_errno(m, ENOMEM);
        }
        if (p != NULL) {
            machine_note(m, p, num * size, 0, true, 0);
        }
        return;
    }
    size /= num;
    machine_note(m, CALL(je_calloc(num, size)), num * size, 0, true, 0);
}

static void try_posix_memalign(machine_t *m, size_t alignment, size_t size)
{
    bool valid = is_power(alignment) && alignment >= sizeof(void *);
    void *p = m;
    int error = CALL(je_posix_memalign(&p, alignment, size));
    check_errno(m, MACHINE_ERRNO);
    if (error == 0 && valid) {
        machine_note(m, p, size, alignment, false, 0);
        return;
    }
    if (p != m || error != (valid ? ENOMEM : EINVAL)) {
        model_complain("posix_memalign(%zu, %zu) says %d, and stores %p",
            alignment, size, error, p);
    }
    if (valid) {
        errno = ENOMEM;
        check_null(m, size, alignment, 0);
    }
}

static void note_aligned(machine_t *m, void *p, size_t alignment, size_t size)
{
    if (is_power(alignment)) {
        machine_note(m, p, size, alignment, false, 0);
        return;
    }
    check_errno(m, EINVAL);
    if (p != NULL) {
        model_complain("%s takes an alignment of %zu", m->operation, alignment);
    }
}

static void try_pvalloc(machine_t *m, size_t size)
{
    size_t whole = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    void *p = CALL(je_pvalloc(size));
    if (p == NULL) {
        check_null(m, size, PAGE_BYTES, 0);
    } else {
        machine_note(
            m, p, whole == 0 ? PAGE_BYTES : whole, PAGE_BYTES, false, 0);
    }
}

static void op_aligned(machine_t *m, const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    size_t alignment = record_alignment(r);
    switch (r[2] % 5) {
    case 0:
        try_posix_memalign(m, alignment, size);
        break;
    case 1:
        note_aligned(
            m, CALL(je_aligned_alloc(alignment, size)), alignment, size);
        break;
    case 2:
        note_aligned(m, CALL(je_memalign(alignment, size)), alignment, size);
        break;
    case 3:
        machine_note(m, CALL(je_valloc(size)), size, PAGE_BYTES, false, 0);
        break;
    default:
        try_pvalloc(m, size);
        break;
    }
}

/* A size that the extended family takes: not 0. */
static size_t extended_size(const uint8_t *r)
{
    size_t size = machine_size(r + 4);
    return size == 0 ? 1 : size;
}

static void op_mallocx(machine_t *m, const uint8_t *r)
{
    size_t alignment;
    size_t size = extended_size(r);
    int flags = machine_flags(m, r, &alignment);
    bool possible = je_nallocx(size, flags) != 0;
    void *p = CALL(je_mallocx(size, flags));
    machine_note(m, p, size, alignment, (flags & MALLOCX_ZERO) != 0, flags);
    if (p != NULL && !possible) {
        model_complain(
            "nallocx(%zu, %#x) is 0, mallocx succeeds", size, (unsigned)flags);
    }
}

static void op_new(machine_t *m, const uint8_t *r)
{
    unsigned form = r[2] % CXX_NEW_FORMS;
    size_t size = machine_size(r + 4);
    bool aligned = cxx_new_is_aligned(form);
    size_t alignment = aligned ? record_alignment(r) : 0;
    void *p =
        CALL(cxx_call_new(form, size, alignment, r[3] % 4, (r[3] & 4) != 0));
    if (p == NULL && cxx_threw() != ((form & 2) == 0)) {
        model_complain("operator new of form %u %s", form,
            cxx_threw() ? "throws" : "returns NULL");
    }
    if (p != NULL || !aligned || is_power(alignment)) {
        /* While the handler is called errno may well become ENOMEM. */
        errno = p != NULL ? MACHINE_ERRNO : errno;
        machine_note(m, p, size, alignment, false, 0);
    }
}

/* ---- resizing ---- */

/* A new size, often near the old one. */
static size_t next_size(const model_block_t *old, const uint8_t *r)
{
    if ((r[3] & 1) != 0 && old->usable < VAST_BYTES) {
        return old->usable / 4 * (r[5] % 8) + r[4];
    }
    return machine_size(r + 4);
}

static void resized(machine_t *m, const model_block_t *old, void *p,
    size_t size, size_t alignment, bool zero)
{
    if (p != NULL) {
        check_errno(m, MACHINE_ERRNO);
        model_resized(
            &m->model, old, &(model_answer_t){p, size, alignment, zero});
        return;
    }
    m->failures++;
    check_errno(m, ENOMEM);
    if (!may_be_null(m, size, alignment, -1)) {
        model_complain("%s of a block of %zu has no memory for %zu bytes at a "
                       "multiple of %zu, %zu bytes live",
            m->operation, old->usable, size, alignment, m->model.live_bytes);
    }
    model_put_back(&m->model, old);
}

/* By default that frees. */
static void resize_to_nothing(machine_t *m, const model_block_t *old)
{
    const char *meaning = NULL;
    if (machine_control("opt.zero_realloc", (void *)&meaning, sizeof(meaning),
            NULL, 0) != 0 ||
        strcmp(meaning, "abort") == 0) {
        model_put_back(&m->model, old);
        return;
    }
    bool frees = strcmp(meaning, "free") == 0;
    void *p = CALL(je_realloc(old->p, 0));
    if (!frees) {
        resized(m, old, p, 1, 0, false);
        return;
    }
    check_errno(m, MACHINE_ERRNO);
    if (p != NULL) {
        model_complain("realloc(%p, 0) gives %p", (void *)old->p, p);
    }
}

static void op_realloc(machine_t *m, const uint8_t *r)
{
    int slot = machine_pick(m, r);
    if (slot < 0 || r[1] == 255) {
        size_t size = machine_size(r + 4);
        if (machine_has_room(m)) {
            machine_note(m, CALL(je_realloc(NULL, size)), size, 0, false, 0);
        }
        return;
    }
    model_block_t old = model_take(&m->model, (unsigned)slot);
    size_t size = next_size(&old, r);
    if (size == 0 || r[3] >= 224) {
        resize_to_nothing(m, &old);
    } else if ((r[3] & 6) == 2) {
        size_t num = (size_t)r[6] % 5 + 1;
        size = size / num + (num > 1 ? 1 : 0);
        bool fits = size <= SIZE_MAX / num;
        resized(m, &old, CALL(je_reallocarray(old.p, num, size)),
            fits ? num * size : SIZE_MAX, 0, false);
    } else if ((r[3] & 6) == 4 && size > 1) {
        resized(m, &old,
            CALL(je_reallocarray(old.p, SIZE_MAX / size + 1, size)), SIZE_MAX,
            0, false);
    } else {
        resized(m, &old, CALL(je_realloc(old.p, size)), size, 0, false);
    }
}

static void op_rallocx(machine_t *m, const uint8_t *r)
{
    int slot = machine_pick(m, r);
    if (slot < 0) {
        return;
    }
    model_block_t old = model_take(&m->model, (unsigned)slot);
    size_t alignment;
    size_t size = next_size(&old, r);
    int flags = machine_flags(m, r, &alignment);
    size = size == 0 ? 1 : size;
    void *p = CALL(je_rallocx(old.p, size, flags));
    resized(m, &old, p, size, alignment, (flags & MALLOCX_ZERO) != 0);
}

/* As nallocx, which says no more than the size where some are guarded. */
static size_t in_place_size(size_t size, int flags)
{
    unsigned lg = (unsigned)flags & 63;
    return guarded_is_on()
               ? sizeclass_usize_aligned(size, lg == 0 ? 0 : (size_t)1 << lg)
               : je_nallocx(size, flags);
}

static void check_in_place(const machine_t *m, const model_block_t *old,
    size_t size, size_t extra, int flags, size_t got)
{
    size_t least = in_place_size(size, flags);
    size_t most = in_place_size(size + extra, flags);
    bool unchanged = got == old->usable;
    bool is_large = old->usable > SMALL_MAX && got >= LARGE_MIN;
    if (unchanged || (m->model.exact && got >= size && got - size <= extra)) {
        return;
    }
    if (!is_large || least == 0 || got > most ||
        got < (least < LARGE_MIN ? LARGE_MIN : least)) {
        model_complain("xallocx(%p of %zu, %zu, %zu, %#x) gives %zu",
            (void *)old->p, old->usable, size, extra, (unsigned)flags, got);
    }
}

static void op_xallocx(machine_t *m, const uint8_t *r)
{
    int slot = machine_pick(m, r);
    if (slot < 0) {
        return;
    }
    model_block_t old = model_take(&m->model, (unsigned)slot);
    size_t alignment;
    size_t size = next_size(&old, r);
    size_t extra = (r[7] & 1) != 0 ? number16(r + 6) * 64 : 0;
    int flags = machine_flags(m, r, &alignment) & (MALLOCX_ZERO | 0x3f);
    size = size == 0 ? 1 : size;
    extra = extra < SIZE_MAX - size ? extra : SIZE_MAX - size;
    size_t got = CALL(je_xallocx(old.p, size, extra, flags));
    check_errno(m, MACHINE_ERRNO);
    check_in_place(m, &old, size, extra, flags, got);
    model_resized_in_place(&m->model, &old, got, (flags & MALLOCX_ZERO) != 0);
}

/* ---- freeing ---- */

/* Any size from what was asked for to what may be used. */
static size_t any_size(const model_block_t *b, const uint8_t *r)
{
    size_t size = b->size + number16(r + 6) % (b->usable - b->size + 1);
    return r[3] < 128 ? b->size : size;
}

static void free_extended(
    machine_t *m, const model_block_t *b, const uint8_t *r, size_t size)
{
    int cache = record_cache(m, r);
    int align = b->alignment > 1 ? MALLOCX_ALIGN(b->alignment) : 0;
    if ((r[3] & 1) != 0) {
        je_dallocx(b->p, cache);
    } else {
        je_sdallocx(b->p, size == 0 ? 1 : size, cache | align);
    }
}

static void free_one(machine_t *m, const model_block_t *b, const uint8_t *r)
{
    size_t size = any_size(b, r);
    errno = MACHINE_ERRNO;
    if (PLANTED(PLANT_LEAK)) {
        return;
    }
    switch (r[2] >> 3 & 7) {
    case 0:
    case 1:
        free_extended(m, b, r, size);
        break;
    case 2:
    case 3:
        cxx_call_delete(r[3] & 7, b->p, size, b->alignment);
        break;
    case 4:
        if (b->alignment != 0) {
            je_free_aligned_sized(b->p, b->alignment, size);
        } else {
            je_free_sized(b->p, size);
        }
        break;
    default:
        je_free(b->p);
        break;
    }
    check_errno(m, MACHINE_ERRNO);
}

static void op_free(machine_t *m, const uint8_t *r)
{
    int slot = machine_pick(m, r);
    if (slot >= 0) {
        model_block_t b = model_take(&m->model, (unsigned)slot);
        free_one(m, &b, r);
    }
}

/* Several neighbours in the table; half of all calls that free do so. */
static void op_free_many(machine_t *m, const uint8_t *r)
{
    for (unsigned n = r[6] % 8; n > 0; n--) {
        op_free(m, r);
    }
}

static void op_nothing(machine_t *m, const uint8_t *r)
{
    errno = MACHINE_ERRNO;
    switch (r[2] % 4) {
    case 0:
        je_free(NULL);
        break;
    case 1:
        je_free_sized(NULL, machine_size(r + 4));
        break;
    case 2:
        je_free_aligned_sized(NULL, record_alignment(r), machine_size(r + 4));
        break;
    default:
        cxx_call_delete(r[3] & 7, NULL, machine_size(r + 4), r[3] & 8 ? 16 : 0);
        break;
    }
    check_errno(m, MACHINE_ERRNO);
    if (je_malloc_usable_size(NULL) != 0) {
        model_complain("malloc_usable_size(NULL) is not 0");
    }
}

static void op_touch(machine_t *m, const uint8_t *r)
{
    (void)r;
    model_touch(&m->model);
}

/* ---- steps ---- */

static const struct {
    const char *name;
    machine_operation_t *run;
    unsigned char weight;
    bool makes; /* one block more */
    bool alone;
} machine_operations[] = {
    {"malloc", op_malloc, 30, true, false},
    {"calloc", op_calloc, 14, true, false},
    {"an aligned allocation", op_aligned, 16, true, false},
    {"mallocx", op_mallocx, 24, true, false},
    {"operator new", op_new, 12, true, false},
    {"realloc", op_realloc, 20, false, false},
    {"rallocx", op_rallocx, 16, false, false},
    {"xallocx", op_xallocx, 14, false, false},
    {"free", op_free, 30, false, false},
    {"free (many)", op_free_many, 14, false, false},
    {"free(NULL)", op_nothing, 2, false, false},
    {"touch", op_touch, 4, false, false},
    {"batch_alloc", op_batch, 3, false, false},
    {"arenas.create", op_arena_create, 7, false, false},
    {"the end of an arena", op_arena_end, 4, false, false},
    {"a control of an arena", op_arena_control, 8, false, false},
    {"hooks", op_arena_hooks, 6, false, false},
    {"thread.arena", op_bind, 4, false, false},
    {"tcache", op_cache, 6, false, false},
    {"a control of a thread", op_thread_control, 6, false, false},
    {"another thread", op_thread, 3, false, false},
    {"profiling", op_prof, 4, false, false},
    {"statistics", op_report, 3, false, false},
    {"a call of glibc's", op_glibc, 2, false, false},
    {"refused system calls", op_refuse, 4, false, true},
};

/* All weights: 256 at most, so that a byte reaches each operation. */
#define WEIGHTS 256

static void check_net(machine_t *m)
{
    int64_t net;
    if (m->alone && !m->model.exact && machine_net(&net) &&
        net != m->net_adjust + (int64_t)m->model.live_bytes) {
        model_complain("%s: the thread allocated %lld bytes more than it "
                       "freed, not %lld",
            m->operation, (long long)net,
            (long long)m->net_adjust + (long long)m->model.live_bytes);
    }
}

void machine_step(machine_t *m, const uint8_t *record)
{
    unsigned dice = record[0];
    unsigned i = 0;
    while (dice >= machine_operations[i].weight) {
        dice -= machine_operations[i].weight;
        i++;
    }
    if (model_complaint() != NULL ||
        (machine_operations[i].makes && !machine_has_room(m)) ||
        (machine_operations[i].alone && !m->alone)) {
        return;
    }
    m->operation = machine_operations[i].name;
    hooks_model = &m->model;
    memcpy(m->record, record, sizeof(m->record));
    machine_operations[i].run(m, record);
    if (m->refusing > 0 && --m->refusing == 0) {
        machine_recover(m);
    }
    check_net(m);
}

void machine_begin(machine_t *m, bool alone)
{
    memset(m, 0, sizeof(*m));
    m->alone = alone;
    m->bound = -1;
    m->operation = "the beginning";
    controls_begin(m);
}

void machine_end(machine_t *m)
{
    uint8_t form[MACHINE_RECORD] = {0};
    m->operation = "the end";
    hooks_model = &m->model;
    machine_recover(m);
    while (m->model.count > 0 && model_complaint() == NULL) {
        form[2] = (uint8_t)(form[2] + 9);
        op_free(m, form);
    }
    check_net(m);
    if (model_complaint() == NULL) {
        controls_end(m);
    }
}
