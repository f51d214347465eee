/*
 * What: what the profiler writes, from numbers made up here: both text
 * formats, profile.proto, JSON, the log and the list of the last samples; and
 * the file that they go to.
 *
 * Invariants: (I1) no sample is taken: all that is written is ours.
 *
 * Locking: prof_log and prof_recent are used by several threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/sizeclass.h"
#include "harness.h"
#include "jemalloc/jemalloc.h"
#include "os/os.h"
#include "prof/prof_json.h"
#include "prof/prof_log.h"
#include "prof/prof_out.h"
#include "prof/prof_pool.h"
#include "prof/prof_pprof.h"
#include "prof/prof_recent.h"
#include "prof/prof_stats.h"
#include "prof/prof_text.h"
#include "util/bits.h"

const char *je_malloc_conf = "prof:true,prof_active:false,prof_stats:true,"
                             "prof_recent_alloc_max:3,lg_prof_sample:12";

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char path[] = "/tmp/prof_files.XXXXXX";

static char file[1 << 20];
static size_t file_size;

static void read_file(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    ssize_t got = read(fd, file, sizeof(file) - 1);
    REQUIRE(got >= 0);
    file[got] = '\0';
    file_size = (size_t)got;
    close(fd);
}

static void boot(void)
{
    je_free(je_malloc(1));
}

/* The fourth that is free: of a few that stay open, none is overlooked. */
static int free_descriptor(void)
{
    int fds[4];
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = open("/dev/null", O_RDONLY);
    }
    for (unsigned i = 0; i < 4; i++) {
        close(fds[i]);
    }
    return fds[3];
}

/* ---- the file ---- */

TEST(out_files)
{
    boot();
    static char data[200000];
    int before = free_descriptor();
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i * 7 >> 3);
    }
    /* In pieces that end before, at and behind the buffer's end. */
    REQUIRE(prof_out_begin(path, false) == 0);
    size_t at = 0;
    for (size_t piece = 1; at < sizeof(data); piece = piece * 5 + 65520) {
        piece = piece < sizeof(data) - at ? piece : sizeof(data) - at;
        prof_out_bytes(data + at, piece);
        at += piece;
    }
    EXPECT_EQ_I64(prof_out_end(), 0);
    read_file();
    EXPECT_EQ_U64(file_size, sizeof(data));
    EXPECT_EQ_I64(memcmp(file, data, sizeof(data)), 0);
    REQUIRE(prof_out_begin(path, false) == 0);
    prof_out_print("%s %u\n", "a text", 17U);
    EXPECT(!prof_out_copy("/nonexistent/file"));
    EXPECT(prof_out_copy("/proc/sys/kernel/ostype"));
    prof_out_text("end\n");
    EXPECT_EQ_I64(prof_out_end(), 0);
    read_file();
    EXPECT_EQ_I64(strncmp(file, "a text 17\nLinux\n", 16), 0);
    EXPECT_EQ_STR(strrchr(file, 'e'), "end\n");
    EXPECT_EQ_I64(prof_out_begin("/nonexistent/file", false), ENOENT);
    EXPECT_EQ_I64(free_descriptor(), before);
}

