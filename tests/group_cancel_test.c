/* Groups: cancels, deadlines and shields, and groups inside of groups. */
#include "group_help.h"

#include <skua/testing.h>

/* --- cancels and deadlines -------------------------------------------------------------------- */

typedef struct owned {
    gate *cancelled, *ready;
    int result;
} owned;

static int own_five(void *arg)
{
    owned *self = arg;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, self->cancelled);
    }
    atomic_fetch_add(self->ready, 1);
    self->result = skua_group_close(&group, 0);
    CHECK_INT(*self->cancelled, MEMBERS); /* it has waited for them */
    return self->result;
}

static int cancel_owner_body(void *arg)
{
    gate cancelled = 0, ready = 0;
    owned self = {&cancelled, &ready, 0};
    skua_task *owner = spawn(own_five, &self);
    await(&ready, 1);
    skua_task_cancel(owner);
    CHECK_INT(finish(owner), -ECANCELED);
    CHECK_INT(self.result, -ECANCELED);
    return 0;
}

/* covers: D54 D39 */
static void a_cancelled_owner_takes_its_members_along(void **state)
{
    run_on_1_2_4(cancel_owner_body);
}

static int deadline_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, skua_after(SKUA_MS(20)));
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, &cancelled);
    }
    CHECK_INT(skua_group_close(&group, 0), -ETIMEDOUT); /* the body did not wait at all */
    CHECK_INT(cancelled, MEMBERS);
    CHECK(skua_scope_expired(skua_group_scope(&group)));
    skua_group_open(&group, SKUA_COLLECT, skua_after(SKUA_SEC(50)));
    add(&group, return_zero, NULL);
    CHECK_INT(skua_group_close(&group, 0), 0);
    skua_group_open(&group, SKUA_SUPERVISE, skua_after(0));
    CHECK_INT(skua_group_close(&group, skua_sleep(SKUA_FOREVER)), -ETIMEDOUT);
    return 0;
}

/* covers: B46 */
static void the_deadline_holds_for_members(void **state)
{
    run_virtually_on_1_2_4(deadline_body);
}

static int outer_deadline(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, count_and_sleep, &cancelled);
    int status = skua_group_close(&group, 0);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(cancelled, 1);
    return status;
}

static int outer_deadline_body(void *arg)
{
    CHECK_INT(skua_within(skua_after(SKUA_MS(20)), outer_deadline, NULL), -ETIMEDOUT);
    return 0;
}

static void an_outer_deadline_holds_for_members(void **state)
{
    run_virtually_on_1_2_4(outer_deadline_body);
}

static int cancel_group_of(void *arg)
{
    skua_group_cancel(arg);
    return 0;
}

static int on_purpose_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, &cancelled);
    }
    add(&group, cancel_group_of, &group);
    int status = skua_sleep(SKUA_FOREVER);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(skua_group_spawn(&group, never_called, NULL), -ECANCELED);
    CHECK_INT(skua_group_close(&group, status), 0);
    CHECK_INT(cancelled, MEMBERS);
    CHECK_INT(skua_group_error_count(&group), 0);
    return 0;
}

/* covers: B2 */
static void a_group_cancelled_on_purpose_ends_well(void **state)
{
    run_on_1_2_4(on_purpose_body);
}

static int one_cancelled_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    const skua_spawn_opts opts = {.group = &group};
    skua_task *task = spawn_with(count_and_sleep, &cancelled, &opts);
    CHECK_INT(skua_yield(), 0);
    skua_task_cancel(task);
    CHECK_INT(status_of(task), -ECANCELED);
    CHECK_INT(skua_task_state(task), SKUA_CANCELLED);
    skua_task_release(task);
    add(&group, return_zero, NULL); /* that was no failure */
    CHECK_INT(skua_group_close(&group, 0), 0);
    int code = -ECANCELED; /* its own idea, and nobody has cancelled: a failure */
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, return_arg, &code);
    CHECK_INT(skua_group_close(&group, 0), -ECANCELED);
    CHECK_INT(skua_group_error_count(&group), 1);
    return 0;
}

static void a_member_that_was_cancelled_has_not_failed(void **state)
{
    run_on_1_2_4(one_cancelled_body);
}

