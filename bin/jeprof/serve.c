/*
 * What: viewers and a small HTTP server, see serve.h.
 *
 * Invariants: (I1) a page is made when it is asked for, so that it costs
 * nothing otherwise; a page that fails is an answer, not the end.
 *
 * Locking: none; one connection at a time.
 */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "mem.h"
#include "print.h"
#include "say.h"
#include "tool.h"

/* Where a page goes that a browser reads after we have ended. */
static FILE *make_file(const char *suffix, char **path)
{
    const char *folder = getenv("TMPDIR");
    *path = mem_format(
        "%s/jeprofXXXXXX%s", folder != NULL ? folder : "/tmp", suffix);
    int fd = mkstemps(*path, (int)strlen(suffix));
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL) {
        fail("%s: cannot be made: %s", *path, strerror(errno));
    }
    return f;
}

static char *find_browser(void)
{
    static const char *const names[] = {"xdg-open", "x-www-browser", "firefox",
        "chromium", "google-chrome", "open"};
    const char *chosen = getenv("BROWSER");
    if (chosen != NULL && *chosen != '\0') {
        return strchr(chosen, '/') != NULL ? mem_format("%s", chosen)
                                           : tool_find(chosen, NULL);
    }
    if (getenv("DISPLAY") == NULL && getenv("WAYLAND_DISPLAY") == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char *found = tool_find(names[i], NULL);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* `option` may be NULL. */
static void open_file(const char *viewer, const char *option, const char *path)
{
    const char *const argv[] = {viewer, option != NULL ? option : path,
        option != NULL ? path : NULL, NULL};
    if (!tool_start(argv)) {
        fail("%s could not be started: %s", viewer, strerror(errno));
    }
    note("%s shows %s", viewer, path);
}

void show_web(view_t *v, const settings_t *s)
{
    char *browser = find_browser();
    if (browser == NULL) {
        serve(v, s);
    }
    char *path;
    bool graph = !s->is_flame && tool_find("dot", s->tools) != NULL;
    FILE *f = make_file(graph ? ".svg" : ".html", &path);
    if (graph) {
        draw_graph(f, v, s, "svg");
    } else {
        print_flame(f, v);
    }
    fclose(f);
    open_file(browser, NULL, path);
}

void show_picture(view_t *v, const settings_t *s)
{
    const char *name = s->output == OUT_GV ? "gv" : "evince";
    const char *format = s->output == OUT_GV ? "ps" : "pdf";
    char *viewer = tool_find(name, s->tools);
    if (viewer == NULL) {
        fail("the viewer %s is not in PATH; --%s writes the picture to stdout, "
             "--web shows it in a browser",
            name, format);
    }
    char *path;
    char *suffix = mem_format(".%s", format);
    FILE *f = make_file(suffix, &path);
    draw_graph(f, v, s, format);
    fclose(f);
    bool scaled = s->output == OUT_GV && s->scale > 0;
    open_file(viewer, scaled ? mem_format("--scale=%u", s->scale) : NULL, path);
}

static void print_escaped(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", to);
            break;
        case '&':
            fputs("&amp;", to);
            break;
        default:
            fputc(*text, to);
        }
    }
}

void show_listing(view_t *v, const char *regex)
{
    char *browser = find_browser();
    if (browser == NULL) {
        print_list(stdout, v, regex);
        return;
    }
    capture_t c;
    capture_begin(&c);
    print_list(c.file, v, regex);
    capture_end(&c);
    char *path;
    FILE *f = make_file(".html", &path);
    fputs("<!DOCTYPE html><meta charset=utf-8><title>Annotated source</title>"
          "<pre>",
        f);
    print_escaped(f, c.at);
    fputs("</pre>\n", f);
    fclose(f);
    free(c.at);
    open_file(browser, NULL, path);
}

/* ---- Server ---------------------------------------------------------------
 */

typedef enum page {
    PAGE_FLAME,
    PAGE_GRAPH,
    PAGE_TEXT,
    PAGE_COLLAPSED,
    PAGE_JSON,
    PAGE_PROTO
} page_t;

