/*
 * What: see prof_symbols.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_symbols.h"

#include <string.h>

#include "os/file.h"
#include "os/os.h"
#include "os/peek.h"
#include "util/atomic.h"
#include "util/bits.h"
#include "util/format.h"

/* Longest text that is read. */
#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* What the one who asks works with: a handler of signals has little stack. */
static struct {
    _Atomic bool busy;
    char tool[PATH_MAX];
    char program[PATH_MAX];
} asking;

prof_text_file_t prof_symbols_read(int fd)
{
    prof_text_file_t text = {NULL, 0, 0};
    for (size_t want = 65536; want <= TEXT_BYTES_MAX; want *= 4) {
        char *bytes = os_map(want, os_page_size());
        if (bytes == NULL) {
            break;
        }
        memcpy(bytes, text.bytes == NULL ? "" : text.bytes, text.size);
        if (text.bytes != NULL) {
            (void)os_unmap(text.bytes, text.mapped);
        }
        text.bytes = bytes;
        text.mapped = want;
        ssize_t got = 1;
        while (got > 0 && text.size < want - 1) {
            got = os_read(fd, bytes + text.size, want - 1 - text.size);
            text.size += got > 0 ? (size_t)got : 0;
        }
        if (got <= 0) {
            break;
        }
    }
    return text;
}

void prof_symbols_drop(prof_text_file_t *text)
{
    if (text->bytes != NULL) {
        (void)os_unmap(text->bytes, text->mapped);
    }
}

char *prof_symbols_line(const prof_text_file_t *text, size_t *at)
{
    if (text->bytes == NULL || *at >= text->size) {
        return NULL;
    }
    char *line = text->bytes + *at;
    char *end = memchr(line, '\n', text->size - *at);
    if (end == NULL) {
        end = text->bytes + text->size;
    }
    *end = '\0';
    *at = (size_t)(end - text->bytes) + 1;
    return line;
}

/* ---- modules ---- */

typedef struct {
    uintptr_t address;
    uintptr_t start; /* of the last file that began below it */
    bool found;
} module_search_t;

static bool visit_module(const os_mapping_t *mapping, void *opaque)
{
    module_search_t *search = opaque;
    if (mapping->offset == 0 && mapping->name[0] == '/') {
        search->start = mapping->start;
    }
    if (search->address >= mapping->end) {
        return true;
    }
    search->found = search->address >= mapping->start;
    return false;
}

bool prof_symbols_module(
    uintptr_t address, char *path, size_t size, uintptr_t *start)
{
    module_search_t search = {.address = address};
    bool found = os_visit_mappings(visit_module, &search, path, size) &&
                 search.found && path[0] == '/';
    *start = search.start;
    return found;
}

/* ---- names ---- */

/* jeprof beside this library (lib/../bin), else the one in PATH. */
static void find_jeprof(void)
{
    char *library = asking.program;
    uintptr_t start;
    if (prof_symbols_module((uintptr_t)&prof_symbols_ask, library,
            sizeof(asking.program), &start)) {
        *strrchr(library, '/') = '\0';
        if (format_print(asking.tool, sizeof(asking.tool), "%s/../bin/jeprof",
                library) < sizeof(asking.tool) &&
            os_is_program(asking.tool)) {
            return;
        }
    }
    (void)format_print(asking.tool, sizeof(asking.tool), "jeprof");
}

void prof_symbols_begin(prof_symbols_t *symbols)
{
    *symbols = (prof_symbols_t){.question = -1};
    if (atomic_exchange(&asking.busy, true)) {
        return;
    }
    int map = os_open("/proc/self/maps");
    prof_text_file_t text = prof_symbols_read(map);
    os_close(map);
    symbols->question = os_memory_file();
    if (text.size == 0 ||
        os_write_all(symbols->question, text.bytes, text.size) != 0) {
        os_close(symbols->question);
        symbols->question = -1;
        atomic_put_release(&asking.busy, false);
    }
    prof_symbols_drop(&text);
}

void prof_symbols_add(prof_symbols_t *symbols, uintptr_t address)
{
    char line[32];
    if (symbols->question >= 0) {
        size_t length = format_print(
            line, sizeof(line), "0x%llx\n", (unsigned long long)address);
        symbols->count +=
            os_write_all(symbols->question, line, length) == 0 ? 1 : 0;
    }
}

static bool run(prof_symbols_t *symbols, bool with_lines)
{
    char option[] = "--symbols";
    char lines[] = "--lines";
    int out = os_memory_file();
    find_jeprof();
    bool done =
        out >= 0 && os_rewind(symbols->question) &&
        os_link_text("/proc/self/exe", asking.program, sizeof(asking.program));
    if (done) {
        char *argv[] = {asking.tool, option, asking.program,
            with_lines ? lines : NULL, NULL};
        done = os_run(argv, symbols->question, out) && os_rewind(out);
    }
    if (done) {
        symbols->answer = prof_symbols_read(out);
    }
    os_close(out);
    return done;
}

void prof_symbols_ask(prof_symbols_t *symbols, bool with_lines)
{
    if (symbols->count == 0 || !run(symbols, with_lines)) {
        return;
    }
    symbols->mapped =
        bits_round_up(symbols->count * sizeof(char *), os_page_size());
    symbols->names = os_map(symbols->mapped, os_page_size());
    if (symbols->names == NULL) {
        return;
    }
    size_t at = 0;
    for (size_t i = 0; i < symbols->count; i++) {
        char *name = prof_symbols_line(&symbols->answer, &at);
        bool known = name != NULL && name[0] != '\0' &&
                     strncmp(name, "??", 2) != 0 && strncmp(name, "0x", 2) != 0;
        symbols->names[i] = known ? name : NULL;
    }
}

void prof_symbols_end(prof_symbols_t *symbols)
{
    if (symbols->names != NULL) {
        (void)os_unmap(symbols->names, symbols->mapped);
    }
    prof_symbols_drop(&symbols->answer);
    if (symbols->question >= 0) {
        os_close(symbols->question);
        atomic_put_release(&asking.busy, false);
    }
}
