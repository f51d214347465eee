/*
 * What: looks up addresses in DWARF through libdw, see debuginfo.h.
 *
 * Invariants: (I1) `ranges` covers all units, sorted; `functions` those of the
 * current unit. Neither depends on .debug_aranges, which clang leaves out.
 *
 * Locking: none.
 */
#include "debuginfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "names.h"
#include "say.h"
#include "texts.h"

typedef struct range {
    uint64_t low;
    uint64_t high;
    uint64_t reach; /* highest end of this and all before */
    size_t owner;   /* unit, or function of the unit */
} range_t;

typedef struct ranges {
    range_t *at;
    size_t count, room;
} ranges_t;

typedef struct unit {
    Dwarf_Die skeleton; /* has ranges and lines */
    Dwarf_Die die;      /* has the functions */
} unit_t;

/*
 * Rows of line tables to keep at most: libdw keeps those that it has read
 * until its handle is closed, and all rows of a large program need more memory
 * than everything else together.
 */
#define ROWS_KEPT 1000000

struct debuginfo {
    Dwarf *dwarf;
    Dwarf *line_dwarf; /* a second handle, for lines; closed now and then */
    size_t rows;       /* that it has read */
    Dwarf_Addr bias;
    unit_t *units;
    size_t units_count, units_room;
    ranges_t ranges;
    size_t current; /* unit whose functions are known; SIZE_MAX none */
    bool is_deep;   /* nested functions are among them */
    Dwarf_Die *functions;
    size_t functions_count, functions_room;
    ranges_t function_ranges;
    Dwarf_Lines *lines; /* of the current unit, if they were wanted */
    size_t lines_count;
    Dwarf_Files *files;
    bool has_lines;
    /* Names by the place of the entry that has them. */
    index_t name_index;
    const void **name_places;
    size_t name_count, name_room;
    uint32_t *names;
    size_t names_room;
};

static int compare_ranges(const void *a, const void *b)
{
    const range_t *x = a;
    const range_t *y = b;
    if (x->low != y->low) {
        return x->low < y->low ? -1 : 1;
    }
    /* The wider one first, so that the search meets the inner one first. */
    return (x->high < y->high) - (x->high > y->high);
}

static void ranges_sort(ranges_t *r)
{
    if (r->count == 0) {
        return;
    }
    qsort(r->at, r->count, sizeof(*r->at), compare_ranges);
    uint64_t reach = 0;
    for (size_t i = 0; i < r->count; i++) {
        reach = r->at[i].high > reach ? r->at[i].high : reach;
        r->at[i].reach = reach;
    }
}

/* The owner of the innermost range around the address, or SIZE_MAX. */
static size_t ranges_find(const ranges_t *r, uint64_t address)
{
    size_t low = 0;
    size_t high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->at[middle].low <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low > 0 && r->at[low - 1].reach > address; low--) {
        if (address < r->at[low - 1].high) {
            return r->at[low - 1].owner;
        }
    }
    return SIZE_MAX;
}

static void add_ranges(ranges_t *r, Dwarf_Die *die, size_t owner)
{
    ptrdiff_t next = 0;
    Dwarf_Addr base;
    Dwarf_Addr low;
    Dwarf_Addr high;
    while ((next = dwarf_ranges(die, next, &base, &low, &high)) > 0) {
        if (low < high) {
            range_t range = {low, high, 0, owner};
            *MEM_PUSH(r->at, r->count, r->room) = range;
        }
    }
}

debuginfo_t *debuginfo_open(Dwfl_Module *module)
{
    Dwarf_Addr bias;
    Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);
    if (dwarf == NULL) {
        return NULL;
    }
    debuginfo_t *d = mem_alloc(sizeof(*d));
    d->dwarf = dwarf;
    d->bias = bias;
    d->current = SIZE_MAX;
    Dwarf_CU *cu = NULL;
    uint8_t type;
    Dwarf_Die die;
    Dwarf_Die split;
    while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton) {
            continue;
        }
        unit_t unit = {die, die};
        if (type == DW_UT_skeleton && split.addr != NULL) {
            unit.die = split;
        }
        size_t owner = d->units_count;
        *MEM_PUSH(d->units, d->units_count, d->units_room) = unit;
        add_ranges(&d->ranges, &die, owner);
        progress("units of debug information", d->units_count, 0);
    }
    ranges_sort(&d->ranges);
    return d;
}

void debuginfo_close(debuginfo_t *d)
{
    if (d != NULL) {
        dwarf_end(d->line_dwarf);
        mem_free(d->units);
        mem_free(d->ranges.at);
        mem_free(d->functions);
        mem_free(d->function_ranges.at);
        mem_free(d->name_index.slots);
        mem_free(d->name_places);
        mem_free(d->names);
        mem_free(d);
    }
}

/* Whether functions may be defined inside of such an entry. */
static bool may_hold_functions(int tag, bool deep)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
        return true;
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        return deep;
    default:
        return false;
    }
}

