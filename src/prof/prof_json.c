/*
 * What: see prof_json.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_json.h"

#include <stdarg.h>

#include "util/format.h"

#define PRINT_MAX 512

void prof_json_text(const prof_json_t *json, const char *text)
{
    json->write(json->opaque, text);
}

void prof_json_print(const prof_json_t *json, const char *fmt, ...)
{
    char text[PRINT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)format_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    prof_json_text(json, text);
}

void prof_json_string(const prof_json_t *json, const char *text)
{
    prof_json_text(json, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c >= 0x7f) {
            prof_json_print(json, "\\u%04x", c);
        } else {
            prof_json_print(
                json, c == '"' || c == '\\' ? "\\%c" : "%c", (int)c);
        }
    }
    prof_json_text(json, "\"");
}

void prof_json_frames(
    const prof_json_t *json, const uintptr_t *frames, unsigned count)
{
    prof_json_text(json, "[");
    for (unsigned i = 0; i < count; i++) {
        prof_json_print(json, "%s\"0x%llx\"", i == 0 ? "" : ",",
            (unsigned long long)frames[i]);
    }
    prof_json_text(json, "]");
}
