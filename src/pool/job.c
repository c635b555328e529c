/* The registry of jobs.

   A job travels to its worker process as a number, its place in the order of registration, together
   with a hash of its name, never as a pointer: the number is checked on the other side, and the
   hash tells when the two sides are not of the same image. Numbers begin at 1, so that a job that
   was not registered has none.

   Invariants
   (J1) Jobs are only added, at the front, so that the list from the oldest job on never changes:
        what the zygote knows is what had a number up to its count when it was forked.
   (J2) A job's number and hash are written before the count includes it, and never again.

   Who runs it: constructors, of the program before main and of libraries that are loaded later,
   which may be on any thread; the worker processes, which look up. */
#include "pool/job.h"

#include "base/lock.h"
#include "base/panic.h"

#include <string.h>

static struct skua__lock lock;
static skua_job *newest;
static _Atomic uint32_t count;

/* FNV-1a, 64 bits. */
static uint64_t hash_string(const char *string)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *string != '\0'; string++) {
        hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void skua_job_register(skua_job *job)
{
    skua_require(job->name != NULL && job->fn != NULL);
    skua__lock(&lock, SKUA__RANK_POOL);
    skua_require(job->number == 0); /* else it was registered already */
    uint32_t number = skua__load(&count, relaxed) + 1;
    job->next = newest;
    job->name_hash = hash_string(job->name);
    job->number = number;
    newest = job;
    /* release: publishes the job (J2); pairs with the acquire in skua__job_count(). */
    skua__store(&count, number, release);
    skua__unlock(&lock, SKUA__RANK_POOL);
}

uint32_t skua__job_count(void)
{
    /* acquire: pairs with the release in skua_job_register(). */
    return skua__load(&count, acquire);
}

const skua_job *skua__job_find(uint32_t number, uint64_t name_hash)
{
    for (const skua_job *job = newest; job != NULL; job = job->next) {
        if (job->number == number) {
            return job->name_hash == name_hash ? job : NULL;
        }
    }
    return NULL;
}