static const struct {
    const char *path;
    const char *type;
    page_t page;
} pages[] = {
    {"/flame", "text/html; charset=utf-8", PAGE_FLAME},
    {"/graph.svg", "image/svg+xml", PAGE_GRAPH},
    {"/text", "text/plain; charset=utf-8", PAGE_TEXT},
    {"/collapsed", "text/plain; charset=utf-8", PAGE_COLLAPSED},
    {"/profile.json", "application/json", PAGE_JSON},
    {"/profile.pb.gz", "application/octet-stream", PAGE_PROTO},
};
#define PAGES (sizeof(pages) / sizeof(*pages))

static void print_page(FILE *to, view_t *v, const settings_t *s, page_t page)
{
    switch (page) {
    case PAGE_FLAME:
        print_flame(to, v);
        break;
    case PAGE_GRAPH:
        draw_graph(to, v, s, "svg");
        break;
    case PAGE_TEXT:
        print_text(to, v, s, 0);
        break;
    case PAGE_COLLAPSED:
        print_collapsed(to, v);
        break;
    case PAGE_JSON:
        print_json(to, v);
        break;
    case PAGE_PROTO:
        print_proto(to, v);
        break;
    }
}

static bool write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void answer(
    int fd, const char *status, const char *type, const char *body, size_t len)
{
    char *head = mem_format("HTTP/1.0 %s\r\nContent-Type: %s\r\n"
                            "Content-Length: %zu\r\nConnection: close\r\n"
                            "Cache-Control: no-store\r\n\r\n",
        status, type, len);
    if (write_all(fd, head, strlen(head))) {
        write_all(fd, body, len);
    }
    mem_free(head);
}

static void answer_page(int fd, view_t *v, const settings_t *s, size_t i)
{
    capture_t c;
    jmp_buf trap;
    if (setjmp(trap) != 0) {
        say_set_trap(NULL);
        const char *why = say_trapped();
        answer(fd, "500 Internal Server Error", "text/plain", why, strlen(why));
        return;
    }
    say_set_trap(&trap);
    capture_begin(&c);
    print_page(c.file, v, s, pages[i].page);
    capture_end(&c);
    say_set_trap(NULL);
    answer(fd, "200 OK", pages[i].type, c.at, c.len);
    free(c.at);
}

static void answer_request(int fd, view_t *v, const settings_t *s)
{
    static char request[8192];
    size_t len = 0;
    while (len + 1 < sizeof(request)) {
        ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL) {
            break;
        }
    }
    request[len] = '\0';
    if (strncmp(request, "GET /", 5) != 0) {
        static const char why[] = "only GET\n";
        answer(
            fd, "405 Method Not Allowed", "text/plain", why, sizeof(why) - 1);
        return;
    }
    char *path = request + 4;
    path[strcspn(path, " ?\r\n")] = '\0';
    bool root = strcmp(path, "/") == 0;
    bool graph = !s->is_flame && tool_find("dot", s->tools) != NULL;
    const char *wanted = !root ? path : graph ? "/graph.svg" : "/flame";
    for (size_t i = 0; i < PAGES; i++) {
        if (strcmp(wanted, pages[i].path) == 0) {
            answer_page(fd, v, s, i);
            return;
        }
    }
    static const char why[] = "there are /flame /graph.svg /text /collapsed "
                              "/profile.json /profile.pb.gz\n";
    answer(fd, "404 Not Found", "text/plain", why, sizeof(why) - 1);
}

static int listen_on_loopback(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        fail("no port on loopback to serve the page at: %s", strerror(errno));
    }
    *port = ntohs(address.sin_port);
    return fd;
}

void serve(view_t *v, const settings_t *s)
{
    unsigned port;
    int listener = listen_on_loopback(&port);
    note("no browser here; open http://127.0.0.1:%u/ (also /flame, /graph.svg, "
         "/text, /profile.pb.gz). Interrupt to end",
        port);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        struct timeval limit = {.tv_sec = 10};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        answer_request(fd, v, s);
        close(fd);
    }
}
