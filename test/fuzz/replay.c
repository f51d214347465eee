/*
 * What: see replay.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef JE_LIBFUZZER

void replay_check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

#else

#    include <dirent.h>
#    include <fcntl.h>
#    include <time.h>
#    include <unistd.h>

#    include "harness.h"

#    define FILES_MAX 512
/* A corpus that was not found is no corpus. */
#    define FILES_MIN 10

static const replay_target_t *target;
static const char *complaint;
static uint64_t random_state;
static struct {
    uint8_t *data;
    size_t size;
} files[FILES_MAX];
static size_t files_count;

void replay_check(bool holds, const char *what)
{
    if (!holds && complaint == NULL) {
        complaint = what;
    }
}

static void load_and_run(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0 && files_count < FILES_MAX);
    uint8_t *data = malloc(target->input_max);
    REQUIRE(data != NULL);
    ssize_t size = read(fd, data, target->input_max);
    close(fd);
    REQUIRE(size >= 0);
    files[files_count].data = data;
    files[files_count++].size = (size_t)size;
    int result = LLVMFuzzerTestOneInput(data, (size_t)size);
    if (complaint != NULL || result != 0) {
        test_note("file %s", path);
    }
    EXPECT_EQ_I64(result, 0);
    EXPECT_EQ_STR(complaint, NULL);
}

TEST(corpus)
{
    char path[4096];
    const char *source_dir = getenv("JE_SRCDIR");
    int len = snprintf(path, sizeof(path), "%s/test/fuzz/corpus/%s",
        source_dir != NULL ? source_dir : ".", target->name);
    DIR *directory = opendir(path);
    REQUIRE(directory != NULL);
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        if (e->d_name[0] != '.') {
            snprintf(path + len, sizeof(path) - (size_t)len, "/%s", e->d_name);
            load_and_run(path);
        }
    }
    closedir(directory);
    EXPECT_GE_U64(files_count, FILES_MIN);
}

/* xorshift: any full-period generator does. */
size_t replay_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit == 0 ? 0 : (size_t)((random_state >> 11) % limit);
}

size_t replay_pick(uint8_t *data)
{
    size_t i = replay_below(files_count);
    memcpy(data, files[i].data, files[i].size);
    return files[i].size;
}

size_t replay_splice(uint8_t *data, size_t at)
{
    size_t i = replay_below(files_count);
    size_t from = replay_below(files[i].size + 1);
    size_t n = files[i].size - from;
    n = n < target->input_max - at ? n : target->input_max - at;
    memcpy(data + at, files[i].data + from, n);
    return at + n;
}

static size_t mutate_once(uint8_t *data, size_t size)
{
    size_t at = replay_below(size + 1);
    switch (replay_below(6)) {
    case 0:
        return at;
    case 1:
        return replay_splice(data, at);
    case 2:
        memset(
            data + at, replay_below(2) == 0 ? 0 : 0xff, size - at < 8 ? 0 : 8);
        return size;
    default:
        if (at < size) {
            data[at] = (uint8_t)replay_below(256);
        }
        return size;
    }
}

size_t replay_mutate(uint8_t *data)
{
    size_t size = replay_pick(data);
    for (size_t n = replay_below(6) + 1; n > 0; n--) {
        size = mutate_once(data, size);
    }
    return size;
}

/* The input as it was, for whoever must find out why. */
static void keep(const uint8_t *data, size_t size)
{
    static const char name[] = "replay.input";
    FILE *file = fopen(name, "wb");
    if (file != NULL) {
        fwrite(data, 1, size, file);
        fclose(file);
        test_note("the input is in %s", name);
    }
}

TEST(made_up)
{
    static uint8_t data[REPLAY_INPUT_MAX];
    const char *seconds = getenv("T");
    const char *wanted = getenv("ROUNDS");
    const char *seed = getenv("JE_SEED");
    unsigned long rounds =
        wanted != NULL ? strtoul(wanted, NULL, 0) : target->rounds;
    time_t end = time(NULL) + (seconds != NULL ? atoi(seconds) : 0);
    /* A long run is new each time, a short one the same. */
    random_state = seed != NULL      ? strtoull(seed, NULL, 0)
                   : seconds != NULL ? (uint64_t)time(NULL) * 2654435761U + 1
                                     : 1234567;
    test_note("JE_SEED=%llu", (unsigned long long)random_state);
    REQUIRE(random_state != 0 && files_count > 0);
    for (unsigned long i = 0; seconds != NULL ? time(NULL) < end : i < rounds;
         i++) {
        size_t size = target->make(data);
        int result = LLVMFuzzerTestOneInput(data, size);
        if (complaint != NULL || result != 0) {
            test_note("after %lu rounds", i);
            keep(data, size);
        }
        EXPECT_EQ_I64(result, 0);
        EXPECT_EQ_STR(complaint, NULL);
        REQUIRE(complaint == NULL);
    }
    if (target->finish != NULL) {
        target->finish();
    }
}

int replay_main(int argc, char **argv, const replay_target_t *which)
{
    target = which;
    if (argc < 2) {
        return test_run(TEST_CASE(corpus), TEST_CASE(made_up), NULL);
    }
    for (int i = 1; i < argc; i++) {
        load_and_run(argv[i]);
        printf("%s: %s\n", argv[i], complaint != NULL ? complaint : "holds");
    }
    return complaint != NULL;
}

#endif
