/*
 * What: see prof_pprof.h. Field numbers are those of profile.proto.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_pprof.h"

#include <string.h>

#include "os/file.h"
#include "os/os.h"
#include "prof/prof_maps.h"
#include "prof/prof_out.h"
#include "util/bits.h"
#include "util/hash.h"

enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_STRING = 6,
    PROFILE_TIME_NS = 9,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_DEFAULT_TYPE = 14,
    VALUE_TYPE = 1,
    VALUE_UNIT = 2,
    SAMPLE_LOCATIONS = 1,
    SAMPLE_VALUES = 2,
    SAMPLE_LABEL = 3,
    LABEL_KEY = 1,
    LABEL_TEXT = 2,
    LABEL_NUMBER = 3,
    MAPPING_ID = 1,
    MAPPING_START = 2,
    MAPPING_END = 3,
    MAPPING_OFFSET = 4,
    MAPPING_FILE = 5,
    MAPPING_BUILD_ID = 6,
    LOCATION_ID = 1,
    LOCATION_MAPPING = 2,
    LOCATION_ADDRESS = 3,
    WIRE_BYTES = 2,
};

/* Strings with fixed places in the table. */
enum {
    TEXT_EMPTY,
    TEXT_ALLOC_OBJECTS,
    TEXT_COUNT,
    TEXT_ALLOC_SPACE,
    TEXT_BYTES,
    TEXT_INUSE_OBJECTS,
    TEXT_INUSE_SPACE,
    TEXT_SPACE,
    TEXT_THREAD,
    TEXT_THREAD_ID,
    TEXT_FIRST_FREE,
};

static const char *const texts[TEXT_FIRST_FREE] = {"", "alloc_objects", "count",
    "alloc_space", "bytes", "inuse_objects", "inuse_space", "space", "thread",
    "thread_id"};

/* Executable mappings that locations can refer to; others have none. */
#define MAPPINGS_MAX 2048

typedef struct {
    uintptr_t start;
    uintptr_t end;
} range_t;

typedef struct {
    const prof_profile_t *profile;
    uint64_t texts;        /* strings so far */
    uint64_t mappings;     /* mappings so far */
    range_t *ranges;       /* by id - 1 */
    uint64_t thread_texts; /* first name of a thread */
    uintptr_t *seen;       /* locations: a set, 0 is free */
    size_t seen_lg;
} state_t;

/* ---- the wire ---- */

#define VARINT_MAX 10

static size_t varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (uint8_t)value;
    return n;
}

static size_t varint_size(uint64_t value)
{
    return value == 0 ? 1 : (bits_highest(value) + 7) / 7;
}

/* A message small enough to be put together before it is written. */
typedef struct {
    uint8_t bytes[16 * VARINT_MAX];
    size_t size;
} message_t;

static void add_number(message_t *m, unsigned field, uint64_t value)
{
    m->size += varint(m->bytes + m->size, field << 3);
    m->size += varint(m->bytes + m->size, value);
}

static void write_varint(uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    prof_out_bytes(bytes, varint(bytes, value));
}

static void write_head(unsigned field, size_t size)
{
    write_varint(field << 3 | WIRE_BYTES);
    write_varint(size);
}

static void write_number(unsigned field, uint64_t value)
{
    write_varint(field << 3);
    write_varint(value);
}

static void write_message(unsigned field, const message_t *m)
{
    write_head(field, m->size);
    prof_out_bytes(m->bytes, m->size);
}

/* Writes a string and gives its number. */
static uint64_t write_text(state_t *state, const char *text)
{
    size_t size = strlen(text);
    write_head(PROFILE_STRING, size);
    prof_out_bytes(text, size);
    return state->texts++;
}

static void write_type(unsigned field, uint64_t type, uint64_t unit)
{
    message_t m = {.size = 0};
    add_number(&m, VALUE_TYPE, type);
    add_number(&m, VALUE_UNIT, unit);
    write_message(field, &m);
}

/* ---- parts ---- */

