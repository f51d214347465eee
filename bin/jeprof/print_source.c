/*
 * What: annotated source and machine code of single functions.
 *
 * Invariants: (I1) a line or an instruction counts once in a stack.
 *
 * Locking: none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "binary.h"
#include "print.h"
#include "say.h"
#include "tool.h"

#define CONTEXT 5

/* Sums by a number: of a source line, or of a location. */
typedef struct sum {
    uint64_t at;
    double flat;
    double cum;
    size_t stack;
} sum_t;

typedef struct sums {
    sum_t *at;
    size_t count, room;
    double flat;
    double cum;
    size_t stack;
} sums_t;

static sum_t *find_sum(sums_t *s, uint64_t at)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->at[i].at == at) {
            return &s->at[i];
        }
    }
    sum_t *new = MEM_PUSH(s->at, s->count, s->room);
    *new = (sum_t){at, 0, 0, SIZE_MAX};
    return new;
}

static void add(sums_t *s, uint64_t at, double value, bool leaf, size_t stack)
{
    sum_t *sum = find_sum(s, at);
    sum->flat += leaf ? value : 0;
    s->flat += leaf ? value : 0;
    if (sum->stack != stack) {
        sum->stack = stack;
        sum->cum += value;
    }
    if (s->stack != stack) {
        s->stack = stack;
        s->cum += value;
    }
}

/* "." for nothing. */
static const char *cell(const view_t *v, double value, char room[32])
{
    return value == 0 ? "." : view_format(v, value, room);
}

