/*
 * What: fetches over HTTP, as far as profiles of running programs need it.
 *
 * Invariants: (I1) ends the program with one message if the server cannot be
 * reached or says no, unless the caller asked not to.
 *
 * Locking: none.
 */
#ifndef JEPROF_HTTP_H
#define JEPROF_HTTP_H

#include <stdbool.h>

#include "mem.h"

typedef struct url {
    char *host;
    char *port;
    char *path; /* with its "/", or empty */
} url_t;

/* "http://HOST[:PORT][/PATH]" or "HOST:PORT[/PATH]"; false if it is neither. */
bool url_parse(const char *name, url_t *url);

/*
 * GET, or POST if there is a body. False, with a message in `body`'s place
 * being empty, if `must` is not set and it did not work.
 */
bool http_fetch(const url_t *url, const char *path, const text_t *send,
    unsigned seconds, bool must, text_t *body);

#endif