#define NESTING_MAX 64

static void collect_functions(
    debuginfo_t *d, Dwarf_Die *parent, bool deep, unsigned nesting)
{
    Dwarf_Die die;
    if (nesting > NESTING_MAX || dwarf_child(parent, &die) != 0) {
        return;
    }
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram) {
            size_t before = d->function_ranges.count;
            add_ranges(&d->function_ranges, &die, d->functions_count);
            if (d->function_ranges.count > before) {
                *MEM_PUSH(d->functions, d->functions_count, d->functions_room) =
                    die;
            }
        }
        if (may_hold_functions(tag, deep) && dwarf_haschildren(&die) > 0) {
            collect_functions(d, &die, deep, nesting + 1);
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static void read_functions(debuginfo_t *d, bool deep)
{
    d->functions_count = 0;
    d->function_ranges.count = 0;
    d->is_deep = deep;
    collect_functions(d, &d->units[d->current].die, deep, 0);
    ranges_sort(&d->function_ranges);
}

/* The entry of the unit in the handle for lines. */
static Dwarf_Die *line_entry(debuginfo_t *d, Dwarf_Die *die, Dwarf_Die *room)
{
    if (d->rows > ROWS_KEPT && d->line_dwarf != NULL) {
        dwarf_end(d->line_dwarf);
        d->line_dwarf = NULL;
    }
    if (d->line_dwarf == NULL) {
        d->rows = 0;
        d->line_dwarf =
            dwarf_begin_elf(dwarf_getelf(d->dwarf), DWARF_C_READ, NULL);
        if (d->line_dwarf != NULL) {
            dwarf_setalt(d->line_dwarf, dwarf_getalt(d->dwarf));
        }
    }
    return d->line_dwarf != NULL
               ? dwarf_offdie(d->line_dwarf, dwarf_dieoffset(die), room)
               : NULL;
}

static void read_lines(debuginfo_t *d)
{
    unit_t *unit = &d->units[d->current];
    d->has_lines = true;
    d->lines = NULL;
    d->files = NULL;
    d->lines_count = 0;
    size_t count;
    Dwarf_Die room;
    Dwarf_Die *entry = line_entry(d, &unit->skeleton, &room);
    if (entry == NULL ||
        dwarf_getsrclines(entry, &d->lines, &d->lines_count) != 0) {
        d->lines = NULL;
    }
    d->rows += d->lines_count;
    bool is_split = unit->die.cu != unit->skeleton.cu;
    if (is_split) {
        entry = &unit->die;
    }
    if (entry == NULL || dwarf_getsrcfiles(entry, &d->files, &count) != 0) {
        d->files = NULL;
    }
}

/* The one whose names an index compares with. */
static const debuginfo_t *searched;

static bool same_place(uint32_t id, const void *key)
{
    return searched->name_places[id] == key;
}

/* The entry of the function of which this one is a copy. */
static Dwarf_Die origin_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Die origin;
    Dwarf_Die found = *die;
    for (int i = 0; i < 8; i++) {
        if (dwarf_attr(&found, DW_AT_abstract_origin, &attribute) == NULL ||
            dwarf_formref_die(&attribute, &origin) == NULL) {
            break;
        }
        found = origin;
    }
    return found;
}

