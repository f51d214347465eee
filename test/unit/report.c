/*
 * What: the report: as text its frame and lines, as JSON that it parses,
 * letters that leave parts out, pieces, and agreement with mallctl.
 *
 * Invariants: (I1) the reader of JSON here is strict: no white space, no
 * trailing text.
 *
 * Locking: none.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "jemalloc/jemalloc.h"

const char *je_malloc_conf = "narenas:2,stats_print_opts:J";

/* The whole report, as the callback collected it. */
static struct {
    char text[4 << 20];
    size_t len;
    unsigned pieces;
    const void *opaque;
} got;

static void collect(void *opaque, const char *text)
{
    size_t len = strlen(text);
    if (got.len + len < sizeof(got.text)) {
        memcpy(got.text + got.len, text, len + 1);
    }
    got.len += len;
    got.pieces++;
    got.opaque = opaque;
}

static const char *print(const char *opts)
{
    memset(&got, 0, 1);
    got.text[0] = '\0';
    got.len = 0;
    got.pieces = 0;
    je_malloc_stats_print(collect, &got, opts);
    EXPECT_LT_U64(got.len, sizeof(got.text));
    EXPECT_EQ_PTR(got.opaque, &got);
    EXPECT_GE_U64(got.pieces, 1);
    return got.text;
}

static bool says(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* ---- a reader of JSON: where a value ends, or NULL ---- */

static const char *skip_string(const char *s)
{
    if (*s++ != '"') {
        return NULL;
    }
    while (*s != '"') {
        if ((unsigned char)*s < ' ') {
            return NULL;
        }
        s += *s == '\\' ? 2 : 1;
    }
    return s + 1;
}

static const char *skip_number(const char *s)
{
    s += *s == '-';
    size_t digits = strspn(s, "0123456789");
    return digits == 0 || (digits > 1 && *s == '0') ? NULL : s + digits;
}

static const char *skip_value(const char *s);

static const char *skip_items(const char *s, char close)
{
    s++;
    if (*s == close) {
        return s + 1;
    }
    for (;;) {
        if (close == '}') {
            s = skip_string(s);
            if (s == NULL || *s++ != ':') {
                return NULL;
            }
        }
        s = skip_value(s);
        if (s == NULL || (*s != ',' && *s != close)) {
            return NULL;
        }
        if (*s++ == close) {
            return s;
        }
    }
}

static const char *skip_value(const char *s)
{
    switch (*s) {
    case '{':
        return skip_items(s, '}');
    case '[':
        return skip_items(s, ']');
    case '"':
        return skip_string(s);
    case 't':
        return strncmp(s, "true", 4) == 0 ? s + 4 : NULL;
    case 'f':
        return strncmp(s, "false", 5) == 0 ? s + 5 : NULL;
    default:
        return skip_number(s);
    }
}

static bool is_json(const char *text)
{
    const char *end = skip_value(text);
    return end != NULL && *end == '\0';
}

/* The number behind "key": in the JSON, from `from` on. */
static uint64_t number(const char *from, const char *key)
{
    const char *at = from == NULL ? NULL : strstr(from, key);
    EXPECT(at != NULL);
    uint64_t value = 0;
    for (at = at == NULL ? "" : at + strlen(key); *at >= '0' && *at <= '9';
         at++) {
        value = value * 10 + (uint64_t)(*at - '0');
    }
    return value;
}

/* ---- text ---- */

TEST(text_frame)
{
    const char *text = print(NULL);
    EXPECT(!says(text, "Merged arenas stats:")); /* of one arena */
    EXPECT(strncmp(text, "___ Begin jemalloc statistics ___\nVersion: \"",
               44) == 0);
    const char end[] = "--- End jemalloc statistics ---\n";
    EXPECT_EQ_STR(text + got.len - strlen(end), end);
    EXPECT(says(text, "\n  config.stats: true\n"));
    EXPECT(says(text, "\n  opt.narenas: 2\n"));
    EXPECT(says(text,
        "\n  opt.dirty_decay_ms: 10000 (arenas.dirty_decay_ms: 10000)\n"));
    EXPECT(says(text, "\n  opt.hpa_dirty_mult: \"0.25\"\n"));
    EXPECT(says(text, "\nQuantum size: 16\nPage size: 4096\n"));
    EXPECT(says(text, "\nAllocated: "));
    EXPECT(says(text, "\narenas[0]:\nname: \"auto_0\"\n"));
    EXPECT(says(text, "\nbins:           size ind     allocated "));
    EXPECT(says(text, "\nlarge:          size ind    allocated "));
    EXPECT(says(text, "\nextents:        size ind       ndirty "));
    EXPECT(says(text, "\ndecaying:  time       npages       sweeps"));
}

/* A row of the table of small classes, cell by cell. */
TEST(text_row)
{
    unsigned ind;
    size_t len = sizeof(ind);
    void *blocks[200];
    REQUIRE(je_mallctl("arenas.create", &ind, &len, NULL, 0) == 0);
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = je_mallocx(112, MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE);
    }
    const char *text = print("gmx");
    /* The rates depend on how old the arena is. */
    EXPECT(says(text, "                 112   7         22400           200"));
    EXPECT(says(text, "        1          200            1              0"
                      "  256   7  0.781          200"));
    for (size_t i = 0; i < 200; i++) {
        je_dallocx(blocks[i], MALLOCX_TCACHE_NONE);
    }
}

