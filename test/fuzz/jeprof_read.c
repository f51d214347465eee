/*
 * What: any bytes as a profile: read, shown in every form, written as
 * profile.proto and read again. Nothing may crash, and what jeprof itself
 * writes it must be able to read.
 *
 * Invariants: (I1) no file that the input names is opened; (I2) a complaint
 * of jeprof is an answer.
 *
 * Locking: none.
 *
 * Run as replay.h says.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "print.h"
#include "read.h"
#include "replay.h"
#include "say.h"
#include "symbolize.h"
#include "tally.h"

static profile_t profile;

/* Reads it; false if jeprof has a complaint. */
static bool read_all(const char *bytes, size_t size, int threads)
{
    jmp_buf trap;
    if (setjmp(trap) != 0) {
        say_set_trap(NULL);
        return false;
    }
    say_set_trap(&trap);
    read_options_t options = {.threads = threads};
    profile_init(&profile);
    read_profile(&profile, input_of("input", bytes, size), options);
    for (size_t i = 1; i < profile.images_count; i++) {
        profile.images[i].path = text_id_of("/nowhere/file"); /* I1 */
        profile.images[i].build_id = 0;
    }
    symbolize_options_t none = {.want_lines = true};
    symbolize(&profile, &none);
    say_set_trap(NULL);
    return true;
}

static void show_all(view_t *v)
{
    static FILE *nowhere;
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
    }
    settings_t s = settings;
    for (int by = BY_FUNCTION; by <= BY_FILE; by++) {
        s.granularity = (granularity_t)by;
        print_text(nowhere, v, &s, 0);
    }
    print_graph(nowhere, v, &s);
    print_collapsed(nowhere, v);
    print_callgrind(nowhere, v);
    print_raw(nowhere, v);
    print_json(nowhere, v);
    print_speedscope(nowhere, v);
    print_flame(nowhere, v);
}

static char *write_proto(view_t *v, size_t *size)
{
    char *bytes = NULL;
    FILE *memory = open_memstream(&bytes, size);
    if (memory == NULL) {
        abort();
    }
    print_proto(memory, v);
    fclose(memory);
    return bytes;
}

static void forget(void)
{
    mem_free_all();
    texts_forget();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    say_be_quiet(true);
    int threads =
        size > 0 && data[size - 1] % 2 == 1 ? THREADS_EACH : THREADS_SUM;
    /* A copy of exactly that size, so that reading behind it shows. */
    char *copy = mem_copy((const char *)data, size);
    char *bytes = mem_resize(copy, size);
    if (read_all(bytes, size, threads)) {
        view_t v;
        view_init(&v, &profile, &settings);
        view_filter(&v, NULL, "^never$", NULL, NULL);
        show_all(&v);
        size_t written;
        char *proto = write_proto(&v, &written);
        view_filter(&v, NULL, NULL, NULL, NULL);
        forget();
        bool again = read_all(proto, written, THREADS_SUM);
        if (!again) {
            fprintf(stderr, "its own output: %s\n", say_trapped());
        }
        replay_check(again, "jeprof reads what it writes");
        free(proto);
    }
    forget();
    return 0;
}

#ifndef JE_LIBFUZZER
int main(int argc, char **argv)
{
    static const replay_target_t target = {.name = "jeprof_read",
        .input_max = REPLAY_INPUT_MAX,
        .rounds = 1000,
        .make = replay_mutate};
    return replay_main(argc, argv, &target);
}
#endif
