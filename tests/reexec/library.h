/* Of the libraries of pool_reexec_test.sh. */
#include <skua/pool.h>

/* A job of a library that is linked to the program. */
const skua_job *library_job(void);

/* Of one that is loaded when it runs. */
const skua_job *late_job_of(void);
