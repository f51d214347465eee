/*
 * What: from locations to frames, see symbolize.h.
 *
 * Invariants: (I1) locations are visited by image and ascending offset, which
 * is what debuginfo.h wants.
 *
 * Locking: none.
 */
#include "symbolize.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "binary.h"
#include "debuginfo.h"
#include "input.h"
#include "mem.h"
#include "names.h"
#include "perfmap.h"
#include "say.h"

/* Of an image's return addresses, so many may follow no call: 1 in 10. */
#define MISFITS_PART 10
/* Missing files that are named; of more only the number is told. */
#define MISSING_NAMED 3

typedef struct run {
    profile_t *p;
    const symbolize_options_t *options;
    uint32_t *order; /* locations without frames */
    size_t count;
    binary_t **extra; /* for addresses outside of all images */
    size_t extra_count, extra_room;
    perfmap_t perf_map;
    unsigned missing;
} run_t;

static profile_t *sorted;

static int compare_locations(const void *a, const void *b)
{
    const location_t *x = &sorted->locations[*(const uint32_t *)a];
    const location_t *y = &sorted->locations[*(const uint32_t *)b];
    if (x->image != y->image) {
        return x->image < y->image ? -1 : 1;
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void sort_locations(run_t *r)
{
    r->order = mem_alloc((r->p->locations_count + 1) * sizeof(*r->order));
    for (uint32_t i = 0; i < r->p->locations_count; i++) {
        if (!r->p->locations[i].is_done) {
            r->order[r->count++] = i;
        }
    }
    sorted = r->p;
    if (r->count > 0) {
        qsort(r->order, r->count, sizeof(*r->order), compare_locations);
    }
}

/* ---- Which file -----------------------------------------------------------
 */

/* Whether the file can be the one that ran; a reason if not. */
static char *find_misfit(run_t *r, const image_t *image, const binary_t *b,
    const uint32_t *ids, size_t count)
{
    if (image->build_id != 0 && b->build_id != 0) {
        return image->build_id == b->build_id
                   ? NULL
                   : mem_format("its build id is %s, the profile's %s",
                         text_of(b->build_id), text_of(image->build_id));
    }
    size_t returns = 0;
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        const location_t *l = &r->p->locations[ids[i]];
        uint64_t address;
        if (l->is_return) {
            returns++;
            bad += !binary_address(b, l->offset, &address) ||
                   !binary_is_after_call(b, l->offset + 1);
        }
    }
    if (bad * MISFITS_PART <= returns) {
        return NULL;
    }
    return mem_format(
        "%zu of %zu return addresses follow no call in it", bad, returns);
}

/* Opens the file if it fits; takes note of the reason if it does not. */
static binary_t *try_file(run_t *r, const image_t *image, const char *path,
    const uint32_t *ids, size_t count, char **misfit)
{
    binary_t *b = binary_open(path);
    char *reason = b != NULL ? find_misfit(r, image, b, ids, count) : NULL;
    if (reason != NULL) {
        binary_close(b);
        b = NULL;
        mem_free(*misfit);
        *misfit = mem_format(
            "%s is not the file that was running (%s)", path, reason);
        mem_free(reason);
    }
    return b;
}

/* Below each prefix, the longest end of the path first. */
static binary_t *try_prefixes(run_t *r, const image_t *image,
    const uint32_t *ids, size_t count, char **misfit)
{
    const char *path = text_of(image->path);
    const char *prefixes = r->options->lib_prefix;
    for (const char *end = path; prefixes != NULL && end != NULL;
         end = strchr(end + 1, '/')) {
        for (const char *at = prefixes; *at != '\0';) {
            size_t len = strcspn(at, ",");
            char *name = mem_format(
                "%.*s%s%s", (int)len, at, *end == '/' ? "" : "/", end);
            binary_t *b = try_file(r, image, name, ids, count, misfit);
            mem_free(name);
            if (b != NULL) {
                return b;
            }
            at += len + (at[len] == ',');
        }
    }
    return NULL;
}

static bool same_base(const char *a, const char *b)
{
    const char *x = strrchr(a, '/');
    const char *y = strrchr(b, '/');
    return strcmp(x != NULL ? x + 1 : a, y != NULL ? y + 1 : b) == 0;
}

/* Whether the PROGRAM of the command line is meant to be this image. */
static bool is_given_program(const run_t *r, const image_t *image)
{
    const char *program = r->options->program;
    if (program == NULL) {
        return false;
    }
    char *absolute = realpath(program, NULL);
    const char *path = text_of(image->path);
    bool same = absolute != NULL && strcmp(absolute, path) == 0;
    free(absolute);
    return same || image->is_program || same_base(program, path);
}

static void tell_missing(run_t *r, const image_t *image, const char *misfit)
{
    const char *path = text_of(image->path);
    if (misfit != NULL) {
        warn("%s; its addresses are shown without names", misfit);
    } else if (r->missing++ < MISSING_NAMED) {
        warn("%s: %s; its addresses are shown without names", path,
            image->was_deleted ? "was gone when the profile was written"
                               : "no such ELF file here (see --lib_prefix)");
    }
}

static binary_t *find_file(
    run_t *r, const image_t *image, const uint32_t *ids, size_t count)
{
    binary_t *b = NULL;
    char *misfit = NULL;
    if (is_given_program(r, image)) {
        b = try_file(r, image, r->options->program, ids, count, &misfit);
    }
    if (b == NULL) {
        b = try_prefixes(r, image, ids, count, &misfit);
    }
    if (b == NULL) {
        b = try_file(r, image, text_of(image->path), ids, count, &misfit);
    }
    if (b == NULL && image->build_id != 0) {
        b = binary_open_by_id(text_of(image->build_id), text_of(image->path));
    }
    if (b == NULL) {
        tell_missing(r, image, misfit);
    } else if (r->options->tell_files) {
        note("%s: symbols from %s", text_of(image->path), b->path);
    }
    mem_free(misfit);
    return b;
}

/* ---- Frames ---------------------------------------------------------------
 */

static void add_frame(
    run_t *r, uint32_t id, const debuginfo_frame_t *f, uint32_t name)
{
    uint32_t image = r->p->locations[id].image;
    uint32_t function = profile_function(r->p, name, image, f->start);
    function_t *known = &r->p->functions[function];
    if (known->file == 0) {
        known->file = f->function_file;
        known->line = f->function_line;
    }
    if (names_is_allocator_library(text_of(r->p->images[image].path))) {
        known->is_allocator = true;
    }
    frame_t frame = {function, f->file, f->line, f->is_inlined};
    profile_frame(r->p, id, frame);
}

/* By debug information, else by the symbol table. */
static bool add_frames(run_t *r, binary_t *b, uint32_t id, uint64_t address)
{
    static debuginfo_frame_t frames[INLINED_MAX];
    if (!b->has_debuginfo) {
        b->has_debuginfo = true;
        b->debuginfo = debuginfo_open(b->module);
    }
    size_t count = b->debuginfo != NULL
                       ? debuginfo_lookup(b->debuginfo, address,
                             r->options->want_lines, frames)
                       : 0;
    if (count == 0 || frames[count - 1].name == 0) {
        memset(frames, 0, count == 0 ? sizeof(*frames) : 0);
        debuginfo_frame_t *last = &frames[count == 0 ? 0 : count - 1];
        uint64_t end;
        const char *symbol = binary_symbol(b, address, &last->start, &end);
        if (symbol == NULL && count == 0) {
            return false;
        }
        last->name = symbol != NULL ? names_demangle(symbol) : 0;
        count = count == 0 ? 1 : count;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t name = frames[i].name != 0 ? frames[i].name : text_id_of("??");
        add_frame(r, id, &frames[i], name);
    }
    return true;
}

/* What is not known by name is known by its place. */
static void add_address(run_t *r, uint32_t id, const binary_t *b)
{
    const location_t *l = &r->p->locations[id];
    const char *path = text_of(r->p->images[l->image].path);
    const char *base = strrchr(path, '/');
    uint64_t address = l->offset;
    debuginfo_frame_t frame = {0};
    const perfmap_code_t *code =
        b == NULL ? perfmap_find(&r->perf_map, l->address) : NULL;
    if (code != NULL) {
        frame.start = code->start;
        add_frame(r, id, &frame, code->name);
        return;
    }
    if (b != NULL && l->image != NO_IMAGE) {
        binary_address(b, l->offset, &address);
    }
    char *name = l->image == NO_IMAGE
                     ? mem_format("0x%016" PRIx64, l->address)
                     : mem_format("%s+0x%" PRIx64,
                           base != NULL ? base + 1 : path, address);
    add_frame(r, id, &frame, text_id_of(name));
    mem_free(name);
}

static void do_image(run_t *r, const uint32_t *ids, size_t count)
{
    uint32_t image_id = r->p->locations[ids[0]].image;
    image_t *image = &r->p->images[image_id];
    image->binary = find_file(r, image, ids, count);
    binary_t *b = image->binary;
    if (b != NULL && image->build_id == 0) {
        image->build_id = b->build_id;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        if (b == NULL ||
            !binary_address(b, r->p->locations[ids[i]].offset, &address) ||
            !add_frames(r, b, ids[i], address)) {
            add_address(r, ids[i], b);
        }
        progress("addresses of one image", i, count);
    }
}

static void open_extra(run_t *r, const char *path)
{
    binary_t *b = path != NULL ? binary_open(path) : NULL;
    if (b != NULL) {
        *MEM_PUSH(r->extra, r->extra_count, r->extra_room) = b;
    } else if (path != NULL) {
        warn("%s: no ELF file", path);
    }
}

/* Addresses in no image: the program's, or an added library's, unrelocated. */
static void do_unmapped(run_t *r, const uint32_t *ids, size_t count)
{
    if (r->extra == NULL) {
        open_extra(r, r->options->program);
        for (size_t i = 0; i < r->options->add_libs_count; i++) {
            open_extra(r, r->options->add_libs[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t address = r->p->locations[ids[i]].offset;
        bool found = false;
        for (size_t k = 0; k < r->extra_count && !found; k++) {
            found = binary_has_code(r->extra[k], address) &&
                    add_frames(r, r->extra[k], ids[i], address);
        }
        if (!found) {
            add_address(r, ids[i], NULL);
        }
    }
}

void symbolize(profile_t *p, const symbolize_options_t *options)
{
    run_t r = {.p = p, .options = options};
    sort_locations(&r);
    if (options->perf_map != NULL) {
        input_t in = input_open(options->perf_map);
        perfmap_read(&r.perf_map, in.name, in.bytes, in.len);
    }
    for (size_t i = 0; i < r.count;) {
        uint32_t image = p->locations[r.order[i]].image;
        size_t end = i;
        while (end < r.count && p->locations[r.order[end]].image == image) {
            end++;
        }
        (image == NO_IMAGE ? do_unmapped : do_image)(&r, r.order + i, end - i);
        i = end;
    }
    if (r.missing > MISSING_NAMED) {
        warn("and %u more files are missing", r.missing - MISSING_NAMED);
    }
    progress_end();
    mem_free(r.order);
    mem_free(r.extra);
    mem_free(r.perf_map.code);
    profile_label_functions(p);
}
