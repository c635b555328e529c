/* Whether this process is part of a cluster, and what follows from it.

   The first runtime of a program that has jobs asks, when there is one thread yet: has a launcher
   started us as one of several ranks? Then the zygote is made, since that must come before any
   thread, and the transport is loaded and started. Rank 0 goes on with the program. The other ranks
   do not come back: they make a runtime of their own, work until rank 0 says that it is over, and
   exit.

   Invariants
   (U1) The question is asked once in a process; what the zygote forks has been asked already.
   (U2) A process that was told to be part of a cluster and cannot be ends, with a word on why: else
        the program would run once for each rank.
   (U3) The cluster ends with the process, not with a runtime, since there is one start of MPI in a
        process and there may be another runtime.

   Rejected: a function that programs call (the program is not to change); asking the transport
   whether there are others (it would have to be loaded, and MPI started, in every program). */
#include "cluster/cluster.h"

#include "base/atomic.h"
#include "base/panic.h"
#include "cluster/lead.h"
#include "cluster/link.h"
#include "cluster/serve.h"
#include "pool/job.h"
#include "pool/lane.h"
#include "pool/object.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <skua/cluster.h>
#include <skua/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the environment of what members of a cluster start: that has the launcher's variables as well,
   but is not one of its ranks. */
#define MEMBER "SKUA_CLUSTER_MEMBER"

#define LIBRARY "libskua-mpi.so.0"

/* A rank that owes something may be silent for so long. */
enum { PATIENCE_MS = 10 * 1000 };

static struct {
    _Atomic bool was_asked;
    bool is_outsider; /* a program that a member of a cluster has started */
    pid_t owner;      /* who leads; a forked child does not */
    uint32_t rank;
} self;

/* --- the environment -------------------------------------------------------------------------- */

/* The number in the first of these variables that is there and is a number; else `otherwise`. */
static uint32_t number_in(const char *const names[], size_t count, uint32_t otherwise)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = getenv(names[i]);
        char *end = NULL;
        unsigned long number = text != NULL ? strtoul(text, &end, 10) : 0;
        if (text != NULL && end != text && *end == '\0' && number < UINT32_MAX) {
            return (uint32_t)number;
        }
    }
    return otherwise;
}

static const char *setting(void)
{
    const char *text = getenv("SKUA_CLUSTER");
    return text != NULL ? text : "";
}

static bool is_off(void)
{
    return strcmp(setting(), "off") == 0;
}

/* What the launcher says: mpirun, then srun with PMIx, then the older protocols. A job step of
   Slurm that was not started for MPI has no PMIX_RANK. */
static uint32_t launched_size(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "PMI_SIZE"};
    static const char *const slurm[] = {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"};
    uint32_t size = number_in(sizes, SKUA_COUNT_OF(sizes), 0);
    if (size == 0 && getenv("PMIX_RANK") != NULL) {
        size = number_in(slurm, SKUA_COUNT_OF(slurm), 1);
    }
    return size > 1 ? size : 1;
}

static uint32_t launched_rank(void)
{
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    return number_in(ranks, SKUA_COUNT_OF(ranks), 0);
}

/* Workers have it from the environment, too. */
static bool is_member(void)
{
    return !is_off() && !self.is_outsider && skua__job_count() != 0 && launched_size() > 1;
}

uint32_t skua_cluster_size(void)
{
    uint32_t size = skua__lead_size();
    return size != 0 ? size : is_member() ? launched_size() : 1;
}

uint32_t skua_cluster_rank(void)
{
    return self.rank != 0 ? self.rank : is_member() ? launched_rank() : 0;
}

/* --- who we are ------------------------------------------------------------------------------- */

void skua__cluster_introduce(struct skua__record_hello *hello)
{
    *hello = (struct skua__record_hello){
        .version = SKUA__CLUSTER_VERSION,
        .cores = skua_worker_count(NULL),
        .build = skua__job_digest(skua__job_last_of_program()),
    };
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof cores, &cores) == 0) {
        hello->place = skua__hash_bytes(SKUA__HASH_START, &cores, sizeof cores);
    }
    if (gethostname(hello->host, sizeof hello->host - 1) < 0) {
        snprintf(hello->host, sizeof hello->host, "?");
    }
}

/* --- the transport ---------------------------------------------------------------------------- */

/* (U2) */
static SKUA_NORETURN void end_program(const char *what, const char *why)
{
    skua__report("rank %u: the cluster cannot begin: %s%s%s", launched_rank(), what,
                 why != NULL ? ": " : "", why != NULL ? why : "");
    skua__report("SKUA_CLUSTER=off lets each process run by itself");
    _exit(1);
}

