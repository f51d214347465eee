/*
 * What: the tables of a profile, see profile.h.
 *
 * Invariants: (I1) `current` is the profile whose tables an index compares
 * with.
 *
 * Locking: none.
 */
#include "profile.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "mem.h"
#include "names.h"
#include "say.h"

static profile_t *current;

void profile_init(profile_t *p)
{
    memset(p, 0, sizeof(*p));
    current = p;
    /* Even an empty stack begins somewhere. */
    p->steps = mem_room(NULL, 0, &p->steps_room, sizeof(*p->steps));
    profile_image(p, 0, 0);
    profile_function(p, text_id_of("??"), NO_IMAGE, 0);
}

static const char *kind_name(profile_kind_t kind)
{
    static const char *const names[] = {
        "empty", "heap", "heap growth", "CPU", "contention"};
    return names[kind];
}

void profile_set_kind(profile_t *p, profile_kind_t kind, const char *file)
{
    if (p->kind != KIND_NONE && p->kind != kind) {
        fail("%s is a %s profile, but a %s profile was read before it: only "
             "profiles of one kind can be added up",
            file, kind_name(kind), kind_name(p->kind));
    }
    p->kind = kind;
}

static bool same_image(uint32_t id, const void *key)
{
    const image_t *have = &current->images[id];
    const image_t *want = key;
    if (have->build_id != 0 || want->build_id != 0) {
        return have->build_id == want->build_id;
    }
    return have->path == want->path;
}

uint32_t profile_image(profile_t *p, uint32_t path, uint32_t build_id)
{
    image_t key = {.path = path, .build_id = build_id};
    uint64_t word = build_id != 0 ? 0x100000000ULL + build_id : path;
    uint32_t fresh = (uint32_t)p->images_count;
    uint32_t id =
        index_find(&p->image_index, hash_word(word), same_image, &key, fresh);
    if (id == INDEX_NEW) {
        *MEM_PUSH(p->images, p->images_count, p->images_room) = key;
        id = fresh;
    }
    return id;
}

static bool same_location(uint32_t id, const void *key)
{
    const location_t *have = &current->locations[id];
    const location_t *want = key;
    return have->offset == want->offset && have->image == want->image;
}

uint32_t profile_location(
    profile_t *p, uint32_t image, uint64_t offset, uint64_t address)
{
    location_t key = {.image = image, .offset = offset, .address = address};
    uint32_t fresh = (uint32_t)p->locations_count;
    uint32_t id = index_find(&p->location_index, hash_word(offset * 31 + image),
        same_location, &key, fresh);
    if (id == INDEX_NEW) {
        *MEM_PUSH(p->locations, p->locations_count, p->locations_room) = key;
        id = fresh;
    }
    return id;
}

typedef struct {
    const uint32_t *steps;
    uint32_t depth;
} stack_key_t;

static bool same_stack(uint32_t id, const void *key)
{
    const call_stack_t *have = &current->stacks[id];
    const stack_key_t *want = key;
    return have->depth == want->depth &&
           (want->depth == 0 ||
               memcmp(&current->steps[have->first], want->steps,
                   want->depth * sizeof(uint32_t)) == 0);
}

uint32_t profile_stack(profile_t *p, const uint32_t *locations, uint32_t depth)
{
    stack_key_t key = {locations, depth};
    uint32_t fresh = (uint32_t)p->stacks_count;
    uint32_t id = index_find(&p->stack_index,
        hash_bytes(locations, depth * sizeof(uint32_t)), same_stack, &key,
        fresh);
    if (id != INDEX_NEW) {
        return id;
    }
    if (p->steps_count + depth > UINT32_MAX - 1) {
        fail("too many different stacks: over %u frames in all", UINT32_MAX);
    }
    call_stack_t stack = {(uint32_t)p->steps_count, depth};
    *MEM_PUSH(p->stacks, p->stacks_count, p->stacks_room) = stack;
    for (uint32_t i = 0; i < depth; i++) {
        *MEM_PUSH(p->steps, p->steps_count, p->steps_room) = locations[i];
    }
    return fresh;
}

