/*
 * What: reads the text formats: heap_v2 of jemalloc, the heap, growth and
 * contention profiles of gperftools, and the same behind a list of symbols.
 *
 * Invariants: (I1) counters before the first stack are totals and not read;
 * (I2) a stack line without addresses is an empty stack, not the one before;
 * (I3) a last line without its end may be cut in a number: it is left out.
 *
 * Locking: none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "names.h"
#include "read.h"
#include "say.h"
#include "settings.h"

static const char maps_heading[] = "MAPPED_LIBRARIES:";

/* Where the heading stands at the start of a line; NULL if nowhere. */
static const char *find_heading(const char *from, const char *end)
{
    size_t n = sizeof(maps_heading) - 1;
    for (const char *at = from;
         (at = memmem(at, (size_t)(end - at), maps_heading, n)) != NULL;
         at += n) {
        if (at == from || at[-1] == '\n') {
            return at;
        }
    }
    return NULL;
}

/* Reads the map, which comes last but is needed first; cuts it off `c`. */
static void take_maps(reading_t *r, cursor_t *c)
{
    size_t near = 1 << 22;
    const char *tail = (size_t)(c->end - c->at) > near ? c->end - near : c->at;
    const char *heading = find_heading(tail, c->end);
    if (heading == NULL && tail > c->at) {
        heading = find_heading(c->at, c->end);
    }
    if (heading != NULL) {
        cursor_t maps = {heading + sizeof(maps_heading) - 1, c->end};
        reading_maps(r, maps);
        c->end = heading;
        return;
    }
    bool cut = c->end[-1] != '\n';
    while (cut && c->end > c->at && c->end[-1] != '\n') {
        c->end--; /* I3 */
    }
    warn("%s: %s%s; names are known only of addresses in PROGRAM itself",
        r->in.name, cut ? "ends in the middle of a line" : "",
        cut ? " and has no memory map: it is cut short" : "has no memory map");
}

/* "n: b [an: ab]"; false if it does not begin like that. */
static bool parse_counters(cursor_t *c, double value[VALUES])
{
    uint64_t number[VALUES] = {0, 0, 0, 0};
    static const char *const between[] = {"", ":", "[", ":"};
    for (int i = 0; i < VALUES; i++) {
        cursor_blanks(c);
        if (!cursor_skip(c, between[i])) {
            return false;
        }
        cursor_blanks(c);
        if (!cursor_decimal(c, &number[i])) {
            return false;
        }
        value[i] = (double)number[i];
    }
    cursor_blanks(c);
    return cursor_skip(c, "]");
}

static void parse_stack(reading_t *r, cursor_t line)
{
    r->depth = 0;
    uint64_t address;
    cursor_t c = line;
    for (cursor_blanks(&c); cursor_hex(&c, &address); cursor_blanks(&c)) {
        reading_push(r, address, r->depth > 0);
    }
    if (c.at < c.end) {
        reading_bad_line(r, line);
    }
}

/* "  t*: counters" or "  t7: counters"; `c` is behind the t. */
static void parse_thread_line(reading_t *r, cursor_t c, cursor_t line)
{
    uint64_t thread = 0;
    double value[VALUES];
    bool is_sum = cursor_skip(&c, "*");
    if (!is_sum && !cursor_decimal(&c, &thread)) {
        reading_bad_line(r, line);
        return;
    }
    if (is_sum != (r->options.threads == THREADS_SUM) ||
        (r->options.threads == THREADS_ONE &&
            thread != (uint64_t)r->options.thread)) {
        return;
    }
    if (cursor_skip(&c, ":") && parse_counters(&c, value)) {
        reading_add(r, is_sum ? THREAD_ALL : (int64_t)thread, value);
    } else {
        reading_bad_line(r, line);
    }
}

/* heap_v2: "@ addresses" lines, each followed by lines of its threads. */
static void read_threaded(reading_t *r, cursor_t c)
{
    bool in_stacks = false;
    cursor_t line;
    while (cursor_line(&c, &line)) {
        r->line++;
        cursor_t l = line;
        cursor_blanks(&l);
        if (l.at == l.end) {
            continue;
        }
        if (cursor_skip(&l, "@")) {
            in_stacks = true;
            parse_stack(r, l);
        } else if (cursor_skip(&l, "t")) {
            if (in_stacks) {
                parse_thread_line(r, l, line);
            }
        } else {
            reading_bad_line(r, line);
        }
    }
}

