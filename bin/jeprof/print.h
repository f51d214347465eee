/*
 * What: the outputs, each a function from a view to text.
 *
 * Invariants: (I1) none of them changes the profile.
 *
 * Locking: none.
 */
#ifndef JEPROF_PRINT_H
#define JEPROF_PRINT_H

#include <stdio.h>

#include "mem.h"
#include "settings.h"
#include "view.h"

/* `limit` rows; 0: all. */
void print_text(FILE *to, view_t *v, const settings_t *s, size_t limit);
void print_collapsed(FILE *to, view_t *v);
void print_callgrind(FILE *to, view_t *v);
void print_raw(FILE *to, view_t *v);
void print_json(FILE *to, view_t *v);
void print_speedscope(FILE *to, view_t *v);
void print_flame(FILE *to, view_t *v);
/* Gzipped profile.proto. */
void print_proto(FILE *to, view_t *v);
void print_list(FILE *to, view_t *v, const char *regex);
void print_disasm(FILE *to, view_t *v, const settings_t *s, const char *regex);
/* In the language of Graphviz. */
void print_graph(FILE *to, view_t *v, const settings_t *s);
/* The same drawn by Graphviz in one of its formats, such as "svg". */
void draw_graph(FILE *to, view_t *v, const settings_t *s, const char *format);

/* A string as JSON has it, with its quotes. */
void print_json_string(FILE *to, const char *string);

#endif
