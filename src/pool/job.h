/* pool/job.h: the jobs of the program, known by the hashes of their names. */
#ifndef SKUA_POOL_JOB_H
#define SKUA_POOL_JOB_H

#include "base/compiler.h"

#include <skua/pool.h>

/* How many jobs are registered now. Call from anywhere. */
uint32_t skua__job_count(void);

/* The job with that name's hash, or NULL. Call from anywhere. Cost: a look into a table. */
const skua_job *skua__job_find(uint64_t name_hash);

/* Two jobs have one name: that name; else NULL. */
const char *skua__job_twice(void);

/* The number of the last job of the executable itself; 0: it has none. Jobs up to there are those
   that were there before main; later ones came with libraries that were loaded by hand. */
uint32_t skua__job_last_of_program(void);

/* A number that stands for the names of the first `count` jobs and the builds of the objects that
   they are in: two processes with the same one have the same jobs. */
uint64_t skua__job_digest(uint32_t count);

/* --- jobs of libraries that a worker may not know --- */

enum { SKUA__OBJECT_PATH_BYTES = 2048 };

/* What a worker needs to load the object (library) that a job is in: the input of a LOAD request.
   */
struct skua__job_object {
    uint64_t digest; /* of its build */
    char path[SKUA__OBJECT_PATH_BYTES];
};

/* Parent: is the job in an object that a zygote does not have which knows the first `count` jobs?
   */
bool skua__job_is_late(const skua_job *job, uint32_t count);

/* Parent: find out what there is to say about the object of a late job. Returns 0, -ENOMEM, or
   -ENOENT: the job was never registered, or its object has no file. Call from anywhere; without
   locks. Cost: a look, but for the first time. */
int skua__job_prepare(const skua_job *job) SKUA_MUST_CHECK;

/* Parent: what that was, for a LOAD request. */
skua_bytes skua__job_object(const skua_job *job);

/* Worker: load such an object: this very build of it, or none. Returns 0, or -ENOENT with the
   reason in text[]. */
int skua__job_load(const void *object, size_t bytes, char *text, size_t text_bytes) SKUA_MUST_CHECK;

#endif
