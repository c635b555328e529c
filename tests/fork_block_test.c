/* Fork-join programs whose children block in every possible way give the right result. */
#include "tasks.h"

#include <skua/skua.h>
#include <string.h>
#include <unistd.h>

enum { MANY_WORKERS = TEST_SCALE > 1 ? 16 : 32, DEPTH = 5, PIPES = 4 };

/* What all nodes of a tree share. */
typedef struct forest {
    skua_mutex lock;
    long counted; /* under the lock */
    skua_chan *tokens;
    int pipes[PIPES][2];
    skua_mutex pipe_locks[PIPES];
    skua_pool *pool;
    gate deadlines, cancels;
} forest;

typedef struct node {
    forest *all;
    uint64_t seed;
    int depth;
    long sum;
} node;

static int square(skua_bytes in, skua_reply *reply)
{
    int32_t number;
    memcpy(&number, in.data, sizeof number);
    int64_t *answer = skua_job_reserve(reply, sizeof *answer);
    if (answer == NULL) {
        return -ENOMEM;
    }
    *answer = (int64_t)number * number;
    skua_job_commit(reply, sizeof *answer);
    return 0;
}
SKUA_JOB(square);

/* A byte through a pipe: who reads may have to wait for who writes, its own forked child. */
static int write_byte(void *arg)
{
    const char byte = 'x';
    CHECK_INT(skua_write(*(int *)arg, &byte, 1, SKUA_FOREVER), 1);
    return 0;
}

static void use_pipe(node *here)
{
    forest *all = here->all;
    const size_t which = test_random(&here->seed) % PIPES;
    skua_child child;
    char byte = 0;
    CHECK_INT(skua_mutex_lock(&all->pipe_locks[which], SKUA_FOREVER), 0);
    skua_fork(&child, write_byte, &all->pipes[which][1]);
    CHECK_INT(skua_read(all->pipes[which][0], &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_sync(&child), 0); /* the mutex is held across the sync */
    CHECK_INT(byte, 'x');
    skua_mutex_unlock(&all->pipe_locks[which]);
}

static void use_pool(node *here)
{
    int32_t number = (int32_t)(test_random(&here->seed) % 1000);
    int64_t answer;
    skua_buf out;
    CHECK_INT(skua_pool_call(here->all->pool, &square_job, (skua_bytes){&number, sizeof number},
                             &out, SKUA_FOREVER),
              0);
    CHECK_INT(out.bytes, sizeof answer);
    memcpy(&answer, out.data, sizeof answer);
    CHECK_INT(answer, (int64_t)number * number);
    skua_buf_release(&out);
}

static void use_tokens(node *here)
{
    int token;
    CHECK_INT(skua_chan_recv(here->all->tokens, SKUA_ITEM(token), SKUA_FOREVER), 1);
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(skua_chan_send(here->all->tokens, SKUA_ITEM(token), SKUA_FOREVER), 0);
}

static int sleep_long(void *arg)
{
    return skua_sleep(skua_after(SKUA_SEC(1000)));
}

static int fork_two_sleepers(void *arg)
{
    return skua_both(sleep_long, NULL, sleep_long, NULL);
}

static void use_deadline(node *here)
{
    CHECK_INT(skua_within(skua_after(SKUA_US(300)), fork_two_sleepers, NULL), -ETIMEDOUT);
    atomic_fetch_add(&here->all->deadlines, 1);
}

static void use_cancel(node *here)
{
    skua_task *task = spawn(fork_two_sleepers, NULL);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    atomic_fetch_add(&here->all->cancels, 1);
}

static void use_lock(node *here)
{
    CHECK_INT(skua_mutex_lock(&here->all->lock, SKUA_FOREVER), 0);
    const long before = here->all->counted;
    CHECK_INT(skua_yield(), 0);
    here->all->counted = before + 1;
    skua_mutex_unlock(&here->all->lock);
}

static void block_somehow(node *here)
{
    switch (test_random(&here->seed) % 7) {
    case 0:
        use_pipe(here);
        break;
    case 1:
        use_pool(here);
        break;
    case 2:
        use_tokens(here);
        break;
    case 3:
        use_deadline(here);
        break;
    case 4:
        use_cancel(here);
        break;
    case 5:
        CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
        break;
    default:
        break;
    }
}

static int grow(void *arg)
{
    node *here = arg;
    node below[3];
    skua_child children[3];
    if (here->depth == 0) {
        block_somehow(here);
        use_lock(here);
        here->sum = 1;
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        below[i] = (node){here->all, test_random(&here->seed), here->depth - 1, 0};
        skua_fork(&children[i], grow, &below[i]);
    }
    if (test_random(&here->seed) % 4 == 0) {
        block_somehow(here);
    }
    here->sum = 0;
    for (int i = 3; i-- > 0;) {
        CHECK_INT(skua_sync(&children[i]), 0);
        here->sum += below[i].sum;
    }
    return 0;
}

static long leaves_of(int depth)
{
    return depth == 0 ? 1 : 3 * leaves_of(depth - 1);
}

static void open_pipes(forest *all)
{
    for (int i = 0; i < PIPES; i++) {
        CHECK_INT(pipe(all->pipes[i]), 0);
        CHECK_INT(skua_fd_adopt(all->pipes[i][0]), 0);
        CHECK_INT(skua_fd_adopt(all->pipes[i][1]), 0);
    }
}

static int forest_body(void *arg)
{
    enum { DEEP = TEST_SCALE > 1 ? DEPTH - 1 : DEPTH };
    const skua_pool_opts opts = {.workers = 2};
    forest all = {.counted = 0};
    node root = {&all, *(uint64_t *)arg, DEEP, 0};
    open_pipes(&all);
    CHECK_INT(skua_pool_create(&all.pool, &opts), 0);
    CHECK_INT(skua_chan_create(&all.tokens, sizeof(int), 2), 0);
    for (int token = 0; token < 2; token++) {
        CHECK_INT(skua_chan_send(all.tokens, SKUA_ITEM(token), SKUA_FOREVER), 0);
    }
    CHECK_INT(grow(&root), 0);
    CHECK_INT(root.sum, leaves_of(DEEP));
    CHECK_INT(all.counted, leaves_of(DEEP));
    CHECK(atomic_load(&all.deadlines) > 0 && atomic_load(&all.cancels) > 0);
    skua_chan_release(all.tokens, SKUA_SENDER | SKUA_RECEIVER);
    skua_pool_destroy(all.pool);
    for (int i = 0; i < PIPES; i++) {
        skua_close(all.pipes[i][0]);
        skua_close(all.pipes[i][1]);
    }
    return 0;
}

static void children_that_block_in_every_way(void **state)
{
    static const uint32_t workers[] = {1, 2, 4, MANY_WORKERS};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        run_on_with(workers[i], forest_body, &seed);
    }
}

/* Each on a stack of its own: nothing may rely on a child's being run inline. */
static void the_same_with_every_child_taken(void **state)
{
    uint64_t seed = test_seed() + 1;
    CHECK_INT(setenv("SKUA_FORKS", "always", 1), 0);
    run_on_with(1, forest_body, &seed);
    run_on_with(4, forest_body, &seed);
    CHECK_INT(unsetenv("SKUA_FORKS"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_that_block_in_every_way),
        TEST(the_same_with_every_child_taken),
    };
    return TEST_RUN(tests);
}
