/*
 * What: opens ELF files through libdwfl, see binary.h.
 *
 * Invariants: (I1) a module is placed where its file says, so libdwfl's
 * addresses are the file's.
 *
 * Locking: none.
 */
#include "binary.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debuginfo.h"
#include "mem.h"
#include "texts.h"

typedef struct binary_symbol {
    uint64_t start;
    uint64_t size;
    const char *name;
    uint8_t rank; /* of two at one address the higher one is the better name */
} binary_symbol_t;

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

static void note_build_id(binary_t *b)
{
    const unsigned char *bits;
    GElf_Addr where;
    int n = dwfl_module_build_id(b->module, &bits, &where);
    text_t hex = {NULL, 0, 0};
    text_clear(&hex);
    for (int i = 0; i < n; i++) {
        text_format(&hex, "%02x", bits[i]);
    }
    b->build_id = text_id(hex.at, hex.len);
    mem_free(hex.at);
}

/* Takes what libdwfl reported; false if it is no ELF file after all. */
static bool adopt(binary_t *b)
{
    GElf_Addr bias;
    b->elf = b->module != NULL ? dwfl_module_getelf(b->module, &bias) : NULL;
    GElf_Ehdr header;
    if (b->elf == NULL || gelf_getehdr(b->elf, &header) == NULL) {
        return false;
    }
    b->machine = header.e_machine;
    b->bytes = elf_rawfile(b->elf, &b->len);
    note_build_id(b);
    return true;
}

static binary_t *begin(const char *path)
{
    binary_t *b = mem_alloc(sizeof(*b));
    b->path = mem_copy(path, strlen(path));
    b->dwfl = dwfl_begin(&callbacks);
    if (b->dwfl != NULL) {
        dwfl_report_begin(b->dwfl);
    }
    return b;
}

void binary_close(binary_t *b)
{
    if (b == NULL) {
        return;
    }
    debuginfo_close(b->debuginfo);
    if (b->dwfl != NULL) {
        dwfl_end(b->dwfl);
    }
    mem_free(b->symbols);
    mem_free((char *)(uintptr_t)b->path);
    mem_free(b);
}

binary_t *binary_open(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return NULL;
    }
    binary_t *b = begin(path);
    if (b->dwfl != NULL) {
        b->module = dwfl_report_elf(b->dwfl, path, path, -1, 0, true);
        dwfl_report_end(b->dwfl, NULL, NULL);
    }
    if (!adopt(b)) {
        binary_close(b);
        return NULL;
    }
    return b;
}

static size_t parse_hex(const char *hex, unsigned char *bits, size_t room)
{
    size_t n = 0;
    for (; n < room && hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        char byte[3] = {hex[0], hex[1], '\0'};
        char *end;
        bits[n++] = (unsigned char)strtoul(byte, &end, 16);
        if (end != byte + 2) {
            return 0;
        }
    }
    return *hex == '\0' ? n : 0;
}

binary_t *binary_open_by_id(const char *build_id, const char *name)
{
    unsigned char bits[64];
    size_t n = parse_hex(build_id, bits, sizeof(bits));
    if (n < 3) {
        return NULL;
    }
    char *path = mem_format(
        "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
    binary_t *b = binary_open(path);
    mem_free(path);
    if (b != NULL || getenv("DEBUGINFOD_URLS") == NULL) {
        return b;
    }
    b = begin(name);
    if (b->dwfl != NULL) {
        /* Anywhere: the file that is found says itself where it lies. */
        b->module = dwfl_report_module(b->dwfl, name, 0, (uint64_t)1 << 40);
        if (b->module != NULL) {
            dwfl_module_report_build_id(b->module, bits, n, 0);
        }
        dwfl_report_end(b->dwfl, NULL, NULL);
    }
    if (!adopt(b)) {
        binary_close(b);
        return NULL;
    }
    return b;
}

static bool code_segment(const binary_t *b, size_t i, GElf_Phdr *segment)
{
    return gelf_getphdr(b->elf, (int)i, segment) != NULL &&
           segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0;
}

static size_t segments(const binary_t *b)
{
    size_t count;
    return elf_getphdrnum(b->elf, &count) == 0 ? count : 0;
}

bool binary_address(const binary_t *b, uint64_t offset, uint64_t *address)
{
    size_t count = segments(b);
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr s;
        if (code_segment(b, i, &s) && offset >= s.p_offset &&
            offset - s.p_offset < s.p_filesz) {
            *address = offset - s.p_offset + s.p_vaddr;
            return true;
        }
    }
    return false;
}

bool binary_has_code(const binary_t *b, uint64_t address)
{
    size_t count = segments(b);
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr s;
        if (code_segment(b, i, &s) && address >= s.p_vaddr &&
            address - s.p_vaddr < s.p_memsz) {
            return true;
        }
    }
    return false;
}

/* ---- Calls ----------------------------------------------------------------
 */

