/*
 * What: demangling by libiberty, shortening, and the list of allocators, see
 * names.h.
 *
 * Invariants: (I1) shortening never makes a name empty.
 *
 * Locking: none.
 */
#include "names.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "texts.h"

/* Deeper nested names make the demangler use more stack than there is. */
#define SYMBOL_MAX 16384

/*
 * How compilers mark the parts and copies that they make of one function:
 * "work.isra.0", "work.cold". The parts of one function are one row.
 */
static size_t plain_length(const char *symbol, size_t len)
{
    static const char *const marks[] = {".isra.", ".part.", ".constprop.",
        ".cold", ".lto_priv.", ".llvm.", ".localalias", "@"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        size_t n = strlen(marks[i]);
        const char *mark = memmem(symbol, len, marks[i], n);
        if (mark != NULL && mark > symbol) {
            len = (size_t)(mark - symbol);
        }
    }
    return len;
}

uint32_t names_demangle(const char *symbol)
{
    size_t len = plain_length(symbol, strlen(symbol));
    bool may_be_mangled = symbol[0] == '_' && len < SYMBOL_MAX;
    if (!may_be_mangled) {
        return text_id(symbol, len);
    }
    char *plain = mem_copy(symbol, len);
    char *readable = cplus_demangle(plain, DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO);
    uint32_t id = text_id_of(readable != NULL ? readable : plain);
    free(readable);
    mem_free(plain);
    return id;
}

/* "operator" at `at` as a whole word. */
static bool is_operator(const char *name, size_t at)
{
    bool starts = at == 0 || !(isalnum((unsigned char)name[at - 1]) ||
                                 name[at - 1] == '_');
    unsigned char after = (unsigned char)name[at + 8];
    return starts && strncmp(name + at, "operator", 8) == 0 &&
           !isalnum(after) && after != '_';
}

/* How long the operator's own sign is, which may be made of brackets. */
static size_t operator_sign(const char *sign)
{
    static const char *const signs[] = {"()", "[]", "<<=", ">>=", "<=>", "->*",
        "<<", ">>", "<=", ">=", "->", "<", ">"};
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        if (strncmp(sign, signs[i], strlen(signs[i])) == 0) {
            return strlen(signs[i]);
        }
    }
    return 0;
}

/* The position behind the bracket that closes the one at `at`. */
static size_t skip_brackets(const char *name, size_t at)
{
    int depth = 0;
    for (; name[at] != '\0'; at++) {
        if (strchr("<({[", name[at]) != NULL) {
            depth++;
        } else if (strchr(")}]", name[at]) != NULL ||
                   (name[at] == '>' && at > 0 && name[at - 1] != '-')) {
            depth--;
        }
        if (depth == 0) {
            return at + 1;
        }
    }
    return at;
}

/* Brackets that are a part of the name: "(anonymous namespace)", "<T as U>". */
static bool keeps_brackets(const char *name, size_t at, size_t written)
{
    static const char anonymous[] = "(anonymous namespace)";
    return strncmp(name + at, anonymous, sizeof(anonymous) - 1) == 0 ||
           name[at] == '{' || (name[at] == '<' && written == 0);
}

static void copy_short(text_t *to, const char *name)
{
    size_t start = 0; /* of the name proper, behind the type it returns */
    for (size_t i = 0; name[i] != '\0';) {
        if (name[i] == 'o' && is_operator(name, i)) {
            size_t n = 8 + operator_sign(name + i + 8);
            text_add(to, name + i, n);
            i += n;
            /* "operator new", "operator bool": their blank is no type's. */
            if (n == 8 && name[i] == ' ') {
                size_t word = strcspn(name + i, "(<");
                text_add(to, name + i, word);
                i += word;
            }
        } else if (strchr("<({", name[i]) != NULL) {
            size_t end = skip_brackets(name, i);
            if (keeps_brackets(name, i, to->len - start)) {
                text_add(to, name + i, end - i);
            } else if (name[i] == '(' && strncmp(name + end, "::", 2) != 0) {
                break;
            }
            i = end;
        } else if (name[i] == ' ' && name[i + 1] != '\0') {
            start = to->len + 1;
            text_char(to, name[i++]);
        } else {
            text_char(to, name[i++]);
        }
    }
    if (start > 0 && start < to->len) {
        memmove(to->at, to->at + start, to->len - start + 1);
        to->len -= start;
    }
}

static bool needs_shortening(const char *name)
{
    /* Names that are none: "[vdso]", "libx.so+0x10", an address. */
    return strpbrk(name, "(<") != NULL && name[0] != '[';
}

