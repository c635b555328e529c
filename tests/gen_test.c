/* Generators: items on demand, waiting inside, late and cancelled askers, ends, clean-ups. */
#include "tasks.h"

#include <pthread.h>
#include <skua/chan.h>
#include <skua/gen.h>
#include <skua/local.h>
#include <skua/sync.h>

/* --- helpers ---------------------------------------------------------------------------------- */

/* What a generator did, as its test sees it. */
typedef struct story {
    gate started, ended; /* how often */
    int from;
    gate made;         /* items that it has begun to give */
    int last_yield;    /* what the last yield said */
    skua_chan *source; /* for those that wait */
    skua_scope *scope; /* the one that it stands in */
} story;

static int next_int(skua_gen *gen, int *item)
{
    return skua_gen_next(gen, item, SKUA_FOREVER);
}

/* from, from - 1, ..., 1; cleans up whatever happens. */
static int count_down(skua_gen *self, void *arg)
{
    story *told = arg;
    int status = 0;
    atomic_fetch_add(&told->started, 1);
    for (int i = told->from; i > 0 && status == 0; i--) {
        atomic_fetch_add(&told->made, 1);
        status = told->last_yield = skua_gen_yield(self, &i);
    }
    atomic_fetch_add(&told->ended, 1);
    return status;
}

/* --- items ------------------------------------------------------------------------------------ */

static int take_all_body(void *arg)
{
    story told = {.from = 5};
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, count_down, &told, sizeof(int)), 0);
    for (int i = 5; i > 0; i--) {
        int item = 0;
        CHECK_INT(next_int(gen, &item), 1);
        CHECK_INT(item, i);
    }
    int untouched = 77;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(next_int(gen, &untouched), 0); /* sticky */
        CHECK_INT(untouched, 77);
    }
    CHECK_INT(told.started, 1);
    CHECK_INT(told.ended, 1);
    return 0;
}

/* covers: A50 A51 */
static void items_come_one_by_one_and_then_the_end(void **state)
{
    run_on_1_2_4(take_all_body);
}

static int lazy_body(void *arg)
{
    story told = {.from = 3};
    skua_gen *gen = NULL;
    CHECK_INT(skua_gen_open(&gen, count_down, &told, sizeof(int)), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_yield(), 0);
    }
    CHECK_INT(told.started, 0);
    for (int asked = 1; asked <= 2; asked++) {
        int item = 0;
        CHECK_INT(next_int(gen, &item), 1);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(skua_yield(), 0);
        }
        CHECK_INT(told.made, asked); /* it stands still */
    }
    skua_gen_close(&gen);
    CHECK_PTR(gen, NULL);
    CHECK_INT(told.last_yield, -ECANCELED);
    CHECK_INT(told.ended, 1);
    skua_gen_close(&gen); /* NULL */
    CHECK_INT(skua_gen_open(&gen, count_down, &told, sizeof(int)), 0);
    skua_gen_close(&gen);
    CHECK_INT(told.started, 1); /* the second never ran */
    return 0;
}

/* covers: A51 */
static void it_runs_only_while_somebody_asks(void **state)
{
    run_on_1_2_4(lazy_body);
}

static int break_out(story *told)
{
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, count_down, told, sizeof(int)), 0);
    int item;
    while (next_int(gen, &item) == 1) {
        if (item == 8) {
            break;
        }
        if (item == 3) {
            return item;
        }
    }
    return 0;
}

static int break_body(void *arg)
{
    story told = {.from = 10};
    CHECK_INT(break_out(&told), 0);
    CHECK_INT(told.ended, 1);
    told.from = 5;
    CHECK_INT(break_out(&told), 3);
    CHECK_INT(told.ended, 2);
    CHECK_INT(told.last_yield, -ECANCELED);
    return 0;
}

/* covers: A51 */
static void break_and_return_run_its_cleanup_once(void **state)
{
    run_on_1_2_4(break_body);
}

typedef struct wide {
    uint64_t words[100];
} wide;

