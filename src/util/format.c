/*
 * What: see format.h. The conversions of printf that this library uses, and
 * integers in C notation.
 *
 * Invariants: (I1) all output passes through put(), which counts everything
 * and stores what fits; (I2) no state beyond the call.
 *
 * Locking: none.
 */
#include "util/format.h"

#include <string.h>

/* 64 bits in octal need 22 digits; hex and decimal need fewer. */
#define FORMAT_DIGITS_MAX 24

typedef struct {
    char *buf;
    size_t size;
    size_t length;
} sink_t;

/* One conversion: %[flags][width][.precision][length]conversion. */
typedef struct {
    bool left;
    bool zero;
    size_t width;
    bool has_precision;
    size_t precision;
    char length;
    char conversion;
} spec_t;

static void put(sink_t *sink, char c)
{
    if (sink->length + 1 < sink->size) {
        sink->buf[sink->length] = c;
    }
    sink->length++;
}

static void put_times(sink_t *sink, char c, size_t times)
{
    while (times-- > 0) {
        put(sink, c);
    }
}

static void put_text(sink_t *sink, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put(sink, text[i]);
    }
}

/* The text in its field: blanks before it, or after it if left-aligned. */
static void put_field(
    sink_t *sink, const spec_t *spec, const char *text, size_t len)
{
    size_t pad = spec->width > len ? spec->width - len : 0;
    put_times(sink, ' ', spec->left ? 0 : pad);
    put_text(sink, text, len);
    put_times(sink, ' ', spec->left ? pad : 0);
}

/* A number: blanks, prefix ("-" or "0x"), zeros, digits, blanks. */
static void put_number(
    sink_t *sink, const spec_t *spec, const char *prefix, uint64_t value)
{
    unsigned base =
        spec->conversion == 'd' || spec->conversion == 'u' ? 10 : 16;
    const char *alphabet =
        spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char digits[FORMAT_DIGITS_MAX];
    size_t first = sizeof(digits);
    /* As in C, an explicit precision of 0 prints no digit for 0. */
    for (bool more = !(spec->has_precision && spec->precision == 0);
         more || value > 0; more = false) {
        digits[--first] = alphabet[value % base];
        value /= base;
    }
    size_t ndigits = sizeof(digits) - first;
    size_t zeros = spec->precision > ndigits ? spec->precision - ndigits : 0;
    size_t used = strlen(prefix) + zeros + ndigits;
    size_t pad = spec->width > used ? spec->width - used : 0;
    if (spec->zero && !spec->left && !spec->has_precision) {
        zeros += pad;
        pad = 0;
    }
    put_times(sink, ' ', spec->left ? 0 : pad);
    put_text(sink, prefix, strlen(prefix));
    put_times(sink, '0', zeros);
    put_text(sink, &digits[first], ndigits);
    put_times(sink, ' ', spec->left ? pad : 0);
}

static size_t bounded_strlen(const char *text, const spec_t *spec)
{
    if (!spec->has_precision) {
        return strlen(text);
    }
    const char *nul = memchr(text, '\0', spec->precision);
    return nul != NULL ? (size_t)(nul - text) : spec->precision;
}

static int64_t signed_argument(const spec_t *spec, va_list *ap)
{
    switch (spec->length) {
    case 'l':
        return va_arg(*ap, long);
    case 'q':
        return va_arg(*ap, long long);
    case 'z':
        return va_arg(*ap, ssize_t);
    case 't':
        return va_arg(*ap, ptrdiff_t);
    case 'j':
        return va_arg(*ap, intmax_t);
    default:
        return va_arg(*ap, int);
    }
}

static uint64_t unsigned_argument(const spec_t *spec, va_list *ap)
{
    switch (spec->length) {
    case 'l':
        return va_arg(*ap, unsigned long);
    case 'q':
        return va_arg(*ap, unsigned long long);
    case 'z':
        return va_arg(*ap, size_t);
    case 't':
        return (uint64_t)va_arg(*ap, ptrdiff_t);
    case 'j':
        return va_arg(*ap, uintmax_t);
    default:
        return va_arg(*ap, unsigned);
    }
}

