/*
 * What: reads memory maps, see maps.h.
 *
 * Invariants: (I1) a line that is no mapping is passed over.
 *
 * Locking: none.
 */
#include "maps.h"

#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "mem.h"

typedef struct line {
    mapping_t mapping;
    bool executable;
    bool deleted;
    uint32_t path;
    uint32_t build_id;
} map_line_t;

/* "start-end rwxp offset dev inode   path" */
static bool parse_line(cursor_t c, map_line_t *l)
{
    mapping_t *m = &l->mapping;
    if (!cursor_hex(&c, &m->start) || !cursor_skip(&c, "-") ||
        !cursor_hex(&c, &m->end) || !cursor_skip(&c, " ") || c.end - c.at < 5 ||
        m->start >= m->end) {
        return false;
    }
    l->executable = c.at[2] == 'x';
    c.at += 4;
    cursor_blanks(&c);
    uint64_t inode;
    if (!cursor_hex(&c, &m->offset)) {
        return false;
    }
    cursor_blanks(&c);
    cursor_word(&c);
    cursor_blanks(&c);
    if (!cursor_decimal(&c, &inode)) {
        return false;
    }
    cursor_blanks(&c);
    static const char deleted[] = " (deleted)";
    size_t n = sizeof(deleted) - 1;
    size_t len = (size_t)(c.end - c.at);
    l->deleted = len > n && memcmp(c.end - n, deleted, n) == 0;
    l->path = text_id(c.at, len - (l->deleted ? n : 0));
    l->build_id = 0;
    return true;
}

void maps_add(maps_t *m, mapping_t mapping)
{
    *MEM_PUSH(m->at, m->count, m->room) = mapping;
    m->last = NULL;
}

static int compare_mappings(const void *a, const void *b)
{
    const mapping_t *x = a;
    const mapping_t *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

void maps_sort(maps_t *m)
{
    if (m->count == 0) {
        return;
    }
    qsort(m->at, m->count, sizeof(*m->at), compare_mappings);
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        mapping_t now = m->at[i];
        if (kept > 0 && m->at[kept - 1].end > now.start) {
            uint64_t shift = m->at[kept - 1].end - now.start;
            if (now.end - now.start <= shift) {
                continue;
            }
            now.start += shift;
            now.offset += shift;
        }
        m->at[kept++] = now;
    }
    m->count = kept;
    m->last = NULL;
}

static bool looks_like_library(const char *path)
{
    const char *base = strrchr(path, '/');
    return strstr(base != NULL ? base : path, ".so") != NULL;
}

/* Notes what the line tells about the image; the first one is the program. */
static void add_image(profile_t *p, maps_t *m, const map_line_t *l,
    uint64_t dumped_at, bool *have_program)
{
    uint32_t id = profile_image(p, l->path, l->build_id);
    image_t *image = &p->images[id];
    if (image->end == 0) {
        image->start = l->mapping.start;
        image->end = l->mapping.end;
        image->offset = l->mapping.offset;
    }
    image->was_deleted |= l->deleted;
    image->dumped_at =
        dumped_at > image->dumped_at ? dumped_at : image->dumped_at;
    if (!*have_program && !looks_like_library(text_of(l->path))) {
        *have_program = true;
        image->is_program = true;
    }
    mapping_t mapping = l->mapping;
    mapping.image = id;
    maps_add(m, mapping);
}

/* "build-id START HEX" is about all mappings of the file mapped there. */
static void read_build_id(map_line_t *lines, size_t count, cursor_t c)
{
    uint64_t start;
    if (!cursor_skip(&c, "build-id ") || !cursor_hex(&c, &start)) {
        return;
    }
    cursor_blanks(&c);
    size_t len = cursor_word(&c);
    uint32_t path = 0;
    for (size_t i = 0; i < count; i++) {
        const mapping_t *m = &lines[i].mapping;
        path = m->start <= start && start < m->end ? lines[i].path : path;
    }
    for (size_t i = 0; i < count && path != 0; i++) {
        if (lines[i].path == path) {
            lines[i].build_id = text_id(c.at - len, len);
        }
    }
}

size_t maps_read(
    maps_t *m, profile_t *p, const char *bytes, size_t len, uint64_t dumped_at)
{
    map_line_t *lines = NULL;
    size_t count = 0;
    size_t room = 0;
    cursor_t c = {bytes, bytes + len};
    cursor_t line;
    while (cursor_line(&c, &line)) {
        map_line_t l;
        if (!parse_line(line, &l)) {
            read_build_id(lines, count, line);
        } else if (l.path != 0 && text_of(l.path)[0] != '[') {
            *MEM_PUSH(lines, count, room) = l;
        }
    }
    size_t before = m->count;
    bool have_program = false;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].executable) {
            add_image(p, m, &lines[i], dumped_at, &have_program);
        }
    }
    mem_free(lines);
    size_t added = m->count - before;
    maps_sort(m);
    return added;
}

const mapping_t *maps_find(maps_t *m, uint64_t address)
{
    if (m->last != NULL && address >= m->last->start &&
        address < m->last->end) {
        return m->last;
    }
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->at[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < m->count && m->at[low].start <= address) {
        m->last = &m->at[low];
        return m->last;
    }
    return NULL;
}

uint32_t maps_locate(maps_t *m, profile_t *p, uint64_t address)
{
    const mapping_t *mapping = maps_find(m, address);
    if (mapping == NULL) {
        return profile_location(p, NO_IMAGE, address, address);
    }
    return profile_location(
        p, mapping->image, address - mapping->start + mapping->offset, address);
}
