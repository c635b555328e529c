/* Locks and meeting places as programs use them: exclusion over suspension points, order, and who
   goes on at which moment, whatever the schedule. Times are exact, since they are virtual. */
#include "schedules.h"

#include <skua/chan.h>
#include <skua/group.h>
#include <skua/limit.h>
#include <skua/meet.h>
#include <skua/sync.h>

/* --- exclusion: the same for all that lets in one at a time --- */

typedef struct generic_lock {
    const char *name;
    void (*init)(void);
    int (*lock)(skua_borrower *borrower);
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

static int lock_mutex(skua_borrower *borrower)
{
    return skua_mutex_lock(&shared.mutex, SKUA_FOREVER);
}

static void unlock_mutex(skua_borrower *borrower)
{
    skua_mutex_unlock(&shared.mutex);
}

static int lock_rwlock(skua_borrower *borrower)
{
    return skua_rwlock_write(&shared.rwlock, SKUA_FOREVER);
}

static void unlock_rwlock(skua_borrower *borrower)
{
    skua_rwlock_write_unlock(&shared.rwlock);
}

static void init_sem(void)
{
    skua_sem_init_bounded(&shared.sem, 1);
}

static int lock_sem(skua_borrower *borrower)
{
    return skua_sem_acquire(&shared.sem, 1, SKUA_FOREVER);
}

static void unlock_sem(skua_borrower *borrower)
{
    skua_sem_release(&shared.sem, 1);
}

static void init_limiter(void)
{
    skua_limiter_init(&shared.limiter, 1);
}

static int lock_limiter(skua_borrower *borrower)
{
    return skua_limiter_borrow(&shared.limiter, borrower, SKUA_FOREVER);
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

static int lock_chan(skua_borrower *borrower)
{
    return skua_chan_send(shared.chan, NULL, 0, SKUA_FOREVER);
}

static void unlock_chan(skua_borrower *borrower)
{
    CHECK_INT(skua_chan_recv(shared.chan, NULL, 0, SKUA_NOW), 1);
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
        CHECK_INT(kind->lock(&borrower), 0);
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

/* --- one call in a task, and the moment when it returned --- */

typedef struct visit {
    skua_time deadline, end;
    int status, stay_ms;
    size_t amount;
    skua_task *task;
} visit;

static void end_visit(visit *self, int status)
{
    self->status = status;
    self->end = skua_clock();
}

static void start_waiting(visit *self, skua_fn fn)
{
    self->task = spawn(fn, self);
    settle();
}

static void check_ended_at(visit *self, int status, skua_time begin, int64_t ms)
{
    CHECK_INT(finish(self->task), status);
    CHECK_INT(self->end.ns - begin.ns, SKUA_MS(ms));
}

/* --- who was cancelled has left the line --- */

static int visit_lock(void *arg)
{
    visit *self = arg;
    skua_borrower borrower = {{0}};
    const generic_lock *kind = &generic_locks[self->amount];
    const int status = kind->lock(&borrower);
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
        CHECK_INT(kind->lock(&borrower), 0);
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
        CHECK_INT(kind->lock(&borrower), 0);
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

/* --- conditions --- */

static struct {
    skua_mutex mutex;
    skua_cond cond;
    int awake;
} room;

static int wait_for_signal(void *arg)
{
    visit *self = arg;
    CHECK_INT(skua_mutex_lock(&room.mutex, SKUA_FOREVER), 0);
    const int status = skua_cond_wait(&room.cond, &room.mutex, self->deadline);
    end_visit(self, status);
    room.awake++;
    skua_mutex_unlock(&room.mutex); /* panics unless it is held */
    return status;
}

static int cancel_under_lock(void *arg)
{
    for (int is_late = 0; is_late < 2; is_late++) {
        const skua_time begin = skua_clock();
        visit waiter = {.deadline = is_late ? skua_after(SKUA_MS(1)) : SKUA_FOREVER};
        memset(&room, 0, sizeof room);
        start_waiting(&waiter, wait_for_signal);
        CHECK_INT(skua_mutex_lock(&room.mutex, SKUA_NOW), 0); /* the wait has given it back */
        if (!is_late) {
            skua_task_cancel(waiter.task);
        }
        sleep_ms(5);
        CHECK_INT(room.awake, 0);
        skua_mutex_unlock(&room.mutex);
        check_ended_at(&waiter, is_late ? -ETIMEDOUT : -ECANCELED, begin, 5);
        CHECK_INT(room.awake, 1);
    }
    return 0;
}

/* covers: D28 */
static void a_wait_that_is_given_up_has_the_lock_again(void **state)
{
    in_all_schedules(cancel_under_lock);
}

/* Ten wait: a signal each millisecond for the first five, then one broadcast for the rest. */
static int signal_and_broadcast(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[10];
    memset(&room, 0, sizeof room);
    for (int i = 0; i < 10; i++) {
        visits[i] = (visit){0};
        start_waiting(&visits[i], wait_for_signal);
    }
    for (int i = 1; i <= 5; i++) {
        sleep_ms(1);
        skua_cond_signal(&room.cond);
        settle();
        CHECK_INT(room.awake, i);
    }
    sleep_ms(1);
    skua_cond_broadcast(&room.cond);
    for (int i = 0; i < 10; i++) {
        check_ended_at(&visits[i], 0, begin, i < 5 ? i + 1 : 6);
    }
    CHECK_INT(room.awake, 10);
    skua_cond_signal(&room.cond); /* for nobody, and not kept */
    visit late = {.deadline = skua_after(SKUA_MS(1))};
    late.task = spawn(wait_for_signal, &late);
    check_ended_at(&late, -ETIMEDOUT, begin, 7);
    return 0;
}

/* covers: A62 D34 */
static void a_signal_wakes_one_and_a_broadcast_all(void **state)
{
    in_all_schedules(signal_and_broadcast);
}

/* --- events --- */

static skua_event event;

static int wait_for_event(void *arg)
{
    visit *self = arg;
    const int status = skua_event_wait(&event, self->deadline);
    end_visit(self, status);
    return status;
}

static int set_and_clear(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[5];
    memset(&event, 0, sizeof event);
    for (int i = 0; i < 5; i++) {
        visits[i] = (visit){.deadline = i == 0 ? skua_after(SKUA_MS(3)) : SKUA_FOREVER};
        start_waiting(&visits[i], wait_for_event);
    }
    sleep_ms(4);
    skua_task_cancel(visits[1].task);
    settle();
    sleep_ms(1);
    skua_event_set(&event);
    skua_event_clear(&event); /* who waited goes on all the same */
    check_ended_at(&visits[0], -ETIMEDOUT, begin, 3);
    check_ended_at(&visits[1], -ECANCELED, begin, 4);
    for (int i = 2; i < 5; i++) {
        check_ended_at(&visits[i], 0, begin, 5);
    }
    CHECK_INT(skua_event_wait(&event, SKUA_NOW), -EAGAIN);
    skua_event_set(&event);
    CHECK_INT(skua_event_wait(&event, SKUA_FOREVER), 0);
    check_ms_since(begin, 5);
    return 0;
}

/* covers: A62 */
static void an_event_lets_all_go_on_who_wait_for_it(void **state)
{
    in_all_schedules(set_and_clear);
}

/* --- barriers and wait groups --- */

static skua_barrier barrier;

/* Comes `stay_ms` from now. */
static int come_to_barrier(void *arg)
{
    visit *self = arg;
    sleep_ms(self->stay_ms);
    const int status = skua_barrier_wait(&barrier, self->deadline);
    end_visit(self, status);
    return status;
}

/* Three parties come at 1, 2 and 3. The first one gives up at `leave_ms`, before the last one is
   there; another one comes in its place at 6. */
static int replace_a_party(void *arg)
{
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        const skua_time begin = skua_clock();
        visit visits[4] = {{.stay_ms = 1}, {.stay_ms = 2}, {.stay_ms = 4}, {.stay_ms = 6}};
        visits[0].deadline = is_cancelled ? SKUA_FOREVER : skua_after(SKUA_MS(3));
        skua_barrier_init(&barrier, 3);
        for (int i = 0; i < 4; i++) {
            visits[i].task = spawn(come_to_barrier, &visits[i]);
        }
        sleep_ms(3);
        if (is_cancelled) {
            CHECK_INT(skua_barrier_waiting(&barrier), 2);
            skua_task_cancel(visits[0].task);
        }
        check_ended_at(&visits[0], is_cancelled ? -ECANCELED : -ETIMEDOUT, begin, 3);
        CHECK_INT(skua_barrier_waiting(&barrier), 1);
        check_ended_at(&visits[1], 0, begin, 6);
        check_ended_at(&visits[2], 1, begin, 6);
        check_ended_at(&visits[3], 2, begin, 6);
        CHECK_INT(skua_barrier_waiting(&barrier), 0);
    }
    return 0;
}

/* covers: B7 D29 */
static void a_barrier_opens_when_who_left_is_replaced(void **state)
{
    in_all_schedules(replace_a_party);
}

/* It opens with the fifth, twice; then one of them says that it will not come. */
static int open_twice_and_abort(void *arg)
{
    const skua_time begin = skua_clock();
    visit visits[5];
    skua_barrier_init(&barrier, 5);
    for (int round = 0; round < 3; round++) {
        const int parties = round < 2 ? 5 : 4;
        for (int i = 0; i < parties; i++) {
            visits[i] = (visit){.stay_ms = i + 1};
            visits[i].task = spawn(come_to_barrier, &visits[i]);
        }
        sleep_ms(5);
        if (round == 2) {
            skua_barrier_abort(&barrier);
        }
        for (int i = 0; i < parties; i++) {
            check_ended_at(&visits[i], round < 2 ? i : -ECONNABORTED, begin, 5 * (round + 1));
        }
    }
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_FOREVER), -ECONNABORTED);
    skua_barrier_reset(&barrier);
    CHECK_INT(skua_barrier_wait(&barrier, SKUA_NOW), -EAGAIN);
    return 0;
}

/* covers: B7 */
static void a_barrier_opens_with_the_last_and_is_used_again(void **state)
{
    in_all_schedules(open_twice_and_abort);
}

static skua_wait_group wait_group;

static int work_then_done(void *arg)
{
    sleep_ms((int)((visit *)arg)->amount);
    skua_wait_group_done(&wait_group);
    return 0;
}

static int wait_for_group(void *arg)
{
    visit *self = arg;
    const int status = skua_wait_group_wait(&wait_group, self->deadline);
    end_visit(self, status);
    return status;
}

static int eight_times_over(void *arg)
{
    skua_time begin = skua_clock();
    memset(&wait_group, 0, sizeof wait_group);
    for (int round = 0; round < 8; round++) {
        visit workers[16], waiters[2] = {{.status = 0}, {.deadline = skua_after(SKUA_MS(15))}};
        skua_wait_group_add(&wait_group, 16);
        for (size_t i = 0; i < 16; i++) {
            workers[i] = (visit){.amount = i + 1};
            workers[i].task = spawn(work_then_done, &workers[i]);
        }
        for (int i = 0; i < 2; i++) {
            waiters[i].task = spawn(wait_for_group, &waiters[i]);
        }
        check_ended_at(&waiters[0], 0, begin, 16); /* not before the last one */
        check_ended_at(&waiters[1], -ETIMEDOUT, begin, 15);
        for (int i = 0; i < 16; i++) {
            CHECK_INT(finish(workers[i].task), 0);
        }
        begin = skua_clock();
    }
    return 0;
}

/* covers: B38 D33 */
static void a_wait_group_ends_with_its_last_eight_times_over(void **state)
{
    in_all_schedules(eight_times_over);
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
        TEST(a_semaphore_goes_round_in_order),
        TEST(who_wants_many_permits_is_not_overtaken),
        TEST(a_wait_that_is_given_up_has_the_lock_again),
        TEST(a_signal_wakes_one_and_a_broadcast_all),
        TEST(an_event_lets_all_go_on_who_wait_for_it),
        TEST(a_barrier_opens_when_who_left_is_replaced),
        TEST(a_barrier_opens_with_the_last_and_is_used_again),
        TEST(a_wait_group_ends_with_its_last_eight_times_over),
        TEST(a_writer_enters_when_the_last_reader_leaves),
        TEST(readers_and_writers_stand_in_one_line),
        TEST(a_limiter_that_is_lowered_waits_for_its_places),
    };
    return TEST_RUN(tests);
}
