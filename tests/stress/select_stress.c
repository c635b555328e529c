/* Select under load: Go's mixed selects with exact counts, a non-blocking select while something is
   always ready, selects that face each other while they are cancelled, closed and timed out. The
   rounds of the storms go on for SKUA_STRESS_SECONDS, shared by the tests. */
#include "../chan_help.h"

#include <skua/scope.h>
#include <skua/select.h>
#include <stdatomic.h>

enum { TESTS = 3 }; /* those that go by time */

static skua_time end_of_test(void)
{
    return skua_after(SKUA_SEC(1) * (int64_t)test_env("SKUA_STRESS_SECONDS", 8) / TESTS);
}

static bool is_over(skua_time end)
{
    return skua_clock().ns >= end.ns;
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    return (uint32_t)(test_random(random) % bound);
}

/* --- Go's TestSelectStress: 10 tasks, 4 channels, mixed selects, and all counts come out --- */

enum { CHANNELS = 4, COUNT = 100000 / (TEST_SCALE * TEST_SCALE) };

typedef struct board {
    skua_chan *chans[CHANNELS];
} board;

typedef struct plain_end {
    skua_chan *chan;
    bool sends;
} plain_end;

static int plain_ends(void *arg)
{
    const plain_end *self = arg;
    for (int i = 0; i < COUNT; i++) {
        if (self->sends) {
            send_int(self->chan, i);
        } else {
            (void)recv_int(self->chan);
        }
    }
    return 0;
}

/* COUNT times to (or from) each of the four, in whatever order they are ready; done ones are taken
   out. */
static int select_all(board *self, bool sends)
{
    int left[CHANNELS], value = 0, total = CHANNELS * COUNT;
    skua_case cases[CHANNELS];
    for (int i = 0; i < CHANNELS; i++) {
        left[i] = COUNT;
        cases[i] = sends ? (skua_case)SKUA_SEND(self->chans[i], value)
                         : (skua_case)SKUA_RECV(self->chans[i], value);
    }
    for (; total > 0; total--) {
        int index = skua_select(cases, CHANNELS, 0, SKUA_FOREVER);
        CHECK(index >= 0);
        CHECK_INT(cases[index].result, sends ? 0 : 1);
        if (--left[index] == 0) {
            cases[index].object = NULL;
        }
    }
    return 0;
}

static int select_sends(void *arg)
{
    return select_all(arg, true);
}

static int select_recvs(void *arg)
{
    return select_all(arg, false);
}

static int mixed(void *arg)
{
    static const size_t capacities[CHANNELS] = {0, 1, 2, 10};
    board self;
    plain_end ends[2 * CHANNELS];
    skua_task *tasks[2 * CHANNELS + 2];
    for (int i = 0; i < CHANNELS; i++) {
        self.chans[i] = make_chan(sizeof(int), capacities[i]);
        ends[2 * i] = (plain_end){self.chans[i], true};
        ends[2 * i + 1] = (plain_end){self.chans[i], false};
        tasks[2 * i] = start(plain_ends, &ends[2 * i]);
        tasks[2 * i + 1] = start(plain_ends, &ends[2 * i + 1]);
    }
    tasks[2 * CHANNELS] = start(select_sends, &self);
    tasks[2 * CHANNELS + 1] = start(select_recvs, &self);
    for (int i = 0; i < 2 * CHANNELS + 2; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_INT(skua_chan_count(self.chans[i]), 0);
        free_chan(self.chans[i]);
    }
    return 0;
}

static void ten_tasks_four_channels(void **state)
{
    run_on(1, mixed, NULL);
    run_on(2, mixed, NULL);
    run_on(4, mixed, NULL);
}

/* --- Go's TestNonblockSelectRace: one of the two is ready at every moment --- */

typedef struct race {
    skua_chan *first, *second, *done;
    bool closes;
} race;

static int look_at_both(void *arg)
{
    race *self = arg;
    int a, b;
    skua_case cases[] = {SKUA_RECV(self->first, a), SKUA_RECV(self->second, b)};
    int index = skua_select(cases, 2, 0, SKUA_NOW);
    send_int(self->done, index);
    return 0;
}

