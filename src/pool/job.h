/* pool/job.h: the jobs of the program, known by number. */
#ifndef SKUA_POOL_JOB_H
#define SKUA_POOL_JOB_H

#include <skua/pool.h>

/* How many jobs are registered now. Call from anywhere. */
uint32_t skua__job_count(void);

/* The job with that number and that name's hash, or NULL. Call from a worker process. */
const skua_job *skua__job_find(uint32_t number, uint64_t name_hash);

#endif
