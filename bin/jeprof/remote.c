/*
 * What: the pprof protocol, see remote.h.
 *
 * Invariants: (I1) addresses are asked for in groups, so that a request stays
 * below what servers take.
 *
 * Locking: none.
 */
#include "remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cursor.h"
#include "read.h"
#include "say.h"

#define TIMEOUT_S   60
#define GROUP       2000
#define MAKE_FOLDER 0700

/* Everything up to the service belongs to the place of the services. */
static char *service_path(const url_t *url, const char *service)
{
    const char *known = strstr(url->path, "/pprof/");
    int len = known != NULL ? (int)(known - url->path) : 0;
    return mem_format("%.*s/pprof/%s", len, url->path, service);
}

static char *profile_path(const url_t *url, unsigned seconds)
{
    if (url->path[0] == '\0' || strcmp(url->path, "/") == 0) {
        return mem_format("/pprof/heap");
    }
    bool timed = strstr(url->path, "/pprof/profile") != NULL ||
                 strstr(url->path, "/pprof/wall") != NULL;
    if (timed && strchr(url->path, '?') == NULL) {
        return mem_format("%s?seconds=%u", url->path, seconds);
    }
    return mem_copy(url->path, strlen(url->path));
}

static void keep(const url_t *url, const text_t *body)
{
    const char *folder = getenv("JEPROF_TMPDIR");
    const char *home = getenv("HOME");
    char *made = folder != NULL
                     ? mem_format("%s", folder)
                     : mem_format("%s/jeprof", home != NULL ? home : "/tmp");
    char *path = mem_format("%s/%s-%s.%lld.heap", made, url->host, url->port,
        (long long)time(NULL));
    if (mkdir(made, MAKE_FOLDER) != 0 && errno != EEXIST) {
        warn("%s: cannot be made: %s; the profile is not kept", made,
            strerror(errno));
        return;
    }
    FILE *f = fopen(path, "we");
    if (f == NULL || fwrite(body->at, 1, body->len, f) != body->len) {
        warn("%s: cannot be written: %s", path, strerror(errno));
    } else {
        note("kept as %s", path);
    }
    if (f != NULL) {
        fclose(f);
    }
    mem_free(made);
    mem_free(path);
}

input_t remote_fetch(const url_t *url, unsigned seconds)
{
    text_t body = {NULL, 0, 0};
    char *path = profile_path(url, seconds);
    http_fetch(url, path, NULL, seconds + TIMEOUT_S, true, &body);
    keep(url, &body);
    char *name = mem_format("http://%s:%s%s", url->host, url->port, path);
    return input_of(name, body.at, body.len);
}

char *remote_program(const url_t *url)
{
    text_t body = {NULL, 0, 0};
    char *path = service_path(url, "cmdline");
    bool fine = http_fetch(url, path, NULL, TIMEOUT_S, false, &body);
    mem_free(path);
    /* Arguments may be apart by NUL, which ends the string, or by lines. */
    size_t len = fine ? strcspn(body.at, "\n ") : 0;
    return len > 0 ? mem_copy(body.at, len) : NULL;
}

/* Lines "0xADDRESS NAME": names of the locations of the group. */
static void take_names(
    profile_t *p, const text_t *body, const uint32_t *group, size_t count)
{
    cursor_t c = {body->at, body->at + body->len};
    cursor_t line;
    while (cursor_line(&c, &line)) {
        uint64_t address;
        if (!cursor_starts(&line, "0x") || !cursor_hex(&line, &address)) {
            continue;
        }
        cursor_blanks(&line);
        for (size_t i = 0; i < count; i++) {
            location_t *l = &p->locations[group[i]];
            if (l->address == address && !l->is_done && line.at < line.end &&
                !cursor_starts(&line, "0x") && !cursor_starts(&line, "??")) {
                read_named_frames(
                    p, group[i], line.at, (size_t)(line.end - line.at));
            }
        }
    }
}

void remote_symbolize(const url_t *url, profile_t *p)
{
    char *path = service_path(url, "symbol");
    text_t body = {NULL, 0, 0};
    text_t request = {NULL, 0, 0};
    uint32_t group[GROUP];
    size_t count = 0;
    bool fine = http_fetch(url, path, NULL, TIMEOUT_S, false, &body) &&
                strstr(body.at, "num_symbols: ") != NULL &&
                strstr(body.at, "num_symbols: 0") == NULL;
    for (uint32_t i = 0; fine && i < p->locations_count; i++) {
        if (!p->locations[i].is_done) {
            text_format(&request, "%s0x%" PRIx64, count > 0 ? "+" : "",
                p->locations[i].address);
            group[count++] = i;
        }
        if (count == GROUP || (i + 1 == p->locations_count && count > 0)) {
            fine = http_fetch(url, path, &request, TIMEOUT_S, false, &body);
            take_names(p, &body, group, fine ? count : 0);
            text_clear(&request);
            count = 0;
        }
    }
    if (!fine) {
        note("http://%s:%s gives no symbols; looking for files here", url->host,
            url->port);
    }
    mem_free(path);
    mem_free(body.at);
    mem_free(request.at);
}
