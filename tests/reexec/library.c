/* A library with a job; see pool_reexec_test.sh. */
#include "library.h"

static int multiply(skua_bytes in, skua_reply *reply)
{
    const unsigned char *bytes = in.data;
    (void)reply;
    return bytes[0] * bytes[1];
}
SKUA_JOB(multiply);

const skua_job *library_job(void)
{
    return &multiply_job;
}