/* Bytes of "FF /2" with this operand byte and the one behind it. */
static unsigned indirect_call_length(unsigned operand, unsigned index)
{
    unsigned mode = operand >> 6;
    unsigned base = operand & 7;
    unsigned length = 2;
    if (mode == 3) {
        return length;
    }
    if (base == 4) {
        length++;
        base = mode == 0 ? index & 7 : base;
    }
    if (mode == 0) {
        return length + (base == 5 ? 4 : 0);
    }
    return length + (mode == 1 ? 1 : 4);
}

static bool is_after_x86_call(const unsigned char *at, size_t before)
{
    if (before >= 5 && at[-5] == 0xe8) {
        return true;
    }
    for (unsigned n = 2; n <= 7 && n <= before; n++) {
        const unsigned char *start = at - n;
        if (start[0] == 0xff && (start[1] >> 3 & 7) == 2 &&
            indirect_call_length(start[1], n > 2 ? start[2] : 0) == n) {
            return true;
        }
    }
    return false;
}

/* Where a signal handler returns to: no call led there. */
static bool is_signal_return(const unsigned char *at, size_t left)
{
    static const unsigned char code[] = {
        0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return left >= sizeof(code) && memcmp(at, code, sizeof(code)) == 0;
}

bool binary_is_after_call(const binary_t *b, uint64_t offset)
{
    if (b->bytes == NULL || offset > b->len) {
        return b->bytes == NULL;
    }
    const unsigned char *at = (const unsigned char *)b->bytes + offset;
    if (b->machine == EM_X86_64) {
        return is_after_x86_call(at, offset) ||
               is_signal_return(at, b->len - offset);
    }
    if (b->machine == EM_AARCH64 && offset >= 4) {
        uint32_t word;
        memcpy(&word, at - 4, 4);
        bool direct = (word & 0xfc000000) == 0x94000000;
        bool indirect = (word & 0xfefff000) == 0xd63f0000;
        return direct || indirect || (word & 0xfffffc1f) == 0xd63f0000;
    }
    return true;
}

/* ---- Symbols --------------------------------------------------------------
 */

static int compare_symbols(const void *a, const void *b)
{
    const binary_symbol_t *x = a;
    const binary_symbol_t *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->rank != y->rank) {
        return x->rank > y->rank ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static uint8_t rank_of(const GElf_Sym *sym, const char *name)
{
    unsigned binding = GELF_ST_BIND(sym->st_info);
    unsigned rank = GELF_ST_TYPE(sym->st_info) != STT_NOTYPE ? 8 : 0;
    rank += sym->st_size > 0 ? 4 : 0;
    rank += binding == STB_GLOBAL ? 2 : binding == STB_WEAK ? 1 : 0;
    rank = rank * 4 + (name[0] != '_' ? 2 : name[1] != '_' ? 1 : 0);
    return (uint8_t)rank;
}

/* Symbols of code, but not the marks that compilers set inside of it. */
static bool is_wanted(const GElf_Sym *sym, const char *name)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    bool code = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
    return code && name != NULL && name[0] != '\0' && name[0] != '$' &&
           name[0] != '.' && sym->st_shndx != SHN_UNDEF &&
           sym->st_shndx != SHN_ABS;
}

static void read_symbols(binary_t *b)
{
    b->has_symbols = true;
    int count = dwfl_module_getsymtab(b->module);
    for (int i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(
            b->module, i, &sym, &address, NULL, NULL, NULL);
        if (!is_wanted(&sym, name) || !binary_has_code(b, address)) {
            continue;
        }
        binary_symbol_t s = {address, sym.st_size, name, rank_of(&sym, name)};
        *MEM_PUSH(b->symbols, b->symbols_count, b->symbols_room) = s;
    }
    if (b->symbols_count == 0) {
        return;
    }
    qsort(b->symbols, b->symbols_count, sizeof(*b->symbols), compare_symbols);
    size_t kept = 1;
    for (size_t i = 1; i < b->symbols_count; i++) {
        if (b->symbols[i].start != b->symbols[kept - 1].start) {
            b->symbols[kept++] = b->symbols[i];
        }
    }
    b->symbols_count = kept;
}

/* How many symbols start at or before the address. */
static size_t count_up_to(const binary_t *b, uint64_t address)
{
    size_t low = 0;
    size_t high = b->symbols_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->symbols[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const char *binary_symbol(
    binary_t *b, uint64_t address, uint64_t *start, uint64_t *end)
{
    if (!b->has_symbols) {
        read_symbols(b);
    }
    size_t count = count_up_to(b, address);
    /* A label may lie inside of a function: look a little further back. */
    for (size_t back = 1; back <= count && back <= 16; back++) {
        const binary_symbol_t *s = &b->symbols[count - back];
        if (address - s->start < s->size) {
            *start = s->start;
            *end = s->start + s->size;
            return s->name;
        }
    }
    if (count > 0 && b->symbols[count - 1].size == 0) {
        *start = b->symbols[count - 1].start;
        *end = count < b->symbols_count ? b->symbols[count].start : address + 1;
        return b->symbols[count - 1].name;
    }
    return NULL;
}
