/* The limiter: how many borrow, who waits in which order, and a total that changes meanwhile. */
#include "sync_help.h"

#include <skua/limit.h>

/* Borrows, and keeps it until it is told to return it. */
typedef struct guest {
    skua_limiter *limiter;
    skua_borrower borrower;
    skua_time deadline;
    int status;
    gate is_in, may_leave;
    skua_task *task;
} guest;

static int visit(void *arg)
{
    guest *self = arg;
    self->status = skua_limiter_borrow(self->limiter, &self->borrower, self->deadline);
    if (self->status < 0) {
        return self->status;
    }
    atomic_store(&self->is_in, 1);
    await(&self->may_leave, 1);
    skua_limiter_return(self->limiter, &self->borrower);
    return 0;
}

static void start_guest(guest *self, skua_limiter *limiter)
{
    *self = (guest){.limiter = limiter};
    self->task = spawn(visit, self);
}

/* It stands in line as the last one. */
static void start_waiting_guest(guest *self, skua_limiter *limiter)
{
    size_t before = waiting_at(limiter);
    start_guest(self, limiter);
    await_waiting(limiter, before + 1);
}

static int end_visit(guest *self)
{
    atomic_store(&self->may_leave, 1);
    return finish(self->task);
}

static void check_stats(skua_limiter *limiter, size_t total, size_t borrowed, size_t waiting)
{
    skua_limiter_stats stats;
    skua_limiter_get_stats(limiter, &stats);
    CHECK_INT(stats.total, total);
    CHECK_INT(stats.borrowed, borrowed);
    CHECK_INT(stats.waiting, waiting);
}

static int leave_early(skua_limiter *limiter)
{
    SKUA_BORROWER(borrower);
    return skua_limiter_borrow(limiter, &borrower, SKUA_NOW);
}

static int plain_body(void *arg)
{
    skua_limiter limiter;
    skua_borrower first = {{0}}, second = {{0}};
    skua_limiter_init(&limiter, 1);
    CHECK_INT(skua_limiter_borrow(&limiter, &first, SKUA_FOREVER), 0);
    check_stats(&limiter, 1, 1, 0);
    CHECK_INT(skua_limiter_borrow(&limiter, &second, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_limiter_borrow(&limiter, &second, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    check_stats(&limiter, 1, 1, 0);
    skua_limiter_return(&limiter, &first);
    CHECK_INT(skua_limiter_borrow(&limiter, &second, SKUA_NOW), 0); /* a failed one had nothing */
    skua_limiter_return(&limiter, &second);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(leave_early(&limiter), 0); /* the end of the block gives it back */
    }
    check_stats(&limiter, 1, 0, 0);
    return 0;
}

static void borrowed_and_returned(void **state)
{
    run_on_1_2_4(plain_body);
}

/* --- the total --- */

enum { GUESTS = 6 };

static int total_body(void *arg)
{
    skua_limiter limiter;
    guest guests[GUESTS];
    skua_limiter_init(&limiter, 1);
    start_guest(&guests[0], &limiter);
    await(&guests[0].is_in, 1);
    for (int i = 1; i < GUESTS; i++) {
        start_waiting_guest(&guests[i], &limiter);
    }
    skua_limiter_set_total(&limiter, 4); /* the next three, in order */
    for (int i = 1; i <= 3; i++) {
        await(&guests[i].is_in, 1);
    }
    check_stats(&limiter, 4, 4, 2);
    CHECK_INT(atomic_load(&guests[4].is_in), 0);
    skua_limiter_set_total(&limiter, 2);
    check_stats(&limiter, 2, 4, 2); /* nobody is thrown out */
    CHECK_INT(end_visit(&guests[0]), 0);
    CHECK_INT(end_visit(&guests[1]), 0);
    check_stats(&limiter, 2, 2, 2); /* and nobody comes in */
    CHECK_INT(end_visit(&guests[2]), 0);
    await(&guests[4].is_in, 1);
    check_stats(&limiter, 2, 2, 1);
    skua_limiter_set_total(&limiter, SIZE_MAX);
    await(&guests[5].is_in, 1);
    for (int i = 3; i < GUESTS; i++) {
        CHECK_INT(end_visit(&guests[i]), 0);
    }
    check_stats(&limiter, SIZE_MAX, 0, 0);
    return 0;
}

/* covers: D31 B15 */
static void a_total_that_changes(void **state)
{
    run_on_1_2_4(total_body);
}

/* --- cancels --- */

static int cancel_body(void *arg)
{
    skua_limiter limiter;
    guest guests[3];
    skua_limiter_init(&limiter, 0);
    for (int i = 0; i < 3; i++) {
        start_waiting_guest(&guests[i], &limiter);
    }
    skua_task_cancel(guests[0].task);
    CHECK_INT(end_visit(&guests[0]), -ECANCELED);
    check_stats(&limiter, 0, 0, 2);
    skua_task_cancel(guests[1].task);
    skua_limiter_set_total(&limiter, 1); /* whoever of the two; if both, one after the other */
    atomic_store(&guests[1].may_leave, 1);
    int status = end_visit(&guests[1]);
    CHECK(status == 0 || status == -ECANCELED);
    CHECK_INT(end_visit(&guests[2]), 0);
    check_stats(&limiter, 1, 0, 0);
    return 0;
}

static void cancelled_ones_take_nothing(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* Returned by another task than the one that borrowed. */
static int return_it(void *arg)
{
    guest *self = arg;
    skua_limiter_return(self->limiter, &self->borrower);
    return 0;
}

static int on_behalf_body(void *arg)
{
    skua_limiter limiter;
    guest connection = {.limiter = &limiter};
    skua_limiter_init(&limiter, 1);
    CHECK_INT(skua_limiter_borrow(&limiter, &connection.borrower, SKUA_FOREVER), 0);
    CHECK_INT(call(return_it, &connection), 0);
    check_stats(&limiter, 1, 0, 0);
    return 0;
}

/* covers: B15 */
static void another_task_may_return_it(void **state)
{
    run_on_1_2_4(on_behalf_body);
}

static void *borrow_outside(void *arg)
{
    guest *self = arg;
    self->status = skua_limiter_borrow(self->limiter, &self->borrower, SKUA_FOREVER);
    skua_borrower_fini(&self->borrower);
    return NULL;
}

static int threads_body(void *arg)
{
    skua_limiter limiter;
    pthread_t thread;
    guest outside = {.limiter = &limiter};
    skua_limiter_init(&limiter, 0);
    CHECK_INT(pthread_create(&thread, NULL, borrow_outside, &outside), 0);
    await_waiting(&limiter, 1);
    skua_limiter_set_total(&limiter, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(outside.status, 0);
    check_stats(&limiter, 1, 0, 0);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(borrowed_and_returned),       TEST(a_total_that_changes),
        TEST(cancelled_ones_take_nothing), TEST(another_task_may_return_it),
        TEST(threads_take_part),
    };
    return TEST_RUN(tests);
}