static int one_race(race *self)
{
    int value = 1;
    self->first = make_chan(sizeof(int), 1);
    self->second = make_chan(sizeof(int), self->closes ? 0 : 1);
    send_int(self->first, 1);
    CHECK_INT(skua_spawn(NULL, look_at_both, self, NULL), 0);
    if (self->closes) {
        skua_chan_close(self->second);
    } else {
        send_int(self->second, 1);
    }
    skua_case drain[] = {SKUA_RECV(self->first, value)};
    (void)!skua_select(drain, 1, 0, SKUA_NOW);
    CHECK(recv_int(self->done) >= 0);
    free_chan(self->first);
    free_chan(self->second);
    return 0;
}

static int races(void *arg)
{
    race self = {.done = make_chan(sizeof(int), 1), .closes = arg != NULL};
    for (int i = 0; i < 100000 / (TEST_SCALE * TEST_SCALE); i++) {
        one_race(&self);
    }
    free_chan(self.done);
    return 0;
}

static void something_is_always_ready(void **state)
{
    for (uint32_t workers = 2; workers <= 4; workers += 2) {
        run_on(workers, races, NULL);
        run_on(workers, races, state);
    }
}

/* --- storms: exactly once --- */

enum { PLAYERS = 8, TRIES = 300 };

typedef struct ledger {
    board board;
    bool may_close;
    _Atomic unsigned char sent[PLAYERS * TRIES], received[PLAYERS * TRIES];
} ledger;

typedef struct player {
    ledger *book;
    int index, in, out;
    bool sends;
    uint64_t random;
    int what, result; /* index and result of the case that fired */
} player;

static skua_time some_deadline(uint64_t *random)
{
    switch (below(random, 4)) {
    case 0:
        return SKUA_NOW;
    case 1:
        return skua_after((int64_t)below(random, 200000));
    case 2:
        return skua_after(SKUA_MS(1));
    default:
        return SKUA_FOREVER;
    }
}

/* Some receives and some sends of one and the same item, over channels that may repeat. */
static int select_some(void *arg)
{
    player *self = arg;
    skua_case cases[20];
    size_t count = 1 + below(&self->random, below(&self->random, 8) == 0 ? 20 : 5);
    for (size_t i = 0; i < count; i++) {
        skua_chan *chan = self->book->board.chans[below(&self->random, CHANNELS)];
        cases[i] = self->sends && below(&self->random, 3) != 0
                       ? (skua_case)SKUA_SEND(chan, self->out)
                       : (skua_case)SKUA_RECV(chan, self->in);
    }
    self->what = 0;
    self->in = -1;
    int flags = below(&self->random, 4) == 0 ? SKUA_IN_ORDER : 0;
    int index = skua_select(cases, count, flags, some_deadline(&self->random));
    if (index >= 0) {
        self->what = cases[index].kind;
        self->result = cases[index].result;
    }
    return index;
}

static int select_under_fire(player *self)
{
    if (below(&self->random, 2) == 0) {
        return skua_within(skua_after((int64_t)below(&self->random, 300000)), select_some, self);
    }
    uint32_t yields = below(&self->random, 4);
    skua_task *task = start(select_some, self);
    for (; yields > 0; yields--) {
        (void)skua_yield();
    }
    skua_task_cancel(task);
    return finish(task);
}

static void book_select(player *self, int status)
{
    if (status < 0) {
        CHECK(status == -ECANCELED || status == -ETIMEDOUT || status == -EAGAIN);
        CHECK_INT(self->what, 0);
    } else if (self->what == SKUA_CASE_SEND) {
        CHECK(self->result == 0 || (self->result == -EPIPE && self->book->may_close));
        atomic_fetch_add(&self->book->sent[self->out], self->result == 0);
    } else if (self->result == 1) {
        CHECK(self->in >= 0 && self->in < PLAYERS * TRIES);
        atomic_fetch_add(&self->book->received[self->in], 1);
        return;
    } else {
        CHECK(self->result == 0 && self->book->may_close);
    }
    CHECK_INT(self->in, -1);
}

static int act(void *arg)
{
    player *self = arg;
    for (int i = 0; i < TRIES; i++) {
        self->out = self->index * TRIES + i;
        book_select(self, select_under_fire(self));
        if (self->book->may_close && below(&self->random, 1000) == 0) {
            skua_chan_close(self->book->board.chans[below(&self->random, CHANNELS)]);
        }
    }
    return 0;
}