static int give_wide(skua_gen *self, void *arg)
{
    wide item;
    for (uint64_t i = 0; i < 10; i++) {
        for (size_t k = 0; k < 100; k++) {
            item.words[k] = i * 1000 + k;
        }
        int status = skua_gen_yield(self, &item);
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

static int give_signals(skua_gen *self, void *arg)
{
    int status = skua_gen_yield(self, NULL);
    return status < 0 ? status : skua_gen_yield(self, NULL);
}

static int sizes_body(void *arg)
{
    SKUA_GEN(gen);
    SKUA_GEN(signals);
    wide item;
    CHECK_INT(skua_gen_open(&gen, give_wide, NULL, sizeof item), 0);
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_INT(skua_gen_next(gen, &item, SKUA_FOREVER), 1);
        CHECK_INT(item.words[99], i * 1000 + 99);
    }
    CHECK_INT(skua_gen_next(gen, &item, SKUA_FOREVER), 0);
    CHECK_INT(skua_gen_open(&signals, give_signals, NULL, 0), 0);
    CHECK_INT(skua_gen_next(signals, NULL, SKUA_FOREVER), 1);
    CHECK_INT(skua_gen_next(signals, NULL, SKUA_FOREVER), 1);
    CHECK_INT(skua_gen_next(signals, NULL, SKUA_FOREVER), 0);
    return 0;
}

static void items_have_any_size(void **state)
{
    run_on_1_2_4(sizes_body);
}

/* --- waiting inside --------------------------------------------------------------------------- */

/* Doubles what comes out of a channel, and holds a mutex meanwhile. */
static int double_received(skua_gen *self, void *arg)
{
    static skua_mutex mutex;
    story *told = arg;
    int item, status;
    while ((status = skua_chan_recv(told->source, SKUA_ITEM(item), SKUA_FOREVER)) == 1) {
        atomic_fetch_add(&told->made, 1);
        item *= 2;
        CHECK_INT(skua_mutex_lock(&mutex, SKUA_FOREVER), 0);
        status = skua_gen_yield(self, &item);
        skua_mutex_unlock(&mutex); /* by the task that locked it, wherever it runs now */
        if (status < 0) {
            break;
        }
    }
    atomic_fetch_add(&told->ended, 1);
    return status;
}

static int send_ten(void *arg)
{
    story *told = arg;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(skua_sleep(skua_after(SKUA_US(50))), 0);
        CHECK_INT(skua_chan_send(told->source, SKUA_ITEM(i), SKUA_FOREVER), 0);
    }
    skua_chan_close(told->source);
    return 0;
}

