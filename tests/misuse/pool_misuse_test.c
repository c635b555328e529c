/* Misuse of process pools must die, and say what was wrong. */
#include "../pool_help.h"

#include "mem/forked.h"

static int release_it_twice(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, 100, FOREVER), 0);
    skua_buf copy = buf;
    skua_buf_release(&buf);
    skua_buf_release(&copy);
    return 0;
}

static int release_an_answer_twice(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of("abc", 3), &out, FOREVER), 0);
    skua_buf copy = out;
    skua_buf_release(&out);
    skua_buf_release(&copy);
    return 0;
}

static int destroy_it_with_a_buffer(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, 100, FOREVER), 0);
    skua_pool_destroy(pool);
    return 0;
}

static int destroy_it_with_an_answer(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_buf out;
    CHECK_INT(skua_pool_call(pool, &echo_job, bytes_of("abc", 3), &out, FOREVER), 0);
    skua_pool_destroy(pool);
    return 0;
}

static int give_a_released_buffer(void *arg)
{
    skua_pool *pool = open_pool(1, 4096);
    skua_buf buf;
    CHECK_INT(skua_pool_alloc(pool, &buf, 100, FOREVER), 0);
    skua_buf copy = buf;
    skua_buf_release(&buf);
    (void)!skua_pool_call_with(pool, &echo_job, bytes_of(NULL, 0),
                               &(skua_call_opts){.in_buf = &copy}, NULL, FOREVER);
    return 0;
}

static void run(void *fn)
{
    skua__process_is_origin();
    const skua_config config = {.workers = 2};
    int status = skua_run(&config, *(skua_fn *)fn, NULL);
    (void)status;
}

static void check_dies(skua_fn fn, const char *said)
{
    test_dies(run, &fn, said);
}

static void releasing_twice_panics(void **state)
{
    check_dies(release_it_twice, "is released twice");
    check_dies(release_an_answer_twice, "is released twice");
    check_dies(give_a_released_buffer, "is not the program's any more");
}

static void destroying_with_loans_panics(void **state)
{
    check_dies(destroy_it_with_a_buffer, "is destroyed with 1 buffer on loan");
    check_dies(destroy_it_with_an_answer, "is destroyed with 1 buffer on loan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(releasing_twice_panics),
        TEST(destroying_with_loans_panics),
    };
    return TEST_RUN(tests);
}