static int compare_sums(const void *a, const void *b)
{
    const sum_t *x = a;
    const sum_t *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/*
 * The functions that match and are on some stack, in the order of their
 * numbers; the caller frees the array.
 */
static uint8_t *match_functions(const view_t *v, const char *regex)
{
    uint8_t *matches = mem_alloc(v->p->functions_count + 1);
    struct pattern *pattern = pattern_new(regex);
    size_t found = 0;
    for (size_t i = 1; i < v->p->functions_count && pattern != NULL; i++) {
        const function_t *f = &v->p->functions[i];
        matches[i] = pattern_matches(pattern, text_of(f->label)) ||
                     pattern_matches(pattern, text_of(f->short_name));
        found += matches[i];
    }
    pattern_free(pattern);
    if (found == 0) {
        warn("no function on any stack matches \"%s\"",
            regex != NULL ? regex : "");
    }
    return matches;
}

/* ---- Source ---------------------------------------------------------------
 */

static void print_line(FILE *to, const view_t *v, const sums_t *sums,
    uint64_t number, const char *source)
{
    char a[32], b[32];
    double flat = 0;
    double cum = 0;
    for (size_t i = 0; i < sums->count; i++) {
        if (sums->at[i].at == number) {
            flat = sums->at[i].flat;
            cum = sums->at[i].cum;
        }
    }
    fprintf(to, "%6s %6s %4" PRIu64 ": %s\n", cell(v, flat, a), cell(v, cum, b),
        number, source);
}

static FILE *open_source(const char *path)
{
    FILE *f = fopen(path, "re");
    /* The compiler may have been told another directory than this one. */
    const char *base = strrchr(path, '/');
    return f == NULL && base != NULL ? fopen(base + 1, "re") : f;
}

static void print_lines(FILE *to, const view_t *v, const sums_t *sums,
    const char *path, uint64_t first, uint64_t last)
{
    FILE *f = open_source(path);
    char *line = NULL;
    size_t room = 0;
    uint64_t from = first > CONTEXT ? first - CONTEXT : 1;
    if (f == NULL) {
        for (size_t i = 0; i < sums->count; i++) {
            print_line(to, v, sums, sums->at[i].at, "(no source here)");
        }
        warn("%s: the source is not here", path);
        return;
    }
    for (uint64_t n = 1; n <= last + CONTEXT && getline(&line, &room, f) >= 0;
         n++) {
        line[strcspn(line, "\r\n")] = '\0';
        if (n < from) {
            continue;
        }
        fputs(n == first ? "---\n" : "", to);
        print_line(to, v, sums, n, line);
        fputs(n == last ? "---\n" : "", to);
    }
    free(line);
    fclose(f);
}

static void list_function(FILE *to, view_t *v, uint32_t function, uint32_t file)
{
    sums_t sums = {.stack = SIZE_MAX};
    view_rewind(v);
    for (size_t stack = 0; view_next(v); stack++) {
        for (size_t i = 0; i < v->depth; i++) {
            const frame_t *f = &v->p->frames[v->frames[i]];
            if (f->function == function && f->file == file && f->line != 0) {
                add(&sums, f->line, view_value(v), i == 0, stack);
            }
        }
    }
    if (sums.count > 0) {
        qsort(sums.at, sums.count, sizeof(*sums.at), compare_sums);
        const function_t *f = &v->p->functions[function];
        uint64_t first = sums.at[0].at;
        uint64_t last = sums.at[sums.count - 1].at;
        if (f->file == file && f->line != 0 && f->line < first) {
            first = f->line;
        }
        char a[32], b[32];
        fprintf(to, "ROUTINE ====================== %s in %s\n",
            text_of(f->label), text_of(file));
        fprintf(to, "%6s %6s Total %s (flat / cumulative)\n",
            view_format(v, sums.flat, a), view_format(v, sums.cum, b),
            view_unit(v));
        print_lines(to, v, &sums, text_of(file), first, last);
    }
    mem_free(sums.at);
}

void print_list(FILE *to, view_t *v, const char *regex)
{
    uint8_t *matches = match_functions(v, regex);
    /* Functions with each of their files once. */
    uint64_t *done = NULL;
    size_t count = 0;
    size_t room = 0;
    for (uint32_t i = 0; i < v->p->frames_count; i++) {
        const frame_t *f = &v->p->frames[i];
        uint64_t key = (uint64_t)f->function << 32 | f->file;
        bool seen = !matches[f->function] || f->file == 0;
        for (size_t k = 0; k < count && !seen; k++) {
            seen = done[k] == key;
        }
        if (!seen) {
            *MEM_PUSH(done, count, room) = key;
            list_function(to, v, f->function, f->file);
        }
    }
    mem_free(done);
    mem_free(matches);
}

/* ---- Machine code ---------------------------------------------------------
 */

/* Adds up by address; a return address was made to lie in its call. */
static void sum_instructions(
    view_t *v, const binary_t *b, uint32_t function, sums_t *sums)
{
    view_rewind(v);
    for (size_t stack = 0; view_next(v); stack++) {
        for (size_t i = 0; i < v->depth; i++) {
            const frame_t *f = &v->p->frames[v->frames[i]];
            uint64_t address;
            if (f->function == function &&
                binary_address(
                    b, v->p->locations[v->locations[i]].offset, &address)) {
                add(sums, address, view_value(v), i == 0, stack);
            }
        }
    }
    qsort(sums->at, sums->count, sizeof(*sums->at), compare_sums);
}

/* "   1770:\tsub    $0x18,%rsp": its address; false for other lines. */
static bool instruction_address(const char *line, uint64_t *address)
{
    char *end;
    *address = strtoull(line, &end, 16);
    return line[0] == ' ' && end != line && end[0] == ':' && end[1] == '\t';
}

/* The values of addresses from this instruction to before the next. */
static void print_instruction(FILE *to, const view_t *v, const sums_t *sums,
    uint64_t address, uint64_t next, const char *text)
{
    double flat = 0;
    double cum = 0;
    for (size_t i = 0; i < sums->count; i++) {
        if (sums->at[i].at >= address && sums->at[i].at < next) {
            flat += sums->at[i].flat;
            cum += sums->at[i].cum;
        }
    }
    char a[32], b[32];
    fprintf(to, "%6s %6s %12" PRIx64 ": %s\n", cell(v, flat, a),
        cell(v, cum, b), address, text);
}

static void annotate(
    FILE *to, const view_t *v, const sums_t *sums, text_t *code, uint64_t end)
{
    char *line = code->at;
    while (line != NULL && *line != '\0') {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        uint64_t address;
        uint64_t following = end;
        if (instruction_address(line, &address)) {
            for (char *l = next; l != NULL && *l != '\0';) {
                if (instruction_address(l, &following)) {
                    break;
                }
                following = end;
                l = strchr(l, '\n');
                l = l != NULL ? l + 1 : NULL;
            }
            print_instruction(
                to, v, sums, address, following, strchr(line, '\t') + 1);
        } else if (line[0] == '/' && strrchr(line, ':') != NULL) {
            fprintf(to, "-------------------- %s\n", line);
        }
        line = next;
    }
}

static void disassemble(
    FILE *to, view_t *v, const settings_t *s, uint32_t function)
{
    const function_t *f = &v->p->functions[function];
    binary_t *b = v->p->images[f->image].binary;
    uint64_t start, end;
    if (b == NULL || binary_symbol(b, f->start, &start, &end) == NULL) {
        warn("%s: no machine code for it here", text_of(f->label));
        return;
    }
    char *objdump = tool_find("objdump", s->tools);
    if (objdump == NULL) {
        fail("--disasm needs the program objdump, which is not in PATH: "
             "install binutils, or name it with --tools=objdump:PATH");
    }
    sums_t sums = {.stack = SIZE_MAX};
    sum_instructions(v, b, function, &sums);
    char *from = mem_format("--start-address=0x%" PRIx64, start);
    char *until = mem_format("--stop-address=0x%" PRIx64, end);
    const char *const argv[] = {objdump, "-C", "-d", "-l", "--no-show-raw-insn",
        from, until, b->path, NULL};
    text_t code = {NULL, 0, 0};
    if (tool_run(argv, NULL, &code) != 0) {
        fail("%s failed on %s", objdump, b->path);
    }
    double total = 0;
    view_rewind(v);
    while (view_next(v)) {
        total += view_value(v);
    }
    char x[32], y[32];
    fprintf(to, "ROUTINE ====================== %s\n", text_of(f->label));
    fprintf(to, "%6s %6s %s (flat, cumulative) %.1f%% of total\n",
        view_format(v, sums.flat, x), view_format(v, sums.cum, y), view_unit(v),
        total != 0 ? sums.cum * 100 / total : 0);
    annotate(to, v, &sums, &code, end);
    mem_free(sums.at);
    mem_free(code.at);
    mem_free(from);
    mem_free(until);
    mem_free(objdump);
}

void print_disasm(FILE *to, view_t *v, const settings_t *s, const char *regex)
{
    uint8_t *matches = match_functions(v, regex);
    for (uint32_t i = 1; i < v->p->functions_count; i++) {
        if (matches[i] && v->p->functions[i].start != 0) {
            disassemble(to, v, s, i);
        }
    }
    mem_free(matches);
}
