/*
 * What: reads profile.proto, which may bring symbols along.
 *
 * Invariants: (I1) numbers of strings and identities that point nowhere give
 * empty strings and unknown frames, never an access outside of an array.
 *
 * Locking: none.
 */
#include <stdlib.h>
#include <string.h>

#include "bin/jeprof/profile.pb-c.h"
#include "mem.h"
#include "names.h"
#include "read.h"
#include "say.h"

typedef Jeprof__Pb__Profile message_t;

static void *take(void *unused, size_t bytes)
{
    (void)unused;
    return mem_alloc(bytes);
}

static void give(void *unused, void *block)
{
    (void)unused;
    mem_free(block);
}

static ProtobufCAllocator allocator = {take, give, NULL};

static const char *string_of(const message_t *m, int64_t number)
{
    bool exists = number > 0 && (uint64_t)number < m->n_string_table;
    return exists ? m->string_table[number] : "";
}

/* Identity to position, of whatever has identities. */
typedef struct identity {
    uint64_t id;
    size_t position;
} identity_t;

static int compare_identities(const void *a, const void *b)
{
    const identity_t *x = a;
    const identity_t *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static const identity_t *find(
    const identity_t *table, size_t count, uint64_t id)
{
    identity_t key = {id, 0};
    return count == 0 ? NULL
                      : bsearch(&key, table, count, sizeof(*table),
                            compare_identities);
}

#define IDENTITIES(name, list, n)                                              \
    identity_t *name = mem_alloc(((n) + 1) * sizeof(*name));                   \
    for (size_t i_ = 0; i_ < (n); i_++) {                                      \
        name[i_] = (identity_t){(list)[i_]->id, i_};                           \
    }                                                                          \
    qsort(name, (n), sizeof(*name), compare_identities)

/* Which of our values each of the message's values is; -1: none. */
static void match_values(reading_t *r, const message_t *m, int *slots)
{
    static const char *const heap_types[VALUES] = {
        "inuse_objects", "inuse_space", "alloc_objects", "alloc_space"};
    profile_kind_t kind = KIND_CPU;
    for (size_t i = 0; i < m->n_sample_type; i++) {
        const char *type = string_of(m, m->sample_type[i]->type);
        slots[i] = -1;
        for (int v = 0; v < VALUES; v++) {
            slots[i] = strcmp(type, heap_types[v]) == 0 ? v : slots[i];
        }
        if (strcmp(type, "objects") == 0 || strcmp(type, "space") == 0) {
            slots[i] = type[0] == 'o' ? INUSE_OBJECTS : INUSE_SPACE;
        }
        kind = slots[i] >= 0 ? KIND_HEAP : kind;
        if (strcmp(type, "contentions") == 0 || strcmp(type, "delay") == 0) {
            slots[i] = type[0] == 'c' ? INUSE_OBJECTS : INUSE_SPACE;
            kind = KIND_CONTENTION;
        }
    }
    if (kind == KIND_CPU) {
        slots[0] = INUSE_OBJECTS;
        slots[m->n_sample_type - 1] = INUSE_SPACE;
    }
    profile_set_kind(r->p, kind, r->in.name);
}

static uint32_t image_of(reading_t *r, const Jeprof__Pb__Mapping *mapping,
    const message_t *m, bool first)
{
    uint32_t id =
        profile_image(r->p, text_id_of(string_of(m, mapping->filename)),
            text_id_of(string_of(m, mapping->build_id)));
    image_t *image = &r->p->images[id];
    if (image->end == 0) {
        image->start = mapping->memory_start;
        image->end = mapping->memory_limit;
        image->offset = mapping->file_offset;
        image->is_program = first;
    }
    return id;
}

typedef struct tables {
    const message_t *m;
    identity_t *functions;
    identity_t *locations;
    identity_t *mappings;
    uint32_t *images;       /* of mappings */
    uint32_t *location_ids; /* ours, of the message's locations */
} tables_t;

/* Frames as the message has them; the first is the innermost. */
static void add_frames(reading_t *r, const tables_t *t, uint32_t id,
    const Jeprof__Pb__Location *location)
{
    const message_t *m = t->m;
    uint32_t image = r->p->locations[id].image;
    for (size_t i = 0; i < location->n_line; i++) {
        const Jeprof__Pb__Line *line = location->line[i];
        const identity_t *found =
            find(t->functions, m->n_function, line->function_id);
        if (found == NULL) {
            continue;
        }
        const Jeprof__Pb__Function *f = m->function[found->position];
        uint32_t name = text_id_of(string_of(m, f->name));
        uint32_t file = text_id_of(string_of(m, f->filename));
        /* Not the address of a function, but what tells two of a name apart. */
        uint32_t function = profile_function(r->p, name, image, 0);
        r->p->functions[function].file = file;
        r->p->functions[function].line = (uint32_t)f->start_line;
        frame_t frame = {.function = function,
            .file = file,
            .line = (uint32_t)line->line,
            .is_inlined = i + 1 < location->n_line};
        profile_frame(r->p, id, frame);
        r->p->is_symbolized = true;
    }
}

static uint32_t add_location(
    reading_t *r, const tables_t *t, const Jeprof__Pb__Location *location)
{
    const message_t *m = t->m;
    uint64_t address = location->address;
    const identity_t *found =
        find(t->mappings, m->n_mapping, location->mapping_id);
    uint32_t image = NO_IMAGE;
    uint64_t offset = address;
    if (found != NULL) {
        const Jeprof__Pb__Mapping *mapping = m->mapping[found->position];
        image = t->images[found->position];
        offset = address - mapping->memory_start + mapping->file_offset;
    } else if (address == 0) {
        /* Frames without addresses: tell them apart by their identity. */
        offset = location->id | (uint64_t)1 << 63;
    }
    uint32_t id = profile_location(r->p, image, offset, address);
    if (location->n_line > 0 && !r->p->locations[id].is_done) {
        add_frames(r, t, id, location);
    }
    return id;
}

static void add_samples(reading_t *r, const tables_t *t, const int *slots)
{
    const message_t *m = t->m;
    for (size_t i = 0; i < m->n_sample; i++) {
        const Jeprof__Pb__Sample *sample = m->sample[i];
        r->depth = 0;
        for (size_t k = 0; k < sample->n_location_id; k++) {
            const identity_t *found =
                find(t->locations, m->n_location, sample->location_id[k]);
            if (found != NULL) {
                *MEM_PUSH(r->steps, r->depth, r->steps_room) =
                    t->location_ids[found->position];
            }
        }
        double value[VALUES] = {0, 0, 0, 0};
        size_t values = sample->n_value < m->n_sample_type ? sample->n_value
                                                           : m->n_sample_type;
        for (size_t v = 0; v < values; v++) {
            if (slots[v] >= 0) {
                value[slots[v]] += (double)sample->value[v];
            }
        }
        reading_add(r, THREAD_ALL, value);
    }
}

static void read_message(reading_t *r, const message_t *m)
{
    IDENTITIES(functions, m->function, m->n_function);
    IDENTITIES(locations, m->location, m->n_location);
    IDENTITIES(mappings, m->mapping, m->n_mapping);
    int *slots = mem_alloc(m->n_sample_type * sizeof(*slots));
    tables_t t = {m, functions, locations, mappings,
        mem_alloc((m->n_mapping + 1) * sizeof(uint32_t)),
        mem_alloc((m->n_location + 1) * sizeof(uint32_t))};
    match_values(r, m, slots);
    for (size_t i = 0; i < m->n_mapping; i++) {
        t.images[i] = image_of(r, m->mapping[i], m, i == 0);
    }
    for (size_t i = 0; i < m->n_location; i++) {
        t.location_ids[i] = add_location(r, &t, m->location[i]);
    }
    r->p->period = (double)m->period;
    add_samples(r, &t, slots);
    mem_free(t.images);
    mem_free(t.location_ids);
    mem_free(slots);
    mem_free(functions);
    mem_free(locations);
    mem_free(mappings);
}

bool read_proto(reading_t *r)
{
    message_t *m = jeprof__pb__profile__unpack(
        &allocator, r->in.len, (const uint8_t *)r->in.bytes);
    if (m == NULL) {
        return false;
    }
    bool is_profile = m->n_sample_type > 0 && m->n_string_table > 0 &&
                      m->string_table[0][0] == '\0';
    if (is_profile) {
        read_message(r, m);
    }
    jeprof__pb__profile__free_unpacked(m, &allocator);
    return is_profile;
}