static unsigned count_between(
    const char *from, const char *to, const char *part)
{
    unsigned n = 0;
    EXPECT(from != NULL && to != NULL);
    for (; from != NULL && to != NULL; n++) {
        from = strstr(from, part);
        if (from == NULL || from >= to) {
            break;
        }
        from += strlen(part);
    }
    return n;
}

/* Classes that nobody uses are one line together, the others one each. */
TEST(text_gaps)
{
    unsigned ind;
    size_t len = sizeof(ind);
    char title[32];
    static const size_t sizes[] = {112, 128, 20480, 24576};
    REQUIRE(je_mallctl("arenas.create", &ind, &len, NULL, 0) == 0);
    int flags = MALLOCX_ARENA(ind) | MALLOCX_TCACHE_NONE;
    for (size_t i = 0; i < 4; i++) {
        EXPECT(je_mallocx(sizes[i], flags) != NULL);
    }
    snprintf(title, sizeof(title), "arenas[%u]:", ind);
    const char *text = strstr(print("gmx"), title);
    REQUIRE(text != NULL);
    const char *bins = strstr(text, "\nbins:           size");
    const char *large = strstr(text, "\nlarge:          size");
    const char *extents = strstr(text, "\nextents:        size");
    EXPECT_EQ_U64(count_between(bins, large, "---\n"), 2);
    EXPECT_EQ_U64(count_between(bins, large, "\n"), 5);
    EXPECT_EQ_U64(count_between(large, extents, "---\n"), 2);
    EXPECT_EQ_U64(count_between(large, extents, "\n"), 5);
    /* As JSON each has its place. */
    unsigned count;
    len = sizeof(count);
    snprintf(title, sizeof(title), "\"%u\":{", ind);
    text = strstr(print("Jgm"), title);
    REQUIRE(text != NULL);
    large = strstr(text, "\"lextents\":[");
    REQUIRE(large != NULL);
    EXPECT_EQ_I64(je_mallctl("arenas.nbins", &count, &len, NULL, 0), 0);
    EXPECT_EQ_U64(count_between(text, large, "\"nmalloc\":"), count + 2);
    EXPECT_EQ_I64(je_mallctl("arenas.nlextents", &count, &len, NULL, 0), 0);
    EXPECT_EQ_U64(
        count_between(large, strchr(large, ']'), "\"curlextents\":"), count);
}

/* Lists of fixed length: nine kinds of steps, 64 of longest runs. */
TEST(huge_pages)
{
    unsigned ind;
    size_t len = sizeof(ind);
    char title[32];
    REQUIRE(je_mallctl("arenas.create", &ind, &len, NULL, 0) == 0);
    snprintf(title, sizeof(title), "arenas[%u]:", ind);
    const char *text = strstr(print("gm"), title);
    REQUIRE(text != NULL);
    const char *steps = strstr(text, "extent allocation distribution:\n");
    const char *sorts = strstr(text, "  In full slabs:\n");
    /* Two titles, and an empty line behind them. */
    EXPECT_EQ_U64(count_between(steps, sorts, "\n"), 12);
    snprintf(title, sizeof(title), "\"%u\":{", ind);
    text = strstr(print("Jgm"), title);
    REQUIRE(text != NULL);
    steps = strstr(text, "\"extent_allocation_distribution\":[");
    const char *runs = strstr(text, "\"nonfull_slabs\":[");
    REQUIRE(steps != NULL && runs != NULL);
    EXPECT_EQ_U64(
        count_between(steps, strchr(steps, ']'), "\"min_extents\":"), 9);
    EXPECT_EQ_U64(
        count_between(runs, strchr(runs, ']'), "\"npageslabs_huge\":"), 64);
}

/* One word of those that the kernel lists, or that there is none. */
TEST(text_of_the_system)
{
    static const char name[] = "\n  system.thp_mode: ";
    const char *mode = strstr(print("mdabl"), name);
    REQUIRE(mode != NULL);
    mode += sizeof(name) - 1;
    static const char *const modes[] = {
        "\"always\"\n", "\"madvise\"\n", "\"never\"\n", "\"not supported\"\n"};
    bool known = false;
    for (size_t i = 0; i < 4; i++) {
        known = known || strncmp(mode, modes[i], strlen(modes[i])) == 0;
    }
    EXPECT(known);
}

