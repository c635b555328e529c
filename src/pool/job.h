/* pool/job.h: the jobs of the program, known by the hashes of their names, and the objects
   (executable and libraries) that they are in. */
#ifndef SKUA_POOL_JOB_H
#define SKUA_POOL_JOB_H

#include "base/compiler.h"

#include <skua/pool.h>
#include <stdbool.h>

/* How many jobs are registered now. Call from anywhere. */
uint32_t skua__job_count(void);

/* The job with that name's hash, or NULL. Call from anywhere. Cost: a look into a table. */
const skua_job *skua__job_find(uint64_t name_hash);

/* Two jobs have one name: that name, else NULL. */
const char *skua__job_twice(void);

/* The number of the last job of the executable itself, 0: it has none. Jobs up to there are those
   that were there before main; later ones came with libraries that were loaded by hand. */
uint32_t skua__job_last_of_program(void);

/* A number that stands for the names of the first `count` jobs and the builds of the objects that
   they are in: two processes with the same digest have the same jobs. */
uint64_t skua__job_digest(uint32_t count);

/* --- jobs of libraries that a worker may not know --- */

/* What a worker needs to load the object of a job: LOAD requests carry it as their input. */
struct skua__job_object {
    uint64_t digest;   /* of its build */
    uint32_t number;   /* of the object, from 0: which processes have it can be noted in a bitmap */
    char path[4096 - 16];
};

/* Parent: describe the object of a job. Returns how many bytes of *object are needed. */
size_t skua__job_object_describe(const skua_job *job, struct skua__job_object *object);

/* Worker: load such an object unless its jobs are there. Returns 0, or -ENOENT with the reason in
   text[]. Never with a different build of it. */
int skua__job_object_load(const void *object, size_t bytes, char *text,
                          size_t text_bytes) SKUA_MUST_CHECK;

#endif
