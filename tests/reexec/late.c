/* A library that is loaded late, compiled with the name of its job as NAME. */
#include "library.h"

#ifndef FACTOR
#define FACTOR 100
#endif

static int NAME(skua_bytes in, skua_reply *reply)
{
    const unsigned char *bytes = in.data;
    (void)reply;
    return FACTOR * bytes[0] + bytes[1];
}

#define DECLARE(name) SKUA_JOB(name)
DECLARE(NAME);

#define JOIN(name) name##_job
#define JOB(name) JOIN(name)

const skua_job *late_job_of(void)
{
    return &JOB(NAME);
}