static void write_types(const state_t *state)
{
    if (state->profile->accumulates) {
        write_type(PROFILE_SAMPLE_TYPE, TEXT_ALLOC_OBJECTS, TEXT_COUNT);
        write_type(PROFILE_SAMPLE_TYPE, TEXT_ALLOC_SPACE, TEXT_BYTES);
    }
    write_type(PROFILE_SAMPLE_TYPE, TEXT_INUSE_OBJECTS, TEXT_COUNT);
    write_type(PROFILE_SAMPLE_TYPE, TEXT_INUSE_SPACE, TEXT_BYTES);
    write_type(PROFILE_PERIOD_TYPE, TEXT_SPACE, TEXT_BYTES);
    write_number(PROFILE_PERIOD, state->profile->distance);
    write_number(PROFILE_DEFAULT_TYPE, TEXT_INUSE_SPACE);
    write_number(PROFILE_TIME_NS, os_clock_wall_ns());
}

static bool write_mapping(
    const os_mapping_t *mapping, const char *build_id, void *opaque)
{
    state_t *state = opaque;
    message_t m = {.size = 0};
    state->ranges[state->mappings] = (range_t){mapping->start, mapping->end};
    add_number(&m, MAPPING_ID, ++state->mappings);
    add_number(&m, MAPPING_START, mapping->start);
    add_number(&m, MAPPING_END, mapping->end);
    add_number(&m, MAPPING_OFFSET, mapping->offset);
    add_number(&m, MAPPING_FILE, write_text(state, mapping->name));
    if (build_id[0] != '\0') {
        add_number(&m, MAPPING_BUILD_ID, write_text(state, build_id));
    }
    write_message(PROFILE_MAPPING, &m);
    return state->mappings < MAPPINGS_MAX;
}

/* The number of the mapping around an address, 0 if none is known. */
static uint64_t mapping_of(const state_t *state, uintptr_t address)
{
    size_t low = 0;
    size_t high = state->mappings;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state->ranges[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < state->mappings && state->ranges[low].start <= address
               ? low + 1
               : 0;
}

/* Return addresses point behind the call, the first one into it already. */
static uintptr_t address_of(const prof_stack_view_t *stack, uint32_t i)
{
    return i == 0 ? stack->frames[0] : stack->frames[i] - 1;
}

/* True if the address was not in the set. */
static bool insert(state_t *state, uintptr_t address)
{
    size_t mask = ((size_t)1 << state->seen_lg) - 1;
    size_t at = hash_mix(address) & mask;
    while (state->seen[at] != 0) {
        if (state->seen[at] == address) {
            return false;
        }
        at = (at + 1) & mask;
    }
    state->seen[at] = address;
    return true;
}

/* A location's number is its address. */
static void write_locations(state_t *state, const prof_stack_view_t *stack)
{
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        uintptr_t address = address_of(stack, i);
        if (address == 0 || !insert(state, address)) {
            continue;
        }
        message_t m = {.size = 0};
        uint64_t mapping = mapping_of(state, address);
        add_number(&m, LOCATION_ID, address);
        if (mapping != 0) {
            add_number(&m, LOCATION_MAPPING, mapping);
        }
        add_number(&m, LOCATION_ADDRESS, address);
        write_message(PROFILE_LOCATION, &m);
    }
}

/* Values in the order of write_types. */
static unsigned values_of(
    const state_t *state, const prof_line_t *line, uint64_t values[4])
{
    const prof_profile_t *profile = state->profile;
    unsigned n = 0;
    if (profile->accumulates) {
        prof_value_t total = prof_text_estimate(profile, &line->total);
        values[n++] = total.objects;
        values[n++] = total.bytes;
    }
    prof_value_t live = prof_text_estimate(profile, &line->live);
    values[n++] = live.objects;
    values[n++] = live.bytes;
    return n;
}