/* A decimal number at *fmt, or for '*' the next argument. */
static int read_count(const char **fmt, va_list *ap)
{
    if (**fmt == '*') {
        (*fmt)++;
        return va_arg(*ap, int);
    }
    int count = 0;
    for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++) {
        count = count * 10 + (**fmt - '0');
    }
    return count;
}

static const char *read_spec(spec_t *spec, const char *fmt, va_list *ap)
{
    *spec = (spec_t){0};
    for (; *fmt == '-' || *fmt == '0'; fmt++) {
        spec->left |= *fmt == '-';
        spec->zero |= *fmt == '0';
    }
    int width = read_count(&fmt, ap);
    spec->left |= width < 0;
    spec->width = width < 0 ? 0 - (size_t)width : (size_t)width;
    if (*fmt == '.') {
        fmt++;
        int precision = read_count(&fmt, ap);
        /* As in C, a negative precision counts as absent. */
        spec->has_precision = precision >= 0;
        spec->precision = precision < 0 ? 0 : (size_t)precision;
    }
    if (*fmt == 'l' && fmt[1] == 'l') {
        spec->length = 'q';
        fmt += 2;
    } else if (*fmt == 'l' || *fmt == 'z' || *fmt == 't' || *fmt == 'j') {
        spec->length = *fmt++;
    }
    spec->conversion = *fmt;
    return fmt;
}

static void convert(sink_t *sink, spec_t *spec, va_list *ap)
{
    switch (spec->conversion) {
    case 'd':
    case 'i': {
        int64_t value = signed_argument(spec, ap);
        spec->conversion = 'd';
        put_number(sink, spec, value < 0 ? "-" : "",
            value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
        break;
    }
    case 'u':
    case 'x':
    case 'X':
        put_number(sink, spec, "", unsigned_argument(spec, ap));
        break;
    case 'p':
        put_number(sink, spec, "0x", (uintptr_t)va_arg(*ap, void *));
        break;
    case 's': {
        const char *text = va_arg(*ap, const char *);
        text = text != NULL ? text : "(null)";
        put_field(sink, spec, text, bounded_strlen(text, spec));
        break;
    }
    case 'c': {
        char c = (char)va_arg(*ap, int);
        put_field(sink, spec, &c, 1);
        break;
    }
    default:
        /* "%%", and anything unknown stands for itself. */
        put(sink, spec->conversion);
    }
}

size_t format_vprint(char *buf, size_t size, const char *fmt, va_list ap)
{
    sink_t sink = {.buf = buf, .size = size, .length = 0};
    va_list args;
    va_copy(args, ap);
    for (; *fmt != '\0'; fmt++) {
        if (*fmt != '%') {
            put(&sink, *fmt);
            continue;
        }
        spec_t spec;
        fmt = read_spec(&spec, fmt + 1, &args);
        if (*fmt == '\0') {
            break;
        }
        convert(&sink, &spec, &args);
    }
    va_end(args);
    if (size > 0) {
        buf[sink.length < size ? sink.length : size - 1] = '\0';
    }
    return sink.length;
}

size_t format_print(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t length = format_vprint(buf, size, fmt, ap);
    va_end(ap);
    return length;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The value of a hex digit, or a number no base reaches. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    return UINT32_MAX;
}

static bool parse_digits(
    const char *text, const char *end, unsigned base, uint64_t *value)
{
    *value = 0;
    for (; text < end; text++) {
        unsigned digit = digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit, value)) {
            return false;
        }
    }
    return true;
}

bool format_parse_u64(
    const char *text, const char *end, uint64_t *value, bool *negative)
{
    while (text < end && is_blank(*text)) {
        text++;
    }
    *negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+')) {
        text++;
    }
    unsigned base = 10;
    if (end - text > 2 && text[0] == '0' &&
        (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    } else if (text < end && *text == '0') {
        base = 8;
    }
    uint64_t magnitude;
    if (text == end || !parse_digits(text, end, base, &magnitude)) {
        return false;
    }
    *value = *negative ? 0 - magnitude : magnitude;
    return true;
}
