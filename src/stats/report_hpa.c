/*
 * What: see report_hpa.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "stats/report_hpa.h"

#include "stats/report_table.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const emit_field_t hpa_fields[] = {
#define STATS_HPA_SEC(kind, name, help)                                        \
    EMIT_FIELD(kind, #name, snapshot_hpa_t, name)
#define STATS_HPA(kind, name, help)                                            \
    EMIT_FIELD(kind, #name, snapshot_hpa_t, name)
#include "stats/fields.def"
};

static const emit_field_t slabs_fields[] = {
#define STATS_HPA_SLABS(kind, name, help)                                      \
    EMIT_FIELD(kind, #name, snapshot_hpa_slabs_t, name)
#include "stats/fields.def"
};

static const emit_field_t alloc_fields[] = {
#define STATS_HPA_ALLOC(kind, name, help)                                      \
    EMIT_FIELD(kind, #name, snapshot_hpa_alloc_t, name)
#include "stats/fields.def"
};

/* ---- JSON ---- */

static void json_slabs(
    emit_t *emit, const char *key, const snapshot_hpa_slabs_t *slabs)
{
    emit_json_open(emit, key, '{');
    emit_json_fields(emit, slabs_fields, COUNT(slabs_fields), slabs);
    emit_json_close(emit, '}');
}

static void json_hpa(emit_t *emit, const snapshot_hpa_t *hpa)
{
    emit_json_open(emit, "hpa_shard", '{');
    emit_json_fields(emit, hpa_fields, COUNT(hpa_fields), hpa);
    json_slabs(emit, "slabs", &hpa->slabs);
    emit_json_open(emit, "extent_allocation_distribution", '[');
    for (unsigned i = 0; i < SNAPSHOT_HPA_ALLOC_COUNT; i++) {
        emit_json_open(emit, NULL, '{');
        emit_json_fields(
            emit, alloc_fields, COUNT(alloc_fields), &hpa->alloc[i]);
        emit_json_close(emit, '}');
    }
    emit_json_close(emit, ']');
    json_slabs(emit, "full_slabs", &hpa->full_slabs);
    json_slabs(emit, "empty_slabs", &hpa->empty_slabs);
    emit_json_open(emit, "nonfull_slabs", '[');
    for (unsigned i = 0; i < SNAPSHOT_HPA_RUN_COUNT; i++) {
        json_slabs(emit, NULL, &hpa->nonfull_slabs[i]);
    }
    emit_json_close(emit, ']');
    emit_json_close(emit, '}');
}

/* ---- text ---- */

static void text_split(
    emit_t *emit, const char *name, size_t all, size_t huge, size_t nonhuge)
{
    emit_text(
        emit, "  %s: %zu (%zu huge, %zu nonhuge)\n", name, all, huge, nonhuge);
}

static void text_counted(
    emit_t *emit, const char *name, uint64_t value, uint64_t uptime_ns)
{
    emit_text(emit, "  %s: %llu (%llu / sec)\n", name,
        (unsigned long long)value,
        (unsigned long long)report_rate(value, uptime_ns));
}

static void text_sums(
    emit_t *emit, const snapshot_hpa_t *hpa, uint64_t uptime_ns)
{
    const snapshot_hpa_slabs_t *all = &hpa->slabs;
    emit_text(emit, "Bytes in small extent cache: %zu\n", hpa->sec_bytes);
    emit_text(emit, "Total hits in small extent cache: %zu\n", hpa->sec_hits);
    emit_text(
        emit, "Total misses in small extent cache: %zu\n", hpa->sec_misses);
    emit_text(emit, "Dalloc calls without flush in small extent cache: %zu\n",
        hpa->sec_dalloc_noflush);
    emit_text(emit, "Dalloc calls with flush in small extent cache: %zu\n",
        hpa->sec_dalloc_flush);
    emit_text(emit, "sec_fill calls that went over max_bytes: %zu\n",
        hpa->sec_overfills);
    emit_text(emit, "HPA shard stats:\n");
    text_split(emit, "Pageslabs", hpa->npageslabs, all->npageslabs_huge,
        all->npageslabs_nonhuge);
    text_split(emit, "Active pages", hpa->nactive, all->nactive_huge,
        all->nactive_nonhuge);
    text_split(emit, "Dirty pages", hpa->ndirty, all->ndirty_huge,
        all->ndirty_nonhuge);
    emit_text(emit, "  Retained pages: %zu\n", all->nretained_nonhuge);
    text_counted(emit, "Purge passes", hpa->npurge_passes, uptime_ns);
    text_counted(emit, "Purges", hpa->npurges, uptime_ns);
    text_counted(emit, "Hugeifies", hpa->nhugifies, uptime_ns);
    text_counted(emit, "Hugify failures", hpa->nhugify_failures, uptime_ns);
    text_counted(emit, "Dehugifies", hpa->ndehugifies, uptime_ns);
}

