/*
 * What: filters and values, see view.h.
 *
 * Invariants: (I1) whether a frame matches a pattern is found out once.
 *
 * Locking: none.
 */
#include "view.h"

#include <inttypes.h>
#include <math.h>
#include <regex.h>
#include <string.h>

#include "mem.h"
#include "names.h"
#include "say.h"

enum { UNKNOWN, MATCHES, FAILS };

typedef struct pattern {
    regex_t regex;
    uint8_t *known; /* by frame */
    size_t known_count;
} pattern_t;

pattern_t *pattern_new(const char *expression)
{
    if (expression == NULL || *expression == '\0') {
        return NULL;
    }
    pattern_t *pattern = mem_alloc(sizeof(*pattern));
    int status = regcomp(&pattern->regex, expression, REG_EXTENDED | REG_NOSUB);
    if (status != 0) {
        char why[128];
        regerror(status, &pattern->regex, why, sizeof(why));
        fail("\"%s\" is not a regular expression: %s", expression, why);
    }
    return pattern;
}

bool pattern_matches(const pattern_t *pattern, const char *text)
{
    return regexec(&pattern->regex, text, 0, NULL, 0) == 0;
}

void pattern_free(pattern_t *pattern)
{
    if (pattern != NULL) {
        regfree(&pattern->regex);
        mem_free(pattern->known);
        mem_free(pattern);
    }
}

void view_init(view_t *v, profile_t *p, const settings_t *s)
{
    memset(v, 0, sizeof(*v));
    v->p = p;
    v->title = "profile";
    v->show_bytes = s->show_bytes;
    v->metric = s->metric;
    if (s->metric == METRIC_DEFAULT) {
        v->metric =
            p->kind == KIND_CPU ? METRIC_INUSE_OBJECTS : METRIC_INUSE_SPACE;
    }
    bool cumulative =
        v->metric == METRIC_ALLOC_OBJECTS || v->metric == METRIC_ALLOC_SPACE;
    if (cumulative && !p->has_alloc) {
        warn("the profile has no numbers of what was allocated since the "
             "start: run the program with prof_accum:true");
    }
}

void view_filter(view_t *v, const char *focus, const char *ignore,
    const char *retain, const char *exclude)
{
    pattern_free(v->focus);
    pattern_free(v->ignore);
    pattern_free(v->retain);
    pattern_free(v->exclude);
    v->focus = pattern_new(focus);
    v->ignore = pattern_new(ignore);
    v->retain = pattern_new(retain);
    v->exclude = pattern_new(exclude);
}

void view_rewind(view_t *v)
{
    v->next = 0;
}

static bool match_anywhere(
    const profile_t *p, const pattern_t *pattern, const frame_t *f, uint64_t pc)
{
    char text[32];
    const function_t *function = &p->functions[f->function];
    snprintf(text, sizeof(text), "%016" PRIx64, pc);
    if (pattern_matches(pattern, text_of(function->short_name)) ||
        pattern_matches(pattern, text)) {
        return true;
    }
    char *place =
        mem_format("%s:%u", f->file != 0 ? text_of(f->file) : "??", f->line);
    bool matches = pattern_matches(pattern, place);
    mem_free(place);
    return matches;
}

/* `everywhere`: address and source line count too, else the name alone. */
static bool frame_matches(const profile_t *p, pattern_t *pattern,
    uint32_t frame, uint64_t pc, bool everywhere)
{
    if (pattern->known_count < p->frames_count) {
        pattern->known = mem_resize(pattern->known, p->frames_count);
        pattern->known_count = p->frames_count;
    }
    if (pattern->known[frame] == UNKNOWN) {
        const frame_t *f = &p->frames[frame];
        bool matches = everywhere
                           ? match_anywhere(p, pattern, f, pc)
                           : pattern_matches(pattern,
                                 text_of(p->functions[f->function].short_name));
        pattern->known[frame] = matches ? MATCHES : FAILS;
    }
    return pattern->known[frame] == MATCHES;
}

static bool any_matches(const view_t *v, pattern_t *pattern)
{
    for (size_t i = 0; i < v->depth; i++) {
        uint64_t pc = v->p->locations[v->locations[i]].address;
        if (frame_matches(v->p, pattern, v->frames[i], pc, true)) {
            return true;
        }
    }
    return false;
}

typedef bool (*is_of_fn_t)(const function_t *);

static bool is_allocator(const function_t *f)
{
    return f->is_allocator;
}

static bool is_allocator_or_internal(const function_t *f)
{
    return f->is_allocator || f->is_internal;
}

static bool is_recorder(const function_t *f)
{
    return f->is_internal && names_is_recorder(f->short_name);
}

/* How many innermost frames of the location end in one of that kind. */
static uint32_t frames_up_to(
    const profile_t *p, const location_t *l, is_of_fn_t is_of)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < l->frames_count; i++) {
        const frame_t *f = &p->frames[l->frames + i];
        found = is_of(&p->functions[f->function]) ? i + 1 : found;
    }
    return found;
}