/* --- members of members ----------------------------------------------------------------------- */

typedef struct sibling {
    skua_group *group;
    gate *ended;
    int left;
} sibling;

static int spawn_sibling(void *arg)
{
    sibling *self = arg;
    CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0); /* the owner is closing by then */
    if (self->left > 0) {
        self->left--;
        add(self->group, spawn_sibling, self);
    }
    atomic_fetch_add(self->ended, 1);
    return 0;
}

static int siblings_body(void *arg)
{
    gate ended = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    sibling self = {&group, &ended, 10};
    add(&group, spawn_sibling, &self);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ended, 11);
    return 0;
}

/* covers: D56 D66 */
static void members_spawn_siblings_while_the_owner_closes(void **state)
{
    run_on_1_2_4(siblings_body);
}

static int check_precancelled(void *arg)
{
    atomic_fetch_add((gate *)arg, 1); /* it starts */
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return -ECANCELED;
}

static int precancelled_body(void *arg)
{
    gate started = 0;
    SKUA_SCOPE(outer);
    skua_scope_open(&outer, SKUA_FOREVER);
    skua_scope_cancel(&outer);
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, check_precancelled, &started);
    int status = skua_group_close(&group, 0);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(started, 1);
    CHECK_INT(skua_scope_close(&outer, status), 0);
    return 0;
}

/* covers: D64 */
static void a_member_of_a_cancelled_scope_starts_cancelled(void **state)
{
    run_on_1_2_4(precancelled_body);
}

static int inner_group(void *arg)
{
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, arg);
    }
    return skua_group_close(&group, 0);
}

static int leaves_body(void *arg)
{
    gate cancelled = 0;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    SKUA_GROUP(first);
    skua_group_open(&first, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&first, count_and_sleep, &cancelled);
    add(&first, inner_group, &cancelled);
    SKUA_GROUP(second);
    skua_group_open(&second, SKUA_COLLECT, SKUA_FOREVER);
    add(&second, count_and_sleep, &cancelled);
    add(&second, inner_group, &cancelled);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
    skua_scope_cancel(&scope);
    int status = skua_group_close(&second, 0);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(cancelled >= MEMBERS + 1, 1);
    status = skua_group_close(&first, status);
    CHECK_INT(cancelled, 2 * MEMBERS + 2);
    CHECK_INT(skua_scope_close(&scope, status), 0);
    return 0;
}

/* covers: B24 D65 */
static void an_outer_cancel_reaches_all_leaves(void **state)
{
    run_on_1_2_4(leaves_body);
}

/* A tree that is deeper than the canceller's stack. */
typedef struct chain {
    gate left, ready;
    skua_task *top;
} chain;

static int live_in_chain(void *arg)
{
    chain *self = arg;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    if (atomic_fetch_sub(&self->left, 1) > 0) {
        add(&group, live_in_chain, self);
    } else {
        atomic_store(&self->ready, 1);
        status = skua_sleep(SKUA_FOREVER);
    }
    return skua_group_close(&group, status);
}

static int cancel_chain(void *arg)
{
    chain *self = arg;
    await(&self->ready, 1);
    skua_task_cancel(self->top);
    return 0;
}

static int chain_body(void *arg)
{
    chain self = {.left = 400};
    const skua_spawn_opts opts = {.stack_bytes = 8 << 10};
    self.top = spawn(live_in_chain, &self);
    CHECK_INT(finish(spawn_with(cancel_chain, &self, &opts)), 0);
    CHECK_INT(finish(self.top), -ECANCELED);
    return 0;
}

/* covers: B24 */
static void a_cancel_reaches_deeper_than_its_stack(void **state)
{
    run_on_1_2_4(chain_body);
}

static int moved_body(void *arg)
{
    gate cancelled = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < MEMBERS; i++) {
        add(&group, count_and_sleep, &cancelled);
    }
    CHECK_INT(skua_sleep(skua_after(SKUA_US(200))), 0);
    skua_scope_deadline(skua_group_scope(&group), skua_after(SKUA_MS(2)));
    CHECK_INT(skua_group_close(&group, 0), -ETIMEDOUT);
    CHECK_INT(cancelled, MEMBERS);
    return 0;
}

