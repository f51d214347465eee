/*
 * What: see prof_maps.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "prof/prof_maps.h"

#include <string.h>

#include "os/file.h"
#include "prof/prof_module.h"

#define BUILD_ID_MAX ((PROF_MAPS_ID_TEXT - 1) / 2)

typedef struct {
    bool (*visit)(
        const os_mapping_t *mapping, const char *build_id, void *opaque);
    void *opaque;
    uintptr_t header; /* the ELF file that the next mappings belong to */
} walk_t;

/* Of the mapping that is visited. */
static char mapping_name[PATH_MAX];

static void hex_text(const uint8_t *bytes, size_t count, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * count] = '\0';
}

static bool visit_one(const os_mapping_t *mapping, void *opaque)
{
    walk_t *walk = opaque;
    uint8_t id[BUILD_ID_MAX];
    char text[PROF_MAPS_ID_TEXT];
    if (mapping->offset == 0 && mapping->readable) {
        walk->header = mapping->start;
    }
    if (!mapping->executable) {
        return true;
    }
    bool file = mapping->name[0] == '/' || strcmp(mapping->name, "[vdso]") == 0;
    size_t bytes =
        file ? prof_module_build_id(walk->header, id, sizeof(id)) : 0;
    hex_text(id, bytes, text);
    return walk->visit(mapping, text, walk->opaque);
}

void prof_maps_visit(bool (*visit)(const os_mapping_t *mapping,
                         const char *build_id, void *opaque),
    void *opaque)
{
    walk_t walk = {.visit = visit, .opaque = opaque};
    (void)os_visit_mappings(
        visit_one, &walk, mapping_name, sizeof(mapping_name));
}