/* A file that cannot be completed is none. */
TEST(out_files_that_fail)
{
    boot();
    unlink(path);
    for (unsigned i = 0; i < 2; i++) {
        REQUIRE(prof_out_begin("/dev/full", i != 0) == 0);
        prof_out_text("text");
        EXPECT_EQ_I64(prof_out_end(), ENOSPC);
    }
    struct rlimit old;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    struct rlimit small = {1000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    REQUIRE(prof_out_begin(path, false) == 0);
    for (unsigned i = 0; i < 300; i++) {
        prof_out_text("five\n");
    }
    EXPECT_EQ_I64(prof_out_end(), EFBIG);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT_EQ_I64(access(path, F_OK), -1);
}

/* ---- a view made up here ---- */

#define NOT_A_FRAME ((uintptr_t)0x777770)

static void some_code(void)
{
}

static const prof_thread_view_t threads[] = {
    {.uid = 0, .name = "main", .line = {{3, 300, 30, 333}, {6, 600, 60, 666}}},
    {.uid = 7, .line = {{1, 100, 10, 111}, {1, 100, 10, 111}}},
    {.uid = 300, .name = "w \"x\"", .line = {{0, 0, 0, 0}, {2, 20, 20, 22}}}};

static const prof_record_view_t records_0[] = {
    {0, {{3, 300, 30, 333}, {4, 400, 40, 444}}},
    {2, {{0, 0, 0, 0}, {2, 20, 20, 22}}}};
static const prof_record_view_t records_1[] = {
    {0, {{0, 0, 0, 0}, {2, 200, 20, 222}}},
    {1, {{1, 100, 10, 111}, {1, 100, 10, 111}}}};

static uintptr_t frames[3][6];

static const prof_stack_view_t stacks[] = {
    /* of these four one thread is gone */
    {frames[0], records_0, 4, 2, {{3, 300, 30, 333}, {9, 1420, 90, 1466}}},
    {frames[1], records_1, 2, 2, {{1, 100, 10, 111}, {3, 300, 30, 333}}},
    {frames[2], NULL, 1, 0, {{0, 0, 0, 0}, {0, 0, 0, 0}}},
};

static const prof_view_t view = {
    .all = {{4, 400, 40, 444}, {12, 1720, 120, 1799}},
    .threads = threads,
    .thread_count = 3,
    .stacks = stacks,
    .stack_count = 3,
};

static prof_profile_t profile_of(bool accumulates)
{
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 6; j++) {
            frames[i][j] = NOT_A_FRAME;
        }
    }
    frames[0][0] = (uintptr_t)some_code;
    frames[0][1] = 0x11;
    frames[0][2] = (uintptr_t)some_code + 1; /* the same place again */
    frames[0][3] = UINTPTR_MAX - 0x7fff;
    frames[1][0] = (uintptr_t)some_code;
    frames[1][1] = (uintptr_t)getppid + 1;
    frames[2][0] = 0x21;
    return (prof_profile_t){.view = &view,
        .distance = 4096,
        .rate = 1.0 / 4096,
        .unbias = false,
        .accumulates = accumulates};
}

static const char *hex(uintptr_t address)
{
    static char texts[8][24];
    static unsigned turn;
    char *text = texts[turn++ % COUNT(texts)];
    snprintf(text, sizeof(texts[0]), "0x%llx", (unsigned long long)address);
    return text;
}

/* Both texts go on with the map of the process. */
static void expect_text(const char *expected)
{
    read_file();
    char *map = strstr(file, "\nMAPPED_LIBRARIES:\n");
    REQUIRE(map != NULL);
    EXPECT(strstr(map, "prof_files") != NULL);
    EXPECT(strstr(map, "libc") == NULL || strstr(map, "r-xp") != NULL);
    *map = '\0';
    EXPECT_EQ_STR(file, expected);
}

static char expected[4096];

TEST(text_of_threads)
{
    boot();
    int before = free_descriptor();
    for (unsigned accumulates = 0; accumulates < 2; accumulates++) {
        prof_profile_t profile = profile_of(accumulates);
        REQUIRE(prof_out_begin(path, false) == 0);
        prof_text_heap_v2(&profile);
        EXPECT_EQ_I64(prof_out_end(), 0);
        const char *format =
            accumulates
                ? "heap_v2/4096\n  t*: 4: 400 [12: 1720]\n"
                  "  t0: 3: 300 [6: 600] main\n  t7: 1: 100 [1: 100]\n"
                  "  t300: 0: 0 [2: 20] w \"x\"\n@ %s %s %s %s\n"
                  "  t*: 3: 300 [9: 1420]\n  t0: 3: 300 [4: 400]\n"
                  "  t300: 0: 0 [2: 20]\n@ %s %s\n  t*: 1: 100 [3: 300]\n"
                  "  t0: 0: 0 [2: 200]\n  t7: 1: 100 [1: 100]\n"
                : "heap_v2/4096\n  t*: 4: 400 [0: 0]\n"
                  "  t0: 3: 300 [0: 0] main\n  t7: 1: 100 [0: 0]\n"
                  "  t300: 0: 0 [0: 0] w \"x\"\n@ %s %s %s %s\n"
                  "  t*: 3: 300 [0: 0]\n  t0: 3: 300 [0: 0]\n"
                  "  t300: 0: 0 [0: 0]\n@ %s %s\n  t*: 1: 100 [0: 0]\n"
                  "  t0: 0: 0 [0: 0]\n  t7: 1: 100 [0: 0]\n";
        snprintf(expected, sizeof(expected), format, hex(frames[0][0]),
            hex(frames[0][1]), hex(frames[0][2]), hex(frames[0][3]),
            hex(frames[1][0]), hex(frames[1][1]));
        expect_text(expected);
    }
    EXPECT_EQ_I64(free_descriptor(), before);
}