/* "counters @ addresses" lines. */
static void read_plain(reading_t *r, cursor_t c)
{
    cursor_t line;
    while (cursor_line(&c, &line)) {
        r->line++;
        cursor_t l = line;
        double value[VALUES];
        cursor_blanks(&l);
        if (l.at == l.end) {
            continue;
        }
        if (!parse_counters(&l, value)) {
            reading_bad_line(r, line);
            continue;
        }
        cursor_blanks(&l);
        if (cursor_skip(&l, "@")) {
            parse_stack(r, l);
            reading_add(r, THREAD_ALL, value);
        } else {
            reading_bad_line(r, line);
        }
    }
}

static void set_sampling(reading_t *r, sampling_t sampling, uint64_t period)
{
    r->sampling = sampling;
    r->period = (double)period;
    if (r->p->period == 0) {
        r->p->period = r->period;
    }
}

/* "heap profile: counters @ TYPE/PERIOD" */
static void read_single_table(reading_t *r, cursor_t header, cursor_t c)
{
    double totals[VALUES];
    uint64_t period = 0;
    parse_counters(&header, totals);
    cursor_blanks(&header);
    cursor_skip(&header, "@");
    cursor_blanks(&header);
    bool growth = memmem(header.at, (size_t)(header.end - header.at), "growth",
                      6) != NULL;
    const char *slash =
        memchr(header.at, '/', (size_t)(header.end - header.at));
    cursor_t number = {slash != NULL ? slash + 1 : header.end, header.end};
    cursor_decimal(&number, &period);
    if (cursor_starts(&header, "heap_v2")) {
        set_sampling(r, SAMPLING_EXPONENTIAL, period);
    } else if (cursor_starts(&header, "heap/")) {
        set_sampling(r, SAMPLING_FIXED, period / 2);
    }
    profile_set_kind(r->p, growth ? KIND_GROWTH : KIND_HEAP, r->in.name);
    take_maps(r, &c);
    read_plain(r, c);
}

static void read_heap_v2(reading_t *r, cursor_t header, cursor_t c)
{
    uint64_t period;
    if (!cursor_decimal(&header, &period) || header.at != header.end) {
        fail("%s: the first line must be heap_v2/ and the mean number of "
             "bytes between samples",
            r->in.name);
    }
    set_sampling(r, SAMPLING_EXPONENTIAL, period);
    profile_set_kind(r->p, KIND_HEAP, r->in.name);
    if (c.at == c.end) {
        warn("%s: ends after its first line: it is cut short", r->in.name);
        return;
    }
    take_maps(r, &c);
    read_threaded(r, c);
}

/* "NAME = VALUE" of a contention profile. */
static bool contention_setting(cursor_t line, const char *name, double *value)
{
    uint64_t number;
    if (!cursor_skip(&line, name)) {
        return false;
    }
    cursor_blanks(&line);
    if (!cursor_skip(&line, "=")) {
        return false;
    }
    cursor_blanks(&line);
    if (cursor_decimal(&line, &number) && number > 0) {
        *value = (double)number;
    }
    return true;
}

/* "DELAY COUNT @ addresses" lines, the delay in cycles. */
static void read_contention(reading_t *r, cursor_t c)
{
    double cycles_per_s = 1e9;
    double every = 1;
    double ignored = 0;
    cursor_t line;
    profile_set_kind(r->p, KIND_CONTENTION, r->in.name);
    take_maps(r, &c);
    while (cursor_line(&c, &line)) {
        r->line++;
        uint64_t delay = 0;
        uint64_t count = 0;
        cursor_t l = line;
        cursor_blanks(&l);
        if (l.at == l.end ||
            contention_setting(l, "cycles/second", &cycles_per_s) ||
            contention_setting(l, "sampling period", &every) ||
            contention_setting(l, "ms since reset", &ignored) ||
            contention_setting(l, "discarded samples", &ignored) ||
            contention_setting(l, "format", &ignored)) {
            continue;
        }
        bool fine = cursor_decimal(&l, &delay);
        cursor_blanks(&l);
        fine = fine && cursor_decimal(&l, &count);
        cursor_blanks(&l);
        if (!fine || !cursor_skip(&l, "@")) {
            reading_bad_line(r, line);
            continue;
        }
        parse_stack(r, l);
        double value[VALUES] = {
            (double)count * every, (double)delay * every / cycles_per_s, 0, 0};
        reading_add(r, THREAD_ALL, value);
    }
}

/* ---- Symbols that the profile brings along --------------------------------
 */

