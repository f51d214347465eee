/*
 * What: see prof_sections.h.
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include "prof/prof_sections.h"

#include <string.h>

#include "os/file.h"

/* Names of sections that are looked for are shorter. */
#define NAME_BYTES 32

static bool read_header(
    int fd, const ElfW(Ehdr) * elf, unsigned index, ElfW(Shdr) * section)
{
    uint64_t at = elf->e_shoff + (uint64_t)index * sizeof(*section);
    return os_read_at(fd, section, sizeof(*section), at) ==
           (ssize_t)sizeof(*section);
}

static bool has_name(int fd, const ElfW(Shdr) * names,
    const ElfW(Shdr) * section, const char *name)
{
    char found[NAME_BYTES];
    size_t bytes = strlen(name) + 1;
    return bytes <= sizeof(found) &&
           os_read_at(fd, found, bytes,
               (uint64_t)names->sh_offset + section->sh_name) ==
               (ssize_t)bytes &&
           memcmp(found, name, bytes) == 0;
}

static bool search(int fd, const ElfW(Ehdr) * loaded, const char *name,
    prof_section_t *section)
{
    ElfW(Ehdr) elf;
    ElfW(Shdr) names;
    if (os_read_at(fd, &elf, sizeof(elf), 0) != (ssize_t)sizeof(elf) ||
        memcmp(&elf, loaded, sizeof(elf)) != 0 ||
        elf.e_shentsize != sizeof(names) || elf.e_shstrndx >= elf.e_shnum ||
        !read_header(fd, &elf, elf.e_shstrndx, &names)) {
        return false;
    }
    for (unsigned i = 0; i < elf.e_shnum; i++) {
        ElfW(Shdr) header;
        if (!read_header(fd, &elf, i, &header)) {
            return false;
        }
        if ((header.sh_flags & SHF_ALLOC) != 0 &&
            has_name(fd, &names, &header, name)) {
            *section = (prof_section_t){header.sh_addr, header.sh_size};
            return true;
        }
    }
    return false;
}

bool prof_sections_find(const char *path, const ElfW(Ehdr) * loaded,
    const char *name, prof_section_t *section)
{
    int fd = os_open(path);
    if (fd < 0) {
        return false;
    }
    bool found = search(fd, loaded, name, section);
    os_close(fd);
    return found;
}
