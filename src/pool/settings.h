/* pool/settings.h: what all workers of a pool have in common, as the zygote gets it once. */
#ifndef SKUA_POOL_SETTINGS_H
#define SKUA_POOL_SETTINGS_H

#include "base/compiler.h"

#include <sched.h>
#include <skua/pool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SKUA__PROCESS_NAME_BYTES = 16,
    SKUA__CGROUP_PATH_BYTES = 512,
    SKUA__SETTINGS_MAX = 1 << 20, /* bytes; a zygote believes nothing larger */
};

/* Constant once it is made. It travels as it is: both sides are of one image. */
struct skua__settings {
    uint32_t bytes; /* of all this, with the places */
    int32_t nice;
    uint64_t payload_max;
    skua_pool_limits limits;
    uint32_t cores; /* this and the next: how long workers spin: pool/ring.h */
    uint32_t spinners;
    uint32_t binding;     /* enum skua_pool_binding */
    uint32_t place_count; /* 0: unbound */
    char name[SKUA__PROCESS_NAME_BYTES];
    char cgroup[SKUA__CGROUP_PATH_BYTES]; /* the pool's folder, to be made; empty: none */
    cpu_set_t places[];
};

/* Parent: settings from the options, which are valid. Returns 0, -ENOMEM, or -ENOTSUP (a limit that
   cannot be enforced here; attached to the task as a message). The caller frees them with
   skua__free(). */
int skua__settings_create(struct skua__settings **out, const skua_pool_opts *opts) SKUA_MUST_CHECK;

/* Parent: a file for a SETUP message, to be closed. Returns it, or a negative errno. */
int skua__settings_pack(const struct skua__settings *settings) SKUA_MUST_CHECK;

/* Zygote: read such a file. Returns 0, -EPROTO (it is none), -ENOMEM. */
int skua__settings_unpack(struct skua__settings **out, int file) SKUA_MUST_CHECK;

#endif