typedef struct symbol {
    uint64_t address;
    const char *names; /* outermost first, "--" between */
    size_t len;
} text_symbol_t;

static int compare_symbols(const void *a, const void *b)
{
    const text_symbol_t *x = a;
    const text_symbol_t *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

/* Innermost first, so from the end. */
void read_named_frames(
    profile_t *p, uint32_t location, const char *names, size_t names_len)
{
    const char *end = names + names_len;
    while (end > names) {
        const char *start = end;
        while (start > names &&
               !(start - names >= 2 && memcmp(start - 2, "--", 2) == 0)) {
            start--;
        }
        bool is_inlined = start > names;
        /* "name<0000000000001550>": where the symbol begins. */
        size_t len = (size_t)(end - start);
        uint64_t begin = 0;
        if (len > 18 && end[-1] == '>' && end[-18] == '<') {
            cursor_t c = {end - 17, end - 1};
            if (cursor_hex(&c, &begin) && c.at == c.end) {
                len -= 18;
            }
        }
        uint32_t image = p->locations[location].image;
        uint32_t name = text_id(start, len);
        frame_t frame = {.function = profile_function(p, name, image, begin),
            .is_inlined = is_inlined};
        profile_frame(p, location, frame);
        end = is_inlined ? start - 2 : start;
    }
}

static void apply_symbols(
    reading_t *r, const text_symbol_t *symbols, size_t count)
{
    for (size_t i = 0; count > 0 && i < r->pcs_count; i++) {
        uint32_t id = r->pc_locations[i];
        text_symbol_t key = {.address = r->pcs[i]};
        const text_symbol_t *s =
            bsearch(&key, symbols, count, sizeof(*symbols), compare_symbols);
        if (s != NULL && !r->p->locations[id].is_done) {
            read_named_frames(r->p, id, s->names, s->len);
        }
    }
    r->p->is_symbolized = true;
}

static bool read_body(reading_t *r, cursor_t header, cursor_t c);

/* "--- symbol", lines "ADDRESS NAMES", "---", then a profile. */
static void read_symbolized(reading_t *r, cursor_t c)
{
    text_symbol_t *symbols = NULL;
    size_t count = 0;
    size_t room = 0;
    cursor_t line;
    while (cursor_line(&c, &line) && !cursor_starts(&line, "---")) {
        r->line++;
        text_symbol_t s;
        if (cursor_starts(&line, "0x") && cursor_hex(&line, &s.address)) {
            cursor_blanks(&line);
            s.names = line.at;
            s.len = (size_t)(line.end - line.at);
            *MEM_PUSH(symbols, count, room) = s;
        }
    }
    if (count > 0) {
        qsort(symbols, count, sizeof(*symbols), compare_symbols);
    }
    if (!cursor_line(&c, &line)) {
        fail("%s: has symbols, but no profile behind them", r->in.name);
    }
    if (cursor_starts(&line, "--- heap") || cursor_starts(&line, "--- grow") ||
        cursor_starts(&line, "--- profile")) {
        r->in.bytes = c.at;
        r->in.len = (size_t)(c.end - c.at);
        cursor_line(&c, &line);
    }
    if (!read_body(r, line, c) && !read_cpu(r)) {
        fail("%s: what follows its symbols is no profile", r->in.name);
    }
    apply_symbols(r, symbols, count);
    mem_free(symbols);
}

static bool read_body(reading_t *r, cursor_t header, cursor_t c)
{
    if (cursor_skip(&header, "heap_v2/")) {
        read_heap_v2(r, header, c);
    } else if (cursor_skip(&header, "heap profile:")) {
        read_single_table(r, header, c);
    } else if (cursor_starts(&header, "--- contention") ||
               cursor_starts(&header, "--- Stacks:")) {
        read_contention(r, c);
    } else {
        return false;
    }
    return true;
}

bool read_text(reading_t *r)
{
    cursor_t c = {r->in.bytes, r->in.bytes + r->in.len};
    cursor_t line;
    r->line = 0;
    do {
        if (!cursor_line(&c, &line)) {
            return false;
        }
        r->line++;
        cursor_t text = line;
        if (cursor_skip(&text, "%warn")) {
            cursor_blanks(&text);
            warn("%s: %.*s", r->in.name, (int)(text.end - text.at), text.at);
        }
    } while (cursor_starts(&line, "%"));
    if (cursor_starts(&line, "--- symbol")) {
        read_symbolized(r, c);
        return true;
    }
    return read_body(r, line, c);
}
