/* A program that has jobs and never names the cluster, linked with libskua.a: it is a rank all the
   same if it is started as one. Beside the ranks of mpi_jobs it is another build. */
#include <skua/pool.h>
#include <skua/runtime.h>

static int nothing(skua_bytes in, skua_reply *reply)
{
    return 0;
}
SKUA_JOB(nothing);

static int have_a_pool(void *arg)
{
    skua_pool *pool;
    int status = skua_pool_create(&pool, NULL);
    if (status == 0) {
        status = skua_pool_call(pool, &nothing_job, (skua_bytes){NULL, 0}, NULL, SKUA_FOREVER);
        skua_pool_destroy(pool);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, have_a_pool, NULL) == 0 ? 0 : 1;
}