TEST(text_of_old)
{
    boot();
    prof_profile_t profile = profile_of(true);
    REQUIRE(prof_out_begin(path, false) == 0);
    prof_text_heap(&profile);
    EXPECT_EQ_I64(prof_out_end(), 0);
    snprintf(expected, sizeof(expected),
        "heap profile: 4: 400 [12: 1720] @ heap_v2/4096\n"
        "3: 300 [9: 1420] @ %s %s %s %s\n1: 100 [3: 300] @ %s %s\n",
        hex(frames[0][0]), hex(frames[0][1]), hex(frames[0][2]),
        hex(frames[0][3]), hex(frames[1][0]), hex(frames[1][1]));
    expect_text(expected);
}

/* What readers weigh again, and what they need not. */
TEST(printed_values)
{
    static const prof_counts_t none = {0, 0, 0, 0};
    static const prof_counts_t one = {1, 4096, 8 * 2, 2 * 4096};
    prof_profile_t profile = profile_of(true);
    EXPECT_EQ_U64(prof_text_value(&profile, &one).objects, 1);
    EXPECT_EQ_U64(prof_text_value(&profile, &one).bytes, 4096);
    /* One of 4096 bytes at such a distance stands for 1 / (1 - 1/e). */
    EXPECT_EQ_U64(prof_text_estimate(&profile, &one).objects, 2);
    EXPECT_EQ_U64(prof_text_estimate(&profile, &one).bytes, 6480);
    EXPECT_EQ_U64(prof_text_estimate(&profile, &none).bytes, 0);
    profile.unbias = true;
    EXPECT_EQ_U64(prof_text_estimate(&profile, &one).objects, 2);
    EXPECT_EQ_U64(prof_text_estimate(&profile, &one).bytes, 8192);
    EXPECT_EQ_U64(prof_text_value(&profile, &one).objects, 1);
    EXPECT_EQ_U64(prof_text_value(&profile, &one).bytes, 5178);
    EXPECT_EQ_U64(prof_text_value(&profile, &none).objects, 0);
    prof_counts_t part = {1, 4096, 3, 4096};
    EXPECT_EQ_U64(prof_text_estimate(&profile, &part).objects, 0);
    part.estimated_eighths = 4;
    EXPECT_EQ_U64(prof_text_estimate(&profile, &part).objects, 1);
    profile.unbias = false;
    profile.rate = 1;
    EXPECT_EQ_U64(prof_text_estimate(&profile, &one).bytes, 4096);
}

/* ---- profile.proto ---- */

typedef struct {
    const unsigned char *at;
    const unsigned char *end;
} part_t;

typedef struct {
    unsigned number;
    uint64_t value;
    part_t part; /* of fields with a length */
} field_t;