uint32_t names_short(uint32_t name)
{
    const char *whole = text_of(name);
    if (!needs_shortening(whole)) {
        return name;
    }
    static text_t shorter;
    shorter = (text_t){NULL, 0, 0};
    text_clear(&shorter);
    copy_short(&shorter, whole);
    while (shorter.len > 0 && shorter.at[shorter.len - 1] == ' ') {
        shorter.len--;
    }
    uint32_t id = shorter.len > 0 ? text_id(shorter.at, shorter.len) : name;
    mem_free(shorter.at);
    return id;
}

/*
 * Functions that allocate, and what is between them and the record of the
 * stack in allocators that are linked into the program. Sorted, for bsearch.
 */
static const char *const allocators[] = {
    "__libc_calloc",
    "__libc_malloc",
    "__libc_memalign",
    "__libc_realloc",
    "__libc_valloc",
    "__rdl_alloc",
    "__rdl_alloc_zeroed",
    "__rdl_realloc",
    "__rg_alloc",
    "__rg_alloc_zeroed",
    "__rg_realloc",
    "__rust_alloc",
    "__rust_alloc_zeroed",
    "__rust_realloc",
    "aligned_alloc",
    "calloc",
    "cfree",
    "do_rallocx",
    "fallbackNewImpl",
    "imalloc",
    "imalloc_body",
    "imalloc_no_sample",
    "imalloc_sample",
    "irallocx_prof",
    "irallocx_prof_sample",
    "je_prof_backtrace",
    "je_prof_tctx_create",
    "malloc",
    "malloc_default",
    "mallocx",
    "memalign",
    "newImpl",
    "operator new",
    "operator new[]",
    "posix_memalign",
    "prof_alloc_prep",
    "prof_backtrace_impl",
    "pvalloc",
    "rallocx",
    "realloc",
    "reallocarray",
    "smallocx",
    "valloc",
    "xallocx",
};

/* What src/api and src/prof have on the stack then. Sorted too. */
static const char *const internals[] = {
    "alloc_aligned_default",
    "alloc_aligned_slow",
    "alloc_block",
    "alloc_counted",
    "alloc_default",
    "alloc_direct",
    "alloc_fill_grown",
    "alloc_hardened",
    "alloc_large",
    "alloc_once",
    "alloc_ordinary",
    "alloc_resample",
    "alloc_sampled",
    "alloc_sealed",
    "alloc_slow",
    "alloc_slower",
    "alloc_slowest",
    "cxx_new",
    "cxx_new_aligned",
    "cxx_new_aligned_nothrow",
    "cxx_new_array",
    "cxx_new_array_aligned",
    "cxx_new_array_aligned_nothrow",
    "cxx_new_array_nothrow",
    "cxx_new_nothrow",
    "frame_here",
    "hardened_alloc",
    "hardened_malloc",
    "make_sample",
    "mallocx_general",
    "new_aligned_fast",
    "new_aligned_slow",
    "new_fast",
    "new_miss",
    "new_slow",
    "prof_resample",
    "prof_sample",
    "prof_stack_capture",
    "realloc_to_nothing",
    "request_fail_hard",
    "request_give_up",
    "request_retry",
    "request_try",
    "resize_block",
    "resize_by_copy",
    "resize_foreign",
    "resize_hardened",
    "resize_in_place",
    "resize_large",
    "try_aligned",
};

static int compare_name(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

#define IS_IN(name, list)                                                      \
    (bsearch((name), (list), sizeof(list) / sizeof(*(list)), sizeof(*(list)),  \
         compare_name) != NULL)

static bool is_listed(const char *name)
{
    return IS_IN(name, allocators);
}

bool names_is_internal(uint32_t short_name)
{
    return IS_IN(text_of(short_name), internals);
}

bool names_is_recorder(uint32_t short_name)
{
    return strcmp(text_of(short_name), "prof_stack_capture") == 0;
}

bool names_is_allocator_library(const char *path)
{
    static const char *const libraries[] = {"libjemalloc", "libtcmalloc"};
    const char *base = strrchr(path, '/');
    base = base != NULL ? base + 1 : path;
    for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        if (strncmp(base, libraries[i], strlen(libraries[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool names_is_allocator(uint32_t short_name)
{
    const char *name = text_of(short_name);
    static const char *const prefixes[] = {"je_", "tc_", "mi_"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], len) == 0 && is_listed(name + len)) {
            return true;
        }
    }
    /* "libjemalloc.so.2+0x1234": a place in one without symbols. */
    if (names_is_allocator_library(name) && strstr(name, "+0x") != NULL) {
        return true;
    }
    return is_listed(name) || strncmp(name, "malloc_zone_", 12) == 0 ||
           strncmp(name, "tc_new", 6) == 0 ||
           strncmp(name, "smallocx_", 9) == 0;
}
