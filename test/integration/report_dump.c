/*
 * What: the program that report_check.py questions: allocates a little of many
 * sizes from two arenas and prints the report with the letters given, a new
 * line, and what the controls say that are named on its input. With "+" for
 * letters it prints text, a form feed and JSON.
 *
 * Invariants: nothing is allocated from the first report on.
 *
 * Locking: none.
 */
#include <jemalloc/jemalloc.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 400

static char names[2 << 20];

static void say(void *opaque, const char *text)
{
    (void)opaque;
    for (size_t len = strlen(text); len > 0;) {
        ssize_t done = write(STDOUT_FILENO, text, len);
        if (done <= 0) {
            _exit(1);
        }
        text += done;
        len -= (size_t)done;
    }
}

static void say_number(uint64_t value, int negative)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    *--at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative) {
        *--at = '-';
    }
    say(NULL, at);
}

static void say_control(const char *name)
{
    uint64_t value = 0;
    size_t len = sizeof(value);
    int error = mallctl(name, &value, &len, NULL, 0);
    if (error == EINVAL) {
        value = 0;
        len = sizeof(uint32_t);
        error = mallctl(name, &value, &len, NULL, 0);
    }
    int64_t number = len == sizeof(int32_t) ? (int32_t)value : (int64_t)value;
    say(NULL, name);
    say(NULL, " ");
    if (error != 0) {
        say(NULL, "error");
    } else if (strstr(name, "decay_ms") != NULL && number < 0) {
        say_number(0 - (uint64_t)number, 1);
    } else {
        say_number(value, 0);
    }
    say(NULL, "\n");
}

static void *work(void *opaque)
{
    void *blocks[BLOCKS];
    (void)opaque;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i * i / 2 + 1);
    }
    for (size_t i = 0; i < BLOCKS; i += 3) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    return blocks[1];
}

int main(int argc, char **argv)
{
    pthread_t thread;
    size_t used = 0;
    ssize_t got;
    if (argc != 2) {
        return 2;
    }
    while ((got = read(STDIN_FILENO, names + used, sizeof(names) - 1 - used)) >
           0) {
        used += (size_t)got;
    }
    (void)work(NULL);
    if (pthread_create(&thread, NULL, work, NULL) != 0 ||
        pthread_join(thread, NULL) != 0) {
        return 1;
    }
    if (strcmp(argv[1], "+") == 0) {
        malloc_stats_print(say, NULL, "");
        say(NULL, "\f");
        malloc_stats_print(say, NULL, "J");
        return 0;
    }
    malloc_stats_print(say, NULL, argv[1]);
    say(NULL, used == 0 ? "" : "\n");
    for (char *name = strtok(names, "\n"); name != NULL;
         name = strtok(NULL, "\n")) {
        say_control(name);
    }
    return 0;
}
