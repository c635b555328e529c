/* Locks as programs use them: exclusion over suspension points, order, who goes on at which moment,
   and that nobody is left behind by those who leave, whatever the schedule. Times are exact, since
   they are virtual. */
#include "visits.h"

#include <skua/chan.h>
#include <skua/limit.h>
#include <skua/sync.h>

/* --- exclusion: the same for all that lets in one at a time --- */

typedef struct generic_lock {
    const char *name;
    void (*init)(void);
    int (*lock)(skua_borrower *borrower, skua_time deadline);
    void (*unlock)(skua_borrower *borrower);
} generic_lock;

static struct {
    skua_mutex mutex;
    skua_rwlock rwlock;
    skua_sem sem;
    skua_limiter limiter;
    skua_chan *chan;
    int inside;
    long sum;
} shared;

static void init_zeroed(void) {}

static void init_fair(void)
{
    skua_mutex_init_fair(&shared.mutex);
}

static int lock_mutex(skua_borrower *borrower, skua_time deadline)
{
    return skua_mutex_lock(&shared.mutex, deadline);
}

static void unlock_mutex(skua_borrower *borrower)
{
    skua_mutex_unlock(&shared.mutex);
}

static int lock_rwlock(skua_borrower *borrower, skua_time deadline)
{
    return skua_rwlock_write(&shared.rwlock, deadline);
}

static void unlock_rwlock(skua_borrower *borrower)
{
    skua_rwlock_write_unlock(&shared.rwlock);
}

static void init_sem(void)
{
    skua_sem_init_bounded(&shared.sem, 1);
}

static int lock_sem(skua_borrower *borrower, skua_time deadline)
{
    return skua_sem_acquire(&shared.sem, 1, deadline);
}

static void unlock_sem(skua_borrower *borrower)
{
    skua_sem_release(&shared.sem, 1);
}

static void init_limiter(void)
{
    skua_limiter_init(&shared.limiter, 1);
}

static int lock_limiter(skua_borrower *borrower, skua_time deadline)
{
    return skua_limiter_borrow(&shared.limiter, borrower, deadline);
}

static void unlock_limiter(skua_borrower *borrower)
{
    skua_limiter_return(&shared.limiter, borrower);
}

/* A channel with room for one: who has put something in is inside. */
static void init_chan(void)
{
    CHECK_INT(skua_chan_create(&shared.chan, 0, 1), 0);
}

static int lock_chan(skua_borrower *borrower, skua_time deadline)
{
    return skua_chan_send(shared.chan, NULL, 0, deadline);
}

static void unlock_chan(skua_borrower *borrower)
{
    SKUA_SCOPE(shield); /* one who was cancelled meanwhile gives it back all the same */
    skua_shield_open(&shield, SKUA_FOREVER);
    CHECK_INT(skua_chan_recv(shared.chan, NULL, 0, SKUA_NOW), 1);
    CHECK_INT(skua_scope_close(&shield, 0), 0);
}

static const generic_lock generic_locks[] = {
    {"mutex", init_zeroed, lock_mutex, unlock_mutex},
    {"fair mutex", init_fair, lock_mutex, unlock_mutex},
    {"rwlock", init_zeroed, lock_rwlock, unlock_rwlock},
    {"semaphore", init_sem, lock_sem, unlock_sem},
    {"limiter", init_limiter, lock_limiter, unlock_limiter},
    {"channel", init_chan, lock_chan, unlock_chan},
};

static int ten_rounds(void *arg)
{
    const generic_lock *kind = arg;
    for (int i = 0; i < 10; i++) {
        skua_borrower borrower = {{0}};
        CHECK_INT(kind->lock(&borrower, SKUA_FOREVER), 0);
        CHECK_INT(shared.inside++, 0);
        const long sum = shared.sum; /* read, wait, write: lost if anybody else is inside */
        sleep_ms(1);
        shared.sum = sum + 1;
        CHECK_INT(--shared.inside, 0);
        kind->unlock(&borrower);
    }
    return 0;
}