static uint64_t take_varint(part_t *part)
{
    uint64_t value = 0;
    for (unsigned shift = 0; part->at < part->end && shift < 64; shift += 7) {
        unsigned char byte = *part->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    return value;
}

static bool take_field(part_t *part, field_t *field)
{
    if (part->at >= part->end) {
        return false;
    }
    uint64_t key = take_varint(part);
    field->number = (unsigned)(key >> 3);
    field->value = take_varint(part);
    field->part = (part_t){NULL, NULL};
    REQUIRE((key & 7) == 0 || (key & 7) == 2);
    if ((key & 7) == 2) {
        REQUIRE(field->value <= (uint64_t)(part->end - part->at));
        field->part = (part_t){part->at, part->at + field->value};
        part->at += field->value;
    }
    return true;
}

/* The value of a field of a message; 0 if it is not there. */
static uint64_t value_of(part_t part, unsigned number)
{
    field_t field;
    while (take_field(&part, &field)) {
        if (field.number == number) {
            return field.value;
        }
    }
    return 0;
}

/* The i-th field of that number in the file. */
static bool find_field(unsigned number, uint64_t i, field_t *field)
{
    part_t all = {(unsigned char *)file, (unsigned char *)file + file_size};
    while (take_field(&all, field)) {
        if (field->number == number && i-- == 0) {
            return true;
        }
    }
    return false;
}

static unsigned count_fields(unsigned number)
{
    field_t field;
    unsigned n = 0;
    while (find_field(number, n, &field)) {
        n++;
    }
    return n;
}

static void expect_string(uint64_t number, const char *wanted)
{
    char buffer[256] = "none";
    field_t field;
    if (find_field(6, number, &field)) {
        size_t size = (size_t)field.value < 255 ? (size_t)field.value : 255;
        memcpy(buffer, field.part.at, size);
        buffer[size] = '\0';
    }
    EXPECT_EQ_STR(buffer, wanted);
}

/* Whether an address lies in a mapping of the file, and its number. */
static uint64_t mapping_around(uintptr_t address)
{
    field_t field;
    for (unsigned i = 0; find_field(3, i, &field); i++) {
        if (value_of(field.part, 2) <= address &&
            address < value_of(field.part, 3)) {
            return value_of(field.part, 1);
        }
    }
    return 0;
}

static void expect_location(unsigned i, uintptr_t address)
{
    field_t field;
    REQUIRE(find_field(4, i, &field));
    EXPECT_EQ_U64(value_of(field.part, 1), address);
    EXPECT_EQ_U64(value_of(field.part, 3), address);
    EXPECT_EQ_U64(value_of(field.part, 2), mapping_around(address));
}

/* A sample: its places, values, and thread; no label if `uid` is -1. */
static void expect_sample(unsigned i, const uintptr_t *places, unsigned n,
    const uint64_t *values, unsigned value_count, int64_t uid, const char *name)
{
    field_t field;
    field_t part;
    unsigned seen = 0;
    unsigned labels = 0;
    REQUIRE(find_field(2, i, &field));
    while (take_field(&field.part, &part)) {
        if (part.number == 1) {
            for (unsigned f = 0; f < n; f++) {
                EXPECT_EQ_U64(
                    take_varint(&part.part), places[f] - (f == 0 ? 0 : 1));
            }
            EXPECT(part.part.at == part.part.end);
        } else if (part.number == 2) {
            EXPECT_LT_U64(seen, value_count);
            EXPECT_EQ_U64(part.value, values[seen % value_count]);
            seen++;
        } else if (labels++ == 0) {
            expect_string(value_of(part.part, 1), "thread_id");
            EXPECT_EQ_I64((int64_t)value_of(part.part, 3), uid);
        } else {
            expect_string(value_of(part.part, 1), "thread");
            expect_string(value_of(part.part, 2), name);
        }
    }
    EXPECT_EQ_U64(seen, value_count);
    EXPECT_EQ_U64(labels, uid < 0 ? 0 : name[0] == '\0' ? 1 : 2);
}

static void write_proto(bool accumulates)
{
    prof_profile_t profile = profile_of(accumulates);
    profile.unbias = true;
    REQUIRE(prof_out_begin(path, false) == 0);
    EXPECT(prof_pprof_write(&profile));
    EXPECT_EQ_I64(prof_out_end(), 0);
    read_file();
}

static void expect_types(const char *const *types, unsigned count)
{
    field_t field;
    EXPECT_EQ_U64(count_fields(1), count);
    for (unsigned i = 0; i < count && find_field(1, i, &field); i++) {
        expect_string(value_of(field.part, 1), types[i]);
        expect_string(value_of(field.part, 2), i % 2 == 0 ? "count" : "bytes");
    }
    REQUIRE(find_field(11, 0, &field));
    expect_string(value_of(field.part, 1), "space");
    expect_string(value_of(field.part, 2), "bytes");
    REQUIRE(find_field(12, 0, &field));
    EXPECT_EQ_U64(field.value, 4096);
    REQUIRE(find_field(14, 0, &field));
    expect_string(field.value, "inuse_space");
    REQUIRE(find_field(9, 0, &field));
    EXPECT_GT_U64(field.value, 1500000000ULL * 1000000000);
    expect_string(0, "");
}

TEST(proto_of_everything)
{
    static const char *const types[] = {
        "alloc_objects", "alloc_space", "inuse_objects", "inuse_space"};
    boot();
    write_proto(true);
    expect_types(types, 4);
    EXPECT_EQ_U64(count_fields(4), 5);
    expect_location(0, frames[0][0]);
    expect_location(1, 0x10);
    expect_location(2, frames[0][3] - 1);
    expect_location(3, frames[1][1] - 1);
    expect_location(4, frames[2][0]);
    EXPECT_NE_U64(mapping_around(frames[0][0]), 0);
    EXPECT_NE_U64(mapping_around(frames[1][1] - 1), 0);
    EXPECT_EQ_U64(mapping_around(0x10), 0);
    EXPECT_EQ_U64(count_fields(2), 5);
    expect_sample(0, frames[0], 4, (uint64_t[]){5, 444, 4, 333}, 4, 0, "main");
    expect_sample(
        1, frames[0], 4, (uint64_t[]){3, 22, 0, 0}, 4, 300, "w \"x\"");
    expect_sample(2, frames[0], 4, (uint64_t[]){4, 1000, 0, 0}, 4, -1, "");
    expect_sample(3, frames[1], 2, (uint64_t[]){3, 222, 0, 0}, 4, 0, "main");
    expect_sample(4, frames[1], 2, (uint64_t[]){1, 111, 1, 111}, 4, 7, "");
}

TEST(proto_of_the_living)
{
    static const char *const types[] = {"inuse_objects", "inuse_space"};
    boot();
    write_proto(false);
    expect_types(types, 2);
    EXPECT_EQ_U64(count_fields(2), 4);
    expect_sample(0, frames[0], 4, (uint64_t[]){4, 333}, 2, 0, "main");
    expect_sample(3, frames[1], 2, (uint64_t[]){1, 111}, 2, 7, "");
}

/* All mappings of code are there, in order, with the files' ids. */
TEST(proto_mappings)
{
    field_t field;
    uint64_t last = 0;
    boot();
    write_proto(false);
    unsigned n = count_fields(3);
    EXPECT_GE_U64(n, 2);
    for (unsigned i = 0; i < n && find_field(3, i, &field); i++) {
        EXPECT_EQ_U64(value_of(field.part, 1), i + 1);
        EXPECT_GE_U64(value_of(field.part, 2), last);
        EXPECT_LT_U64(value_of(field.part, 2), value_of(field.part, 3));
        EXPECT_NE_U64(value_of(field.part, 5), 0);
        last = value_of(field.part, 3);
    }
    REQUIRE(find_field(3, mapping_around((uintptr_t)some_code) - 1, &field));
    REQUIRE(find_field(6, value_of(field.part, 5), &field));
    EXPECT(
        field.value > 10 && memcmp(field.part.end - 10, "prof_files", 10) == 0);
}

static void write_without_memory(void *arg)
{
    (void)arg;
    prof_profile_t profile = profile_of(true);
    REQUIRE(prof_out_begin(path, false) == 0);
    struct rlimit none = {0, 0};
    REQUIRE(setrlimit(RLIMIT_AS, &none) == 0);
    EXPECT(!prof_pprof_write(&profile));
}

TEST(proto_without_memory)
{
    static test_child_t child;
    boot();
    if (test_is_emulated() || HAS_SANITIZER) {
        test_skip("addresses are not limited here");
    }
    child = test_in_child(write_without_memory, NULL);
    EXPECT_EQ_I64(child.status, 0);
    EXPECT_EQ_STR(child.err, "");
}

/* ---- JSON ---- */

static struct {
    char text[1 << 16];
    size_t size;
    unsigned pieces;
} said;

static void hear(void *opaque, const char *text)
{
    size_t size = strlen(text);
    EXPECT_EQ_PTR(opaque, &said);
    REQUIRE(said.size + size < sizeof(said.text));
    memcpy(said.text + said.size, text, size + 1);
    said.size += size;
    said.pieces++;
}

static prof_json_t listen(void)
{
    said.size = 0;
    said.pieces = 0;
    said.text[0] = '\0';
    return (prof_json_t){hear, &said};
}

TEST(json_pieces)
{
    prof_json_t json = listen();
    prof_json_string(&json, "a \"b\" \\ \n\x1f\x20\x7e\x7f\xff");
    EXPECT_EQ_STR(
        said.text, "\"a \\\"b\\\" \\\\ \\u000a\\u001f ~\\u007f\\u00ff\"");
    json = listen();
    prof_json_frames(&json, (uintptr_t[]){0x10, 0xabcdef, 7}, 2);
    EXPECT_EQ_STR(said.text, "[\"0x10\",\"0xabcdef\"]");
    json = listen();
    prof_json_frames(&json, NULL, 0);
    EXPECT_EQ_STR(said.text, "[]");
}

/* ---- the last samples ---- */

static uintptr_t places[] = {0x100, 0x200, 0x300};

static prof_event_t event_of(uint64_t uid, const char *name, unsigned count)
{
    return (prof_event_t){uid, name, 1000 + uid, places, count};
}

static const char *recent_text(void)
{
    prof_json_t json = listen();
    prof_recent_dump(&json, 4096);
    return said.text;
}

#define NOBODY_YET                                                             \
    "{\"sample_interval\":4096,\"recent_alloc_max\":3,\"recent_alloc\":["

TEST(recent_samples)
{
    prof_recent_t *links[5] = {NULL};
    prof_event_t by_main = event_of(0, "main", 2);
    prof_event_t by_other = event_of(5, "", 3);
    boot();
    EXPECT_EQ_I64(prof_recent_max(), 3);
    EXPECT_EQ_STR(recent_text(), NOBODY_YET "]}");
    EXPECT_EQ_U64(said.pieces, 1);
    prof_recent_add(&links[0], 100, 112, &by_main);
    prof_recent_add(&links[1], 200, 224, &by_other);
    EXPECT(prof_recent_has(&links[0]) && prof_recent_has(&links[1]));
    prof_recent_release(&links[1], &by_main);
    EXPECT(!prof_recent_has(&links[1]));
    EXPECT_EQ_PTR(links[1], NULL);
    EXPECT_EQ_STR(recent_text(), NOBODY_YET
        "{\"size\":100,\"usize\":112,\"released\":false,"
        "\"alloc_thread_uid\":0,\"alloc_thread_name\":\"main\","
        "\"alloc_time\":1000,\"alloc_trace\":[\"0x100\",\"0x200\"]},"
        "{\"size\":200,\"usize\":224,\"released\":true,"
        "\"alloc_thread_uid\":5,\"alloc_time\":1005,"
        "\"alloc_trace\":[\"0x100\",\"0x200\",\"0x300\"],"
        "\"dalloc_thread_uid\":0,\"dalloc_thread_name\":\"main\","
        "\"dalloc_time\":1000,\"dalloc_trace\":[\"0x100\",\"0x200\"]}]}");
    /* Released by nobody known, and never there. */
    prof_recent_release(&links[0], NULL);
    prof_recent_release(&links[0], &by_main);
    EXPECT_EQ_U64(strstr(recent_text(), "dalloc_thread_uid") == NULL, 0);
    EXPECT_EQ_I64(strncmp(said.text, NOBODY_YET, sizeof(NOBODY_YET) - 1), 0);
    EXPECT(
        strstr(said.text, "\"released\":true,\"alloc_thread_uid\":0,"
                          "\"alloc_thread_name\":\"main\",\"alloc_time\":1000,"
                          "\"alloc_trace\":[\"0x100\",\"0x200\"]},{") != NULL);
    /* Of three the oldest go first. */
    for (unsigned i = 2; i < 5; i++) {
        prof_recent_add(&links[i], i, 16, &by_main);
    }
    EXPECT(strstr(recent_text(), "\"size\":200") == NULL);
    EXPECT(strstr(said.text, "[{\"size\":2,") != NULL);
    EXPECT(strstr(said.text, "},{\"size\":4,") != NULL);
    EXPECT_EQ_I64(prof_recent_set_max(1), 3);
    EXPECT(!prof_recent_has(&links[2]) && !prof_recent_has(&links[3]));
    EXPECT(prof_recent_has(&links[4]));
    EXPECT(strstr(recent_text(), "\"recent_alloc\":[{\"size\":4,") != NULL);
    EXPECT_EQ_I64(prof_recent_set_max(0), 1);
    EXPECT(!prof_recent_has(&links[4]));
    prof_recent_add(&links[0], 1, 8, &by_main);
    EXPECT(!prof_recent_has(&links[0]));
    EXPECT_EQ_I64(prof_recent_set_max(-1), 0);
    for (unsigned i = 0; i < 5; i++) {
        prof_recent_add(&links[i], i, 16, &by_main);
        EXPECT(prof_recent_has(&links[0]));
    }
    EXPECT_EQ_I64(prof_recent_set_max(3), -1);
    EXPECT(!prof_recent_has(&links[1]) && prof_recent_has(&links[2]));
    for (unsigned i = 2; i < 5; i++) {
        prof_recent_release(&links[i], NULL);
    }
    EXPECT_EQ_I64(prof_recent_set_max(0), 3);
    EXPECT_EQ_I64(prof_recent_set_max(3), 0);
}

/* Longer than what is handed over at a time: in pieces, nothing lost. */
TEST(recent_samples_in_pieces)
{
    enum { SAMPLES = 400 };
    static prof_recent_t *links[SAMPLES];
    prof_event_t event = event_of(5, "a thread with a name", 3);
    boot();
    EXPECT_EQ_I64(prof_recent_set_max(-1), 3);
    for (unsigned i = 0; i < SAMPLES; i++) {
        prof_recent_add(&links[i], i, 16, &event);
    }
    size_t half = sizeof(said.text) / 2;
    unsigned kept = SAMPLES;
    while (recent_text(), said.size > half) {
        EXPECT_EQ_U64(said.pieces, 1);
        (void)prof_recent_set_max((ssize_t)(kept -= 50));
    }
    EXPECT_EQ_I64(prof_recent_set_max(3), kept);
    EXPECT_EQ_I64(prof_recent_set_max(0), 3);
    EXPECT_EQ_I64(prof_recent_set_max(3), 0);
}

/* ---- the log ---- */

static unsigned count_in(const char *text, const char *part)
{
    unsigned n = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        n++;
    }
    return n;
}

