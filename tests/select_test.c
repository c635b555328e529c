/* Select: the contract of skua/select.h, on one, two and four workers and from foreign threads. */
#include "chan_help.h"

#include <skua/scope.h>
#include <skua/select.h>
#include <stdatomic.h>
#include <sys/wait.h>

static int fill(skua_chan *chan, int value)
{
    return skua_chan_send(chan, SKUA_ITEM(value), SKUA_NOW);
}

static int take(skua_chan *chan)
{
    int value = -1;
    return skua_chan_recv(chan, SKUA_ITEM(value), SKUA_NOW) == 1 ? value : -1;
}

/* --- the truth table (Go's select3), from a task and from a thread --- */

static int nothing_fires(void *arg)
{
    int value = 3;
    skua_case nulls[] = {
        SKUA_RECV(NULL, value), SKUA_SEND(NULL, value),   SKUA_ENDED(NULL),
        SKUA_AT(SKUA_FOREVER),  {.kind = SKUA_CASE_NONE},
    };
    for (int flags = 0; flags <= SKUA_IN_ORDER; flags++) {
        CHECK_INT(skua_select(nulls, 5, flags, SKUA_NOW), -EAGAIN);
        CHECK_INT(skua_select(nulls, 5, flags, skua_after(0)), -ETIMEDOUT);
        CHECK_INT(skua_select(nulls, 5, flags, skua_after(SKUA_MS(1))), -ETIMEDOUT);
        CHECK_INT(skua_select(NULL, 0, flags, SKUA_NOW), -EAGAIN);
        skua_time begin = skua_clock();
        CHECK_INT(skua_select(NULL, 0, flags, skua_time_at(begin.ns + SKUA_MS(1))), -ETIMEDOUT);
        CHECK(skua_elapsed_ns(begin) >= SKUA_MS(1));
    }
    CHECK_INT(value, 3);
    return 0;
}