static void text_allocations(emit_t *emit, const snapshot_hpa_t *hpa)
{
    static const report_column_t columns[] = {
        {"", 4, REPORT_CELL_VALUE},
        {"min_extents", 21, REPORT_CELL_VALUE},
        {"max_extents", 21, REPORT_CELL_VALUE},
        {"extents", 21, REPORT_CELL_VALUE},
        {"ps", 21, REPORT_CELL_VALUE},
        {"pages_per_ps", 21, REPORT_CELL_VALUE},
        {"extents_per_ps", 21, REPORT_CELL_VALUE},
        {"total_elapsed_ns_per_ps", 25, REPORT_CELL_VALUE},
        {"elapsed_ns_per_ps", 25, REPORT_CELL_VALUE},
    };
    emit_text(emit, "  extent allocation distribution:\n  ");
    report_text_titles(emit, columns, COUNT(columns), 0);
    emit_text(emit, "\n");
    for (unsigned i = 0; i < SNAPSHOT_HPA_ALLOC_COUNT; i++) {
        const snapshot_hpa_alloc_t *a = &hpa->alloc[i];
        uint64_t each = a->extents_per_ps == 0
                            ? 0
                            : a->total_elapsed_ns_per_ps / a->extents_per_ps;
        const uint64_t values[] = {i, a->min_extents, a->max_extents,
            a->extents, a->ps, a->pages_per_ps, a->extents_per_ps,
            a->total_elapsed_ns_per_ps, each};
        emit_text(emit, "  ");
        report_text_cells(emit, columns, COUNT(columns), values, "", 0);
        emit_text(emit, "\n");
    }
    emit_text(emit, "\n");
}

static void text_sort(
    emit_t *emit, const char *name, const snapshot_hpa_slabs_t *slabs)
{
    emit_text(emit, "  In %s slabs:\n", name);
    emit_text(emit, "      npageslabs: %zu huge, %zu nonhuge\n",
        slabs->npageslabs_huge, slabs->npageslabs_nonhuge);
    emit_text(emit, "      nactive: %zu huge, %zu nonhuge \n",
        slabs->nactive_huge, slabs->nactive_nonhuge);
    emit_text(emit, "      ndirty: %zu huge, %zu nonhuge \n",
        slabs->ndirty_huge, slabs->ndirty_nonhuge);
    emit_text(emit, "      nretained: 0 huge, %zu nonhuge \n",
        slabs->nretained_nonhuge);
}

static void text_nonfull(emit_t *emit, const snapshot_hpa_t *hpa)
{
    static const report_column_t columns[] = {
        {"size", 20, REPORT_CELL_VALUE},
        {"ind", 4, REPORT_CELL_VALUE},
        {"npageslabs_huge", 16, REPORT_CELL_VALUE},
        {"nactive_huge", 16, REPORT_CELL_VALUE},
        {"ndirty_huge", 16, REPORT_CELL_VALUE},
        {"npageslabs_nonhuge", 20, REPORT_CELL_VALUE},
        {"nactive_nonhuge", 20, REPORT_CELL_VALUE},
        {"ndirty_nonhuge", 20, REPORT_CELL_VALUE},
        {"nretained_nonhuge", 20, REPORT_CELL_VALUE},
    };
    bool gap = false;
    emit_text(emit, "  In nonfull slabs:\n");
    report_text_titles(emit, columns, COUNT(columns), 0);
    emit_text(emit, "\n");
    for (unsigned i = 0; i < SNAPSHOT_HPA_RUN_COUNT; i++) {
        const snapshot_hpa_slabs_t *s = &hpa->nonfull_slabs[i];
        if (s->npageslabs_huge + s->npageslabs_nonhuge == 0) {
            gap = true;
            continue;
        }
        const uint64_t values[] = {snapshot_run_bytes(i), i, s->npageslabs_huge,
            s->nactive_huge, s->ndirty_huge, s->npageslabs_nonhuge,
            s->nactive_nonhuge, s->ndirty_nonhuge, s->nretained_nonhuge};
        report_text_gap(emit, &gap);
        report_text_cells(emit, columns, COUNT(columns), values, "", 0);
        emit_text(emit, "\n");
    }
    report_text_gap(emit, &gap);
}

/* ---- both ---- */

void report_hpa_print(
    emit_t *emit, const snapshot_hpa_t *hpa, uint64_t uptime_ns)
{
    if (emit->json) {
        json_hpa(emit, hpa);
        return;
    }
    text_sums(emit, hpa, uptime_ns);
    text_allocations(emit, hpa);
    text_sort(emit, "full", &hpa->full_slabs);
    text_sort(emit, "empty", &hpa->empty_slabs);
    text_nonfull(emit, hpa);
}
