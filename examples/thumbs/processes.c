/* processes.c: the worker processes, with as many limits as can be had here. */
#include "decode.h"
#include "thumbs.h"

enum { MIB = 1024 * 1024, FILE_BYTES_MAX = 64 * MIB, FDS_MAX = 16 };

static skua_pool_opts pool_opts(const struct run *run)
{
    const struct settings *settings = &run->settings;
    const size_t answer_bytes = picture_bytes_max(settings->side_max);
    return (skua_pool_opts){
        .name = "thumbs",
        .workers = settings->processes,
        .payload_max = answer_bytes > FILE_BYTES_MAX ? answer_bytes : FILE_BYTES_MAX,
        .local = true, /* the limits are those of processes of this machine */
        .limits =
            {
                .address_bytes = settings->memory_bytes,
                .memory_bytes = run->has_memory_group ? settings->memory_bytes : 0,
                .cpu_ns = settings->cpu_ns,
                .fds = FDS_MAX,
                .no_new_privileges = true,
                .sandbox = run->has_sandbox,
            },
    };
}

/* A filter of system calls and control groups are not everywhere to be had: what is missing is left
   out, the groups first, since the size of the address space is limited in any case. */
int start_processes(struct run *run)
{
    int status = -ENOTSUP;
    for (int with = 3; with >= 0 && status == -ENOTSUP; with--) {
        run->has_sandbox = (with & 2) != 0;
        run->has_memory_group = (with & 1) != 0;
        if (run->has_sandbox && run->settings.without_sandbox) {
            continue;
        }
        const skua_pool_opts opts = pool_opts(run);
        status = skua_pool_create(&run->pool, &opts);
    }
    return status;
}
