/* pool/object.h: executables and libraries, by an address in them or by their file. */
#ifndef SKUA_POOL_OBJECT_H
#define SKUA_POOL_OBJECT_H

#include "base/compiler.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits, going on from `hash`. */
#define SKUA__HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t skua__hash_bytes(uint64_t hash, const void *data, size_t bytes);

/* Is that address in the executable, not in a library? */
bool skua__object_is_program(const void *address);

/* What tells the build of the object at that address from all others: a hash of its build-id, or
   where it has none, of what its file is. 0: it is not to be found out. */
uint64_t skua__object_digest(const void *address);

/* The same of the object in that file. */
uint64_t skua__object_file_digest(const char *path);

/* The file that the object was loaded from. False: there is none, or its path is too long. */
bool skua__object_path(const void *address, char path[], size_t path_bytes);

/* The functions that are to be called before main, as the executable lists them. */
struct skua__constructors {
    void (*const *functions)(int argc, char **argv, char **envp);
    size_t count;
};
struct skua__constructors skua__object_constructors(void);

#endif