static int waiting_body(void *arg)
{
    story told = {0};
    SKUA_GEN(gen);
    CHECK_INT(skua_chan_create(&told.source, sizeof(int), 0), 0);
    skua_task *sender = spawn(send_ten, &told);
    CHECK_INT(skua_gen_open(&gen, double_received, &told, sizeof(int)), 0);
    int item = 0;
    for (int i = 0; i < 10; i++) {
        CHECK_INT(next_int(gen, &item), 1);
        CHECK_INT(item, 2 * i);
    }
    CHECK_INT(next_int(gen, &item), 0);
    CHECK_INT(finish(sender), 0);
    skua_chan_release(told.source, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: A50 A51 */
static void it_may_wait_for_anything(void **state)
{
    run_on_1_2_4(waiting_body);
}

static int late_body(void *arg)
{
    story told = {0};
    SKUA_GEN(gen);
    int item = 0;
    CHECK_INT(skua_chan_create(&told.source, sizeof(int), 1), 0);
    CHECK_INT(skua_gen_open(&gen, double_received, &told, sizeof(int)), 0);
    CHECK_INT(skua_gen_next(gen, &item, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_gen_next(gen, &item, skua_after(0)), -ETIMEDOUT);
    CHECK_INT(skua_gen_next(gen, &item, SKUA_NOW), -EAGAIN);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(skua_chan_send(told.source, SKUA_ITEM(i), SKUA_FOREVER), 0);
        if (i > 1) {
            CHECK_INT(skua_gen_next(gen, &item, SKUA_NOW), -EAGAIN); /* sets it going */
        }
        await(&told.made, i); /* it goes on without us, and keeps the item */
        while (skua_gen_next(gen, &item, SKUA_NOW) == -EAGAIN) {
            CHECK_INT(skua_yield(), 0);
        }
        CHECK_INT(item, 2 * i);
    }
    CHECK_INT(skua_gen_next(gen, &item, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    skua_chan_close(told.source);
    CHECK_INT(next_int(gen, &item), 0);
    CHECK_INT(told.ended, 1);
    skua_chan_release(told.source, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: A51 */
static void who_is_late_asks_again_and_has_lost_nothing(void **state)
{
    run_on_1_2_4(late_body);
}

typedef struct asker {
    skua_gen *gen;
    gate asking;
    int item, status;
} asker;

static int ask_once(void *arg)
{
    asker *self = arg;
    atomic_fetch_add(&self->asking, 1);
    self->status = next_int(self->gen, &self->item);
    return 0;
}

static int cancelled_body(void *arg)
{
    story told = {0};
    asker self = {0};
    int item = 21;
    CHECK_INT(skua_chan_create(&told.source, sizeof(int), 1), 0);
    CHECK_INT(skua_gen_open(&self.gen, double_received, &told, sizeof(int)), 0);
    skua_task *task = spawn(ask_once, &self);
    await(&self.asking, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(self.status, -ECANCELED);
    CHECK_INT(told.ended, 0);
    CHECK_INT(skua_chan_send(told.source, SKUA_ITEM(item), SKUA_FOREVER), 0);
    CHECK_INT(next_int(self.gen, &item), 1);
    CHECK_INT(item, 42);
    skua_gen_close(&self.gen);
    CHECK_INT(told.ended, 1);
    skua_chan_release(told.source, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

/* covers: A51 */
static void a_cancel_ends_the_wait_and_not_the_generator(void **state)
{
    run_on_1_2_4(cancelled_body);
}

/* Its wait for the channel is what the close ends. */
static int close_waiting_body(void *arg)
{
    story told = {0};
    skua_gen *gen = NULL;
    int item;
    CHECK_INT(skua_chan_create(&told.source, sizeof(int), 0), 0);
    CHECK_INT(skua_gen_open(&gen, double_received, &told, sizeof(int)), 0);
    CHECK_INT(skua_gen_next(gen, &item, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_gen_next(gen, &item, skua_after(SKUA_US(100))), -ETIMEDOUT);
    skua_gen_close(&gen);
    CHECK_INT(told.ended, 1);
    skua_chan_release(told.source, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void closing_ends_what_it_waits_for(void **state)
{
    run_on_1_2_4(close_waiting_body);
}

/* --- ends ------------------------------------------------------------------------------------- */

static int fail_after_two(skua_gen *self, void *arg)
{
    for (int i = 0; i < 2; i++) {
        int status = skua_gen_yield(self, &i);
        if (status < 0) {
            return status;
        }
    }
    return -EIO;
}

static int fail_body(void *arg)
{
    SKUA_GEN(gen);
    int item = 0;
    CHECK_INT(skua_gen_open(&gen, fail_after_two, NULL, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(next_int(gen, &item), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(next_int(gen, &item), -EIO);
    }
    return 0;
}

static void a_failure_comes_after_the_items_and_stays(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(fail_body);
    CHECK_STR(said_end(&caught), "");
}

/* A clean-up that waits needs a shield, and the closer waits for it, cancelled or not. */
static int clean_up_slowly(skua_gen *self, void *arg)
{
    story *told = arg;
    int item = 1;
    int status = skua_gen_yield(self, &item);
    skua_scope shield = {{0}};
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(skua_sleep(skua_after(SKUA_MS(2))), 0);
    status = skua_scope_close(&shield, status);
    atomic_fetch_add(&told->ended, 1);
    return status;
}

static int close_while_cancelled(void *arg)
{
    story *told = arg;
    int item;
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, clean_up_slowly, told, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    atomic_fetch_add(&told->started, 1);
    CHECK_INT(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_INT(next_int(gen, &item), -ECANCELED);
    skua_gen_close(&gen);
    CHECK_INT(told->ended, 1);
    return -ECANCELED;
}

static int slow_cleanup_body(void *arg)
{
    story told = {0};
    skua_task *task = spawn(close_while_cancelled, &told);
    await(&told.started, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

static void closing_waits_for_the_cleanup_also_when_cancelled(void **state)
{
    run_on_1_2_4(slow_cleanup_body);
}

static int fail_in_cleanup(skua_gen *self, void *arg)
{
    int item = 1;
    (void)!skua_gen_yield(self, &item);
    return -EIO;
}

static int fail_in_cleanup_body(void *arg)
{
    SKUA_GEN(gen);
    int item;
    CHECK_INT(skua_gen_open(&gen, fail_in_cleanup, NULL, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    return 0;
}

static void a_failure_that_nobody_can_be_told_is_reported(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on(1, fail_in_cleanup_body);
    const char *text = said_end(&caught);
    CHECK_INT(count_of(text, "generator 'fail_in_cleanup' failed and nobody has asked: -5"), 1);
    CHECK_INT(count_of(text, "skua:"), 1);
}

static int forget_body(void *arg)
{
    static story started, fresh;
    skua_gen *gen = NULL;
    int item;
    started = (story){.from = 3};
    CHECK_INT(skua_gen_open(&gen, count_down, &started, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(skua_gen_open_named(&gen, "never asked", count_down, &fresh, sizeof(int)), 0);
    return 0;
}

/* covers: A49 */
static void one_that_is_forgotten_is_named(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(forget_body);
    const char *text = said_end(&caught);
    CHECK_INT(count_of(text, "generator 'count_down' was not closed before its runtime ended"), 3);
    CHECK_INT(count_of(text, "generator 'never asked' was not closed"), 3);
    CHECK_INT(count_of(text, "skua:"), 6);
}

/* --- several who ask -------------------------------------------------------------------------- */

static int busy_body(void *arg)
{
    story told = {0};
    asker first = {0};
    int item = 4;
    CHECK_INT(skua_chan_create(&told.source, sizeof(int), 1), 0);
    CHECK_INT(skua_gen_open(&first.gen, double_received, &told, sizeof(int)), 0);
    CHECK_INT(skua_gen_next(first.gen, &item, SKUA_NOW), -EAGAIN);
    skua_task *task = spawn(ask_once, &first);
    await(&first.asking, 1);
    int status;
    while ((status = skua_gen_next(first.gen, &item, SKUA_NOW)) == -EAGAIN) {
        CHECK_INT(skua_yield(), 0); /* until it waits */
    }
    CHECK_INT(status, -EBUSY);
    CHECK_INT(skua_chan_send(told.source, SKUA_ITEM(item), SKUA_FOREVER), 0);
    CHECK_INT(finish(task), 0);
    CHECK_INT(first.status, 1);
    CHECK_INT(first.item, 8);
    skua_gen_close(&first.gen);
    skua_chan_release(told.source, SKUA_SENDER | SKUA_RECEIVER);
    return 0;
}

static void two_who_wait_at_once_are_one_too_many(void **state)
{
    run_on_1_2_4(busy_body);
}

static int asks_itself(skua_gen *self, void *arg)
{
    int item = skua_gen_next(self, &(int){0}, SKUA_FOREVER);
    return skua_gen_yield(self, &item);
}

static int self_body(void *arg)
{
    SKUA_GEN(gen);
    int item = 0;
    CHECK_INT(skua_gen_open(&gen, asks_itself, NULL, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(item, -EDEADLK);
    return 0;
}

static void it_cannot_ask_itself(void **state)
{
    run_on(2, self_body);
}

/* Each takes what another has left, one after the other. */
static int handed_around_body(void *arg)
{
    story told = {.from = 20};
    asker self = {0};
    CHECK_INT(skua_gen_open(&self.gen, count_down, &told, sizeof(int)), 0);
    for (int i = 20; i > 0; i--) {
        CHECK_INT(call(ask_once, &self), 0);
        CHECK_INT(self.status, 1);
        CHECK_INT(self.item, i);
    }
    skua_gen_close(&self.gen);
    return 0;
}

static void it_may_go_from_task_to_task(void **state)
{
    run_on_1_2_4(handed_around_body);
}

static void *ask_from_outside(void *arg)
{
    asker *self = arg;
    for (int i = 100; i > 0; i--) {
        int item = 0;
        CHECK_INT(next_int(self->gen, &item), 1);
        CHECK_INT(item, 900 + i);
    }
    CHECK_INT(skua_gen_open(&(skua_gen *){NULL}, count_down, NULL, sizeof(int)), -EPERM);
    skua_gen_close(&self->gen);
    atomic_store(&self->asking, 1);
    return NULL;
}

static int outside_body(void *arg)
{
    story told = {.from = 1000};
    asker self = {0};
    pthread_t thread;
    CHECK_INT(skua_gen_open(&self.gen, count_down, &told, sizeof(int)), 0);
    CHECK_INT(pthread_create(&thread, NULL, ask_from_outside, &self), 0);
    await(&self.asking, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(told.ended, 1);
    return 0;
}

static void a_foreign_thread_may_ask(void **state)
{
    run_on_1_2_4(outside_body);
}

/* --- what it runs under ----------------------------------------------------------------------- */

static const skua_local key = {"a key"};

static int give_local(skua_gen *self, void *arg)
{
    void *value = skua_local_get(&key);
    return skua_gen_yield(self, &value);
}

static int local_body(void *arg)
{
    static int old_value, new_value;
    SKUA_GEN(gen);
    void *value = NULL;
    CHECK_INT(skua_local_set(&key, &old_value), 0);
    CHECK_INT(skua_gen_open(&gen, give_local, NULL, sizeof value), 0);
    CHECK_INT(skua_local_set(&key, &new_value), 0);
    CHECK_INT(skua_gen_next(gen, &value, SKUA_FOREVER), 1);
    CHECK_PTR(value, &old_value);
    return 0;
}

static void it_has_the_locals_of_its_opening(void **state)
{
    run_on_1_2_4(local_body);
}

/* A scope of the generator's own may end a yield; what was not taken is withdrawn. */
static int yield_in_scope(skua_gen *self, void *arg)
{
    story *told = arg;
    skua_scope scope = {{0}};
    int first = 1, second = 2, third = 3;
    skua_scope_open(&scope, SKUA_FOREVER);
    told->scope = &scope;
    int status = skua_gen_yield(self, &first);
    status = status == 0 ? skua_gen_yield(self, &second) : status;
    status = skua_scope_close(&scope, status);
    CHECK_INT(status, -ETIMEDOUT);
    atomic_fetch_add(&told->ended, 1);
    return skua_gen_yield(self, &third);
}

static int scope_body(void *arg)
{
    story told = {0};
    SKUA_GEN(gen);
    int item = 0;
    CHECK_INT(skua_gen_open(&gen, yield_in_scope, &told, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(item, 1);
    skua_scope_deadline(told.scope, skua_after(SKUA_MS(1)));
    await(&told.ended, 1); /* late while it stood still */
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(item, 3);
    CHECK_INT(next_int(gen, &item), 0);
    return 0;
}

static void a_scope_inside_may_end_a_yield(void **state)
{
    run_on_1_2_4(scope_body);
}

static int many_body(void *arg)
{
    enum { COUNT = 200 };
    static story told[COUNT];
    static skua_gen *gens[COUNT];
    memset(told, 0, sizeof told);
    for (int i = 0; i < COUNT; i++) {
        told[i].from = 5;
        CHECK_INT(skua_gen_open(&gens[i], count_down, &told[i], sizeof(int)), 0);
    }
    for (int want = 5; want > 2; want--) {
        for (int i = 0; i < COUNT; i++) {
            int item = 0;
            CHECK_INT(next_int(gens[i], &item), 1);
            CHECK_INT(item, want);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        skua_gen_close(&gens[i]);
        CHECK_INT(told[i].ended, 1);
    }
    return 0;
}

static void many_stand_side_by_side(void **state)
{
    run_on_1_2_4(many_body);
}

/* A generator that is made of another one. */
static int relay(skua_gen *self, void *arg)
{
    int depth = *(int *)arg, below = depth - 1, item, status;
    SKUA_GEN(gen);
    if (depth == 0) {
        item = 7;
        return skua_gen_yield(self, &item);
    }
    CHECK_INT(skua_gen_open(&gen, relay, &below, sizeof(int)), 0);
    while ((status = next_int(gen, &item)) == 1) {
        item++;
        status = skua_gen_yield(self, &item);
        if (status < 0) {
            break;
        }
    }
    return status;
}

static int deep_body(void *arg)
{
    int depth = 100, item = 0;
    SKUA_GEN(gen);
    CHECK_INT(skua_gen_open(&gen, relay, &depth, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(item, 107);
    return 0; /* closing the outermost closes all */
}

static void generators_nest(void **state)
{
    run_on_1_2_4(deep_body);
}

/* --- arguments -------------------------------------------------------------------------------- */

static int bad_body(void *arg)
{
    skua_gen *gen = NULL;
    CHECK_INT(skua_gen_open(&gen, NULL, NULL, 1), -EINVAL);
    CHECK_INT(skua_gen_open(&gen, count_down, NULL, 64 * 1024 + 1), -EINVAL);
    CHECK_PTR(gen, NULL);
    return 0;
}

static void bad_arguments_are_refused(void **state)
{
    run_on(1, bad_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_come_one_by_one_and_then_the_end),
        TEST(it_runs_only_while_somebody_asks),
        TEST(break_and_return_run_its_cleanup_once),
        TEST(items_have_any_size),
        TEST(it_may_wait_for_anything),
        TEST(who_is_late_asks_again_and_has_lost_nothing),
        TEST(a_cancel_ends_the_wait_and_not_the_generator),
        TEST(closing_ends_what_it_waits_for),
        TEST(a_failure_comes_after_the_items_and_stays),
        TEST(closing_waits_for_the_cleanup_also_when_cancelled),
        TEST(a_failure_that_nobody_can_be_told_is_reported),
        TEST(one_that_is_forgotten_is_named),
        TEST(two_who_wait_at_once_are_one_too_many),
        TEST(it_cannot_ask_itself),
        TEST(it_may_go_from_task_to_task),
        TEST(a_foreign_thread_may_ask),
        TEST(it_has_the_locals_of_its_opening),
        TEST(a_scope_inside_may_end_a_yield),
        TEST(many_stand_side_by_side),
        TEST(generators_nest),
        TEST(bad_arguments_are_refused),
    };
    return TEST_RUN(tests);
}