TEST(log_of_two)
{
    prof_event_t a = event_of(3, "one", 2);
    prof_event_t b = event_of(4, "two", 3);
    prof_event_t renamed = event_of(3, "other", 2);
    boot();
    EXPECT(!prof_log_is_running());
    EXPECT(!prof_log_stop());
    prof_log_add(&a, &b, 1); /* nowhere */
    for (unsigned round = 0; round < 2; round++) {
        EXPECT(prof_log_start(path));
        EXPECT(prof_log_is_running());
        EXPECT(!prof_log_start(path));
        prof_log_add(&a, &b, 112);
        prof_log_add(&b, &a, 5120);
        prof_log_add(&renamed, &a, 8);
        EXPECT(prof_log_stop());
        EXPECT(!prof_log_is_running());
        read_file();
        EXPECT_EQ_I64(strncmp(file, "{\"info\":{\"duration\":", 20), 0);
        snprintf(expected, sizeof(expected),
            ",\"lg_sample_rate\":12,\"prof_time_resolution\":\"default\","
            "\"pid\":%ld},\"threads\":["
            "{\"thr_uid\":3,\"thr_name\":\"one\"},"
            "{\"thr_uid\":4,\"thr_name\":\"two\"},"
            "{\"thr_uid\":3,\"thr_name\":\"other\"}],"
            "\"stack_traces\":[[\"0x100\",\"0x200\"],"
            "[\"0x100\",\"0x200\",\"0x300\"]],\"allocations\":["
            "{\"alloc_thread\":0,\"free_thread\":1,\"alloc_trace\":0,"
            "\"free_trace\":1,\"alloc_timestamp\":1003,"
            "\"free_timestamp\":1004,\"usize\":112},"
            "{\"alloc_thread\":1,\"free_thread\":0,\"alloc_trace\":1,"
            "\"free_trace\":0,\"alloc_timestamp\":1004,"
            "\"free_timestamp\":1003,\"usize\":5120},"
            "{\"alloc_thread\":2,\"free_thread\":0,\"alloc_trace\":0,"
            "\"free_trace\":0,\"alloc_timestamp\":1003,"
            "\"free_timestamp\":1003,\"usize\":8}]}",
            (long)getpid());
        char *rest = strstr(file, ",\"lg_sample_rate\"");
        REQUIRE(rest != NULL);
        EXPECT_EQ_STR(rest, expected);
    }
    EXPECT(prof_log_start("/nonexistent/log"));
    EXPECT(!prof_log_stop());
    EXPECT(!prof_log_is_running());
}