/* A foreign thread cannot be cancelled, but it has deadlines. */
static void *act_in_thread(void *arg)
{
    player *self = arg;
    for (int i = 0; i < TRIES; i++) {
        skua_case cases[4];
        self->out = self->index * TRIES + i;
        self->in = -1;
        self->what = 0;
        for (int k = 0; k < 4; k++) {
            skua_chan *chan = self->book->board.chans[below(&self->random, CHANNELS)];
            cases[k] = k % 2 ? (skua_case)SKUA_SEND(chan, self->out)
                             : (skua_case)SKUA_RECV(chan, self->in);
        }
        skua_time deadline = skua_after((int64_t)below(&self->random, 200000));
        int index = skua_select(cases, 4, 0, deadline);
        if (index >= 0) {
            self->what = cases[index].kind;
            self->result = cases[index].result;
        }
        book_select(self, index);
    }
    return NULL;
}

static void check_ledger(ledger *book)
{
    int value;
    for (int i = 0; i < CHANNELS; i++) {
        while (skua_chan_recv(book->board.chans[i], SKUA_ITEM(value), SKUA_NOW) == 1) {
            atomic_fetch_add(&book->received[value], 1);
        }
        free_chan(book->board.chans[i]);
    }
    for (int i = 0; i < PLAYERS * TRIES; i++) {
        CHECK_INT(book->received[i], book->sent[i]);
        CHECK(book->sent[i] <= 1);
    }
}

typedef struct storm {
    uint64_t random;
    bool may_close;
} storm;

static int select_storm(void *arg)
{
    static ledger book;
    static player players[PLAYERS];
    storm *self = arg;
    skua_task *tasks[PLAYERS];
    pthread_t thread;
    memset(&book, 0, sizeof book);
    memset(players, 0, sizeof players);
    book.may_close = self->may_close;
    for (int i = 0; i < CHANNELS; i++) {
        book.board.chans[i] = make_chan(sizeof(int), below(&self->random, 3));
    }
    for (int i = 0; i < PLAYERS; i++) {
        players[i] = (player){
            .book = &book, .index = i, .sends = i % 3 != 0, .random = test_random(&self->random)};
    }
    thread = start_thread(act_in_thread, &players[0]);
    for (int i = 1; i < PLAYERS; i++) {
        tasks[i] = start(act, &players[i]);
    }
    for (int i = 1; i < PLAYERS; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    pthread_join(thread, NULL);
    check_ledger(&book);
    return 0;
}

static void run_storms(bool may_close)
{
    storm self = {.random = test_seed(), .may_close = may_close};
    for (skua_time end = end_of_test(); !is_over(end);) {
        run_on(1u << below(&self.random, 3), select_storm, &self);
    }
}

static void cancels_at_any_moment(void **state)
{
    run_storms(false);
}

static void closes_at_any_moment(void **state)
{
    run_storms(true);
}

/* --- tasks that end while selects link, wait and leave --- */

static int yield_some(void *arg)
{
    for (uintptr_t i = (uintptr_t)arg; i > 0; i--) {
        (void)skua_yield();
    }
    return 0;
}

static int select_ends(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    int value = 0;
    skua_chan *chan = make_chan(sizeof(int), 1);
    for (int round = 0; round < 200; round++) {
        skua_task *tasks[20];
        skua_case cases[21] = {SKUA_RECV(chan, value)};
        for (int i = 0; i < 20; i++) {
            tasks[i] = start(yield_some, (void *)(uintptr_t)below(&random, 6));
            cases[i + 1] = (skua_case)SKUA_ENDED(tasks[i]);
        }
        for (int ended = 0; ended < 20;) {
            int index = skua_select(cases, 21, 0, some_deadline(&random));
            CHECK(index > 0 || index == -ETIMEDOUT || index == -EAGAIN);
            if (index > 0) {
                CHECK(skua_task_state(cases[index].object) == SKUA_DONE);
                cases[index].object = NULL;
                ended++;
            }
            check_nobody_waits(chan);
        }
        skua_task_release_all(tasks, 20);
    }
    free_chan(chan);
    return 0;
}

static int several_select_ends(void *arg)
{
    uint64_t *random = arg, seeds[4];
    skua_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        seeds[i] = test_random(random);
        tasks[i] = start(select_ends, &seeds[i]);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_INT(finish(tasks[i]), 0);
    }
    return 0;
}

static void tasks_end_at_any_moment(void **state)
{
    uint64_t random = test_seed();
    for (skua_time end = end_of_test(); !is_over(end);) {
        run_on(1u << below(&random, 3), several_select_ends, &random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ten_tasks_four_channels), TEST(something_is_always_ready), TEST(cancels_at_any_moment),
        TEST(closes_at_any_moment),    TEST(tasks_end_at_any_moment),
    };
    return TEST_RUN(tests);
}
