/*
 * What: profile.proto with symbols, gzipped, for all tools that read it.
 *
 * Invariants: (I1) numbers of strings are those of texts.h, whose number 0 is
 * the empty string as the format wants it; (I2) identities are our numbers
 * plus 1.
 *
 * Locking: none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "bin/jeprof/profile.pb-c.h"
#include "print.h"
#include "say.h"

typedef struct message {
    Jeprof__Pb__Profile profile;
    Jeprof__Pb__ValueType types[VALUES];
    Jeprof__Pb__ValueType period;
    int values[VALUES]; /* which of ours each type is */
    size_t samples_room;
} proto_message_t;

/* An array of `count` messages and of pointers to them, as protobuf-c wants. */
static void *make_list(size_t count, size_t size, void ***pointers)
{
    char *all = mem_alloc((count + 1) * size);
    *pointers = mem_alloc((count + 1) * sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        (*pointers)[i] = all + i * size;
    }
    return all;
}

static void add_type(
    proto_message_t *m, const char *type, const char *unit, int value)
{
    size_t i = m->profile.n_sample_type++;
    jeprof__pb__value_type__init(&m->types[i]);
    m->types[i].type = text_id_of(type);
    m->types[i].unit = text_id_of(unit);
    m->profile.sample_type[i] = &m->types[i];
    m->values[i] = value;
}

static void add_types(proto_message_t *m, const profile_t *p)
{
    static Jeprof__Pb__ValueType *list[VALUES];
    m->profile.sample_type = list;
    jeprof__pb__value_type__init(&m->period);
    m->profile.period_type = &m->period;
    if (p->kind == KIND_CPU) {
        add_type(m, "samples", "count", INUSE_OBJECTS);
        add_type(m, "cpu", "nanoseconds", INUSE_SPACE);
        return;
    }
    if (p->kind == KIND_CONTENTION) {
        add_type(m, "contentions", "count", INUSE_OBJECTS);
        add_type(m, "delay", "nanoseconds", INUSE_SPACE);
        return;
    }
    if (p->has_alloc) {
        add_type(m, "alloc_objects", "count", ALLOC_OBJECTS);
        add_type(m, "alloc_space", "bytes", ALLOC_SPACE);
    }
    add_type(m, "inuse_objects", "count", INUSE_OBJECTS);
    add_type(m, "inuse_space", "bytes", INUSE_SPACE);
    m->profile.default_sample_type = text_id_of("inuse_space");
    m->period.type = text_id_of("space");
    m->period.unit = text_id_of("bytes");
    m->profile.period = view_whole(p->period);
}

static void add_mappings(proto_message_t *m, const profile_t *p)
{
    m->profile.n_mapping = p->images_count - 1;
    Jeprof__Pb__Mapping *all = make_list(
        p->images_count, sizeof(*all), (void ***)(void *)&m->profile.mapping);
    for (size_t i = 1; i < p->images_count; i++) {
        const image_t *image = &p->images[i];
        Jeprof__Pb__Mapping *mapping = &all[i - 1];
        jeprof__pb__mapping__init(mapping);
        mapping->id = i;
        mapping->memory_start = image->start;
        mapping->memory_limit = image->end;
        mapping->file_offset = image->offset;
        mapping->filename = image->path;
        mapping->build_id = image->build_id;
        bool known = image->binary != NULL;
        mapping->has_functions = known;
        mapping->has_filenames = known;
        mapping->has_line_numbers = known;
        mapping->has_inline_frames = known;
    }
}

static bool is_address(const profile_t *p, const location_t *l)
{
    const function_t *f = &p->functions[p->frames[l->frames].function];
    const char *name = text_of(f->name);
    return l->frames_count == 1 && f->start == 0 &&
           (strstr(name, "+0x") != NULL || strncmp(name, "0x", 2) == 0);
}

/* What has no name stays an address that a later reader may find one for. */
static void add_lines(
    Jeprof__Pb__Location *to, const profile_t *p, const location_t *l)
{
    if (is_address(p, l)) {
        return;
    }
    to->n_line = l->frames_count;
    Jeprof__Pb__Line *lines =
        make_list(l->frames_count, sizeof(*lines), (void ***)(void *)&to->line);
    for (uint32_t i = 0; i < l->frames_count; i++) {
        const frame_t *f = &p->frames[l->frames + i];
        jeprof__pb__line__init(&lines[i]);
        lines[i].function_id = (uint64_t)f->function + 1;
        lines[i].line = f->line;
    }
}

