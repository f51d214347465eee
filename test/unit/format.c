/*
 * What: util/format against libc's snprintf, and integers in C notation.
 *
 * Invariants: (I1) the reference runs in the "C" locale.
 *
 * Locking: none.
 */
#include "util/format.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* Formats with both and compares texts and lengths, whole and cut short. */
#define SAME(...)                                                              \
    do {                                                                       \
        char ours[256];                                                        \
        char libc[256];                                                        \
        for (volatile size_t room = 0; room < 40; room++) {                    \
            memset(ours, '#', sizeof(ours));                                   \
            memset(libc, '#', sizeof(libc));                                   \
            int want = snprintf(libc, room, __VA_ARGS__);                      \
            size_t got = format_print(ours, room, __VA_ARGS__);                \
            EXPECT_EQ_U64(got, (uint64_t)want);                                \
            if (room > 0) {                                                    \
                EXPECT_EQ_STR(ours, libc);                                     \
            }                                                                  \
            EXPECT(ours[room] == '#');                                         \
        }                                                                      \
        format_print(ours, sizeof(ours), __VA_ARGS__);                         \
        snprintf(libc, sizeof(libc), __VA_ARGS__);                             \
        EXPECT_EQ_STR(ours, libc);                                             \
    } while (0)

TEST(integers)
{
    SAME("%d %d %i", 0, -1, INT_MAX);
    SAME("%d", INT_MIN);
    SAME("%u %x %X", UINT_MAX, 0xbeefU, 0xBEEFU);
    SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX / 15 * 13);
    SAME("%lld %llu", LLONG_MIN, ULLONG_MAX);
    SAME("%zu %zd", (size_t)SIZE_MAX, (ssize_t)-5);
    SAME("%td %jd %ju", (ptrdiff_t)-7, INTMAX_MIN, UINTMAX_MAX);
}

TEST(widths)
{
    SAME("[%5d] [%-5d] [%05d]", -42, -42, -42);
    SAME("[%2d] [%02x] [%-8x]", 12345, 0xabcU, 0xabcU);
    SAME("[%.4d] [%8.4d] [%-8.4d]", -7, -7, 7);
    SAME("[%.0d] [%.0u] [%.0x]", 0, 0U, 1U);
    SAME("[%*d] [%-*d]", 6, 1, 6, 2);
    SAME("[%*d]", -6, 1);
    SAME("[%.*d]", -1, 0);
    SAME("[%016llx]", 0x123456789abULL);
}

TEST(texts)
{
    SAME("plain");
    SAME("%s|%s", "a", "");
    SAME("[%6s] [%-6s] [%.2s] [%6.1s]", "abc", "abc", "abc", "abc");
    SAME("[%.*s]", 3, "abcdef");
    SAME("[%.*s]", -1, "abcdef");
    SAME("%c%c [%3c] [%-3c]", 'x', 'y', 'z', 'w');
    SAME("100%% of %s", "it");
    SAME("%p", (void *)0x7fff1234);
}

/* A precision bounds how far a text is read, too. */
TEST(unterminated_text)
{
    char raw[4] = {'a', 'b', 'c', 'd'};
    char out[16];
    EXPECT_EQ_U64(format_print(out, sizeof(out), "%.*s", 4, raw), 4);
    EXPECT_EQ_STR(out, "abcd");
}

TEST(null_text)
{
    const char *volatile none = NULL;
    char out[16];
    format_print(out, sizeof(out), "%s", none);
    EXPECT_EQ_STR(out, "(null)");
}

TEST(errno_is_kept)
{
    char out[8];
    errno = 1234;
    format_print(out, sizeof(out), "%s %d", "much too long for it", 5);
    EXPECT_EQ_I64(errno, 1234);
}

typedef struct {
    const char *text;
    bool valid;
    uint64_t value;
    bool negative;
} number_t;

static const number_t numbers[] = {
    {"0", true, 0, false},
    {"7", true, 7, false},
    {"+7", true, 7, false},
    {"-7", true, 0 - (uint64_t)7, true},
    {"-0", true, 0, true},
    {"010", true, 8, false},
    {"00", true, 0, false},
    {"0x10", true, 16, false},
    {"0XfF", true, 255, false},
    {"-0x1", true, UINT64_MAX, true},
    {" \t\n\v\f\r12", true, 12, false},
    {"18446744073709551615", true, UINT64_MAX, false},
    {"-18446744073709551615", true, 1, true},
    {"0xffffffffffffffff", true, UINT64_MAX, false},
    {"01777777777777777777777", true, UINT64_MAX, false},
    {"18446744073709551616", false, 0, false},
    {"18446744073709551620", false, 0, false},
    {"99999999999999999999999", false, 0, false},
    {"0x10000000000000000", false, 0, false},
    {"02000000000000000000000", false, 0, false},
    {"", false, 0, false},
    {" ", false, 0, false},
    {"-", false, 0, false},
    {"+", false, 0, false},
    {"--1", false, 0, false},
    {"+-1", false, 0, false},
    {"- 1", false, 0, false},
    {"0x", false, 0, false},
    {"0xg", false, 0, false},
    {"08", false, 0, false},
    {"12 ", false, 0, false},
    {"1k", false, 0, false},
    {"1.5", false, 0, false},
    {"a", false, 0, false},
};

TEST(parse)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const number_t *n = &numbers[i];
        uint64_t value = 0;
        bool negative = false;
        const char *end = n->text + strlen(n->text);
        bool valid = format_parse_u64(n->text, end, &value, &negative);
        if (valid != n->valid) {
            test_note("the number is \"%s\"", n->text);
        }
        EXPECT_EQ_U64(valid, n->valid);
        if (valid) {
            EXPECT_EQ_U64(value, n->value);
            EXPECT_EQ_U64(negative, n->negative);
        }
    }
}

/* Nothing behind the end is looked at. */
TEST(parse_stops_at_end)
{
    const char text[] = "0x12345";
    uint64_t value;
    bool negative;
    EXPECT(format_parse_u64(text, text + 4, &value, &negative));
    EXPECT_EQ_U64(value, 0x12);
    EXPECT(format_parse_u64(text, text + 1, &value, &negative));
    EXPECT_EQ_U64(value, 0);
    EXPECT(!format_parse_u64(text, text + 2, &value, &negative));
}

int main(void)
{
    return test_run(TEST_CASE(integers), TEST_CASE(widths), TEST_CASE(texts),
        TEST_CASE(unterminated_text), TEST_CASE(null_text),
        TEST_CASE(errno_is_kept), TEST_CASE(parse),
        TEST_CASE(parse_stops_at_end), NULL);
}
