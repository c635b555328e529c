/* The event: who waits, who does not, and that a set is missed by nobody who waited for it. */
#include "sched/waitable.h"
#include "sync_help.h"

#include <skua/select.h>
#include <skua/sync.h>

static int wait_for_event(void *event, size_t number, skua_time deadline)
{
    (void)number;
    return skua_event_wait(event, deadline);
}

static int plain_body(void *arg)
{
    skua_event event = {{0}};
    CHECK(!skua_event_is_set(&event));
    CHECK_INT(skua_event_wait(&event, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_event_wait(&event, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_event_set(&event);
    skua_event_set(&event);
    CHECK(skua_event_is_set(&event));
    CHECK_INT(skua_event_wait(&event, SKUA_NOW), 0);
    CHECK_INT(skua_event_wait(&event, SKUA_FOREVER), 0);
    skua_event_clear(&event);
    CHECK_INT(skua_event_wait(&event, SKUA_NOW), -EAGAIN);
    return 0;
}

/* covers: A62 */
static void set_and_cleared(void **state)
{
    run_on_1_2_4(plain_body);
}

enum { CROWD = 40 };

/* Cleared right after it was set: all who waited go on. */
static int pulse_body(void *arg)
{
    skua_event event = {{0}};
    caller callers[CROWD];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CROWD; i++) {
            callers[i] = (caller){.wait = wait_for_event, .object = &event, .amount = i};
            start_waiting(&callers[i]);
        }
        skua_event_set(&event);
        skua_event_clear(&event);
        CHECK_INT(skua_event_wait(&event, SKUA_NOW), -EAGAIN);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(finish_caller(&callers[i]), 0);
        }
    }
    return 0;
}

/* covers: A62 */
static void all_who_wait_go_on(void **state)
{
    run_on_1_2_4(pulse_body);
}

