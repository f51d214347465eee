/*
 * What: see linkage.h. A library that another one needs by its name is not
 * unloaded before that one; so all that the program and this library need are
 * there for good.
 *
 * Invariants: as there. (I2) No lock of the dynamic linker is taken: its list
 * is read while there is one thread and the linker is not at work.
 *
 * Locking: as there.
 */
#include "os/linkage.h"

#include <link.h>
#include <string.h>

#include "os/os.h"

/* More modules are not looked at. */
#define MODULES_MAX 256

typedef struct {
    const struct link_map *map;
    const char *names;
    const char *own_name; /* NULL: it has none */
    bool stays;
} module_t;

/* Where the dynamic sections of those are that stay. */
static struct {
    uintptr_t sections[MODULES_MAX];
    unsigned count;
} linkage;

/* The C library's; it is not there in a static program. */
extern struct r_debug _r_debug __attribute__((weak)); /* NOLINT */

/* Most tables are relocated where they lie, some are not. */
static module_t describe(const struct link_map *map)
{
    module_t module = {.map = map};
    uintptr_t names = 0;
    uintptr_t own = 0;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        names = d->d_tag == DT_STRTAB ? d->d_un.d_ptr : names;
        own = d->d_tag == DT_SONAME ? d->d_un.d_val : own;
    }
    if (names != 0) {
        names += names < map->l_addr ? map->l_addr : 0;
        module.names = (const char *)names; /* NOLINT */
        module.own_name = own != 0 ? module.names + own : NULL;
    }
    return module;
}

/* The first one of that name is the one that is meant. */
static void mark(module_t *modules, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (modules[i].own_name != NULL &&
            strcmp(modules[i].own_name, name) == 0) {
            modules[i].stays = true;
            return;
        }
    }
}

static void mark_needs(module_t *modules, unsigned count, unsigned which)
{
    const module_t *module = &modules[which];
    if (module->names == NULL) {
        return;
    }
    for (const ElfW(Dyn) *d = module->map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_NEEDED) {
            mark(modules, count, module->names + d->d_un.d_val);
        }
    }
}

/* From those marked at first to all that they need. */
static void spread(module_t *modules, unsigned count)
{
    bool done[MODULES_MAX] = {false};
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < count; i++) {
            if (modules[i].stays && !done[i]) {
                done[i] = true;
                more = true;
                mark_needs(modules, count, i);
            }
        }
    }
}

/* The program is the first of the list. */
static unsigned read_list(module_t *modules)
{
    unsigned count = 0;
    const struct link_map *map = _r_debug.r_map;
    for (; map != NULL && count < MODULES_MAX; map = map->l_next) {
        if (map->l_ld != NULL) {
            modules[count++] = describe(map);
        }
    }
    return count;
}

void linkage_boot(void)
{
    size_t bytes = MODULES_MAX * sizeof(module_t);
    bytes = (bytes + os_page_size() - 1) & ~(os_page_size() - 1);
    if (&_r_debug == NULL || _r_debug.r_state != RT_CONSISTENT ||
        os_is_threaded()) {
        return;
    }
    module_t *modules = os_map(bytes, os_page_size());
    if (modules == NULL) {
        return;
    }
    linkage.count = 0;
    unsigned count = read_list(modules);
    modules[0].stays = count != 0;
    spread(modules, count);
    for (unsigned i = 0; i < count; i++) {
        if (modules[i].stays) {
            linkage.sections[linkage.count++] = (uintptr_t)modules[i].map->l_ld;
        }
    }
    (void)os_unmap(modules, bytes);
}

bool linkage_stays(uintptr_t start, uintptr_t end)
{
    for (unsigned i = 0; i < linkage.count; i++) {
        if (linkage.sections[i] - start < end - start) {
            return true;
        }
    }
    return false;
}