/*
 * How many locations at the leaf are the allocator's, and which of its frames
 * count as such: up to the last function that allocates, and on while there
 * are functions of ours if the stack begins where we record it.
 */
static uint32_t allocator_depth(
    const profile_t *p, const sample_t *s, is_of_fn_t *kind)
{
    const uint32_t *steps = profile_steps(p, s);
    uint32_t depth = profile_depth(p, s);
    *kind = is_allocator;
    if (p->kind != KIND_HEAP && p->kind != KIND_GROWTH) {
        return 0;
    }
    uint32_t cut = 0;
    for (uint32_t i = 0; i < depth; i++) {
        bool found = frames_up_to(p, &p->locations[steps[i]], is_allocator) > 0;
        cut = found ? i + 1 : cut;
    }
    bool recorded =
        depth > 0 && frames_up_to(p, &p->locations[steps[0]], is_recorder) > 0;
    if (recorded) {
        *kind = is_allocator_or_internal;
        while (cut < depth && frames_up_to(p, &p->locations[steps[cut]],
                                  is_allocator_or_internal) > 0) {
            cut++;
        }
    }
    return cut;
}

/* Its frames but for the `first` innermost ones. */
static void add_location(view_t *v, uint32_t location, uint32_t first)
{
    const location_t *l = &v->p->locations[location];
    for (uint32_t i = first; i < l->frames_count; i++) {
        size_t at = v->depth;
        v->locations = mem_room(
            v->locations, at, &v->locations_room, sizeof(*v->locations));
        v->locations[at] = location;
        *MEM_PUSH(v->frames, v->depth, v->room) = l->frames + i;
    }
}

static void expand(view_t *v)
{
    const sample_t *s = v->sample;
    const uint32_t *steps = profile_steps(v->p, s);
    uint32_t depth = profile_depth(v->p, s);
    is_of_fn_t kind;
    uint32_t cut = allocator_depth(v->p, s, &kind);
    v->depth = 0;
    /* The frame that allocates may be inlined into one that is the user's. */
    if (cut > 0) {
        const location_t *last = &v->p->locations[steps[cut - 1]];
        add_location(v, steps[cut - 1], frames_up_to(v->p, last, kind));
    }
    for (uint32_t i = cut; i < depth; i++) {
        add_location(v, steps[i], 0);
    }
}

static void drop_frames(view_t *v)
{
    size_t kept = 0;
    for (size_t i = 0; i < v->depth; i++) {
        uint32_t frame = v->frames[i];
        if ((v->retain != NULL &&
                !frame_matches(v->p, v->retain, frame, 0, false)) ||
            (v->exclude != NULL &&
                frame_matches(v->p, v->exclude, frame, 0, false))) {
            continue;
        }
        v->frames[kept] = frame;
        v->locations[kept++] = v->locations[i];
    }
    v->depth = kept;
}

bool view_next(view_t *v)
{
    while (v->next < v->p->samples_count) {
        v->sample = &v->p->samples[v->next++];
        if (v->show_thread && v->sample->thread != v->thread) {
            continue;
        }
        expand(v);
        drop_frames(v);
        if ((v->retain != NULL && v->depth == 0) ||
            (v->focus != NULL && !any_matches(v, v->focus)) ||
            (v->ignore != NULL && any_matches(v, v->ignore))) {
            continue;
        }
        return true;
    }
    return false;
}

double view_value_of(const view_t *v, int which)
{
    return v->sample->value[which] - v->sample->base[which];
}

double view_value(const view_t *v)
{
    return view_value_of(
        v, v->metric == METRIC_MEAN_DELAY ? INUSE_SPACE : (int)v->metric);
}

static bool is_amount(const view_t *v)
{
    return v->metric != METRIC_INUSE_OBJECTS &&
           v->metric != METRIC_ALLOC_OBJECTS;
}

const char *view_unit(const view_t *v)
{
    switch (v->p->kind) {
    case KIND_CPU:
        return is_amount(v) ? "seconds" : "samples";
    case KIND_CONTENTION:
        return is_amount(v) ? "seconds" : "contentions";
    default:
        return !is_amount(v) ? "objects" : v->show_bytes ? "B" : "MB";
    }
}

static double cut(double value)
{
    double lost = 1e-6 + fabs(value) * 1e-12;
    return trunc(value < 0 ? value - lost : value + lost);
}

int64_t view_whole(double value)
{
    double whole = cut(value);
    return whole >= 0x1p63   ? INT64_MAX
           : whole < -0x1p63 ? INT64_MIN
                             : (int64_t)whole;
}

const char *view_format(const view_t *v, double value, char room[32])
{
    bool heap = v->p->kind != KIND_CPU && v->p->kind != KIND_CONTENTION;
    if (!is_amount(v) || (heap && v->show_bytes)) {
        snprintf(room, 32, "%.0f", cut(value));
    } else {
        double shown = heap ? value / 1048576 : value;
        snprintf(room, 32, heap ? "%.1f" : "%.3f", shown);
    }
    return room;
}
