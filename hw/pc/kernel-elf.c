/*
 * ELF kernels: segments by their physical addresses, and notes (System V ABI, chapters 4 and 5).
 */
#include "kernel.h"

#include <elf.h>
#include <string.h>
#include "util/bits.h"
#include "util/error.h"

typedef struct Segment {                /* a program header, of either class */
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
} Segment;

static bool is_64(const BootImage *k)
{
    return k->data[EI_CLASS] == ELFCLASS64;
}

bool elf_probe(const BootImage *k)
{
    return k->len >= sizeof(Elf64_Ehdr) && !memcmp(k->data, ELFMAG, SELFMAG) &&
           (k->data[EI_CLASS] == ELFCLASS32 || is_64(k)) && k->data[EI_DATA] == ELFDATA2LSB;
}

/* Program header i; false: there are no more, or it is not within the file. */
static bool get_segment(const BootImage *k, unsigned i, Segment *s)
{
    if (is_64(k)) {
        Elf64_Ehdr e;
        Elf64_Phdr p;

        memcpy(&e, k->data, sizeof(e));
        if (i >= e.e_phnum || e.e_phentsize < sizeof(p) || e.e_phoff > k->len ||
            (uint64_t)i * e.e_phentsize + sizeof(p) > k->len - e.e_phoff) {
            return false;
        }
        memcpy(&p, k->data + e.e_phoff + (uint64_t)i * e.e_phentsize, sizeof(p));
        *s = (Segment){ p.p_type, p.p_offset, p.p_vaddr, p.p_paddr, p.p_filesz, p.p_memsz };
    } else {
        Elf32_Ehdr e;
        Elf32_Phdr p;

        memcpy(&e, k->data, sizeof(e));
        if (i >= e.e_phnum || e.e_phentsize < sizeof(p) || e.e_phoff > k->len ||
            (uint64_t)i * e.e_phentsize + sizeof(p) > k->len - e.e_phoff) {
            return false;
        }
        memcpy(&p, k->data + e.e_phoff + (uint64_t)i * e.e_phentsize, sizeof(p));
        *s = (Segment){ p.p_type, p.p_offset, p.p_vaddr, p.p_paddr, p.p_filesz, p.p_memsz };
    }
    return true;
}

static bool in_file(const BootImage *k, const Segment *s)
{
    return s->offset <= k->len && s->filesz <= k->len - s->offset;
}

bool elf_load(BootImage *k, uint32_t *entry, uint64_t *end, GError **errp)
{
    unsigned machine = ld16le(k->data + offsetof(Elf64_Ehdr, e_machine));
    uint64_t start = is_64(k) ? ld64le(k->data + offsetof(Elf64_Ehdr, e_entry))
                              : ld32le(k->data + offsetof(Elf32_Ehdr, e_entry));
    bool enters = false;
    Segment s;

    if (machine != EM_386 && machine != EM_X86_64) {
        error_set(errp, "%s is an ELF file for another processor (machine %u), not for x86", k->path,
                  machine);
        return false;
    }
    *end = 0;
    for (unsigned i = 0; get_segment(k, i, &s); i++) {
        if (s.type != PT_LOAD || s.memsz == 0) {
            continue;
        }
        if (!in_file(k, &s) || s.filesz > s.memsz) {
            error_set(errp, "%s: this ELF file is cut off or damaged: segment %u is not within it", k->path,
                      i);
            return false;
        }
        if (s.paddr < LOAD_LOWEST) {
            error_set(errp, "%s: segment %u belongs at 0x%" G_GINT64_MODIFIER "x, below 1 MiB, where the "
                      "firmware is", k->path, i, s.paddr);
            return false;
        }
        if (!boot_add(k, "a segment of the kernel", s.paddr, k->data + s.offset, s.filesz, s.memsz, errp)) {
            return false;
        }
        *end = MAX(*end, s.paddr + s.memsz);
        if (start >= s.vaddr && start - s.vaddr < s.memsz && !enters) {
            start = s.paddr + (start - s.vaddr);
            enters = true;
        }
    }
    if (*end == 0) {
        error_set(errp, "%s: this ELF file has nothing to load", k->path);
        return false;
    }
    *entry = start;
    return true;
}

static uint64_t pad4(uint64_t n)
{
    return (n + 3) & ~3ull;
}

/* One note is three words (name size, descriptor size, type), name, descriptor, each padded to 4 bytes. */
static bool search_notes(const uint8_t *at, uint64_t len, const char *name, uint32_t type, uint64_t *value)
{
    while (len >= 12) {
        uint64_t name_size = ld32le(at), desc_size = ld32le(at + 4);
        uint64_t size = 12 + pad4(name_size) + pad4(desc_size);

        if (size > len) {
            return false;
        }
        const uint8_t *desc = at + 12 + pad4(name_size);

        if (ld32le(at + 8) == type && name_size == strlen(name) + 1 && !memcmp(at + 12, name, name_size) &&
            (desc_size == 4 || desc_size == 8)) {
            *value = desc_size == 4 ? ld32le(desc) : ld64le(desc);
            return true;
        }
        at += size;
        len -= size;
    }
    return false;
}

bool elf_find_note(const BootImage *k, const char *name, uint32_t type, uint64_t *value)
{
    Segment s;

    for (unsigned i = 0; get_segment(k, i, &s); i++) {
        if (s.type == PT_NOTE && in_file(k, &s) &&
            search_notes(k->data + s.offset, s.filesz, name, type, value)) {
            return true;
        }
    }
    return false;
}