#define LOGGERS  4
#define LOG_EACH 3000

static void *add_many(void *arg)
{
    prof_event_t event = event_of((uint64_t)(uintptr_t)arg, "many", 1);
    for (unsigned i = 0; i < LOG_EACH; i++) {
        uintptr_t frame = 0x1000 + i % 64;
        event.frames = &frame;
        prof_log_add(&event, &event, 16);
    }
    return NULL;
}

TEST(log_of_many_threads)
{
    static char names[64];
    boot();
    EXPECT(prof_log_start(path));
    pthread_t ids[LOGGERS];
    for (uintptr_t i = 0; i < LOGGERS; i++) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        REQUIRE(pthread_create(&ids[i], NULL, add_many, (void *)i) == 0);
    }
    for (unsigned i = 0; i < LOGGERS; i++) {
        pthread_join(ids[i], NULL);
    }
    EXPECT(prof_log_stop());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    REQUIRE(fd >= 0 && fstat(fd, &info) == 0);
    char *text = os_map(bits_round_up((size_t)info.st_size + 1, os_page_size()),
        os_page_size());
    REQUIRE(text != NULL && read(fd, text, (size_t)info.st_size) > 0);
    close(fd);
    EXPECT_EQ_U64(count_in(text, "\"usize\":16}"), LOGGERS * LOG_EACH);
    EXPECT_EQ_U64(count_in(text, "thr_uid"), LOGGERS);
    EXPECT_EQ_U64(count_in(text, "[\"0x"), 64);
    for (unsigned i = 0; i < LOGGERS; i++) {
        snprintf(names, sizeof(names), "{\"alloc_thread\":%u,", i);
        EXPECT_EQ_U64(count_in(text, names), LOG_EACH);
    }
}