static void a_deadline_that_is_moved_reaches_members(void **state)
{
    run_on_1_2_4(moved_body);
}

typedef struct told {
    gate reason, stopping;
} told;

static int tell_reason(void *arg)
{
    told *self = arg;
    int status = skua_sleep(SKUA_FOREVER);
    atomic_store(&self->reason, skua_cancel_reason());
    return status;
}

static int stop_softly(void *arg)
{
    told *self = arg;
    while (!skua_stopping()) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(100))), 0);
    }
    atomic_store(&self->stopping, 1);
    return 0;
}

static int reasons_body(void *arg)
{
    told self = {0};
    int failed = -EPROTO;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, tell_reason, &self);
    CHECK_INT(skua_yield(), 0);
    add(&group, return_arg, &failed);
    CHECK_INT(skua_group_close(&group, 0), -EPROTO);
    CHECK_INT(self.reason, -EPROTO); /* why it was cancelled */
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, tell_reason, &self);
    skua_scope_cancel_because(skua_group_scope(&group), -EBUSY);
    CHECK_INT(skua_group_close(&group, 0), -EBUSY);
    CHECK_INT(self.reason, -EBUSY);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, stop_softly, &self);
    CHECK_INT(skua_yield(), 0);
    skua_scope_stop(skua_group_scope(&group), SKUA_FOREVER);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(self.stopping, 1);
    return 0;
}

static void members_are_told_why(void **state)
{
    run_on_1_2_4(reasons_body);
}

static void note_defer(void *arg)
{
    CHECK_INT(*((gate **)arg)[0], 1); /* after the members */
    CHECK_INT(skua_sleep(skua_after(SKUA_US(50))), 0);
    atomic_store(((gate **)arg)[1], 1);
}

static int defers_body(void *arg)
{
    gate ended = 0, deferred = 0;
    void *gates[] = {&ended, &deferred};
    slow member = {&ended, 300};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_defer(note_defer, gates), 0);
    add(&group, end_slowly, &member);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(deferred, 1);
    return 0;
}

static void what_is_deferred_in_a_group_runs_after_its_members(void **state)
{
    run_on_1_2_4(defers_body);
}

static int in_shield_body(void *arg)
{
    gate ended = 0;
    slow member = {&ended, 500};
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, SKUA_FOREVER);
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, end_slowly, &member);
    skua_scope_cancel(&scope);
    add(&group, end_slowly, &member);
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(ended, 2);
    CHECK_INT(skua_scope_close(&shield, 0), 0);
    CHECK_INT(skua_scope_close(&scope, -ECANCELED), 0);
    return 0;
}

static int grace_body(void *arg)
{
    gate cancelled = 0;
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    SKUA_SCOPE(shield);
    skua_shield_open(&shield, skua_after(SKUA_MS(3)));
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    add(&group, count_and_sleep, &cancelled);
    CHECK_INT(skua_yield(), 0);
    skua_scope_cancel(&scope);
    int status = skua_group_close(&group, 0);
    CHECK_INT(status, -ECANCELED);
    CHECK_INT(cancelled, 1);
    status = skua_scope_close(&shield, status);
    CHECK_INT(skua_scope_close(&scope, status), 0);
    return 0;
}

static void a_shield_holds_for_members(void **state)
{
    run_on_1_2_4(in_shield_body);
    run_on_1_2_4(grace_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancelled_owner_takes_its_members_along),
        TEST(the_deadline_holds_for_members),
        TEST(an_outer_deadline_holds_for_members),
        TEST(a_group_cancelled_on_purpose_ends_well),
        TEST(a_member_that_was_cancelled_has_not_failed),
        TEST(members_spawn_siblings_while_the_owner_closes),
        TEST(a_member_of_a_cancelled_scope_starts_cancelled),
        TEST(an_outer_cancel_reaches_all_leaves),
        TEST(a_cancel_reaches_deeper_than_its_stack),
        TEST(a_deadline_that_is_moved_reaches_members),
        TEST(members_are_told_why),
        TEST(what_is_deferred_in_a_group_runs_after_its_members),
        TEST(a_shield_holds_for_members),
    };
    return TEST_RUN(tests);
}
