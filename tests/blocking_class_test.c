/* Classes of blocking calls, and calls that are abandoned. What blocks here waits for a gate that
   the test opens; nothing depends on time. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "blocking/blocking.h"
#include "tasks.h"

#include <pthread.h>
#include <skua/skua.h>

/* --- calls that do not answer ----------------------------------------------------------------- */

enum { STUCK_CALLS = 100, STUCK_THREADS = 3 };

static gate stuck, answers, dropped, left;
static atomic_int running, peak;
static skua_blocking_class *slow;

static void begin(void)
{
    stuck = answers = dropped = left = 0;
    atomic_store(&running, 0);
    atomic_store(&peak, 0);
}

/* A lookup that never answers, until the test lets it. */
static int never_answer(void *arg)
{
    const int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now)) {}
    atomic_fetch_add(&stuck, 1);
    while (atomic_load(&answers) == 0) {
        usleep(100);
    }
    atomic_fetch_sub(&running, 1);
    return 7;
}

static int ask(void *arg)
{
    return skua_blocking_in(slow, never_answer, NULL, SKUA_FOREVER);
}

static int thread_of(void *arg)
{
    *(pid_t *)arg = gettid();
    return 1;
}

/* A file that is not in the page cache goes through the pool, as does what opens it. */
static void use_files(void)
{
    char text[16] = "";
    pid_t thread = 0;
    int fd = skua_open("/proc/self/stat", O_RDONLY, 0, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK(skua_read(fd, text, sizeof text, SKUA_FOREVER) > 0);
    skua_close(fd);
    CHECK_INT(skua_blocking(thread_of, &thread, SKUA_FOREVER), 1);
    CHECK(thread != gettid());
}

static int fill_the_class(void *arg)
{
    skua_task *tasks[STUCK_CALLS];
    begin();
    CHECK_INT(skua_blocking_class_create(&slow, "names", STUCK_THREADS), 0);
    for (int i = 0; i < STUCK_CALLS; i++) {
        tasks[i] = spawn(ask, NULL);
    }
    await(&stuck, STUCK_THREADS);
    for (int i = 0; i < 20; i++) {
        use_files();
    }
    CHECK_INT(skua_blocking_in(slow, thread_of, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_blocking_in(slow, thread_of, NULL, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    atomic_store(&answers, 1);
    for (int i = 0; i < STUCK_CALLS; i++) {
        CHECK_INT(finish(tasks[i]), 7);
    }
    CHECK_INT(atomic_load(&peak), STUCK_THREADS);
    skua_blocking_class_destroy(slow);
    return 0;
}

/* covers: A66 D78 */
static void a_full_class_keeps_no_other_waiting(void **state)
{
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers, .blocking_threads_max = 1};
        CHECK_INT(skua_run(&config, fill_the_class, NULL), 0);
    }
}

static int ask_in_common(void *arg)
{
    return skua_blocking(never_answer, NULL, SKUA_FOREVER);
}

static int fill_the_common_class(void *arg)
{
    skua_task *tasks[2];
    pid_t thread = 0;
    begin();
    CHECK_INT(skua_blocking_class_create(&slow, NULL, 1), 0);
    tasks[0] = spawn(ask_in_common, NULL);
    tasks[1] = spawn(ask_in_common, NULL);
    await(&stuck, 1);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(skua_blocking_in(slow, thread_of, &thread, i % 2 ? SKUA_NOW : SKUA_FOREVER), 1);
    }
    CHECK_INT(atomic_load(&stuck), 1);
    atomic_store(&answers, 1);
    CHECK_INT(finish(tasks[0]), 7);
    CHECK_INT(finish(tasks[1]), 7);
    skua_blocking_class_destroy(slow);
    return 0;
}

static void nor_does_the_common_class(void **state)
{
    const skua_config config = {.workers = 2, .blocking_threads_max = 1};
    CHECK_INT(skua_run(&config, fill_the_common_class, NULL), 0);
}

/* --- many classes at once --------------------------------------------------------------------- */

enum { CLASSES = 4, CLASS_TASKS = 12, CLASS_CALLS = 200 / TEST_SCALE };

static struct load {
    skua_blocking_class *class;
    atomic_int running, calls;
    int limit;
} loads[CLASSES];

static int work(void *arg)
{
    struct load *load = arg;
    CHECK(atomic_fetch_add(&load->running, 1) < load->limit);
    atomic_fetch_add(&load->calls, 1);
    atomic_fetch_sub(&load->running, 1);
    return 0;
}

static int work_a_lot(void *arg)
{
    uint64_t random = test_seed() + (uintptr_t)&random;
    struct load *load = arg;
    int done = 0;
    for (int i = 0; i < CLASS_CALLS; i++) {
        const int patience = (int)(test_random(&random) % 4);
        const skua_time start_by = patience == 0   ? SKUA_NOW
                                   : patience == 1 ? skua_after(SKUA_US(50))
                                                   : SKUA_FOREVER;
        const int status = skua_blocking_in(load->class, work, load, start_by);
        CHECK(status == 0 || (status == -EAGAIN && patience == 0) ||
              (status == -ETIMEDOUT && patience == 1));
        done += status == 0;
    }
    return done;
}

static int load_all(void *arg)
{
    skua_task *tasks[CLASSES][CLASS_TASKS];
    for (int i = 0; i < CLASSES; i++) {
        loads[i] = (struct load){.limit = i + 1};
        CHECK_INT(skua_blocking_class_create(&loads[i].class, "load", (uint32_t)i + 1), 0);
        for (int k = 0; k < CLASS_TASKS; k++) {
            tasks[i][k] = spawn(work_a_lot, &loads[i]);
        }
    }
    for (int i = 0; i < CLASSES; i++) {
        int done = 0;
        for (int k = 0; k < CLASS_TASKS; k++) {
            done += finish(tasks[i][k]);
        }
        CHECK_INT(done, atomic_load(&loads[i].calls));
        skua_blocking_class_destroy(loads[i].class);
    }
    return 0;
}

static void no_class_runs_more_than_its_limit(void **state)
{
    const int64_t before = atomic_exchange(&skua__blocking_idle_ns, SKUA_US(50));
    run_on_1_2_4(load_all);
    atomic_store(&skua__blocking_idle_ns, before);
}

/* --- abandoned calls -------------------------------------------------------------------------- */

struct question {
    int number;
    char *answer;
};

static int answer(void *arg)
{
    struct question *question = arg;
    CHECK_INT(question->number, 6);
    (void)never_answer(NULL);
    question->answer = malloc(8);
    CHECK(question->answer != NULL);
    strcpy(question->answer, "seven");
    return 42;
}

static void drop_answer(void *arg)
{
    struct question *question = arg;
    if (question->answer != NULL) {
        CHECK_STR(question->answer, "seven");
        free(question->answer);
    }
    atomic_fetch_add(&dropped, 1);
}

static int ask_and_maybe_leave(void *arg)
{
    struct question question = {.number = 6};
    skua_time *deadline = arg;
    const int status =
        skua_blocking_abandonable(slow, answer, &question, sizeof question, drop_answer, *deadline);
    if (status < 0) {
        CHECK_PTR(question.answer, NULL);
        return status;
    }
    CHECK_STR(question.answer, "seven");
    free(question.answer);
    return status;
}

static int leave_and_stay(void *arg)
{
    skua_time forever = SKUA_FOREVER, soon = skua_after(SKUA_MS(1)), now = SKUA_NOW;
    begin();
    CHECK_INT(skua_blocking_class_create(&slow, "left", 2), 0);
    skua_task *stays = spawn(ask_and_maybe_leave, &forever);
    skua_task *leaves = spawn(ask_and_maybe_leave, &forever);
    await(&stuck, 2);
    skua_task *waits = spawn(ask_and_maybe_leave, &forever);
    CHECK_INT(call(ask_and_maybe_leave, &soon), -ETIMEDOUT);
    CHECK_INT(atomic_load(&dropped), 1); /* it has not begun, and is dropped all the same */
    CHECK_INT(call(ask_and_maybe_leave, &now), -EAGAIN);
    CHECK_INT(atomic_load(&dropped), 1);
    skua_task_cancel(leaves);
    CHECK_INT(finish(leaves), -ECANCELED);
    CHECK_INT(atomic_load(&dropped), 1);
    CHECK_INT(atomic_load(&running), 2); /* it goes on */
    atomic_store(&answers, 1);
    CHECK_INT(finish(stays), 42);
    CHECK_INT(finish(waits), 42);
    await(&dropped, 2);
    skua_blocking_class_destroy(slow);
    CHECK_INT(atomic_load(&stuck), 3);
    return 0;
}

static void who_waits_for_an_abandonable_call_may_leave(void **state)
{
    run_on_1_2_4(leave_and_stay);
    CHECK_INT(atomic_load(&dropped), 2);
}

/* Late, which may be before the call has begun, or cancelled once it has. Either way it is dropped
   once, by whoever has it. */
static int leave_at_once(void *arg)
{
    skua_time soon = skua_after(SKUA_MS(5)), forever = SKUA_FOREVER;
    const bool is_late = arg != NULL;
    begin();
    CHECK_INT(skua_blocking_class_create(&slow, "left", 1), 0);
    skua_task *task = spawn(ask_and_maybe_leave, is_late ? &soon : &forever);
    if (!is_late) {
        await(&stuck, 1);
        skua_task_cancel(task);
    }
    CHECK_INT(finish(task), is_late ? -ETIMEDOUT : -ECANCELED);
    CHECK(is_late || atomic_load(&dropped) == 0); /* it is inside */
    skua_blocking_class_destroy(slow);            /* it goes when the call has */
    atomic_store(&left, 1);
    return 0;
}

static void *answer_later(void *arg)
{
    await(&left, 1);
    usleep(3000); /* so that the end of the runtime has something to wait for */
    atomic_store(&answers, 1);
    return NULL;
}

static void the_end_awaits_what_was_abandoned(void **state)
{
    for (uintptr_t i = 0; i < 6; i++) {
        pthread_t thread;
        begin();
        CHECK_INT(pthread_create(&thread, NULL, answer_later, NULL), 0);
        run_on_with(1, leave_at_once, (void *)(i % 2));
        CHECK_INT(atomic_load(&running), 0);
        CHECK_INT(atomic_load(&dropped), 1);
        CHECK(i % 2 == 1 || atomic_load(&stuck) == 1);
        CHECK_INT(pthread_join(thread, NULL), 0);
    }
}

/* --- calls that nobody waits for -------------------------------------------------------------- */

static int count_call(void *arg)
{
    (void)never_answer(NULL);
    return 0;
}

static void count_drop(void *arg)
{
    CHECK_PTR(arg, &dropped);
    atomic_fetch_add(&dropped, 1);
}

static int begin_several(void *arg)
{
    begin();
    CHECK_INT(skua_blocking_class_create(&slow, "begun", 1), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua__blocking_begin(slow, count_call, &dropped, count_drop), 0);
    }
    await(&stuck, 1);
    CHECK_INT(atomic_load(&dropped), 0);
    atomic_store(&left, 1);
    return 0;
}