static void add_locations(proto_message_t *m, const profile_t *p)
{
    m->profile.n_location = p->locations_count;
    Jeprof__Pb__Location *all = make_list(p->locations_count, sizeof(*all),
        (void ***)(void *)&m->profile.location);
    for (size_t i = 0; i < p->locations_count; i++) {
        const location_t *l = &p->locations[i];
        const image_t *image = &p->images[l->image];
        jeprof__pb__location__init(&all[i]);
        all[i].id = i + 1;
        all[i].mapping_id = l->image;
        /* As if every process had loaded the image where the first did. */
        all[i].address = l->image == NO_IMAGE
                             ? l->address
                             : l->offset - image->offset + image->start;
        add_lines(&all[i], p, l);
    }
}

static void add_functions(proto_message_t *m, const profile_t *p)
{
    m->profile.n_function = p->functions_count;
    Jeprof__Pb__Function *all = make_list(p->functions_count, sizeof(*all),
        (void ***)(void *)&m->profile.function);
    for (size_t i = 0; i < p->functions_count; i++) {
        const function_t *f = &p->functions[i];
        jeprof__pb__function__init(&all[i]);
        all[i].id = i + 1;
        all[i].name = f->name;
        all[i].system_name = f->name;
        all[i].filename = f->file;
        all[i].start_line = f->line;
    }
}

static void add_sample(proto_message_t *m, const view_t *v)
{
    const uint32_t *steps = profile_steps(v->p, v->sample);
    uint32_t depth = profile_depth(v->p, v->sample);
    size_t types = m->profile.n_sample_type;
    Jeprof__Pb__Sample *s = mem_alloc(sizeof(*s));
    jeprof__pb__sample__init(s);
    s->n_location_id = depth;
    s->location_id = mem_alloc((depth + 1) * sizeof(uint64_t));
    for (uint32_t i = 0; i < depth; i++) {
        s->location_id[i] = (uint64_t)steps[i] + 1;
    }
    s->n_value = types;
    s->value = mem_alloc(types * sizeof(int64_t));
    bool heap = v->p->kind != KIND_CPU && v->p->kind != KIND_CONTENTION;
    for (size_t i = 0; i < types; i++) {
        bool seconds = !heap && m->values[i] == INUSE_SPACE;
        double value = view_value_of(v, m->values[i]) * (seconds ? 1e9 : 1);
        s->value[i] = view_whole(round(value));
    }
    *MEM_PUSH(m->profile.sample, m->profile.n_sample, m->samples_room) = s;
}

static void write_gzipped(FILE *to, const uint8_t *bytes, size_t len)
{
    z_stream z;
    memset(&z, 0, sizeof(z));
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        fail("zlib does not start");
    }
    static Bytef room[65536];
    size_t done = 0;
    int status = Z_OK;
    while (status != Z_STREAM_END) {
        size_t now = len - done < (1U << 30) ? len - done : (1U << 30);
        z.next_in = (Bytef *)(uintptr_t)bytes + done;
        z.avail_in = (uInt)now;
        do {
            z.next_out = room;
            z.avail_out = sizeof(room);
            status = deflate(&z, done + now == len ? Z_FINISH : Z_NO_FLUSH);
            fwrite(room, 1, sizeof(room) - z.avail_out, to);
        } while (z.avail_out == 0);
        done += now;
    }
    deflateEnd(&z);
}

void print_proto(FILE *to, view_t *v)
{
    proto_message_t m;
    memset(&m, 0, sizeof(m));
    jeprof__pb__profile__init(&m.profile);
    text_id("", 0);
    add_types(&m, v->p);
    add_mappings(&m, v->p);
    add_locations(&m, v->p);
    add_functions(&m, v->p);
    view_rewind(v);
    while (view_next(v)) {
        add_sample(&m, v);
    }
    /* Last, for all texts are known now. */
    m.profile.n_string_table = texts_count();
    m.profile.string_table =
        mem_alloc((texts_count() + 1) * sizeof(*m.profile.string_table));
    for (uint32_t i = 0; i < texts_count(); i++) {
        m.profile.string_table[i] = (char *)(uintptr_t)text_of(i);
    }
    size_t len = jeprof__pb__profile__get_packed_size(&m.profile);
    uint8_t *bytes = mem_alloc(len + 1);
    jeprof__pb__profile__pack(&m.profile, bytes);
    write_gzipped(to, bytes, len);
    mem_free(bytes);
}
