/*
 * What: finds out the format, and what readers share, see read.h.
 *
 * Invariants: (I1) an address that calls were made from is looked up less 1,
 * so that it lies in the call; the innermost one is taken as it is.
 *
 * Locking: none.
 */
#include "read.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "mem.h"
#include "say.h"
#include "settings.h"

/* The tables of the reading whose addresses are being looked up. */
static const uint64_t *pcs_of_index;

static bool same_pc(uint32_t id, const void *key)
{
    return pcs_of_index[id] == *(const uint64_t *)key;
}

void reading_push(reading_t *r, uint64_t address, bool is_return)
{
    uint64_t pc = is_return && address > 0 ? address - 1 : address;
    uint32_t fresh = (uint32_t)r->pcs_count;
    pcs_of_index = r->pcs;
    uint32_t id = index_find(&r->pc_index, hash_word(pc), same_pc, &pc, fresh);
    if (id == INDEX_NEW) {
        id = fresh;
        r->pc_locations = mem_room(r->pc_locations, fresh,
            &r->pc_locations_room, sizeof(*r->pc_locations));
        r->pc_locations[fresh] = maps_locate(&r->maps, r->p, pc);
        *MEM_PUSH(r->pcs, r->pcs_count, r->pcs_room) = pc;
    }
    uint32_t location = r->pc_locations[id];
    r->p->locations[location].is_return |= is_return;
    *MEM_PUSH(r->steps, r->depth, r->steps_room) = location;
}

void reading_unsample(const reading_t *r, double *objects, double *bytes)
{
    if (*objects <= 0 || r->period <= 0) {
        return;
    }
    double mean = *bytes / *objects;
    double factor = 1;
    if (r->sampling == SAMPLING_EXPONENTIAL) {
        double chance = -expm1(-mean / r->period);
        factor = chance > 0 ? 1 / chance : 1;
    } else if (r->sampling == SAMPLING_FIXED && mean < r->period && mean > 0) {
        factor = r->period / mean;
    }
    *objects *= factor;
    *bytes *= factor;
}

void reading_add(reading_t *r, int64_t thread, double value[VALUES])
{
    reading_unsample(r, &value[INUSE_OBJECTS], &value[INUSE_SPACE]);
    reading_unsample(r, &value[ALLOC_OBJECTS], &value[ALLOC_SPACE]);
    uint32_t stack = profile_stack(r->p, r->steps, (uint32_t)r->depth);
    profile_add(r->p, stack, thread, value, r->options.is_base);
    if (++r->stacks % 4096 == 0) {
        progress("stacks read", r->stacks, 0);
    }
}

/* At most `max` bytes of it, without what would disturb a terminal. */
static void printable(char *to, cursor_t from, size_t max)
{
    size_t n = 0;
    for (; from.at < from.end && n < max; from.at++) {
        unsigned char c = (unsigned char)*from.at;
        to[n++] = isprint(c) ? (char)c : '.';
    }
    to[n] = '\0';
}

void reading_bad_line(reading_t *r, cursor_t line)
{
    if (r->bad_lines++ == 0) {
        char text[61];
        printable(text, line, sizeof(text) - 1);
        warn("%s: line %llu is not understood and left out: %s", r->in.name,
            (unsigned long long)r->line, text);
    }
}

void reading_maps(reading_t *r, cursor_t where)
{
    maps_read(&r->maps, r->p, where.at, (size_t)(where.end - where.at),
        r->in.modified_at);
}

static void release(reading_t *r)
{
    mem_free(r->maps.at);
    mem_free(r->steps);
    mem_free(r->pcs);
    mem_free(r->pc_locations);
    mem_free(r->pc_index.slots);
}

void read_profile(profile_t *p, input_t in, read_options_t options)
{
    if (in.len == 0) {
        fail("%s: empty: the dump was never written to its end", in.name);
    }
    reading_t r = {.p = p, .in = in, .options = options};
    bool known = read_text(&r) || read_cpu(&r) || read_proto(&r);
    progress_end();
    if (!known) {
        cursor_t c = {in.bytes, in.bytes + in.len};
        cursor_t line = {in.bytes, in.bytes};
        cursor_line(&c, &line);
        char text[41];
        printable(text, line, sizeof(text) - 1);
        fail("%s: not a profile: it begins with \"%s\". Known are heap_v2, "
             "\"heap profile:\", symbolised and contention text, CPU profiles "
             "and profile.proto, each also gzipped",
            in.name, text);
    }
    if (r.bad_lines > 1) {
        warn("%s: %llu lines in all were not understood", in.name,
            (unsigned long long)r.bad_lines);
    }
    if (options.threads != THREADS_SUM && r.p->kind != KIND_HEAP) {
        fail("%s: --thread needs a heap_v2 profile", in.name);
    }
    release(&r);
}