static int refused(void *arg)
{
    static skua_case many[SKUA_CASES_MAX + 1];
    skua_case bad[] = {{.kind = SKUA_CASE_NONE}, {.kind = (skua_case_kind)99}};
    CHECK_INT(skua_select(many, SKUA_CASES_MAX + 1, 0, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_select(many, SIZE_MAX, 0, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_select(many, SKUA_CASES_MAX, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(bad, 2, 0, SKUA_NOW), -EINVAL);
    CHECK_INT(skua_select(bad, 1, 0, SKUA_NOW), -EAGAIN);
    return 0;
}

static int one_case(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    int in = 5, out = 0;
    skua_case send[] = {SKUA_SEND(chan, in)}, recv[] = {SKUA_RECV(chan, out)};
    CHECK_INT(skua_select(recv, 1, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(recv, 1, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    CHECK_INT(skua_select(send, 1, 0, SKUA_NOW), 0);
    CHECK_INT(send[0].result, 0);
    CHECK_INT(skua_select(send, 1, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(send, 1, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    check_nobody_waits(chan);
    CHECK_INT(skua_select(recv, 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(recv[0].result, 1);
    CHECK_INT(out, 5);
    skua_chan_close(chan);
    CHECK_INT(skua_select(recv, 1, 0, SKUA_NOW), 0);
    CHECK_INT(recv[0].result, 0);
    CHECK_INT(out, 5);
    CHECK_INT(skua_select(send, 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(send[0].result, -EPIPE);
    free_chan(chan);
    return 0;
}

static void on_thread_and_workers(skua_fn fn)
{
    CHECK_INT(fn(NULL), 0);
    run_all(fn, NULL);
}

/* covers: B23 D19 */
static void truth_table(void **state)
{
    on_thread_and_workers(nothing_fires);
    on_thread_and_workers(refused);
    on_thread_and_workers(one_case);
}

static int moments_(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    int value = 0;
    const skua_time far = skua_after(SKUA_SEC(100));
    skua_case cases[] = {SKUA_AT(far), SKUA_RECV(chan, value), SKUA_AT(far)};
    cases[2].result = 77;
    CHECK_INT(skua_select(cases, 3, 0, SKUA_NOW), -EAGAIN);
    const skua_time begin = skua_clock();
    cases[2].at = skua_time_at(begin.ns + SKUA_MS(2));
    CHECK_INT(skua_select(cases, 3, 0, SKUA_FOREVER), 2);
    CHECK(skua_elapsed_ns(begin) >= SKUA_MS(2));
    CHECK_INT(cases[2].result, 0);
    check_nobody_waits(chan);
    CHECK_INT(skua_select(cases, 3, 0, SKUA_NOW), 2); /* over, and stays so */
    /* A deadline before the moment. */
    cases[2].at = skua_after(SKUA_SEC(100));
    CHECK_INT(skua_select(cases, 3, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    cases[2].at = skua_after(0);
    CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_FOREVER), 2);
    CHECK_INT(fill(chan, 1), 0);
    CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_FOREVER), 1);
    free_chan(chan);
    return 0;
}

static void moments(void **state)
{
    on_thread_and_workers(moments_);
}

/* --- ends of tasks --- */

static int recv_one(void *arg)
{
    int value = -1;
    return skua_chan_recv(arg, SKUA_ITEM(value), SKUA_FOREVER) == 1 ? value : -EIO;
}

static int tasks_(void *arg)
{
    skua_chan *gate = make_chan(sizeof(int), 0);
    skua_task *tasks[2] = {start(recv_one, gate), NULL};
    await_waiting(gate, SKUA_RECEIVER, 1);
    tasks[1] = start(recv_one, gate);
    await_waiting(gate, SKUA_RECEIVER, 2);
    /* The same task twice. */
    skua_case cases[] = {SKUA_ENDED(tasks[0]), SKUA_ENDED(tasks[1]), SKUA_ENDED(tasks[0])};
    CHECK_INT(skua_select(cases, 3, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(cases, 3, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    send_int(gate, 40);
    int index = skua_select(cases, 3, 0, SKUA_FOREVER);
    CHECK(index == 0 || index == 2);
    CHECK_INT(cases[index].result, 0);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(finish(tasks[0]), 40);
    send_int(gate, 41);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_FOREVER), 0);
    CHECK_INT(skua_select(&cases[1], 1, 0, SKUA_NOW), 0);
    CHECK_INT(finish(tasks[1]), 41);
    free_chan(gate);
    return 0;
}

static void tasks_end(void **state)
{
    run_all(tasks_, NULL);
}

static int return_it(void *arg)
{
    return 7;
}

/* A task that ends while the select links itself. */
static int ends_meanwhile_(void *arg)
{
    skua_chan *never = make_chan(sizeof(int), 0);
    int value;
    for (int i = 0; i < 2000 / TEST_SCALE; i++) {
        skua_task *task = start(return_it, NULL);
        skua_case cases[] = {SKUA_RECV(never, value), SKUA_ENDED(task), SKUA_SEND(never, value)};
        CHECK_INT(skua_select(cases, 3, 0, SKUA_FOREVER), 1);
        CHECK_INT(finish(task), 7);
        check_nobody_waits(never);
    }
    free_chan(never);
    return 0;
}

static void tasks_end_meanwhile(void **state)
{
    run_all(ends_meanwhile_, NULL);
    skua_runtime *runtime;
    CHECK_INT(skua_runtime_create(&runtime, NULL), 0);
    for (int i = 0; i < 2000 / TEST_SCALE; i++) { /* and with a thread that selects */
        skua_task *task;
        CHECK_INT(skua_submit(runtime, &task, return_it, NULL, NULL), 0);
        skua_case cases[] = {SKUA_ENDED(task)};
        CHECK_INT(skua_select(cases, 1, 0, SKUA_FOREVER), 0);
        skua_task_release(task);
    }
    skua_runtime_destroy(runtime);
}

/* --- choosing --- */

enum { TURNS = 10000 / TEST_SCALE };

static void count_choices(skua_case cases[], size_t count, int flags, int chosen[])
{
    memset(chosen, 0, count * sizeof *chosen);
    for (int i = 0; i < TURNS; i++) {
        int index = skua_select(cases, count, flags, SKUA_FOREVER);
        CHECK(index >= 0 && (size_t)index < count);
        chosen[index]++;
    }
}

/* Go's TestPseudoRandomSend: of two ready cases each is chosen more than a tenth of the time. */
static int fair_choice(void *arg)
{
    int value = 1, chosen[2];
    skua_chan *a = make_chan(sizeof(int), TURNS), *b = make_chan(sizeof(int), TURNS);
    skua_case sends[] = {SKUA_SEND(a, value), SKUA_SEND(b, value)};
    count_choices(sends, 2, 0, chosen);
    CHECK(chosen[0] > TURNS / 10);
    CHECK(chosen[1] > TURNS / 10);
    CHECK_INT(skua_chan_count(a), chosen[0]);
    CHECK_INT(skua_chan_count(b), chosen[1]);
    skua_chan_close(a);
    skua_chan_close(b);
    skua_case recvs[] = {SKUA_RECV(a, value), SKUA_RECV(b, value)};
    count_choices(recvs, 2, 0, chosen);
    CHECK(chosen[0] > TURNS / 10);
    CHECK(chosen[1] > TURNS / 10);
    count_choices(recvs, 2, SKUA_IN_ORDER, chosen);
    CHECK_INT(chosen[0], TURNS);
    free_chan(a);
    free_chan(b);
    return 0;
}

/* covers: B23 D20 */
static void fairness(void **state)
{
    on_thread_and_workers(fair_choice);
}

/* The choice is fair among the ready ones, wherever they stand between others that are not. */
static int fair_choice_in_a_crowd(void *arg)
{
    enum { CASES = 40 };
    int value, chosen[CASES];
    skua_chan *empty = make_chan(sizeof(int), 1), *ended = make_chan(sizeof(int), 1);
    skua_chan_close(ended);
    skua_case cases[CASES];
    for (int at = 0; at + 1 < CASES; at += 13) {
        for (int i = 0; i < CASES; i++) {
            skua_chan *chan = i == at || i == at + 1 ? ended : empty;
            cases[i] = (skua_case)SKUA_RECV(chan, value);
        }
        count_choices(cases, CASES, 0, chosen);
        CHECK_INT(chosen[at] + chosen[at + 1], TURNS);
        CHECK(chosen[at] > TURNS / 10);
        CHECK(chosen[at + 1] > TURNS / 10);
    }
    free_chan(empty);
    free_chan(ended);
    return 0;
}

/* covers: B23 D20 */
static void fairness_in_a_crowd(void **state)
{
    on_thread_and_workers(fair_choice_in_a_crowd);
}

static int all_in_order(void *arg)
{
    skua_chan *a = make_chan(sizeof(int), 1), *b = make_chan(sizeof(int), 1);
    int x, y = 2;
    skua_case cases[] = {SKUA_RECV(a, x), SKUA_SEND(b, y), SKUA_AT(skua_after(0))};
    CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_NOW), 1);
    CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_NOW), 2);
    CHECK_INT(fill(a, 9), 0);
    CHECK_INT(skua_select(cases, 3, SKUA_IN_ORDER, SKUA_NOW), 0);
    CHECK_INT(x, 9);
    CHECK_INT(take(b), 2);
    free_chan(a);
    free_chan(b);
    return 0;
}

/* covers: B23 */
static void in_order(void **state)
{
    on_thread_and_workers(all_in_order);
}

/* --- waiting --- */

typedef struct selector {
    skua_chan *from, *to;
    int in, out;
    skua_time deadline;
    int index, result;
    _Atomic int is_done;
} selector;

static int select_both(void *arg)
{
    selector *self = arg;
    skua_case cases[] = {SKUA_RECV(self->from, self->in), SKUA_SEND(self->to, self->out)};
    self->index = skua_select(cases, 2, 0, self->deadline);
    self->result = self->index >= 0 ? cases[self->index].result : 0;
    atomic_store(&self->is_done, 1);
    return 0;
}

static void *thread_select_both(void *arg)
{
    select_both(arg);
    return NULL;
}

static int wait_for_both(void *arg)
{
    for (int fires = 0; fires < 2; fires++) {
        skua_chan *from = make_chan(sizeof(int), 0), *to = make_chan(sizeof(int), 0);
        selector selector_ = {.from = from, .to = to, .out = 6};
        skua_task *task = arg == NULL ? start(select_both, &selector_) : NULL;
        pthread_t thread = 0;
        if (task == NULL) {
            thread = start_thread(thread_select_both, &selector_);
        }
        await_waiting(from, SKUA_RECEIVER, 1);
        await_waiting(to, SKUA_SENDER, 1);
        CHECK_INT(atomic_load(&selector_.is_done), 0);
        if (fires == 0) {
            CHECK_INT(fill(from, 5), 0);
            CHECK_INT(fill(from, 5), -EAGAIN);
            CHECK_INT(take(to), -1); /* the other case cannot happen any more */
        } else {
            CHECK_INT(take(to), 6);
            CHECK_INT(take(to), -1);
            CHECK_INT(fill(from, 5), -EAGAIN);
        }
        if (task != NULL) {
            CHECK_INT(finish(task), 0);
        } else {
            pthread_join(thread, NULL);
        }
        CHECK_INT(selector_.index, fires);
        CHECK_INT(selector_.result, fires == 0 ? 1 : 0);
        CHECK_INT(selector_.in, fires == 0 ? 5 : 0);
        free_chan(from);
        free_chan(to);
    }
    return 0;
}

static void exactly_one_happens(void **state)
{
    CHECK_INT(wait_for_both(state), 0);
    for (int i = 0; i < 20 / TEST_SCALE; i++) {
        run_all(wait_for_both, NULL);
        run_all(wait_for_both, state);
    }
}

static int close_while_waiting(void *arg)
{
    for (int which = 0; which < 2; which++) {
        skua_chan *from = make_chan(sizeof(int), 0), *to = make_chan(sizeof(int), 0);
        static selector selectors[100];
        skua_task *tasks[100];
        for (int i = 0; i < 100; i++) {
            selectors[i] = (selector){.from = from, .to = to};
            tasks[i] = start(select_both, &selectors[i]);
        }
        await_waiting(from, SKUA_RECEIVER, 100);
        skua_chan_close(which == 0 ? from : to);
        for (int i = 0; i < 100; i++) {
            CHECK_INT(finish(tasks[i]), 0);
            CHECK_INT(selectors[i].index, which);
            CHECK_INT(selectors[i].result, which == 0 ? 0 : -EPIPE);
        }
        free_chan(from);
        free_chan(to);
    }
    return 0;
}

static void close_fires(void **state)
{
    run_all(close_while_waiting, NULL);
}

static int select_nothing(void *arg)
{
    return skua_select(NULL, 0, 0, SKUA_FOREVER);
}

static int cancel_while_waiting(void *arg)
{
    skua_chan *from = make_chan(sizeof(int), 0), *to = make_chan(sizeof(int), 0);
    selector selector_ = {.from = from, .to = to};
    skua_task *task = start(select_both, &selector_);
    await_waiting(to, SKUA_SENDER, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), 0);
    CHECK_INT(selector_.index, -ECANCELED);
    check_nobody_waits(from);
    check_nobody_waits(to);
    selector_ = (selector){.from = from, .to = to};
    CHECK_INT(skua_within(skua_after(SKUA_MS(1)), select_both, &selector_), 0);
    CHECK_INT(selector_.index, -ECANCELED);
    selector_.deadline = skua_after(SKUA_MS(1));
    CHECK_INT(select_both(&selector_), 0);
    CHECK_INT(selector_.index, -ETIMEDOUT);
    free_chan(from);
    free_chan(to);
    /* Without a case that can fire: until cancelled. */
    task = start(select_nothing, NULL);
    CHECK_INT(skua_within(skua_after(SKUA_MS(1)), select_nothing, NULL), -ETIMEDOUT);
    CHECK_INT(skua_task_state(task), SKUA_RUNNING);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

/* covers: B23 D19 */
static void cancels(void **state)
{
    run_all(cancel_while_waiting, NULL);
}

/* --- the same channel several times --- */

static int same_channel(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    int a = 1, b = 2, c = 0;
    /* It does not meet itself. */
    skua_case cases[] = {SKUA_SEND(chan, a), SKUA_RECV(chan, c), SKUA_SEND(chan, b),
                         SKUA_RECV(chan, c)};
    CHECK_INT(skua_select(cases, 4, 0, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_select(cases, 4, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    check_nobody_waits(chan);
    CHECK_INT(c, 0);

    skua_task *task = start(recv_one, chan);
    int index = skua_select(cases, 4, 0, SKUA_FOREVER);
    CHECK(index == 0 || index == 2);
    CHECK_INT(finish(task), index == 0 ? a : b);
    skua_chan_close(chan);
    index = skua_select(cases, 4, 0, SKUA_FOREVER);
    CHECK_INT(cases[index].result, index % 2 == 0 ? -EPIPE : 0);
    free_chan(chan);
    return 0;
}

static void one_channel_in_several_cases(void **state)
{
    run_all(same_channel, NULL);
}

/* Go's TestSelfSelect: two selects that send and receive on one channel; nobody gets its own. */
typedef struct self_select {
    skua_chan *chan;
    int me;
} self_select;

static int send_or_recv(void *arg)
{
    const self_select *self = arg;
    for (int i = 0; i < 1000; i++) {
        int in = -1, out = self->me;
        skua_case cases[] = {SKUA_SEND(self->chan, out), SKUA_RECV(self->chan, in)};
        int index = skua_select(cases, 2, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        CHECK_INT(cases[index].result, index);
        CHECK(index == 0 || in == !self->me);
    }
    return 0;
}

static int face_each_other(void *arg)
{
    skua_chan *chan = make_chan(sizeof(int), 0);
    self_select selves[2] = {{chan, 0}, {chan, 1}};
    skua_task *tasks[2] = {start(send_or_recv, &selves[0]), start(send_or_recv, &selves[1])};
    CHECK_INT(finish(tasks[0]), 0);
    CHECK_INT(finish(tasks[1]), 0);
    free_chan(chan);
    return 0;
}

/* Two channels, crossed: each select holds both locks, and the cases stand in opposite order. */
typedef struct crossed {
    skua_chan *mine, *other;
    int sent, received;
} crossed;

static int cross(void *arg)
{
    crossed *self = arg;
    for (int i = 0; i < 2000; i++) {
        int in = -1, out = 1;
        skua_case cases[] = {SKUA_SEND(self->mine, out), SKUA_RECV(self->other, in)};
        int index = skua_select(cases, 2, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        self->sent += index == 0;
        self->received += index == 1;
    }
    return 0;
}

static int cross_each_other(void *arg)
{
    skua_chan *a = make_chan(sizeof(int), 0), *b = make_chan(sizeof(int), 0);
    crossed selves[2] = {{.mine = a, .other = b}, {.mine = b, .other = a}};
    skua_task *tasks[2] = {start(cross, &selves[0]), start(cross, &selves[1])};
    CHECK_INT(finish(tasks[0]), 0);
    CHECK_INT(finish(tasks[1]), 0);
    CHECK_INT(selves[0].sent, selves[1].received);
    CHECK_INT(selves[1].sent, selves[0].received);
    free_chan(a);
    free_chan(b);
    return 0;
}

static void selects_face_each_other(void **state)
{
    run_all(face_each_other, NULL);
    run_all(cross_each_other, NULL);
}

/* --- as many as there may be --- */

static int send_to_last(void *arg)
{
    send_int(arg, 99);
    return 0;
}

static int as_many_as_allowed(void *arg)
{
    static skua_chan *chans[SKUA_CASES_MAX];
    static skua_case cases[SKUA_CASES_MAX];
    int value = 0;
    for (int i = 0; i < SKUA_CASES_MAX; i++) {
        chans[i] = make_chan(sizeof(int), 0);
        cases[i] = (skua_case)SKUA_RECV(chans[i], value);
    }
    CHECK_INT(skua_select(cases, SKUA_CASES_MAX, 0, SKUA_NOW), -EAGAIN);
    for (int i = 0; i < SKUA_CASES_MAX; i += 15) {
        skua_task *task = start(send_to_last, chans[i]);
        CHECK_INT(skua_select(cases, SKUA_CASES_MAX, 0, SKUA_FOREVER), i);
        CHECK_INT(value, 99);
        CHECK_INT(finish(task), 0);
    }
    CHECK_INT(skua_select(cases, SKUA_CASES_MAX, 0, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    for (int i = 0; i < SKUA_CASES_MAX; i++) {
        free_chan(chans[i]);
    }
    return 0;
}

static void all_cases(void **state)
{
    run_all(as_many_as_allowed, NULL);
}

/* --- threads, forks --- */

static void *thread_echo(void *arg)
{
    selector *self = arg;
    skua_case cases[] = {SKUA_RECV(self->from, self->in), SKUA_RECV(self->to, self->out)};
    for (;;) {
        int index = skua_select(cases, 2, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        if (cases[index].result == 0) {
            return NULL;
        }
        self->index += index == 0 ? self->in : self->out;
    }
}

static int send_to_thread(void *arg)
{
    skua_chan *a = make_chan(sizeof(int), 0), *b = make_chan(sizeof(int), 1);
    selector self = {.from = a, .to = b};
    pthread_t thread = start_thread(thread_echo, &self);
    for (int i = 0; i < 1000; i++) {
        send_int(i % 2 ? a : b, 1);
    }
    while (skua_chan_count(b) > 0) {
        (void)skua_yield();
    }
    skua_chan_close(a);
    pthread_join(thread, NULL);
    CHECK_INT(self.index, 1000);
    free_chan(a);
    free_chan(b);
    return 0;
}

static void threads_select(void **state)
{
    on_thread_and_workers(send_to_thread);
}

static void forked_child(void **state)
{
    skua_chan *chan = make_chan(sizeof(int), 1);
    int value = 1;
    skua_case cases[] = {SKUA_SEND(chan, value), SKUA_AT(skua_after(0))};
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20 * TEST_SCALE);
        _exit(skua_select(cases, 2, 0, SKUA_FOREVER) != -ESHUTDOWN ||
              skua_select(cases, 2, 0, SKUA_NOW) != -ESHUTDOWN ||
              skua_select(NULL, 0, 0, SKUA_FOREVER) != -ESHUTDOWN);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    free_chan(chan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(truth_table),
        TEST(moments),
        TEST(tasks_end),
        TEST(tasks_end_meanwhile),
        TEST(fairness),
        TEST(fairness_in_a_crowd),
        TEST(in_order),
        TEST(exactly_one_happens),
        TEST(close_fires),
        TEST(cancels),
        TEST(one_channel_in_several_cases),
        TEST(selects_face_each_other),
        TEST(all_cases),
        TEST(threads_select),
        TEST(forked_child),
    };
    return TEST_RUN(tests);
}
