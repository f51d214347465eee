/*
 * What: replays inputs and changes them, see jeprof_replay.h.
 *
 * Invariants: (I1) the same seed makes the same inputs; it is printed.
 *
 * Locking: none.
 */
#include "jeprof_replay.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define INPUT_MAX 65536
#define FILES_MAX 512
#define ROUNDS    1000

static struct {
    uint8_t *data;
    size_t size;
} files[FILES_MAX];
static size_t files_count;
static const char *corpus_name;
static uint64_t random_state;

static void load(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && files_count < FILES_MAX);
    uint8_t *data = malloc(INPUT_MAX);
    REQUIRE(data != NULL);
    ssize_t size = read(fd, data, INPUT_MAX);
    close(fd);
    REQUIRE(size >= 0);
    files[files_count].data = data;
    files[files_count++].size = (size_t)size;
}

TEST(corpus)
{
    char path[4096];
    const char *source_dir = getenv("JE_SRCDIR");
    int len = snprintf(path, sizeof(path), "%s/test/fuzz/corpus/%s",
        source_dir != NULL ? source_dir : ".", corpus_name);
    DIR *directory = opendir(path);
    REQUIRE(directory != NULL);
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(path + len, sizeof(path) - (size_t)len, "/%s", e->d_name);
            load(path);
        }
    }
    closedir(directory);
    EXPECT_GE_U64(files_count, 10);
    for (size_t i = 0; i < files_count; i++) {
        EXPECT_EQ_I64(LLVMFuzzerTestOneInput(files[i].data, files[i].size), 0);
    }
}

/* xorshift: any full-period generator does. */
static size_t below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit == 0 ? 0 : (size_t)((random_state >> 11) % limit);
}

/* Changes bytes, cuts, or goes on with the tail of another input. */
static size_t mutate(uint8_t *data, size_t size)
{
    size_t at = below(size + 1);
    size_t other = below(files_count);
    size_t from = below(files[other].size + 1);
    size_t n = files[other].size - from;
    switch (below(6)) {
    case 0:
        return at;
    case 1:
        n = n < INPUT_MAX - at ? n : INPUT_MAX - at;
        memcpy(data + at, files[other].data + from, n);
        return at + n;
    case 2:
        memset(data + at, below(2) == 0 ? 0 : 0xff, (size - at) < 8 ? 0 : 8);
        return size;
    default:
        if (at < size) {
            data[at] = (uint8_t)below(256);
        }
        return size;
    }
}

TEST(mutations)
{
    static uint8_t data[INPUT_MAX];
    const char *seconds = getenv("T");
    time_t end = time(NULL) + (seconds != NULL ? atoi(seconds) : 0);
    const char *seed = getenv("JE_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 0) : 1234567;
    test_note("JE_SEED=%llu", (unsigned long long)random_state);
    REQUIRE(random_state != 0 && files_count > 0);
    for (unsigned long i = 0; seconds != NULL ? time(NULL) < end : i < ROUNDS;
         i++) {
        size_t start = below(files_count);
        size_t size = files[start].size;
        memcpy(data, files[start].data, size);
        for (size_t n = below(6) + 1; n > 0; n--) {
            size = mutate(data, size);
        }
        EXPECT_EQ_I64(LLVMFuzzerTestOneInput(data, size), 0);
    }
}

int replay_main(int argc, char **argv, const char *name)
{
    corpus_name = name;
    if (argc < 2) {
        return test_run(TEST_CASE(corpus), TEST_CASE(mutations), NULL);
    }
    for (int i = 1; i < argc; i++) {
        load(argv[i]);
        LLVMFuzzerTestOneInput(files[i - 1].data, files[i - 1].size);
        printf("%s: fine\n", argv[i]);
    }
    return 0;
}
