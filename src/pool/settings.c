/* Settings of a pool: made by the parent, sent in a file to the zygote, which keeps them for the
   workers that it forks.

   Invariants
   (E1) What the zygote has is byte for byte what the parent has made, or nothing.
   (E2) The strings in it end, and the counts fit into its size: else it is refused.

   Rejected: settings in every FORK message (the places of a large machine do not fit into one). */
#include "pool/settings.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "pool/cgroup.h"
#include "pool/place.h"
#include "topo/topo.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t payload_default_bytes = (size_t)64 << 20;

static void fill(struct skua__settings *settings, const skua_pool_opts *opts)
{
    settings->nice = opts->nice;
    settings->payload_max = opts->payload_max != 0 ? opts->payload_max : payload_default_bytes;
    settings->limits = opts->limits;
    settings->cores = skua__topo_worker_count();
    settings->spinners = opts->workers != 0 ? opts->workers : settings->cores;
    settings->binding = opts->binding;
    const char *name = opts->name != NULL ? opts->name : "skua-pool";
    memcpy(settings->name, name, strnlen(name, sizeof settings->name - 1));
}

static bool wants_cgroup(const skua_pool_limits *limits)
{
    return limits->memory_bytes != 0 || limits->processes != 0;
}

static int find_cgroup(struct skua__settings *settings)
{
    if (!wants_cgroup(&settings->limits)) {
        return 0;
    }
    int error = skua__cgroup_find(settings->cgroup, sizeof settings->cgroup, "/proc/self/mountinfo",
                                  "/proc/self/cgroup", &settings->limits);
    if (error < 0) {
        return skua_fail(error,
                         "limits.%s needs a control group (version 2) that was delegated to "
                         "this program; systemd-run --scope -p Delegate=yes starts it in one",
                         settings->limits.memory_bytes != 0 ? "memory_bytes" : "processes");
    }
    return 0;
}

int skua__settings_create(struct skua__settings **out, const skua_pool_opts *opts)
{
    cpu_set_t *places = NULL;
    const int place_count = skua__place_list(&places, opts->binding);
    if (place_count < 0) {
        return place_count == -ENOTSUP ? skua_fail(place_count, "hwloc finds no processors to bind "
                                                                "workers to")
                                       : place_count;
    }
    const size_t places_bytes = (size_t)place_count * sizeof *places;
    struct skua__settings *settings = skua__alloc(sizeof *settings + places_bytes);
    if (settings == NULL) {
        skua__free(places);
        return -ENOMEM;
    }
    settings->bytes = (uint32_t)(sizeof *settings + places_bytes);
    settings->place_count = (uint32_t)place_count;
    if (place_count > 0) {
        memcpy(settings->places, places, places_bytes);
    }
    skua__free(places);
    fill(settings, opts);
    int error = find_cgroup(settings);
    if (error < 0) {
        skua__free(settings);
        return error;
    }
    *out = settings;
    return 0;
}

int skua__settings_pack(const struct skua__settings *settings)
{
    int file = memfd_create("skua-settings", MFD_CLOEXEC);
    if (file < 0) {
        return -errno;
    }
    const ssize_t bytes = pwrite(file, settings, settings->bytes, 0);
    if (bytes != (ssize_t)settings->bytes) {
        close(file);
        return bytes < 0 ? -errno : -ENOMEM;
    }
    return file;
}

static bool is_sound(const struct skua__settings *settings, size_t bytes)
{
    return settings->bytes == bytes && settings->name[sizeof settings->name - 1] == '\0' &&
           settings->cgroup[sizeof settings->cgroup - 1] == '\0' &&
           settings->place_count == (bytes - sizeof *settings) / sizeof settings->places[0];
}

int skua__settings_unpack(struct skua__settings **out, int file)
{
    struct stat info;
    if (fstat(file, &info) < 0 || info.st_size < (off_t)sizeof **out ||
        info.st_size > SKUA__SETTINGS_MAX) {
        return -EPROTO;
    }
    const size_t bytes = (size_t)info.st_size;
    struct skua__settings *settings = skua__alloc(bytes);
    if (settings == NULL) {
        return -ENOMEM;
    }
    if (pread(file, settings, bytes, 0) != (ssize_t)bytes || !is_sound(settings, bytes)) {
        skua__free(settings);
        return -EPROTO;
    }
    *out = settings;
    return 0;
}