static bool same_sample(uint32_t id, const void *key)
{
    const sample_t *have = &current->samples[id];
    const sample_t *want = key;
    return have->stack == want->stack && have->thread == want->thread;
}

void profile_add(profile_t *p, uint32_t stack, int64_t thread,
    const double value[VALUES], bool is_base)
{
    sample_t key = {.stack = stack, .thread = thread};
    uint32_t fresh = (uint32_t)p->samples_count;
    uint32_t id = index_find(&p->sample_index,
        hash_word(((uint64_t)thread << 32) ^ stack), same_sample, &key, fresh);
    if (id == INDEX_NEW) {
        *MEM_PUSH(p->samples, p->samples_count, p->samples_room) = key;
        id = fresh;
    }
    double *to = is_base ? p->samples[id].base : p->samples[id].value;
    for (int i = 0; i < VALUES; i++) {
        to[i] += value[i];
    }
    if (value[ALLOC_OBJECTS] != 0 || value[ALLOC_SPACE] != 0) {
        p->has_alloc = true;
    }
    *(is_base ? &p->has_base : &p->has_values) = true;
}

static bool same_function(uint32_t id, const void *key)
{
    const function_t *have = &current->functions[id];
    const function_t *want = key;
    return have->name == want->name && have->image == want->image &&
           have->start == want->start;
}

uint32_t profile_function(
    profile_t *p, uint32_t name, uint32_t image, uint64_t start)
{
    /* An inlined function is the same in whichever image it is. */
    image = start == 0 ? NO_IMAGE : image;
    function_t key = {.name = name, .image = image, .start = start};
    uint32_t fresh = (uint32_t)p->functions_count;
    uint64_t hash = hash_word(start ^ ((uint64_t)name << 32) ^ image);
    uint32_t id =
        index_find(&p->function_index, hash, same_function, &key, fresh);
    if (id == INDEX_NEW) {
        key.short_name = names_short(name);
        key.label = key.short_name;
        key.is_allocator = names_is_allocator(key.short_name);
        key.is_internal = names_is_internal(key.short_name);
        *MEM_PUSH(p->functions, p->functions_count, p->functions_room) = key;
        id = fresh;
    }
    return id;
}

void profile_frame(profile_t *p, uint32_t location, frame_t frame)
{
    location_t *l = &p->locations[location];
    if (l->frames_count == 0) {
        l->frames = (uint32_t)p->frames_count;
    }
    l->frames_count++;
    l->is_done = true;
    *MEM_PUSH(p->frames, p->frames_count, p->frames_room) = frame;
}

void profile_drop_negative(profile_t *p)
{
    for (size_t i = 0; i < p->samples_count; i++) {
        sample_t *s = &p->samples[i];
        for (int v = 0; v < VALUES; v++) {
            s->base[v] = fmin(s->base[v], s->value[v]);
        }
    }
}

void profile_label_functions(profile_t *p)
{
    /* By short name: the first function that has it, plus 1. */
    uint32_t *first = mem_alloc((texts_count() + 1) * sizeof(uint32_t));
    for (uint32_t i = 1; i < p->functions_count; i++) {
        function_t *f = &p->functions[i];
        if (f->start == 0) {
            continue;
        }
        uint32_t *seen = &first[f->short_name];
        if (*seen == 0) {
            *seen = i + 1;
            continue;
        }
        function_t *other = &p->functions[*seen - 1];
        function_t *both[] = {f, other};
        for (int k = 0; k < 2; k++) {
            char *label = mem_format(
                "%s@%" PRIx64, text_of(both[k]->short_name), both[k]->start);
            both[k]->label = text_id_of(label);
            mem_free(label);
        }
    }
    mem_free(first);
}
