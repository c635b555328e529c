/* tests/pool_lies.h: jobs that write where they must not: they look up in /proc/self/maps what they
   share with the program. */
#ifndef SKUA_TESTS_POOL_LIES_H
#define SKUA_TESTS_POOL_LIES_H

#include "pool_gate.h"

#include "pool/ring.h"

#include <pthread.h>

/* What a worker process shares with its program. */
typedef struct reach {
    unsigned char *start;
    size_t bytes;
    int count; /* of such mappings */
} reach;

static inline reach find_reach(void)
{
    reach found = {.start = NULL};
    char line[512];
    FILE *file = fopen("/proc/self/maps", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long start, end;
        char access[8];
        if (strstr(line, "memfd:skua") != NULL &&
            sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3) {
            found.start = (unsigned char *)start;
            found.bytes = end - start;
            found.count++;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static inline struct skua__shared *find_wire(void)
{
    return (struct skua__shared *)(void *)find_reach().start;
}

#endif