static void add_label(message_t *m, uint64_t key, unsigned kind, uint64_t value)
{
    message_t label = {.size = 0};
    add_number(&label, LABEL_KEY, key);
    add_number(&label, kind, value);
    m->size += varint(m->bytes + m->size, SAMPLE_LABEL << 3 | WIRE_BYTES);
    m->size += varint(m->bytes + m->size, label.size);
    memcpy(m->bytes + m->size, label.bytes, label.size);
    m->size += label.size;
}

/* One stack's samples of one thread; of threads that are gone if NULL. */
static void write_sample(const state_t *state, const prof_stack_view_t *stack,
    const prof_line_t *line, const prof_record_view_t *record)
{
    uint64_t values[4];
    unsigned value_count = values_of(state, line, values);
    message_t rest = {.size = 0};
    for (unsigned i = 0; i < value_count; i++) {
        add_number(&rest, SAMPLE_VALUES, values[i]);
    }
    if (record != NULL) {
        const prof_thread_view_t *thread =
            &state->profile->view->threads[record->thread];
        add_label(&rest, TEXT_THREAD_ID, LABEL_NUMBER, thread->uid);
        if (thread->name[0] != '\0') {
            add_label(&rest, TEXT_THREAD, LABEL_TEXT,
                state->thread_texts + record->thread);
        }
    }
    size_t ids = 0;
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        ids += varint_size(address_of(stack, i));
    }
    size_t head = stack->frame_count == 0 ? 0 : 1 + varint_size(ids);
    write_head(PROFILE_SAMPLE, head + ids + rest.size);
    if (stack->frame_count != 0) {
        write_head(SAMPLE_LOCATIONS, ids);
        for (uint32_t i = 0; i < stack->frame_count; i++) {
            write_varint(address_of(stack, i));
        }
    }
    prof_out_bytes(rest.bytes, rest.size);
}

static void counts_take(prof_counts_t *from, const prof_counts_t *part)
{
    from->objects -= part->objects;
    from->bytes -= part->bytes;
    from->estimated_eighths -= part->estimated_eighths;
    from->estimated_bytes -= part->estimated_bytes;
}

static void write_stack(state_t *state, const prof_stack_view_t *stack)
{
    prof_line_t rest = stack->line;
    write_locations(state, stack);
    for (uint32_t r = 0; r < stack->record_count; r++) {
        const prof_record_view_t *record = &stack->records[r];
        counts_take(&rest.live, &record->line.live);
        counts_take(&rest.total, &record->line.total);
        write_sample(state, stack, &record->line, record);
    }
    if (rest.total.objects != 0 && state->profile->accumulates) {
        write_sample(state, stack, &rest, NULL);
    }
}

static void write_all(state_t *state)
{
    const prof_view_t *view = state->profile->view;
    for (unsigned i = 0; i < TEXT_FIRST_FREE; i++) {
        (void)write_text(state, texts[i]);
    }
    write_types(state);
    prof_maps_visit(write_mapping, state);
    state->thread_texts = state->texts;
    for (size_t i = 0; i < view->thread_count; i++) {
        (void)write_text(state, view->threads[i].name);
    }
    for (size_t i = 0; i < view->stack_count; i++) {
        write_stack(state, &view->stacks[i]);
    }
}

bool prof_pprof_write(const prof_profile_t *profile)
{
    state_t state = {.profile = profile};
    size_t frames = 16;
    for (size_t i = 0; i < profile->view->stack_count; i++) {
        frames += profile->view->stacks[i].frame_count;
    }
    state.seen_lg = bits_lg_ceil(2 * frames);
    size_t seen = ((size_t)1 << state.seen_lg) * sizeof(*state.seen);
    size_t bytes = bits_round_up(
        seen + MAPPINGS_MAX * sizeof(*state.ranges), os_page_size());
    char *memory = os_map(bytes, os_page_size());
    if (memory == NULL) {
        return false;
    }
    state.seen = (uintptr_t *)(void *)memory;
    state.ranges = (range_t *)(void *)(memory + seen);
    write_all(&state);
    (void)os_unmap(memory, bytes);
    return true;
}
