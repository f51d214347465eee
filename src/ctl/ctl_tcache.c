/*
 * What: see ctl_tcache.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "ctl/ctl_tcache.h"

#include <errno.h>
#include <string.h>

#include "cache/tcache_table.h"
#include "conf/conf_value.h"
#include "conf/sizeclass.h"
#include "ctl/ctl_thread.h"

/* Longest list of limits, its end included. */
#define LIST_BYTES_MAX 1000

/* ---- the thread's cache ---- */

int ctl_thread_tcache_enabled(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    bool old = tsd->tcache_enabled;
    bool enabled = old;
    int error = ctl_take_bool(call, &enabled);
    if (error != 0) {
        return error;
    }
    if (enabled != old) {
        tsd_set_tcache_enabled(tsd, enabled);
    }
    return ctl_give(call, &old, sizeof(old));
}

int ctl_thread_tcache_flush(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL || !tsd->tcache_enabled) {
        return EFAULT;
    }
    int error = ctl_check_access(call, CTL_ACT);
    if (error == 0) {
        tsd_flush(tsd);
    }
    return error;
}

/* ---- its limits ---- */

static void set_limits(tsd_t *tsd, const tcache_limits_t *limits)
{
    tsd_flush(tsd);
    tsd_enter(tsd);
    tcache_set_limits(&tsd->tcache, limits);
    tsd_leave(tsd);
}

/* The class byte of a size, or of the largest that can be cached. */
static unsigned class_of(uint64_t size)
{
    size_t bytes = size < TCACHE_MAX_LIMIT ? (size_t)size : TCACHE_MAX_LIMIT;
    return sizeclass_index(bytes) + 1;
}

/* Classes that come within reach get what the rule gives them. */
static void set_max_class(tsd_t *tsd, unsigned max_class)
{
    tcache_limits_t limits;
    tcache_get_limits(&tsd->tcache, &limits);
    for (unsigned c = 1; c < TCACHE_BIN_COUNT; c++) {
        if (c > max_class) {
            limits.max[c] = 0;
        } else if (c > limits.max_class) {
            limits.max[c] = (uint16_t)tcache_class_usual(c);
        }
    }
    limits.max_class = max_class;
    set_limits(tsd, &limits);
}

int ctl_thread_tcache_max(const ctl_call_t *call)
{
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    size_t max = sizeclass_size(tsd->tcache.max_class - 1);
    int error = ctl_give(call, &max, sizeof(max));
    if (error == 0) {
        error = ctl_take(call, &max, sizeof(max));
    }
    if (error == 0 && class_of(max) != tsd->tcache.max_class) {
        set_max_class(tsd, class_of(max));
    }
    return error;
}

int ctl_thread_ncached_read(const ctl_call_t *call)
{
    size_t size;
    int error = ctl_need(call, &size, sizeof(size));
    if (error != 0 || size > TCACHE_MAX_LIMIT) {
        return EINVAL;
    }
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    size_t max = tsd->tcache_enabled ? tsd->tcache.cold[class_of(size)].max : 0;
    return ctl_give(call, &max, sizeof(max));
}

static void limit_classes(tcache_limits_t *limits, const conf_segment_t *s)
{
    if (s->start > TCACHE_MAX_LIMIT) {
        return;
    }
    unsigned last = class_of(s->end);
    for (unsigned c = class_of(s->start);
         c <= last && c <= limits->max_class && s->start <= s->end; c++) {
        limits->max[c] =
            (uint16_t)(s->count < CONF_NCACHED_MAX ? s->count
                                                   : CONF_NCACHED_MAX);
    }
}

/* False if the list is not well-formed. */
static bool parse_limits(conf_slice_t list, tcache_limits_t *limits)
{
    while (list.text < list.end) {
        conf_segment_t segment;
        if (!conf_value_segment(&list, &segment)) {
            return false;
        }
        limit_classes(limits, &segment);
    }
    return true;
}

int ctl_thread_ncached_write(const ctl_call_t *call)
{
    const char *text = "";
    tcache_limits_t limits;
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    if (!tsd->tcache_enabled) {
        return ENOENT;
    }
    int error = ctl_check_access(call, CTL_WRITE);
    if (error == 0) {
        error = ctl_take(call, &text, sizeof(text));
    }
    if (error != 0) {
        return error;
    }
    size_t len = text == NULL ? LIST_BYTES_MAX : strnlen(text, LIST_BYTES_MAX);
    tcache_get_limits(&tsd->tcache, &limits);
    if (len == LIST_BYTES_MAX ||
        !parse_limits((conf_slice_t){text, text + len}, &limits)) {
        return EINVAL;
    }
    if (len != 0) {
        set_limits(tsd, &limits);
    }
    return 0;
}

/* ---- explicit caches ---- */

int ctl_tcache_create(const ctl_call_t *call)
{
    unsigned id;
    int error = ctl_want_output(call, sizeof(id));
    if (error != 0) {
        return error;
    }
    tsd_t *tsd = ctl_thread_record();
    if (tsd == NULL) {
        return EAGAIN;
    }
    if (tcache_table_create(tsd->arena, &id) != 0) {
        return EFAULT;
    }
    return ctl_give(call, &id, sizeof(id));
}

/* Numbers that could be alive but are not are let pass, as documented. */
static int act_on_tcache(const ctl_call_t *call, int (*act)(unsigned id))
{
    unsigned id;
    int error = ctl_need(call, &id, sizeof(id));
    if (error != 0) {
        return error;
    }
    if (id >= TCACHE_ID_LIMIT) {
        return EFAULT;
    }
    return tcache_table_lookup(id) == NULL ? 0 : act(id);
}

int ctl_tcache_flush(const ctl_call_t *call)
{
    return act_on_tcache(call, tcache_table_flush);
}

int ctl_tcache_destroy(const ctl_call_t *call)
{
    return act_on_tcache(call, tcache_table_destroy);
}