/* The stack does not grow any more when there are no addresses left. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile char room[256 << 10];
    for (size_t i = 0; i < sizeof(room); i += 1024) {
        room[i] = 1;
    }
}

#define NO_CLASS 16

/*
 * Leaves the pool some pieces of memory of each size but one, and no more:
 * how many, and of which there are none.
 */
static void log_without_memory(void *arg)
{
    uintptr_t left = (uintptr_t)arg % 16;
    uintptr_t none_of = (uintptr_t)arg / 16;
    static void *spare[8][16];
    const size_t step = 16;
    for (unsigned i = 0; i < left; i++) {
        for (unsigned s = 0; s < 16; s++) {
            spare[i][s] = prof_pool_alloc((s + 1) * step);
        }
    }
    EXPECT(prof_log_start(path));
    grow_stack();
    struct rlimit none = {0, 0};
    REQUIRE(setrlimit(RLIMIT_AS, &none) == 0);
    for (unsigned s = 0; s < 16; s++) {
        while (prof_pool_alloc((s + 1) * step) != NULL) {
        }
    }
    for (unsigned i = 0; i < left; i++) {
        for (unsigned s = 0; s < 16; s++) {
            if (s != none_of) {
                prof_pool_free(spare[i][s], (s + 1) * step);
            }
        }
    }
    prof_event_t a = event_of(3, "one", 2);
    prof_event_t b = event_of(4, "two", 0);
    static uintptr_t deep[10] = {1, 2, 3}; /* of another size than all else */
    b.frames = deep;
    b.count = COUNT(deep);
    for (unsigned i = 0; i < 3; i++) {
        prof_log_add(&a, &b, 32);
        prof_log_add(&b, &a, 32);
    }
    EXPECT(prof_log_stop());
    read_file();
    unsigned entries = count_in(file, "usize");
    unsigned both = count_in(file, "thr_uid") + count_in(file, "[\"0x");
    EXPECT(entries == 0 || both == 4);
    EXPECT(left != 0 || entries == 0);
    EXPECT(left < 8 || none_of != NO_CLASS || entries == 6);
}

