/*
 * What: which modules linkage.h says to stay: all that there are at the start,
 * none that is loaded later.
 *
 * Invariants: (I1) what is loaded here is a part of every glibc.
 *
 * Locking: none.
 */
#include "os/linkage.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include "harness.h"

/* Modules, by what is said of them. */
typedef struct {
    unsigned stay;
    unsigned others;
    bool has_main;
} found_t;

static bool has_dynamic(const struct dl_phdr_info *info)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) {
            return true;
        }
    }
    return false;
}

static int look(struct dl_phdr_info *info, size_t size, void *opaque)
{
    found_t *found = opaque;
    uintptr_t start = UINTPTR_MAX;
    uintptr_t end = 0;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD) {
            start = at < start ? at : start;
            end = at + segment->p_memsz > end ? at + segment->p_memsz : end;
        }
    }
    if (!has_dynamic(info)) {
        return 0;
    }
    bool stays = linkage_stays(start, end);
    found->stay += stays;
    found->others += !stays;
    found->has_main |= stays && (uintptr_t)&look - start < end - start;
    return 0;
}

static found_t look_at_all(void)
{
    found_t found = {0};
    EXPECT(dl_iterate_phdr(look, &found) == 0);
    return found;
}

static void need_list(void)
{
#ifdef __GLIBC__
    if (getauxval(AT_BASE) != 0) {
        return;
    }
#endif
    test_skip("the list is that of glibc's dynamic linker");
}

TEST(nothing_before_boot)
{
    need_list();
    EXPECT_EQ_U64(look_at_all().stay, 0);
}

/* All but the kernel's own. */
TEST(all_of_the_start)
{
    need_list();
    linkage_boot();
    found_t found = look_at_all();
    EXPECT(found.has_main);
    EXPECT_GE_U64(found.stay, 2);
    EXPECT_LE_U64(found.others, 1);
}

TEST(nothing_that_came_later)
{
    need_list();
    unsigned before = look_at_all().others;
    void *handle = dlopen("libBrokenLocale.so.1", RTLD_NOW);
    EXPECT(handle != NULL);
    if (handle != NULL) {
        EXPECT_EQ_U64(look_at_all().others, before + 1);
        EXPECT(dlclose(handle) == 0);
    }
}

/* Nobody needs it, though it is there when the list is read. */
TEST(nothing_that_nobody_needs)
{
    need_list();
    unsigned before = look_at_all().others;
    void *handle = dlopen("libBrokenLocale.so.1", RTLD_NOW);
    EXPECT(handle != NULL);
    linkage_boot();
    EXPECT_EQ_U64(look_at_all().others, before + (handle != NULL));
}

int main(void)
{
    return test_run(TEST_CASE(nothing_before_boot), TEST_CASE(all_of_the_start),
        TEST_CASE(nothing_that_came_later),
        TEST_CASE(nothing_that_nobody_needs), NULL);
}
