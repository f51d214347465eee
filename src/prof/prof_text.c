/*
 * What: see prof_text.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_text.h"

#include <string.h>

#include "os/file.h"
#include "prof/prof_maps.h"
#include "prof/prof_out.h"
#include "util/exponent.h"
#include "util/format.h"

static uint64_t nearest(double x)
{
    return (uint64_t)(x + 0.5);
}

prof_value_t prof_text_value(
    const prof_profile_t *profile, const prof_counts_t *counts)
{
    if (!profile->unbias) {
        return (prof_value_t){counts->objects, counts->bytes};
    }
    double objects = (double)counts->estimated_eighths / 8;
    double bytes = (double)counts->estimated_bytes;
    if (counts->estimated_eighths == 0 || counts->estimated_bytes == 0) {
        return (prof_value_t){0, 0};
    }
    double size = bytes / objects;
    double taken = bytes * exponent_fall(size * profile->rate);
    prof_value_t value = {nearest(taken / size), nearest(taken)};
    return value.objects == 0 || value.bytes == 0 ? (prof_value_t){0, 0}
                                                  : value;
}

prof_value_t prof_text_estimate(
    const prof_profile_t *profile, const prof_counts_t *counts)
{
    if (counts->objects == 0) {
        return (prof_value_t){0, 0};
    }
    if (profile->unbias) {
        return (prof_value_t){
            (counts->estimated_eighths + 4) / 8, counts->estimated_bytes};
    }
    double size = (double)counts->bytes / (double)counts->objects;
    double share = profile->rate >= 1 ? 1 : exponent_fall(size * profile->rate);
    return (prof_value_t){nearest((double)counts->objects / share),
        nearest((double)counts->bytes / share)};
}

static void print_line(
    const prof_profile_t *profile, const char *head, const prof_line_t *line)
{
    prof_value_t live = prof_text_value(profile, &line->live);
    prof_value_t total = {0, 0};
    if (profile->accumulates) {
        total = prof_text_value(profile, &line->total);
    }
    prof_out_print("%s%llu: %llu [%llu: %llu]", head,
        (unsigned long long)live.objects, (unsigned long long)live.bytes,
        (unsigned long long)total.objects, (unsigned long long)total.bytes);
}

static void print_frames(const prof_stack_view_t *stack)
{
    prof_out_text("@");
    for (uint32_t i = 0; i < stack->frame_count; i++) {
        prof_out_print(" 0x%llx", (unsigned long long)stack->frames[i]);
    }
    prof_out_text("\n");
}

static void print_thread(const prof_profile_t *profile, uint64_t uid,
    const prof_line_t *line, const char *name)
{
    char head[32];
    (void)format_print(
        head, sizeof(head), "  t%llu: ", (unsigned long long)uid);
    print_line(profile, head, line);
    if (name != NULL && name[0] != '\0') {
        prof_out_text(" ");
        prof_out_text(name);
    }
    prof_out_text("\n");
}

/* The id of the file before, so that one of several mappings is told. */
typedef struct {
    char text[PROF_MAPS_ID_TEXT];
} last_id_t;

static bool print_build_id(
    const os_mapping_t *mapping, const char *build_id, void *opaque)
{
    last_id_t *last = opaque;
    if (build_id[0] != '\0' && strcmp(build_id, last->text) != 0) {
        (void)format_print(last->text, sizeof(last->text), "%s", build_id);
        prof_out_print(
            "build-id %llx %s\n", (unsigned long long)mapping->start, build_id);
    }
    return true;
}

static void print_map(void)
{
    char path[64];
    unsigned long long pid = os_pid();
    /* The heading is left out if there is nothing to follow it. */
    (void)format_print(
        path, sizeof(path), "/proc/%llu/task/%llu/maps", pid, pid);
    int fd = os_open(path);
    if (fd < 0) {
        (void)format_print(path, sizeof(path), "/proc/%llu/maps", pid);
        fd = os_open(path);
    }
    if (fd >= 0) {
        os_close(fd);
        prof_out_text("\nMAPPED_LIBRARIES:\n");
        (void)prof_out_copy(path);
        /* No line of a map, so other readers pass it over. */
        last_id_t last = {""};
        prof_maps_visit(print_build_id, &last);
    }
}

static bool is_worth_a_block(
    const prof_profile_t *profile, const prof_stack_view_t *stack)
{
    return profile->accumulates ? stack->line.total.objects != 0
                                : stack->line.live.objects != 0;
}

void prof_text_heap_v2(const prof_profile_t *profile)
{
    const prof_view_t *view = profile->view;
    prof_out_print("heap_v2/%llu\n", (unsigned long long)profile->distance);
    print_line(profile, "  t*: ", &view->all);
    prof_out_text("\n");
    for (size_t i = 0; i < view->thread_count; i++) {
        const prof_thread_view_t *thread = &view->threads[i];
        print_thread(profile, thread->uid, &thread->line, thread->name);
    }
    for (size_t i = 0; i < view->stack_count; i++) {
        const prof_stack_view_t *stack = &view->stacks[i];
        if (!is_worth_a_block(profile, stack)) {
            continue;
        }
        print_frames(stack);
        print_line(profile, "  t*: ", &stack->line);
        prof_out_text("\n");
        for (uint32_t r = 0; r < stack->record_count; r++) {
            const prof_record_view_t *record = &stack->records[r];
            print_thread(profile, view->threads[record->thread].uid,
                &record->line, NULL);
        }
    }
    print_map();
}

void prof_text_heap(const prof_profile_t *profile)
{
    const prof_view_t *view = profile->view;
    print_line(profile, "heap profile: ", &view->all);
    prof_out_print(" @ heap_v2/%llu\n", (unsigned long long)profile->distance);
    for (size_t i = 0; i < view->stack_count; i++) {
        const prof_stack_view_t *stack = &view->stacks[i];
        if (stack->frame_count != 0 && is_worth_a_block(profile, stack)) {
            print_line(profile, "", &stack->line);
            prof_out_text(" ");
            print_frames(stack);
        }
    }
    print_map();
}