/* Beside the library or program that this code is in, for builds that are not installed. */
static void *load_from_here(void)
{
    Dl_info info;
    char path[PATH_MAX];
    const void *here = (const void *)&self;
    if (dladdr(here, &info) == 0 || info.dli_fname == NULL) {
        return NULL;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    int bytes = slash != NULL ? (int)(slash - info.dli_fname) + 1 : 0;
    snprintf(path, sizeof path, "%.*s%s", bytes, info.dli_fname, LIBRARY);
    return slash != NULL ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
}

/* RTLD_GLOBAL: what an MPI loads in turn looks for its symbols there. */
static void load(skua_cluster_transport *transport)
{
    const char *path = setting();
    void *library = path[0] == '\0' ? load_from_here() : NULL;
    if (library == NULL) {
        library = dlopen(path[0] != '\0' ? path : LIBRARY, RTLD_NOW | RTLD_GLOBAL);
    }
    if (library == NULL) {
        end_program("its transport cannot be loaded", dlerror());
    }
    skua_cluster_opener open = NULL;
    void *symbol = dlsym(library, "skua_cluster_transport_open");
    memcpy(&open, &symbol, sizeof open);
    int status = open != NULL ? open(transport) : -ENOTSUP;
    if (status < 0 || transport->version != SKUA_CLUSTER_VERSION) {
        end_program("its transport is not one, or of another version",
                    status < 0 ? skua_error_text(status) : NULL);
    }
}

/* --- the ranks -------------------------------------------------------------------------------- */

/* The process's end, with its exit code. */
static void end_with_process(int code, void *arg)
{
    struct skua__lead *lead = arg;
    if (getpid() == self.owner) {
        skua__lead_use(NULL);
        skua__lead_end(lead, code);
    }
}

static void lead(struct skua__cluster *cluster)
{
    struct skua__lead *leader = NULL;
    const char *why = NULL;
    int status = skua__lead_begin(&leader, cluster, &why);
    if (status < 0) {
        skua__report("the cluster cannot begin: %s", why != NULL ? why : skua_error_text(status));
        cluster->transport.abort(cluster->transport.self, 1);
        _exit(1);
    }
    self.owner = getpid();
    skua__lead_use(leader);
    on_exit(end_with_process, leader);
}

/* Its runtime has little to do: all the work is the processes'. */
static SKUA_NORETURN void serve(struct skua__cluster *cluster)
{
    struct skua__server *server = NULL;
    const skua_config config = {.workers = 1, .leave_signals = true};
    int status = skua__server_begin(&server, cluster);
    if (status == 0) {
        status = skua_run(&config, skua__server_main, server);
    }
    if (status < 0) {
        skua__report("rank %u of the cluster has failed: %s", cluster->rank,
                     skua_error_text(status));
        cluster->transport.abort(cluster->transport.self, 1);
        _exit(1);
    }
    skua__server_end(server);
    _exit(0); /* what the program does at its end is rank 0's to do */
}

static void start(void)
{
    skua_cluster_transport transport = {0};
    load(&transport);
    if (setenv(MEMBER, "1", 1) < 0) {
        end_program("there is no memory", NULL);
    }
    int status = skua_pool_prepare();
    if (status < 0 && status != -EBUSY) { /* with threads pools see to themselves */
        end_program("no process can be made that makes workers", skua_error_text(status));
    }
    struct skua__cluster *cluster = NULL;
    const char *why = NULL;
    status = skua__cluster_create(&cluster, &transport, &why);
    if (status < 0) {
        end_program(skua_error_text(status), why);
    }
    static const char *const patience[] = {"SKUA_CLUSTER_PATIENCE_MS"};
    cluster->silence_ns = number_in(patience, 1, PATIENCE_MS) * SKUA_MS(1);
    self.rank = cluster->rank;
    if (cluster->rank != 0) {
        serve(cluster);
    } else if (cluster->size > 1) {
        lead(cluster);
    } else {
        skua__cluster_end(cluster, -1);
    }
}

/* A path in SKUA_CLUSTER alone is enough for a transport that no launcher is known for. */
static void start_if_asked(void)
{
    if (skua__exchange(&self.was_asked, true, relaxed)) {
        return;
    }
    bool has_path = !is_off() && !self.is_outsider && setting()[0] != '\0';
    if (is_member() || (has_path && skua__job_count() != 0)) {
        start();
    }
}

const struct skua__elsewhere skua__elsewhere = {
    .begin = start_if_asked,
    .share = skua__lead_share,
    .attach = skua__lead_attach,
    .stop = skua__lead_stop,
    .detach = skua__lead_detach,
};

/* A zygote that is the program executed anew makes workers of a member. */
__attribute__((constructor)) static void look_at_ancestors(void)
{
    self.is_outsider = getenv(MEMBER) != NULL && getenv("SKUA_ZYGOTE") == NULL;
}
