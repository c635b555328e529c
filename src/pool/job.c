/* The registry of jobs.

   A job travels to its worker process as a hash of its name, never as a pointer: the worker may be
   of a zygote that was executed anew, or have loaded the job's library by itself, so that nothing
   there has the same address or place in an order.

   Invariants
   (J1) Jobs are only added, each at the front of its list in the table, and published by the store
        there; so a lookup needs no lock.
   (J2) A job's number and hash are written before it is published, and never again. Numbers count
        the registrations, from 1 on, so that a job that was not registered has none.
   (J3) Of two jobs with one name the first one is found; no pool is created then.

   Who runs it: constructors, of the program before main and of libraries that are loaded later,
   which may be on any thread; pools; the worker processes, which look up and load.

   Rejected: a linker section of jobs (a library that is loaded later has one of its own, and to
   find it needs a constructor just as well). */
#include "pool/job.h"

#include "base/atomic.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "pool/object.h"
#include "pool/reexec.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { LISTS = 256 };

/* Where dlopen() is not there (a static program), nothing can have been loaded either. */
extern __typeof__(dlopen) dlopen __attribute__((weak));
extern __typeof__(dlerror) dlerror __attribute__((weak));

static struct skua__lock lock;
static _Atomic(skua_job *) lists[LISTS];
static _Atomic uint32_t count;
static _Atomic(const char *) twice;

/* Of a late job: made once, never changed, in no order; two of one job are no harm. */
struct description {
    struct description *next;
    const skua_job *job;
    size_t bytes; /* of the object, in use */
    struct skua__job_object object;
};
static _Atomic(struct description *) descriptions;

static skua_job *first_of(uint64_t name_hash)
{
    /* acquire: pairs with the release in add(). */
    return skua__load(&lists[name_hash % LISTS], acquire);
}

const skua_job *skua__job_find(uint64_t name_hash)
{
    const skua_job *found = NULL;
    for (const skua_job *job = first_of(name_hash); job != NULL; job = job->next) {
        found = job->name_hash == name_hash ? job : found; /* (J3): the last one in the list */
    }
    return found;
}

/* (L) */
static void add(skua_job *job)
{
    if (skua__job_find(job->name_hash) != NULL) {
        skua__store(&twice, job->name, relaxed);
    }
    job->next = skua__load(&lists[job->name_hash % LISTS], relaxed);
    /* release: publishes the job (J2); pairs with the acquire in first_of(). */
    skua__store(&lists[job->name_hash % LISTS], job, release);
    /* release: publishes the job; pairs with the acquire in skua__job_count(). */
    skua__store(&count, job->number, release);
}

void skua_job_register(skua_job *job)
{
    skua_require(job->name != NULL && job->fn != NULL);
    skua__lock(&lock, SKUA__RANK_POOL);
    skua_require(job->number == 0); /* else it was registered already */
    job->name_hash = skua__hash_bytes(SKUA__HASH_START, job->name, strlen(job->name));
    job->number = skua__load(&count, relaxed) + 1;
    add(job);
    skua__unlock(&lock, SKUA__RANK_POOL);
    skua__reexec_registered(job, __builtin_return_address(0));
}

uint32_t skua__job_count(void)
{
    /* acquire: pairs with the release in add(). */
    return skua__load(&count, acquire);
}

const char *skua__job_twice(void)
{
    return skua__load(&twice, relaxed);
}

uint32_t skua__job_last_of_program(void)
{
    uint32_t last = 0;
    for (uint64_t i = 0; i < LISTS; i++) {
        for (const skua_job *job = first_of(i); job != NULL; job = job->next) {
            if (job->number > last && skua__object_is_program(job)) {
                last = job->number;
            }
        }
    }
    return last;
}

uint64_t skua__job_digest(uint32_t job_count)
{
    uint64_t digest = job_count;
    for (uint64_t i = 0; i < LISTS; i++) {
        for (const skua_job *job = first_of(i); job != NULL; job = job->next) {
            if (job->number <= job_count) {
                /* A sum: the order in the table is not that of the other process. */
                const uint64_t facts[] = {job->name_hash, skua__object_digest(job)};
                digest += skua__hash_bytes(SKUA__HASH_START, facts, sizeof facts);
            }
        }
    }
    return digest;
}

/* --- late ones -------------------------------------------------------------------------------- */

bool skua__job_is_late(const skua_job *job, uint32_t job_count)
{
    return job->number > job_count;
}

static const struct description *find_description(const skua_job *job)
{
    /* acquire: pairs with the release in skua__job_prepare(). */
    const struct description *found = skua__load(&descriptions, acquire);
    while (found != NULL && found->job != job) {
        found = found->next;
    }
    return found;
}

int skua__job_prepare(const skua_job *job)
{
    if (job->number == 0) {
        return -ENOENT;
    }
    if (find_description(job) != NULL) {
        return 0;
    }
    struct description *made = skua__alloc(sizeof *made);
    if (made == NULL) {
        return -ENOMEM;
    }
    made->job = job;
    made->object.digest = skua__object_digest(job);
    if (!skua__object_path(job, made->object.path, sizeof made->object.path)) {
        skua__free(made);
        return -ENOENT;
    }
    made->bytes = offsetof(struct skua__job_object, path) + strlen(made->object.path) + 1;
    skua__lock(&lock, SKUA__RANK_POOL);
    made->next = skua__load(&descriptions, relaxed);
    /* release: publishes the description; pairs with the acquire in find_description(). */
    skua__store(&descriptions, made, release);
    skua__unlock(&lock, SKUA__RANK_POOL);
    return 0;
}

skua_bytes skua__job_object(const skua_job *job)
{
    const struct description *found = find_description(job);
    return found == NULL ? (skua_bytes){NULL, 0} : (skua_bytes){&found->object, found->bytes};
}

__attribute__((destructor)) static void forget_descriptions(void)
{
    struct description *made = skua__load(&descriptions, relaxed);
    skua__store(&descriptions, NULL, relaxed);
    while (made != NULL) {
        struct description *next = made->next;
        skua__free(made);
        made = next;
    }
}

int skua__job_load(const void *object, size_t bytes, char *text, size_t text_bytes)
{
    struct skua__job_object copy;
    if (bytes <= offsetof(struct skua__job_object, path) || bytes > sizeof copy || dlopen == NULL) {
        snprintf(text, text_bytes, "this worker cannot load libraries");
        return -ENOENT;
    }
    memcpy(&copy, object, bytes);
    copy.path[bytes - offsetof(struct skua__job_object, path) - 1] = '\0';
    const uint64_t digest = skua__object_file_digest(copy.path);
    if (digest != copy.digest) {
        snprintf(text, text_bytes, "the library %s is %s", copy.path,
                 digest == 0 ? "not there" : "another one than the program has loaded");
        return -ENOENT;
    }
    if (dlopen(copy.path, RTLD_NOW | RTLD_LOCAL) == NULL) {
        const char *reason = dlerror();
        snprintf(text, text_bytes, "%s", reason != NULL ? reason : copy.path);
        return -ENOENT;
    }
    return 0;
}