TEST(log_of_what_there_is_memory_for)
{
    static test_child_t child;
    boot();
    if (test_is_emulated() || HAS_SANITIZER) {
        test_skip("addresses are not limited here");
    }
    for (uintptr_t i = 0; i <= 8 + NO_CLASS; i++) {
        uintptr_t which = i <= 8 ? NO_CLASS * 16 + i : (i - 9) * 16 + 8;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        child = test_in_child(log_without_memory, (void *)which);
        EXPECT_EQ_I64(child.status, 0);
        EXPECT_EQ_STR(child.err, "");
    }
}

/* ---- samples by class ---- */

#define CLASS_ROUNDS 200000

static _Atomic bool enough;
static _Atomic bool begun;

static void *come_and_go(void *arg)
{
    prof_stats_add(170, 192);
    prof_stats_remove(170, 192);
    atomic_put_relaxed(&begun, true);
    while (!atomic_get_relaxed(&enough)) {
        prof_stats_add(170, 192);
        prof_stats_remove(170, 192);
    }
    return arg;
}

/* Numbers that belong together are seen together. */
TEST(classes_as_a_whole)
{
    prof_stats_t live;
    prof_stats_t accum;
    pthread_t thread;
    unsigned torn = 0;
    boot();
    unsigned index = sizeclass_index(192);
    REQUIRE(pthread_create(&thread, NULL, come_and_go, NULL) == 0);
    while (!atomic_get_relaxed(&begun)) {
        sched_yield();
    }
    for (unsigned i = 0; i < CLASS_ROUNDS; i++) {
        prof_stats_get(index, &live, &accum);
        torn += live.requested_bytes != live.count * 170;
        torn += accum.requested_bytes != accum.count * 170;
    }
    atomic_put_relaxed(&enough, true);
    pthread_join(thread, NULL);
    EXPECT_EQ_U64(torn, 0);
    prof_stats_get(index, &live, &accum);
    EXPECT_EQ_U64(live.count, 0);
    EXPECT_GT_U64(accum.count, 0);
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    int status = test_run(TEST_CASE(out_files), TEST_CASE(out_files_that_fail),
        TEST_CASE(text_of_threads), TEST_CASE(text_of_old),
        TEST_CASE(printed_values), TEST_CASE(proto_of_everything),
        TEST_CASE(proto_of_the_living), TEST_CASE(proto_mappings),
        TEST_CASE(proto_without_memory), TEST_CASE(json_pieces),
        TEST_CASE(recent_samples), TEST_CASE(recent_samples_in_pieces),
        TEST_CASE(log_of_two), TEST_CASE(log_of_many_threads),
        TEST_CASE(log_of_what_there_is_memory_for),
        TEST_CASE(classes_as_a_whole), NULL);
    unlink(path);
    return status;
}
