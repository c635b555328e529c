/* Executables and libraries: which one an address is in, which build that is, where its file lies.

   Invariants
   (O1) A digest comes from the build-id, which the linker computes from the contents; it is the
        same for the object in memory and in its file. Without build-id it comes from the file's
        identity (device, inode, size, time of change), in both cases.
   (O2) Files are parsed with every offset checked: one may be anything by now.

   Who runs it: the parent, workers, a zygote that was executed anew. */
#include "pool/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES_MAX = 4096, HEADERS_MAX = 64, LINE_BYTES = 4096 };

/* Where the linker of a static program puts the list; no shared object has these names. */
extern void (*const __init_array_start[])(int argc, char **argv, char **envp)
    __attribute__((weak, visibility("hidden")));
extern void (*const __init_array_end[])(int argc, char **argv, char **envp)
    __attribute__((weak, visibility("hidden")));

uint64_t skua__hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* --- objects in memory ------------------------------------------------------------------------ */

/* What is looked for, and what was found. */
struct search {
    uintptr_t address; /* 0: the executable */
    struct dl_phdr_info info;
    bool is_program;
    bool is_found;
    bool is_behind_first;
};

static bool contains(const struct dl_phdr_info *info, uintptr_t address)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD &&
            address - (info->dlpi_addr + header->p_vaddr) < header->p_memsz) {
            return true;
        }
    }
    return false;
}

/* The executable comes first. */
static int visit(struct dl_phdr_info *info, size_t bytes, void *arg)
{
    struct search *search = arg;
    (void)bytes;
    search->is_program = !search->is_behind_first;
    search->is_behind_first = true;
    search->is_found = search->address == 0 || contains(info, search->address);
    search->info = *info;
    return search->is_found;
}

static bool find(const void *address, struct search *search)
{
    *search = (struct search){.address = (uintptr_t)address};
    dl_iterate_phdr(visit, search);
    return search->is_found;
}

bool skua__object_is_program(const void *address)
{
    struct search search;
    return find(address, &search) && search.is_program;
}

/* --- builds ----------------------------------------------------------------------------------- */

static size_t round_up(size_t bytes)
{
    return (bytes + 3) / 4 * 4;
}

/* The build-id among the notes, hashed; 0: there is none. */
static uint64_t hash_build_id(const char *notes, size_t bytes)
{
    size_t at = 0;
    while (bytes - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        at += sizeof note;
        if (note.n_namesz > bytes - at || note.n_descsz > bytes - at ||
            round_up(note.n_namesz) + round_up(note.n_descsz) > bytes - at) {
            return 0;
        }
        const char *name = notes + at;
        const char *value = name + round_up(note.n_namesz);
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
            return skua__hash_bytes(SKUA__HASH_START, value, note.n_descsz);
        }
        at += round_up(note.n_namesz) + round_up(note.n_descsz);
    }
    return 0;
}

static uint64_t hash_file_identity(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0) {
        return 0;
    }
    const uint64_t facts[] = {(uint64_t)info.st_dev, (uint64_t)info.st_ino, (uint64_t)info.st_size,
                              (uint64_t)info.st_mtim.tv_sec, (uint64_t)info.st_mtim.tv_nsec};
    return skua__hash_bytes(SKUA__HASH_START, facts, sizeof facts);
}

uint64_t skua__object_digest(const void *address)
{
    struct search search;
    if (!find(address, &search)) {
        return 0;
    }
    for (size_t i = 0; i < search.info.dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &search.info.dlpi_phdr[i];
        if (header->p_type == PT_NOTE) {
            const char *notes = (const char *)(search.info.dlpi_addr + header->p_vaddr);
            const uint64_t digest = hash_build_id(notes, header->p_memsz);
            if (digest != 0) {
                return digest;
            }
        }
    }
    char path[LINE_BYTES];
    if (search.is_program) {
        return hash_file_identity("/proc/self/exe");
    }
    return skua__object_path(address, path, sizeof path) ? hash_file_identity(path) : 0;
}

/* The build-id of an open file, hashed. */
static uint64_t hash_file_build_id(int file)
{
    ElfW(Ehdr) start;
    ElfW(Phdr) headers[HEADERS_MAX];
    char notes[NOTES_MAX];
    if (pread(file, &start, sizeof start, 0) != (ssize_t)sizeof start ||
        memcmp(start.e_ident, ELFMAG, SELFMAG) != 0 || start.e_phentsize != sizeof headers[0] ||
        start.e_phnum > HEADERS_MAX) {
        return 0;
    }
    const size_t bytes = start.e_phnum * sizeof headers[0];
    if (pread(file, headers, bytes, (off_t)start.e_phoff) != (ssize_t)bytes) {
        return 0;
    }
    for (size_t i = 0; i < start.e_phnum; i++) {
        const size_t note_bytes = headers[i].p_filesz;
        if (headers[i].p_type == PT_NOTE && note_bytes <= sizeof notes &&
            pread(file, notes, note_bytes, (off_t)headers[i].p_offset) == (ssize_t)note_bytes) {
            const uint64_t digest = hash_build_id(notes, note_bytes);
            if (digest != 0) {
                return digest;
            }
        }
    }
    return 0;
}

uint64_t skua__object_file_digest(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    const uint64_t digest = hash_file_build_id(file);
    close(file);
    return digest != 0 ? digest : hash_file_identity(path);
}

/* The dynamic linker knows the name that was asked for, which may be relative to a folder that the
   program has left; the kernel knows the file. */
bool skua__object_path(const void *address, char path[], size_t path_bytes)
{
    bool is_found = false;
    char line[LINE_BYTES];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && !is_found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long first, end;
        int at = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &first, &end, &at) == 2 && at > 0 &&
            (uintptr_t)address - first < end - first && line[at] == '/') {
            line[strcspn(line, "\n")] = '\0';
            const size_t bytes = strlen(line + at) + 1;
            is_found = bytes <= path_bytes;
            if (is_found) {
                memcpy(path, line + at, bytes);
            }
            break;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return is_found;
}

/* --- constructors ----------------------------------------------------------------------------- */

/* The executable's list, as its dynamic section tells it. */
static struct skua__constructors read_dynamic(const struct dl_phdr_info *info)
{
    struct skua__constructors found = {NULL, 0};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) {
            continue;
        }
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_INIT_ARRAY) {
                /* The table still has addresses as the linker wrote them. */
                found.functions =
                    (void (*const *)(int, char **, char **))(info->dlpi_addr + entry->d_un.d_ptr);
            } else if (entry->d_tag == DT_INIT_ARRAYSZ) {
                found.count = entry->d_un.d_val / sizeof(void *);
            }
        }
    }
    return found;
}

struct skua__constructors skua__object_constructors(void)
{
    struct search search;
    struct skua__constructors found = {NULL, 0};
    if (find(NULL, &search)) {
        found = read_dynamic(&search.info);
    }
    if (found.functions == NULL && __init_array_start != NULL) {
        found.functions = __init_array_start;
        found.count = (size_t)(__init_array_end - __init_array_start);
    }
    return found;
}