/* The first one is in the call; the others have not begun, and never do. */
static void what_has_not_begun_is_dropped_at_the_end(void **state)
{
    struct said said;
    pthread_t thread;
    begin();
    CHECK_INT(pthread_create(&thread, NULL, answer_later, NULL), 0);
    said_begin(&said);
    run_on(1, begin_several);
    CHECK_INT(count_of(said_end(&said), "the class 'begun' of blocking calls was not destroyed"),
              1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(atomic_load(&dropped), 3);
}

/* --- what is refused -------------------------------------------------------------------------- */

static int use_foreign_class(void *arg)
{
    CHECK_INT(skua_blocking_in(arg, thread_of, NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_blocking_abandonable(arg, thread_of, NULL, 0, NULL, SKUA_FOREVER), -EINVAL);
    return 0;
}

static int refuse(void *arg)
{
    CHECK_INT(skua_blocking_class_create(&slow, "none", 0), -EINVAL);
    CHECK_INT(skua_blocking_class_create(&slow, "mine", 1), 0);
    skua_blocking_class_destroy(slow);
    skua_blocking_class_destroy(NULL);
    return 0;
}

static int make_class(void *arg)
{
    return skua_blocking_class_create(arg, "mine", 1);
}

static int destroy_class(void *arg)
{
    skua_blocking_class_destroy(arg);
    return 0;
}

static void strangers_are_refused(void **state)
{
    skua_runtime *one = NULL, *other = NULL;
    skua_blocking_class *class = NULL;
    pid_t thread = 0;
    run_on(1, refuse);
    CHECK_INT(skua_blocking_class_create(&class, "mine", 1), -EPERM);
    CHECK_INT(skua_runtime_create(&one, NULL), 0);
    CHECK_INT(skua_runtime_create(&other, NULL), 0);
    CHECK_INT(skua_call(one, make_class, &class, SKUA_FOREVER), 0);
    CHECK_INT(skua_call(other, use_foreign_class, class, SKUA_FOREVER), 0);
    CHECK_INT(skua_blocking_in(class, thread_of, &thread, SKUA_FOREVER), 1);
    CHECK_INT(thread, gettid());
    CHECK_INT(skua_blocking_abandonable(class, thread_of, &thread, sizeof thread, NULL, SKUA_NOW),
              1);
    CHECK_INT(skua_call(one, destroy_class, class, SKUA_FOREVER), 0);
    skua_runtime_destroy(one);
    skua_runtime_destroy(other);
}

static int try_without_memory(void *arg)
{
    skua_time forever = SKUA_FOREVER;
    begin();
    atomic_store(&answers, 1);
    for (int64_t budget = 0, status = -ENOMEM; status == -ENOMEM; budget++) {
        skua_blocking_class *untouched = (skua_blocking_class *)(uintptr_t)8;
        slow = untouched;
        atomic_store(&skua__alloc_budget, budget);
        status = skua_blocking_class_create(&slow, "poor", 1);
        atomic_store(&skua__alloc_budget, -1);
        CHECK(status == 0 ? slow != untouched : slow == untouched && status == -ENOMEM);
    }
    skua_task *task = spawn(sleep_forever, NULL);
    for (int64_t budget = 0, status = -ENOMEM; status == -ENOMEM; budget++) {
        struct question question = {.number = 6};
        atomic_store(&skua__alloc_budget, budget);
        status = skua_blocking_abandonable(slow, answer, &question, sizeof question, drop_answer,
                                           forever);
        atomic_store(&skua__alloc_budget, -1);
        CHECK(status == 42 ? question.answer != NULL : status == -ENOMEM);
        free(question.answer);
    }
    for (int64_t budget = 0, status = -ENOMEM; status == -ENOMEM; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        status = skua__blocking_begin(slow, count_call, &dropped, count_drop);
        atomic_store(&skua__alloc_budget, -1);
        CHECK(status == 0 || status == -ENOMEM);
    }
    await(&dropped, 1);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    skua_blocking_class_destroy(slow);
    return 0;
}

static void without_memory_nothing_is_left_behind(void **state)
{
    run_on(1, try_without_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_class_keeps_no_other_waiting),
        TEST(nor_does_the_common_class),
        TEST(no_class_runs_more_than_its_limit),
        TEST(who_waits_for_an_abandonable_call_may_leave),
        TEST(the_end_awaits_what_was_abandoned),
        TEST(what_has_not_begun_is_dropped_at_the_end),
        TEST(strangers_are_refused),
        TEST(without_memory_nothing_is_left_behind),
    };
    return TEST_RUN(tests);
}