TEST(text_letters)
{
    EXPECT(!says(print("g"), "Version"));
    EXPECT(!says(print("b"), "\nbins:"));
    EXPECT(!says(print("l"), "\nlarge:          size"));
    EXPECT(!says(print("x"), "n_lock_ops"));
    EXPECT(!says(print("e"), "\nextents:"));
    EXPECT(says(print("a"), "Merged arenas stats:"));
    EXPECT(!says(print("a"), "arenas[0]:"));
    EXPECT(says(print("zzz??gg"), "arenas[0]:"));
    const char *text = print("gmdablxeh");
    EXPECT(strncmp(text + 34, "Allocated: ", 11) == 0);
    EXPECT(!says(text, "arenas"));
    EXPECT(!says(print("Jmda"), "\"stats.arenas\""));
}

/* ---- JSON ---- */

TEST(json_is_json)
{
    static const char letters[] = "gmdablxeh";
    char opts[16];
    /* Every combination of letters. */
    for (unsigned mask = 0; mask < 1U << (sizeof(letters) - 1); mask++) {
        size_t len = 0;
        opts[len++] = 'J';
        for (unsigned i = 0; i < sizeof(letters) - 1; i++) {
            if ((mask >> i) & 1) {
                opts[len++] = letters[i];
            }
        }
        opts[len] = '\0';
        if (!is_json(print(opts))) {
            test_note("opts %s", opts);
            EXPECT(false);
        }
    }
}

TEST(json_contents)
{
    const char *text = print("Ja");
    EXPECT(strncmp(text, "{\"jemalloc\":{\"version\":\"", 24) == 0);
    EXPECT(says(text, "\"opt\":{\"global_var\":\"narenas:2,"));
    EXPECT(says(text, "\"stats.arenas\":{\"merged\":{\"nthreads\":"));
    const char *stats = strstr(text, "\"stats\":{");
    size_t value;
    size_t len = sizeof(value);
    static const struct {
        const char *key;
        const char *name;
    } same[] = {
        {"\"allocated\":", "stats.allocated"},
        {"\"active\":", "stats.active"},
        {"\"metadata\":", "stats.metadata"},
        {"\"resident\":", "stats.resident"},
        {"\"mapped\":", "stats.mapped"},
        {"\"retained\":", "stats.retained"},
        {"\"pactive\":", "stats.arenas.4096.pactive"},
        {"\"tcache_bytes\":", "stats.arenas.4096.tcache_bytes"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        EXPECT_EQ_I64(je_mallctl(same[i].name, &value, &len, NULL, 0), 0);
        EXPECT_EQ_U64(number(stats, same[i].key), value);
    }
}

/* Names of arenas are the program's text: quotes must not break the JSON. */
TEST(json_escapes)
{
    unsigned ind;
    size_t len = sizeof(ind);
    const char *evil = "a\"b\\c\n\x01";
    char name[] = "arena.0.name";
    REQUIRE(je_mallctl("arenas.create", &ind, &len, NULL, 0) == 0);
    REQUIRE(ind < 10);
    name[6] = (char)('0' + ind);
    EXPECT_EQ_I64(je_mallctl(name, NULL, NULL, &evil, sizeof(evil)), 0);
    const char *text = print("J");
    EXPECT(is_json(text));
    EXPECT(says(text, "\"name\":\"a\\\"b\\\\c\\u000a\\u0001\""));
    strcpy(name, "arena.0");
    size_t mib[3];
    len = 3;
    EXPECT_EQ_I64(je_mallctlnametomib("arena.0.destroy", mib, &len), 0);
    mib[1] = ind;
    EXPECT_EQ_I64(je_mallctlbymib(mib, 3, NULL, NULL, NULL, 0), 0);
    EXPECT(says(print("Ja"), "\"destroyed\":{"));
    EXPECT(!says(print("Jad"), "\"destroyed\":{"));
}

/* Looking must not change what is seen. */
TEST(looking_allocates_nothing)
{
    size_t active[2];
    size_t len = sizeof(active[0]);
    uint64_t allocated[2];
    size_t len64 = sizeof(allocated[0]);
    const char *name = "approximate_stats.active";
    EXPECT_EQ_I64(je_mallctl(name, &active[0], &len, NULL, 0), 0);
    EXPECT_EQ_I64(
        je_mallctl("thread.allocated", &allocated[0], &len64, NULL, 0), 0);
    (void)print("J");
    (void)print("");
    EXPECT_EQ_I64(je_mallctl(name, &active[1], &len, NULL, 0), 0);
    EXPECT_EQ_I64(
        je_mallctl("thread.allocated", &allocated[1], &len64, NULL, 0), 0);
    EXPECT_EQ_U64(active[1], active[0]);
    EXPECT_EQ_U64(allocated[1], allocated[0]);
}

int main(void)
{
    return test_run(TEST_CASE(text_frame), TEST_CASE(text_row),
        TEST_CASE(text_gaps), TEST_CASE(huge_pages),
        TEST_CASE(text_of_the_system), TEST_CASE(text_letters),
        TEST_CASE(json_is_json), TEST_CASE(json_contents),
        TEST_CASE(json_escapes), TEST_CASE(looking_allocates_nothing), NULL);
}