static const char *string_attribute(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static uint32_t name_of(debuginfo_t *d, Dwarf_Die *die)
{
    Dwarf_Die origin = origin_of(die);
    uint32_t fresh = (uint32_t)d->name_count;
    searched = d;
    uint32_t id =
        index_find(&d->name_index, hash_word((uint64_t)(uintptr_t)origin.addr),
            same_place, origin.addr, fresh);
    if (id != INDEX_NEW) {
        return d->names[id];
    }
    const char *symbol = string_attribute(&origin, DW_AT_linkage_name);
    if (symbol == NULL) {
        symbol = string_attribute(&origin, DW_AT_MIPS_linkage_name);
    }
    if (symbol == NULL) {
        symbol = string_attribute(&origin, DW_AT_name);
    }
    uint32_t name = symbol != NULL ? names_demangle(symbol) : 0;
    d->names = mem_room(d->names, fresh, &d->names_room, sizeof(*d->names));
    d->names[fresh] = name;
    *MEM_PUSH(d->name_places, d->name_count, d->name_room) = origin.addr;
    return name;
}

static uint32_t number_attribute(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word word;
    bool has = dwarf_formudata(
                   dwarf_attr_integrate(die, name, &attribute), &word) == 0;
    return has && word < UINT32_MAX ? (uint32_t)word : 0;
}

static uint32_t file_attribute(debuginfo_t *d, Dwarf_Die *die, unsigned name)
{
    uint32_t number = number_attribute(die, name);
    const char *path = d->files != NULL && number > 0
                           ? dwarf_filesrc(d->files, number, NULL, NULL)
                           : NULL;
    return path != NULL ? text_id_of(path) : 0;
}

/* Appends the inlined functions around the address inside of `parent`. */
static size_t find_inlined(Dwarf_Die *parent, uint64_t address,
    Dwarf_Die chain[INLINED_MAX], size_t count, unsigned nesting)
{
    Dwarf_Die die;
    if (nesting > NESTING_MAX || count == INLINED_MAX ||
        dwarf_child(parent, &die) != 0) {
        return count;
    }
    do {
        int tag = dwarf_tag(&die);
        bool inlined = tag == DW_TAG_inlined_subroutine;
        if (!inlined && tag != DW_TAG_lexical_block) {
            continue;
        }
        bool bounded = dwarf_hasattr(&die, DW_AT_low_pc) ||
                       dwarf_hasattr(&die, DW_AT_ranges);
        if ((bounded && dwarf_haspc(&die, address) <= 0) ||
            (!bounded && inlined)) {
            continue;
        }
        size_t before = count;
        if (inlined) {
            chain[count++] = die;
        }
        count = find_inlined(&die, address, chain, count, nesting + 1);
        if (bounded || count > before) {
            return count;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
    return count;
}

static void line_of_address(
    debuginfo_t *d, uint64_t address, debuginfo_frame_t *frame)
{
    size_t low = 0;
    size_t high = d->lines != NULL ? d->lines_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        Dwarf_Addr at = 0;
        dwarf_lineaddr(dwarf_onesrcline(d->lines, middle), &at);
        if (at <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* The last row that starts here; the end of a sequence covers nothing. */
    Dwarf_Line *row = low > 0 ? dwarf_onesrcline(d->lines, low - 1) : NULL;
    bool is_end = true;
    int line;
    if (row == NULL || dwarf_lineendsequence(row, &is_end) != 0 || is_end) {
        return;
    }
    const char *path = dwarf_linesrc(row, NULL, NULL);
    frame->file = path != NULL ? text_id_of(path) : 0;
    frame->line =
        dwarf_lineno(row, &line) == 0 && line > 0 ? (uint32_t)line : 0;
}

static void select_unit(debuginfo_t *d, size_t unit)
{
    if (d->current != unit) {
        d->current = unit;
        d->has_lines = false;
        read_functions(d, false);
    }
}

static size_t find_function(debuginfo_t *d, uint64_t address)
{
    size_t found = ranges_find(&d->function_ranges, address);
    if (found == SIZE_MAX && !d->is_deep) {
        read_functions(d, true);
        found = ranges_find(&d->function_ranges, address);
    }
    return found;
}

/* Of a function in several parts the first is where it is entered. */
static uint64_t start_of(Dwarf_Die *die)
{
    Dwarf_Addr base;
    Dwarf_Addr start;
    Dwarf_Addr end;
    bool known = dwarf_entrypc(die, &start) == 0 ||
                 dwarf_ranges(die, 0, &base, &start, &end) > 0;
    return known ? start : 0;
}

/* What the entry says about the function, and about the line of its call. */
static void describe(
    debuginfo_t *d, Dwarf_Die *die, bool want_lines, debuginfo_frame_t *frame)
{
    frame->name = name_of(d, die);
    if (!frame->is_inlined) {
        frame->start = start_of(die) + d->bias;
    }
    if (!want_lines) {
        return;
    }
    frame->function_file = file_attribute(d, die, DW_AT_decl_file);
    frame->function_line = number_attribute(die, DW_AT_decl_line);
    if (frame->is_inlined) {
        debuginfo_frame_t *caller = frame + 1;
        caller->file = file_attribute(d, die, DW_AT_call_file);
        caller->line = number_attribute(die, DW_AT_call_line);
    }
}

size_t debuginfo_lookup(debuginfo_t *d, uint64_t address, bool want_lines,
    debuginfo_frame_t frames[INLINED_MAX])
{
    address -= d->bias;
    size_t unit = ranges_find(&d->ranges, address);
    if (unit == SIZE_MAX) {
        return 0;
    }
    select_unit(d, unit);
    if (want_lines && !d->has_lines) {
        read_lines(d);
    }
    Dwarf_Die chain[INLINED_MAX]; /* outermost first */
    size_t count = 0;
    size_t function = find_function(d, address);
    if (function != SIZE_MAX) {
        chain[0] = d->functions[function];
        count = find_inlined(&chain[0], address, chain, 1, 0);
    }
    memset(frames, 0, (count > 0 ? count : 1) * sizeof(*frames));
    for (size_t i = 0; i < count; i++) {
        frames[count - 1 - i].is_inlined = i > 0;
        describe(d, &chain[i], want_lines, &frames[count - 1 - i]);
    }
    if (want_lines) {
        line_of_address(d, address, &frames[0]);
    }
    /* Assembler files have lines, but no functions. */
    return count > 0 ? count : frames[0].line > 0 ? 1 : 0;
}
