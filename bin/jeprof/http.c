/*
 * What: an HTTP/1.0 client, see http.h.
 *
 * Invariants: (I1) one connection a request, read to its end, at most
 * BODY_MAX bytes.
 *
 * Locking: none.
 */
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "say.h"

#define BODY_MAX ((size_t)4 << 30)

static bool is_host_and_port(const char *name)
{
    size_t host = strcspn(name, ":/");
    if (host == 0 || name[host] != ':') {
        return false;
    }
    const char *port = name + host + 1;
    size_t digits = strspn(port, "0123456789");
    return digits > 0 && (port[digits] == '\0' || port[digits] == '/');
}

bool url_parse(const char *name, url_t *url)
{
    if (strncmp(name, "https://", 8) == 0) {
        fail("%s: jeprof speaks plain http only; fetch it with another "
             "program, for example curl, and give jeprof the file",
            name);
    }
    bool marked = strncmp(name, "http://", 7) == 0;
    if (!marked && (!is_host_and_port(name) || access(name, F_OK) == 0)) {
        return false;
    }
    const char *at = name + (marked ? 7 : 0);
    size_t len = strcspn(at, "/");
    const char *host = at;
    size_t host_len = len;
    if (*at == '[') {
        host++;
        host_len = strcspn(host, "]");
        host_len = host_len < len - 1 ? host_len : len - 1;
    } else {
        host_len = strcspn(at, ":/");
    }
    const char *colon =
        memchr(host + host_len, ':', len - (size_t)(host + host_len - at));
    url->host = mem_copy(host, host_len);
    url->port = colon != NULL
                    ? mem_copy(colon + 1, (size_t)(at + len - colon - 1))
                    : mem_copy("80", 2);
    url->path = mem_copy(at + len, strlen(at + len));
    if (host_len == 0) {
        fail("%s: names no host: write http://HOST:PORT/SERVICE", name);
    }
    return true;
}

static int connect_to(const url_t *url, unsigned seconds, char **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int status = getaddrinfo(url->host, url->port, &hints, &list);
    if (status != 0) {
        *error = mem_format("%s", gai_strerror(status));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd =
            socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        struct timeval limit = {.tv_sec = seconds};
        if (fd >= 0) {
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        }
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            *error = mem_format("%s", strerror(errno));
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static bool send_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR) {
            return false;
        }
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool receive_all(int fd, text_t *answer)
{
    static char buffer[65536];
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        if (n == 0) {
            return true;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || answer->len > BODY_MAX) {
            return false;
        }
        text_add(answer, buffer, (size_t)n);
        progress("bytes received", answer->len, 0);
    }
}

/* The value of a header field in the head, which ends before `end`. */
static const char *field(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = head; line != NULL && line < end;
         line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

/* Servers may send chunks even to a client of HTTP/1.0. */
static void join_chunks(const char *at, const char *end, text_t *body)
{
    while (at < end) {
        char *after;
        size_t len = strtoull(at, &after, 16);
        const char *start = memchr(after, '\n', (size_t)(end - after));
        if (len == 0 || start == NULL) {
            return;
        }
        start++;
        size_t left = (size_t)(end - start);
        text_add(body, start, len < left ? len : left);
        at = start + (len + 2 < left ? len + 2 : left);
    }
}

/* Takes the answer apart; a message if it is none or says no. */
static char *take_body(const text_t *answer, text_t *body)
{
    const char *head = answer->at;
    const char *end = answer->len > 0 ? strstr(head, "\r\n\r\n") : NULL;
    if (end == NULL || strncmp(head, "HTTP/1.", 7) != 0 || strlen(head) < 12) {
        return mem_format("the answer is no HTTP");
    }
    if (strncmp(head + 9, "200", 3) != 0) {
        return mem_format(
            "the server says %.*s", (int)strcspn(head + 9, "\r\n"), head + 9);
    }
    const char *start = end + 4;
    size_t len = answer->len - (size_t)(start - head);
    const char *encoding = field(head, end, "Transfer-Encoding");
    const char *length = field(head, end, "Content-Length");
    if (encoding != NULL && strncasecmp(encoding, "chunked", 7) == 0) {
        join_chunks(start, start + len, body);
        return NULL;
    }
    if (length != NULL && strtoull(length, NULL, 10) > len) {
        return mem_format("the answer ends after %zu of %llu bytes", len,
            strtoull(length, NULL, 10));
    }
    text_add(body, start, len);
    return NULL;
}

bool http_fetch(const url_t *url, const char *path, const text_t *send,
    unsigned seconds, bool must, text_t *body)
{
    char *error = NULL;
    text_t request = {NULL, 0, 0};
    text_t answer = {NULL, 0, 0};
    text_clear(&request);
    text_clear(&answer);
    text_clear(body);
    text_format(&request,
        "%s %s HTTP/1.0\r\nHost: %s:%s\r\n"
        "User-Agent: jeprof\r\nConnection: close\r\n",
        send != NULL ? "POST" : "GET", path, url->host, url->port);
    if (send != NULL) {
        text_format(&request, "Content-Length: %zu\r\n", send->len);
    }
    text_string(&request, "\r\n");
    if (send != NULL) {
        text_add(&request, send->at, send->len);
    }
    int fd = connect_to(url, seconds, &error);
    if (fd >= 0) {
        bool fine =
            send_all(fd, request.at, request.len) && receive_all(fd, &answer);
        error = fine ? take_body(&answer, body)
                     : mem_format("the connection broke: %s", strerror(errno));
        close(fd);
    }
    progress_end();
    if (error != NULL && must) {
        fail("http://%s:%s%s: %s", url->host, url->port, path, error);
    }
    bool fine = error == NULL;
    mem_free(error);
    mem_free(request.at);
    mem_free(answer.at);
    return fine;
}
