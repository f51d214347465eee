/*
 * What: bounded formatting and number parsing that allocate nothing and know
 * no locale, for code that runs before the heap exists.
 *
 * Invariants: (I1) never writes past the given size and always terminates;
 * (I2) no libc printf, strtol or locale behind it; (I3) keeps errno.
 *
 * Locking: none.
 */
#ifndef JE_UTIL_FORMAT_H
#define JE_UTIL_FORMAT_H

#include <stdarg.h>

#include "util/common.h"

/*
 * Understands: flags - and 0, width and precision (numbers or *), lengths
 * l ll z t j, conversions d i u x X p s c %. Returns the length the full
 * text would have had, as snprintf does.
 */
size_t format_vprint(char *buf, size_t size, const char *fmt, va_list ap);
JE_PRINTF(3, 4)
size_t format_print(char *buf, size_t size, const char *fmt, ...);

/*
 * Parses an integer in C notation (0x hex, leading 0 octal, else decimal)
 * with optional leading blanks and sign from [text, end). True if it uses up
 * the whole text and fits into 64 bits; negative numbers come back modulo
 * 2^64 with *negative set.
 */
bool format_parse_u64(
    const char *text, const char *end, uint64_t *value, bool *negative);

#endif