static bool go_on_in_order(void)
{
    skua_event event = {{0}};
    caller callers[5];
    bool in_order = true;
    atomic_store(&ends_count, 0);
    for (size_t i = 0; i < 5; i++) {
        callers[i] = (caller){.wait = wait_for_event, .object = &event, .amount = i};
        start_waiting(&callers[i]);
    }
    skua_event_set(&event);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(finish_caller(&callers[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        in_order &= order_of_ends[i] == i;
    }
    return in_order;
}

/* If the one worker is kept from running for some milliseconds, a thread that stands in for it runs
   some of them beside the others: then once more. */
static int order_body(void *arg)
{
    bool in_order = false;
    for (int attempt = 0; attempt < 50 && !in_order; attempt++) {
        in_order = go_on_in_order();
    }
    CHECK(in_order);
    return 0;
}

static void they_go_on_in_their_order(void **state)
{
    run_on(1, order_body);
}

static int cancel_body(void *arg)
{
    skua_event event = {{0}};
    caller gone = {.wait = wait_for_event, .object = &event}, stays = gone;
    start_waiting(&gone);
    start_waiting(&stays);
    CHECK_INT(cancel_and_finish(&gone), -ECANCELED);
    CHECK_INT(waiting_at(&event), 1);
    start_waiting(&gone);
    skua_task_cancel(gone.task);
    skua_event_set(&event);
    int status = finish_caller(&gone); /* whichever came first */
    CHECK(status == 0 || status == -ECANCELED);
    CHECK_INT(finish_caller(&stays), 0);
    return 0;
}

/* covers: D24 */
static void cancelled_ones_leave(void **state)
{
    run_on_1_2_4(cancel_body);
}

/* A thread sets it, and threads wait for it, beside tasks. */
static void *set_it(void *event)
{
    skua_event_set(event);
    return NULL;
}

static int threads_body(void *arg)
{
    skua_event begins = {{0}}, ends = {{0}};
    pthread_t setter, waiter;
    caller outside = {.wait = wait_for_event, .object = &ends};
    CHECK_INT(pthread_create(&setter, NULL, set_it, &begins), 0);
    CHECK_INT(pthread_create(&waiter, NULL, thread_of_caller, &outside), 0);
    CHECK_INT(skua_event_wait(&begins, SKUA_FOREVER), 0);
    skua_event_set(&ends);
    CHECK_INT(pthread_join(waiter, NULL), 0);
    CHECK_INT(outside.status, 0);
    CHECK_INT(pthread_join(setter, NULL), 0);
    return 0;
}

static void threads_take_part(void **state)
{
    run_on_1_2_4(threads_body);
}

static int set_other(void *event)
{
    skua_event_set(event);
    return 0;
}

/* Who waited frees it at once: who set it is through with it. */
static int freed_body(void *arg)
{
    for (int i = 0; i < 2000 / TEST_SCALE; i++) {
        skua_event *event = calloc(1, sizeof *event);
        CHECK(event != NULL);
        skua_task *task = spawn(set_other, event);
        CHECK_INT(skua_event_wait(event, SKUA_FOREVER), 0);
        free(event);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void the_waiter_frees(void **state)
{
    run_on_1_2_4(freed_body);
}

/* --- scopes whose deadlines change while tasks wait --- */

/* Its wait is ended for another look whenever the outer scope's time is up before a shield's. */
static int shielded(void *arg)
{
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, skua_after(SKUA_SEC(20)));
    int status = skua_event_wait(arg, SKUA_FOREVER);
    return skua_scope_close(&shield, status);
}

static int recheck_body(void *arg)
{
    for (int i = 0; i < 50; i++) {
        skua_event event = {{0}};
        skua_task *task = spawn(shielded, &event);
        await_waiting(&event, 1);
        skua_task_cancel(task); /* only makes it look again */
        skua_event_set(&event);
        skua_event_clear(&event);
        CHECK_INT(finish(task), 0);
    }
    return 0;
}

static void a_set_is_not_missed_while_looking_again(void **state)
{
    run_on_1_2_4(recheck_body);
}

/* --- as a case --- */

/* What a select does with it, step by step. */
static int case_body(void *arg)
{
    skua_event event = {{0}};
    const skua_case entry = SKUA_IS_SET(&event);
    const struct skua__waitable *waitable = entry.waitable;
    struct skua__candidate candidate = {0};
    struct skua__wake_list wakes;
    struct skua__wait wait;
    struct skua__lock *lock = waitable->lock(&entry);
    skua__wake_list_init(&wakes);
    for (int is_abandoned = 0; is_abandoned <= 1; is_abandoned++) {
        skua__lock(lock, SKUA__RANK_CHAN);
        CHECK_INT(waitable->attempt(&entry, &candidate, &wakes), SKUA__WOULD_WAIT);
        skua__wait_begin(&wait, SKUA__SOFT);
        skua__waiter_init(&candidate.waiter, &wait, 5, entry.item);
        CHECK_INT(waitable->link(&entry, &candidate), 1);
        skua__unlock(lock, SKUA__RANK_CHAN);
        if (is_abandoned) { /* another case was first: as if by its deadline */
            CHECK_INT(skua__wait_park(&wait, skua_after(SKUA_MS(1)).ns), -ETIMEDOUT);
        } else {
            pthread_t thread;
            CHECK_INT(pthread_create(&thread, NULL, set_it, &event), 0);
            CHECK_INT(skua__wait_park(&wait, SKUA__NEVER), 5);
            CHECK_INT(candidate.waiter.result, 0);
            CHECK_INT(pthread_join(thread, NULL), 0);
        }
        skua__lock(lock, SKUA__RANK_CHAN);
        waitable->unlink(&entry, &candidate, &wakes);
        CHECK_INT(waitable->attempt(&entry, &candidate, &wakes),
                  is_abandoned ? SKUA__WOULD_WAIT : 0);
        skua__unlock(lock, SKUA__RANK_CHAN);
        CHECK_INT(waiting_at(&event), 0);
        skua_event_clear(&event);
    }
    CHECK_INT(wakes.count, 0);
    return 0;
}

static void as_a_case_of_a_select(void **state)
{
    run_on_1_2_4(case_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(set_and_cleared),
        TEST(all_who_wait_go_on),
        TEST(they_go_on_in_their_order),
        TEST(cancelled_ones_leave),
        TEST(threads_take_part),
        TEST(the_waiter_frees),
        TEST(a_set_is_not_missed_while_looking_again),
        TEST(as_a_case_of_a_select),
    };
    return TEST_RUN(tests);
}
