/*
 * What: blocks with a header that links them, see mem.h.
 *
 * Invariants: (I1) the ring of headers holds every block that lives.
 *
 * Locking: none.
 */
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#include "say.h"

typedef struct header {
    struct header *next;
    struct header *prev;
    size_t bytes;
    size_t unused; /* keeps what follows aligned to 16 */
} header_t;

static header_t ring = {&ring, &ring, 0, 0};

static void link_block(header_t *h)
{
    h->next = &ring;
    h->prev = ring.prev;
    ring.prev->next = h;
    ring.prev = h;
}

static void unlink_block(header_t *h)
{
    h->prev->next = h->next;
    h->next->prev = h->prev;
}

void *mem_alloc(size_t bytes)
{
    return mem_resize(NULL, bytes);
}

void *mem_resize(void *block, size_t bytes)
{
    header_t *old = block != NULL ? (header_t *)block - 1 : NULL;
    size_t had = old != NULL ? old->bytes : 0;
    if (old != NULL) {
        unlink_block(old);
    }
    header_t *h = bytes < SIZE_MAX - sizeof(header_t)
                      ? realloc(old, sizeof(header_t) + bytes)
                      : NULL;
    if (h == NULL) {
        if (old != NULL) {
            link_block(old);
        }
        fail("out of memory: could not get %zu bytes", bytes);
    }
    h->bytes = bytes;
    link_block(h);
    if (bytes > had) {
        memset((char *)(h + 1) + had, 0, bytes - had);
    }
    return h + 1;
}

void mem_free(void *block)
{
    if (block != NULL) {
        header_t *h = (header_t *)block - 1;
        unlink_block(h);
        free(h);
    }
}

void mem_free_all(void)
{
    while (ring.next != &ring) {
        mem_free(ring.next + 1);
    }
}

void *mem_room(void *at, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return at;
    }
    size_t more = *room + *room / 2 + 16;
    if (more > SIZE_MAX / size) {
        fail("out of memory: an array of %zu elements is too long", more);
    }
    at = mem_resize(at, more * size);
    *room = more;
    return at;
}

static void ensure(text_t *t, size_t len)
{
    if (t->room - t->len <= len) {
        size_t want = t->len + len + 1;
        t->room = want > t->room * 2 ? want : t->room * 2;
        t->at = mem_resize(t->at, t->room);
    }
}

void text_clear(text_t *t)
{
    t->len = 0;
    ensure(t, 0);
    t->at[0] = '\0';
}

void text_add(text_t *t, const void *bytes, size_t len)
{
    ensure(t, len);
    if (len > 0) {
        memcpy(t->at + t->len, bytes, len);
    }
    t->len += len;
    t->at[t->len] = '\0';
}

void text_string(text_t *t, const char *string)
{
    text_add(t, string, strlen(string));
}

void text_char(text_t *t, char c)
{
    text_add(t, &c, 1);
}

static void add_formatted(text_t *t, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0) {
        ensure(t, (size_t)n);
        vsnprintf(t->at + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
}

void text_format(text_t *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_formatted(t, format, args);
    va_end(args);
}

void capture_begin(capture_t *c)
{
    c->at = NULL;
    c->len = 0;
    c->file = open_memstream(&c->at, &c->len);
    if (c->file == NULL) {
        fail("out of memory: no text can be collected");
    }
}

void capture_end(capture_t *c)
{
    if (fclose(c->file) != 0) {
        fail("out of memory: the collected text did not fit");
    }
}

char *mem_copy(const char *bytes, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *mem_format(const char *format, ...)
{
    text_t t = {NULL, 0, 0};
    text_clear(&t);
    va_list args;
    va_start(args, format);
    add_formatted(&t, format, args);
    va_end(args);
    return t.at;
}
