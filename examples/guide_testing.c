/* The code of docs/guide/testing.md, in the order of the chapter. */
#include <skua/skua.h>
#include <stdio.h>

/* --- time ------------------------------------------------------------------------------------- */

/* Polls once a minute, for an hour at most. */
static int poll_until_ready(int (*is_ready)(void))
{
    const skua_time limit = skua_after(SKUA_SEC(3600));
    while (!is_ready()) {
        int status =
            skua_elapsed_ns(limit) >= 0 ? -ETIMEDOUT : skua_sleep(skua_after(SKUA_SEC(60)));
        if (status < 0) {
            return status;
        }
    }
    return 0;
}

static int never(void)
{
    return 0;
}

static int gives_up_after_an_hour(void *arg)
{
    (void)arg;
    const skua_time start = skua_clock();
    SKUA_CHECK_INT(poll_until_ready(never), -ETIMEDOUT);
    SKUA_CHECK_INT(skua_elapsed_ns(start), SKUA_SEC(3600));
    printf("an hour has passed\n");
    return 0;
}

/* --- settling --------------------------------------------------------------------------------- */

static int remind(void *arg)
{
    int *reminders = arg;
    while (skua_sleep(skua_after(SKUA_SEC(10))) == 0) {
        (*reminders)++;
    }
    return 0;
}

static int reminds_every_ten_seconds(void *arg)
{
    int *reminders = arg;
    skua_task *task = NULL;
    SKUA_CHECK_INT(skua_spawn(&task, remind, reminders, NULL), 0);
    SKUA_CHECK_INT(skua_test_settle(), 0);
    SKUA_CHECK_INT(*reminders, 0);
    SKUA_CHECK_INT(skua_test_advance(SKUA_SEC(35)), 0);
    SKUA_CHECK_INT(*reminders, 3);
    skua_task_cancel(task);
    SKUA_CHECK_INT(skua_join(task, NULL, SKUA_FOREVER), 0);
    skua_task_release(task);
    printf("%d reminders\n", *reminders);
    return 0;
}

/* --- schedules -------------------------------------------------------------------------------- */

static int balance;

/* Wrong: another task may run at the checkpoint, and what it pays in is lost. */
static int pay_in(void *arg)
{
    (void)arg;
    int before = balance;
    int status = skua_checkpoint();
    balance = before + 1;
    return status;
}

static int pay_in_twice(void *arg)
{
    (void)arg;
    skua_task *other = NULL;
    balance = 0;
    SKUA_CHECK_INT(skua_spawn(&other, pay_in, NULL, NULL), 0);
    int status = pay_in(NULL);
    int joined = skua_join(other, NULL, SKUA_FOREVER);
    skua_task_release(other);
    return status < 0 ? status : joined;
}

static int find_bad_seed(void)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        const skua_test_opts opts = {.seeded = true, .seed = seed};
        if (skua_test_run(&opts, pay_in_twice, NULL) < 0 || balance != 2) {
            return (int)seed;
        }
    }
    return 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

int main(void)
{
    const skua_test_opts jumping = {.virtual_clock = true};
    const skua_test_opts by_hand = {.manual_clock = true};
    int reminders = 0;
    int status = skua_test_run(&jumping, gives_up_after_an_hour, NULL);
    if (status == 0) {
        status = skua_test_run(&by_hand, reminds_every_ten_seconds, &reminders);
    }

    int seed = find_bad_seed();
    const skua_test_opts again = {.seeded = true, .seed = (uint64_t)seed};
    if (status == 0) {
        status = skua_test_run(&again, pay_in_twice, NULL);
    }
    printf("%s, and once more: balance %d\n", seed > 0 ? "a bad schedule was found" : "no luck",
           balance);
    return status < 0;
}
