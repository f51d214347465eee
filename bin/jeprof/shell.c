/*
 * What: the commands of the prompt, see shell.h.
 *
 * Invariants: (I1) each command starts from the command line's settings.
 *
 * Locking: none.
 */
#include "shell.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "print.h"
#include "say.h"
#include "serve.h"

#define WORDS_MAX 64

typedef struct command {
    view_t *v;
    settings_t settings;
    char *words[WORDS_MAX];
    size_t count;
    FILE *to;
} command_t;

static void print_help(FILE *to)
{
    fputs("top[N] [--cum] [-RE]...    the N largest rows [10]; text is the "
          "same\n"
          "list RE                    annotated source\n"
          "weblist RE                 the same in the browser\n"
          "disasm RE                  annotated machine code\n"
          "web [RE] [-RE]...          call graph in the browser\n"
          "gv, evince [RE] [-RE]...   call graph in that viewer\n"
          "flame [FILE]               flame graph: into the browser or the "
          "file\n"
          "callgrind [FILE]           for kcachegrind\n"
          "help, quit\n"
          "RE shows only stacks with a frame that matches, -RE leaves them "
          "out.\n"
          "Behind any command: >FILE writes there.\n",
        to);
}

/* "a|b" of the words that are (or, if negative, begin with -) patterns. */
static char *join_patterns(const command_t *c, bool negative)
{
    text_t all = {NULL, 0, 0};
    text_clear(&all);
    for (size_t i = 1; i < c->count; i++) {
        const char *word = c->words[i];
        bool minus = word[0] == '-' && word[1] != '-';
        if (strcmp(word, "--cum") != 0 && minus == negative) {
            text_format(
                &all, "%s(%s)", all.len > 0 ? "|" : "", word + (minus ? 1 : 0));
        }
    }
    return all.at;
}

static void apply_filters(command_t *c)
{
    const settings_t *s = &c->settings;
    char *focus = join_patterns(c, false);
    char *ignore = join_patterns(c, true);
    view_filter(c->v, *focus != '\0' ? focus : s->focus,
        *ignore != '\0' ? ignore : s->ignore, s->retain, s->exclude);
    mem_free(focus);
    mem_free(ignore);
}

static void run_top(command_t *c)
{
    const char *digits = c->words[0] + strcspn(c->words[0], "0123456789");
    size_t limit = *digits != '\0' ? strtoull(digits, NULL, 10) : 10;
    for (size_t i = 1; i < c->count; i++) {
        c->settings.sort_cumulative |= strcmp(c->words[i], "--cum") == 0;
    }
    apply_filters(c);
    print_text(c->to, c->v, &c->settings, limit);
}

static const char *need_pattern(const command_t *c)
{
    if (c->count < 2) {
        fail("%s needs a regular expression", c->words[0]);
    }
    return c->words[1];
}

/* The output of "flame FILE" and "callgrind FILE". */
static FILE *file_or(command_t *c, FILE *otherwise)
{
    if (c->count < 2) {
        return otherwise;
    }
    FILE *f = fopen(c->words[1], "we");
    if (f == NULL) {
        fail("%s: cannot be written", c->words[1]);
    }
    return f;
}

static void close_unless(FILE *f, FILE *keep)
{
    if (f != keep && f != NULL) {
        fclose(f);
    }
}

static void run_graph(command_t *c, output_t output)
{
    c->settings.output = output;
    apply_filters(c);
    if (output == OUT_WEB) {
        show_web(c->v, &c->settings);
    } else {
        show_picture(c->v, &c->settings);
    }
}

static void run_flame(command_t *c)
{
    FILE *f = file_or(c, NULL);
    c->settings.is_flame = true;
    if (f != NULL) {
        print_flame(f, c->v);
        fclose(f);
    } else {
        show_web(c->v, &c->settings);
    }
}

static void run_callgrind(command_t *c)
{
    FILE *f = file_or(c, c->to);
    print_callgrind(f, c->v);
    close_unless(f, c->to);
}

/* False if there is no such command. */
static bool run(command_t *c)
{
    const char *name = c->words[0];
    size_t letters = strcspn(name, "0123456789");
    bool plain = name[letters] == '\0';
    bool top = (letters == 3 && strncmp(name, "top", 3) == 0) ||
               (letters == 4 && strncmp(name, "text", 4) == 0);
    if (top) {
        run_top(c);
    } else if (plain && strcmp(name, "list") == 0) {
        print_list(c->to, c->v, need_pattern(c));
    } else if (plain && strcmp(name, "weblist") == 0) {
        show_listing(c->v, need_pattern(c));
    } else if (plain && strcmp(name, "disasm") == 0) {
        print_disasm(c->to, c->v, &c->settings, need_pattern(c));
    } else if (strcmp(name, "web") == 0) {
        run_graph(c, OUT_WEB);
    } else if (strcmp(name, "gv") == 0) {
        run_graph(c, OUT_GV);
    } else if (strcmp(name, "evince") == 0) {
        run_graph(c, OUT_EVINCE);
    } else if (strcmp(name, "flame") == 0) {
        run_flame(c);
    } else if (strcmp(name, "callgrind") == 0) {
        run_callgrind(c);
    } else if (strcmp(name, "help") == 0) {
        print_help(c->to);
    } else {
        return false;
    }
    return true;
}

static void split(char *line, command_t *c)
{
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\r\n", &rest);
         word != NULL && c->count < WORDS_MAX;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (word[0] == '>') {
            const char *path =
                word[1] != '\0' ? word + 1 : strtok_r(NULL, " \t\r\n", &rest);
            close_unless(c->to, stdout);
            c->to = path != NULL ? fopen(path, "we") : NULL;
            if (c->to == NULL) {
                c->to = stdout;
                fail("%s: cannot be written", path != NULL ? path : ">");
            }
            continue;
        }
        c->words[c->count++] = word;
    }
}

/* False at the end. */
static bool run_line(char *line, view_t *v, const settings_t *s)
{
    static command_t c;
    memset(&c, 0, sizeof(c));
    c.v = v;
    c.settings = *s;
    c.to = stdout;
    jmp_buf trap;
    if (setjmp(trap) != 0) {
        fprintf(stderr, "jeprof: %s\n", say_trapped());
    } else {
        say_set_trap(&trap);
        split(line, &c);
        bool quit = c.count > 0 && (strcmp(c.words[0], "quit") == 0 ||
                                       strcmp(c.words[0], "exit") == 0);
        if (quit) {
            say_set_trap(NULL);
            return false;
        }
        if (c.count > 0 && !run(&c)) {
            fprintf(stderr, "Unknown command: try 'help'.\n");
        }
    }
    say_set_trap(NULL);
    close_unless(c.to, stdout);
    view_filter(v, s->focus, s->ignore, s->retain, s->exclude);
    return true;
}

void shell_run(view_t *v, const settings_t *s)
{
    char *line = NULL;
    size_t room = 0;
    printf("Welcome to jeprof!  For help, type 'help'.\n");
    for (;;) {
        fputs("(jeprof) ", stdout);
        fflush(stdout);
        if (getline(&line, &room, stdin) < 0 || !run_line(line, v, s)) {
            break;
        }
    }
    fputc('\n', stdout);
    free(line);
}
