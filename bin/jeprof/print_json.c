/*
 * What: JSON: stacks with everything we know, and speedscope's format.
 *
 * Invariants: (I1) what is printed is valid JSON whatever names hold; bytes
 * that are no UTF-8 become U+FFFD.
 *
 * Locking: none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "print.h"

/* The length of the UTF-8 character at `s`, 0 if it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool surrogate = n == 3 && s[0] == 0xed && s[1] >= 0xa0;
    bool overlong = (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) ||
                    (n == 4 && s[0] == 0xf0 && s[1] < 0x90) ||
                    (n == 4 && s[0] == 0xf4 && s[1] >= 0x90);
    return surrogate || overlong ? 0 : n;
}

void print_json_string(FILE *to, const char *string)
{
    fputc('"', to);
    for (const unsigned char *s = (const unsigned char *)string; *s != '\0';) {
        size_t n = utf8_length(s);
        if (n == 0) {
            fputs("\\ufffd", to);
            n = 1;
        } else if (*s < 0x20 || *s == '<') {
            /* Not "<" either: the text may stand in a page. */
            fprintf(to, "\\u%04x", *s);
        } else {
            fputs(*s == '"' || *s == '\\' ? "\\" : "", to);
            fwrite(s, 1, n, to);
        }
        s += n;
    }
    fputc('"', to);
}

static const char *const value_names[VALUES] = {
    "inuse_objects", "inuse_space", "alloc_objects", "alloc_space"};
static const char *const cpu_names[VALUES] = {"samples", "seconds"};
static const char *const contention_names[VALUES] = {"contentions", "delay"};

static const char *const *names_of(const profile_t *p, int *count)
{
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    *count = heap && p->has_alloc ? VALUES : 2;
    return heap                  ? value_names
           : p->kind == KIND_CPU ? cpu_names
                                 : contention_names;
}

static void print_frame(FILE *to, const profile_t *p, uint32_t id)
{
    const frame_t *f = &p->frames[id];
    fputs("{\"name\":", to);
    print_json_string(to, text_of(p->functions[f->function].name));
    if (f->file != 0) {
        fputs(",\"file\":", to);
        print_json_string(to, text_of(f->file));
        fprintf(to, ",\"line\":%u", f->line);
    }
    fprintf(to, "%s}", f->is_inlined ? ",\"inline\":true" : "");
}

static void print_values(FILE *to, const view_t *v)
{
    int count;
    const char *const *names = names_of(v->p, &count);
    for (int i = 0; i < count; i++) {
        fprintf(to, "%s\"%s\":%.12g", i > 0 ? "," : "", names[i],
            view_value_of(v, i));
    }
}

static void print_images(FILE *to, const profile_t *p)
{
    fputs("\"images\":[", to);
    for (size_t i = 1; i < p->images_count; i++) {
        const image_t *image = &p->images[i];
        fputs(i > 1 ? ",\n{\"path\":" : "\n{\"path\":", to);
        print_json_string(to, text_of(image->path));
        fputs(",\"build_id\":", to);
        print_json_string(to, text_of(image->build_id));
        fprintf(to, ",\"start\":\"0x%" PRIx64 "\",\"symbols\":%s}",
            image->start, image->binary != NULL ? "true" : "false");
    }
    fputs("],\n", to);
}

/* The frames by number, then the stacks, leaf first, as such numbers. */
void print_json(FILE *to, view_t *v)
{
    const profile_t *p = v->p;
    fprintf(to, "{\"version\":1,\"period\":%.0f,\n", p->period);
    print_images(to, p);
    fputs("\"frames\":[", to);
    for (uint32_t i = 0; i < p->frames_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", to);
        print_frame(to, p, i);
    }
    fputs("],\n\"stacks\":[", to);
    view_rewind(v);
    for (bool first = true; view_next(v); first = false) {
        fputs(first ? "\n{" : ",\n{", to);
        print_values(to, v);
        if (v->sample->thread != THREAD_ALL) {
            fprintf(to, ",\"thread\":%" PRId64, v->sample->thread);
        }
        fputs(",\"frames\":[", to);
        for (size_t i = 0; i < v->depth; i++) {
            fprintf(to, "%s%u", i > 0 ? "," : "", v->frames[i]);
        }
        fputs("]}", to);
    }
    fputs("]}\n", to);
}

static void print_speedscope_profile(
    FILE *to, view_t *v, const char *name, const char *unit, int which)
{
    double total = 0;
    fprintf(to,
        "{\"type\":\"sampled\",\"name\":\"%s\",\"unit\":\"%s\","
        "\"startValue\":0,\"samples\":[",
        name, unit);
    view_rewind(v);
    bool first = true;
    while (view_next(v)) {
        if (view_value_of(v, which) <= 0) {
            continue;
        }
        fputs(first ? "\n[" : ",\n[", to);
        first = false;
        for (size_t i = v->depth; i-- > 0;) {
            fprintf(to, "%u%s", v->frames[i], i > 0 ? "," : "");
        }
        fputc(']', to);
    }
    fputs("],\"weights\":[", to);
    view_rewind(v);
    first = true;
    while (view_next(v)) {
        double value = view_value_of(v, which);
        if (value > 0) {
            fprintf(to, "%s%.12g", first ? "" : ",", value);
            total += value;
            first = false;
        }
    }
    fprintf(to, "],\"endValue\":%.12g}", total);
}

void print_speedscope(FILE *to, view_t *v)
{
    const profile_t *p = v->p;
    int count;
    const char *const *names = names_of(p, &count);
    fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\""
          ",\n\"exporter\":\"jeprof " CONFIG_VERSION "\",\n\"name\":",
        to);
    print_json_string(to, v->title);
    fputs(",\n\"activeProfileIndex\":0,\n\"shared\":{\"frames\":[", to);
    for (uint32_t i = 0; i < p->frames_count; i++) {
        fputs(i > 0 ? ",\n" : "\n", to);
        print_frame(to, p, i);
    }
    fputs("]},\n\"profiles\":[", to);
    /* The amount first: it is what one wants to see. */
    static const int order[VALUES] = {
        INUSE_SPACE, INUSE_OBJECTS, ALLOC_SPACE, ALLOC_OBJECTS};
    bool heap = p->kind != KIND_CPU && p->kind != KIND_CONTENTION;
    for (int i = 0; i < count; i++) {
        bool amount = order[i] == INUSE_SPACE || order[i] == ALLOC_SPACE;
        fputs(i > 0 ? ",\n" : "\n", to);
        print_speedscope_profile(to, v, names[order[i]],
            !amount ? "none"
            : heap  ? "bytes"
                    : "seconds",
            order[i]);
    }
    fputs("]}\n", to);
}