/* Nobody is inside together, and the lock is never idle: 50 rounds of a millisecond take 50. */
static int five_by_ten(void *arg)
{
    for (size_t i = 0; i < sizeof generic_locks / sizeof *generic_locks; i++) {
        const skua_time begin = skua_clock();
        skua_task *tasks[5];
        memset(&shared, 0, sizeof shared);
        generic_locks[i].init();
        for (int k = 0; k < 5; k++) {
            tasks[k] = spawn(ten_rounds, (void *)&generic_locks[i]);
        }
        for (int k = 0; k < 5; k++) {
            CHECK_INT(finish(tasks[k]), 0);
        }
        CHECK_INT(shared.sum, 50);
        check_ms_since(begin, 50);
        skua_chan_release(shared.chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

/* covers: A59 D30 */
static void five_tasks_are_never_inside_together(void **state)
{
    in_all_schedules(five_by_ten);
}
/* --- who was cancelled has left the line --- */

static int visit_lock(void *arg)
{
    visit *self = arg;
    skua_borrower borrower = {{0}};
    const generic_lock *kind = &generic_locks[self->amount];
    const int status = kind->lock(&borrower, self->deadline);
    end_visit(self, status);
    if (status == 0) {
        kind->unlock(&borrower);
    }
    return status;
}

/* Of three in line the first and the last are cancelled: the second has it the moment it is given
   back, and after it nobody, so that it is free. */
static int cancel_in_line(void *arg)
{
    for (size_t i = 0; i < sizeof generic_locks / sizeof *generic_locks; i++) {
        const generic_lock *kind = &generic_locks[i];
        const skua_time begin = skua_clock();
        skua_borrower borrower = {{0}};
        visit visits[3] = {{.amount = i}, {.amount = i}, {.amount = i}};
        memset(&shared, 0, sizeof shared);
        kind->init();
        CHECK_INT(kind->lock(&borrower, SKUA_FOREVER), 0);
        for (int k = 0; k < 3; k++) {
            start_waiting(&visits[k], visit_lock);
        }
        sleep_ms(1);
        skua_task_cancel(visits[0].task);
        skua_task_cancel(visits[2].task);
        check_ended_at(&visits[0], -ECANCELED, begin, 1);
        check_ended_at(&visits[2], -ECANCELED, begin, 1);
        sleep_ms(1);
        CHECK_INT(skua_task_state(visits[1].task), SKUA_RUNNING);
        kind->unlock(&borrower);
        check_ended_at(&visits[1], 0, begin, 2);
        CHECK_INT(kind->lock(&borrower, SKUA_FOREVER), 0);
        check_ms_since(begin, 2);
        kind->unlock(&borrower);
        skua_chan_release(shared.chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

/* covers: D24 */
static void who_is_cancelled_in_line_holds_up_nobody(void **state)
{
    in_all_schedules(cancel_in_line);
}
/* Six tasks come eight times, with deadlines that may be too short, and are cancelled at any time:
   those who stay in line are served, and in the end it is free. A wake that went to one who had
   left would leave the others waiting for ever. */
typedef struct regular {
    const generic_lock *kind;
    uint64_t random;
    int served, late;
    skua_task *task;
} regular;

static int come_often(void *arg)
{
    regular *self = arg;
    for (int i = 0; i < 8; i++) {
        skua_borrower borrower = {{0}};
        const bool is_patient = test_random(&self->random) % 2 == 0;
        const skua_time deadline =
            is_patient ? SKUA_FOREVER : skua_after(SKUA_MS(test_random(&self->random) % 4));
        const int status = self->kind->lock(&borrower, deadline);
        if (status == -ECANCELED) {
            return status;
        }
        if (status == -ETIMEDOUT) {
            CHECK(!is_patient);
            self->late++;
            continue;
        }
        CHECK_INT(status, 0);
        CHECK_INT(shared.inside++, 0);
        (void)!skua_sleep(skua_after(SKUA_MS(test_random(&self->random) % 3)));
        CHECK_INT(--shared.inside, 0);
        self->kind->unlock(&borrower);
        self->served++;
    }
    return 0;
}

static int strand_nobody(void *arg)
{
    uint64_t random = skua_test_seed() + 1;
    for (size_t i = 0; i < sizeof generic_locks / sizeof *generic_locks; i++) {
        regular regulars[6];
        memset(&shared, 0, sizeof shared);
        generic_locks[i].init();
        for (int k = 0; k < 6; k++) {
            regulars[k] = (regular){.kind = &generic_locks[i], .random = test_random(&random)};
            regulars[k].task = spawn(come_often, &regulars[k]);
        }
        for (int k = 0; k < 3; k++) {
            sleep_ms((int)(test_random(&random) % 5));
            skua_task_cancel(regulars[k].task);
        }
        for (int k = 0; k < 6; k++) {
            const int status = finish(regulars[k].task);
            CHECK(status == 0 || (k < 3 && status == -ECANCELED));
            CHECK(status < 0 || regulars[k].served + regulars[k].late == 8);
        }
        skua_borrower borrower = {{0}};
        CHECK_INT(generic_locks[i].lock(&borrower, SKUA_NOW), 0);
        generic_locks[i].unlock(&borrower);
        skua_chan_release(shared.chan, SKUA_SENDER | SKUA_RECEIVER);
    }
    return 0;
}

/* covers: A59 D24 */
static void cancels_and_deadlines_strand_nobody_in_line(void **state)
{
    in_all_schedules(strand_nobody);
}

/* --- semaphores --- */

static struct {
    skua_sem sem;
    int order[8], count;
    skua_time begin;
} turnstile;

/* Takes the one permit twice, for 10 ms each. */
static int go_through_twice(void *arg)
{
    const visit *self = arg;
    sleep_ms((int)self->amount); /* they come one after the other */
    for (int i = 0; i < 2; i++) {
        CHECK_INT(skua_sem_acquire(&turnstile.sem, 1, SKUA_FOREVER), 0);
        check_ms_since(turnstile.begin, 10 * turnstile.count);
        turnstile.order[turnstile.count++] = (int)self->amount;
        sleep_ms(10);
        skua_sem_release(&turnstile.sem, 1);
    }
    return 0;
}

static int three_twice(void *arg)
{
    visit visits[3];
    memset(&turnstile, 0, sizeof turnstile);
    turnstile.begin = skua_clock();
    skua_sem_init_bounded(&turnstile.sem, 1);
    for (size_t i = 0; i < 3; i++) {
        visits[i] = (visit){.amount = i};
        visits[i].task = spawn(go_through_twice, &visits[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(finish(visits[i].task), 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_INT(turnstile.order[i], i % 3);
    }
    return 0;
}

/* covers: A60 D25 */
static void a_semaphore_goes_round_in_order(void **state)
{
    in_all_schedules(three_twice);
}

static int take_and_stay(void *arg)
{
    visit *self = arg;
    const int status = skua_sem_acquire(&turnstile.sem, self->amount, self->deadline);
    end_visit(self, status);
    if (status == 0) {
        sleep_ms(self->stay_ms);
        skua_sem_release(&turnstile.sem, self->amount);
    }
    return status;
}

/* Three permits. One has two until 10; who wants three waits for it, and stays till 20; who comes
   after that and wants one, which is there, waits too; a fourth gives up before. */
static int weights(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[4] = {{.amount = 2, .stay_ms = 10},
                       {.amount = 3, .stay_ms = 10},
                       {.amount = 1, .stay_ms = 10},
                       {.amount = 1, .deadline = skua_after(SKUA_MS(15))}};
    skua_sem_init_bounded(&turnstile.sem, 3);
    for (int i = 0; i < 4; i++) {
        start_waiting(&visits[i], take_and_stay);
    }
    CHECK_INT(skua_sem_available(&turnstile.sem), 1);
    CHECK_INT(skua_sem_acquire(&turnstile.sem, 1, SKUA_NOW), -EAGAIN);
    check_ended_at(&visits[3], -ETIMEDOUT, begin, 15);
    check_ended_at(&visits[0], 0, begin, 0);
    check_ended_at(&visits[1], 0, begin, 10);
    check_ended_at(&visits[2], 0, begin, 20);
    check_ms_since(begin, 30);
    CHECK_INT(skua_sem_available(&turnstile.sem), 3);
    return 0;
}

/* covers: A60 B38 */
static void who_wants_many_permits_is_not_overtaken(void **state)
{
    in_all_schedules(weights);
}
/* Six wait for a permit. Three of them are cancelled while three permits come, in any order. */
static struct {
    skua_task *tasks[6];
    _Atomic int had, left;
} race;

static int acquire_or_leave(void *arg)
{
    const int status = skua_sem_acquire(&turnstile.sem, 1, SKUA_FOREVER);
    CHECK(status == 0 || status == -ECANCELED);
    atomic_fetch_add(status == 0 ? &race.had : &race.left, 1);
    return 0;
}

static int cancel_three(void *arg)
{
    for (int i = 0; i < 6; i += 2) {
        skua_task_cancel(race.tasks[i]);
        (void)skua_yield();
    }
    return 0;
}

static int release_while_cancelling(void *arg)
{
    memset(&race, 0, sizeof race);
    skua_sem_init(&turnstile.sem, 0);
    for (int i = 0; i < 6; i++) {
        race.tasks[i] = spawn(acquire_or_leave, NULL);
    }
    settle();
    skua_task *canceller = spawn(cancel_three, NULL);
    for (int i = 0; i < 3; i++) {
        (void)skua_yield();
        skua_sem_release(&turnstile.sem, 1);
    }
    CHECK_INT(finish(canceller), 0);
    settle();
    CHECK_INT(race.had, 3);
    CHECK_INT(skua_sem_available(&turnstile.sem), 0);
    skua_sem_release(&turnstile.sem, (size_t)(3 - race.left)); /* for those who still wait */
    for (int i = 0; i < 6; i++) {
        CHECK_INT(finish(race.tasks[i]), 0);
    }
    CHECK_INT(race.had + race.left, 6);
    CHECK_INT(skua_sem_available(&turnstile.sem), 0);
    return 0;
}

/* covers: A60 D24 */
static void permits_and_cancels_in_any_order_lose_nothing(void **state)
{
    in_all_schedules(release_while_cancelling);
}

/* --- readers and writers --- */

static skua_rwlock lock;

/* Come `amount` milliseconds from now, and have it for 10. */
static int read_for_ten(void *arg)
{
    visit *self = arg;
    sleep_ms((int)self->amount);
    CHECK_INT(skua_rwlock_read(&lock, SKUA_FOREVER), 0);
    end_visit(self, 0);
    sleep_ms(10);
    skua_rwlock_read_unlock(&lock);
    return 0;
}

static int write_for_ten(void *arg)
{
    visit *self = arg;
    sleep_ms((int)self->amount);
    CHECK_INT(skua_rwlock_write(&lock, SKUA_FOREVER), 0);
    end_visit(self, 0);
    sleep_ms(10);
    skua_rwlock_write_unlock(&lock);
    return 0;
}

typedef struct arrival {
    skua_fn fn;
    int64_t enters_ms; /* who comes i milliseconds from the begin */
} arrival;

static void check_arrivals(const arrival *arrivals, size_t count)
{
    visit visits[8];
    const skua_time begin = skua_clock();
    memset(&lock, 0, sizeof lock);
    for (size_t i = 0; i < count; i++) {
        visits[i] = (visit){.amount = i};
        visits[i].task = spawn(arrivals[i].fn, &visits[i]);
    }
    for (size_t i = 0; i < count; i++) {
        check_ended_at(&visits[i], 0, begin, arrivals[i].enters_ms);
    }
}

/* The writer waits for the last of three readers. */
static int last_reader(void *arg)
{
    static const arrival arrivals[] = {
        {read_for_ten, 0}, {read_for_ten, 1}, {read_for_ten, 2}, {write_for_ten, 12}};
    check_arrivals(arrivals, 4);
    return 0;
}

/* covers: B28 D35 */
static void a_writer_enters_when_the_last_reader_leaves(void **state)
{
    in_all_schedules(last_reader);
}

/* Readers that come after a writer that waits do not overtake it; they enter together after it,
   and the next writer when they have left. */
static int one_line(void *arg)
{
    static const arrival arrivals[] = {{read_for_ten, 0},  {write_for_ten, 10}, {read_for_ten, 20},
                                       {read_for_ten, 20}, {write_for_ten, 30}, {read_for_ten, 40}};
    check_arrivals(arrivals, 6);
    return 0;
}

/* covers: B28 */
static void readers_and_writers_stand_in_one_line(void **state)
{
    in_all_schedules(one_line);
}
/* --- limiters --- */

static skua_limiter limiter;

static int borrow_for_ten(void *arg)
{
    visit *self = arg;
    SKUA_BORROWER(borrower);
    CHECK_INT(skua_limiter_borrow(&limiter, &borrower, SKUA_FOREVER), 0);
    end_visit(self, 0);
    sleep_ms(10);
    return 0;
}

/* Seven come at once, in order, to one place. At 5 there are three, at 6 one again: the places of
   those who leave at 10 and 15 are not given away before fewer than one is taken. */
static int raise_and_lower(void *arg)
{
    static const int enters_ms[] = {0, 5, 5, 15, 25, 35};
    const skua_time begin = skua_clock();
    visit visits[6];
    skua_limiter_stats stats;
    skua_limiter_init(&limiter, 1);
    for (int i = 0; i < 6; i++) {
        visits[i] = (visit){0};
        start_waiting(&visits[i], borrow_for_ten);
    }
    sleep_ms(5);
    skua_limiter_set_total(&limiter, 3);
    sleep_ms(1);
    skua_limiter_set_total(&limiter, 1);
    skua_limiter_get_stats(&limiter, &stats);
    CHECK_INT(stats.borrowed, 3);
    CHECK_INT(stats.total, 1);
    CHECK_INT(stats.waiting, 3);
    for (int i = 0; i < 6; i++) {
        check_ended_at(&visits[i], 0, begin, enters_ms[i]);
    }
    check_ms_since(begin, 45);
    return 0;
}

/* covers: B15 D31 */
static void a_limiter_that_is_lowered_waits_for_its_places(void **state)
{
    in_all_schedules(raise_and_lower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_tasks_are_never_inside_together),
        TEST(who_is_cancelled_in_line_holds_up_nobody),
        TEST(cancels_and_deadlines_strand_nobody_in_line),
        TEST(a_semaphore_goes_round_in_order),
        TEST(who_wants_many_permits_is_not_overtaken),
        TEST(a_writer_enters_when_the_last_reader_leaves),
        TEST(readers_and_writers_stand_in_one_line),
        TEST(a_limiter_that_is_lowered_waits_for_its_places),
        TEST(permits_and_cancels_in_any_order_lose_nothing),
    };
    return TEST_RUN(tests);
}
