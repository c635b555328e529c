/* The examples of docs/guide/sharing.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>

/* --- everything to everybody --- */

static int hear(skua_subscriber *subscriber, const char *who)
{
    int item;
    int status;
    while ((status = skua_subscriber_next(subscriber, SKUA_ITEM(item), SKUA_FOREVER)) != 0) {
        if (status == 1) {
            printf("%s hears %d\n", who, item);
        } else if (status == -EOVERFLOW) {
            printf("%s has missed %d\n", who, (int)skua_subscriber_missed(subscriber));
        } else {
            return status;
        }
    }
    return 0;
}

static int tell_all(void)
{
    skua_broadcast *news = NULL;
    skua_subscriber *early = NULL;
    skua_subscriber *late = NULL;
    int status = skua_broadcast_create(&news, sizeof(int), 2); /* keeps the last two */
    if (status == 0) {
        status = skua_broadcast_subscribe(news, &early);
    }
    for (int item = 1; item <= 4 && status >= 0; item++) {
        status = skua_broadcast_send(news, SKUA_ITEM(item));
        if (item == 3 && status >= 0) {
            status = skua_broadcast_subscribe(news, &late);
        }
    }
    skua_broadcast_destroy(news); /* closes it; what was sent can still be heard */
    if (status >= 0) {
        status = hear(early, "the early one");
    }
    if (status >= 0) {
        status = hear(late, "the late one");
    }
    skua_subscriber_release(early);
    skua_subscriber_release(late);
    return status;
}

/* --- the latest value --- */

struct config {
    int level;
};

static int follow(void *arg)
{
    skua_watch *watch = arg;
    struct config config;
    uint64_t version = 0; /* has seen none */
    int status;
    while ((status = skua_watch_wait(watch, &version, SKUA_ITEM(config), SKUA_FOREVER)) == 1) {
        if (config.level == 9) {
            printf("level 9 was set\n");
        }
    }
    return status;
}

static int configure(void)
{
    struct config config = {.level = 0};
    skua_watch *watch = NULL;
    skua_task *follower = NULL;
    int status = skua_watch_create(&watch, SKUA_ITEM(config));
    if (status == 0) {
        status = skua_spawn(&follower, follow, watch, NULL);
    }
    for (config.level = 1; config.level <= 9 && status == 0; config.level++) {
        status = skua_watch_set(watch, SKUA_ITEM(config));
    }
    if (watch != NULL) {
        skua_watch_close(watch); /* who follows sees the last value first, then the end */
    }
    if (follower != NULL) {
        int joined = skua_join(follower, NULL, SKUA_FOREVER);
        status = status < 0 ? status : joined;
    }
    skua_task_release(follower);
    skua_watch_destroy(watch);
    return status;
}

/* --- one answer --- */

struct question {
    int number;
    skua_oneshot *answer; /* int; the sender's end is the answerer's */
};

static int square(void *arg)
{
    struct question *question = arg;
    if (question->number < 0) {
        skua_oneshot_release(question->answer, SKUA_SENDER); /* no answer */
        return 0;
    }
    int result = question->number * question->number;
    int status = skua_oneshot_send(question->answer, SKUA_ITEM(result));
    return status == -EPIPE ? 0 : status; /* nobody wants to know any more */
}

static int ask(int number)
{
    struct question question = {.number = number};
    int status = skua_oneshot_create(&question.answer, sizeof(int));
    if (status < 0) {
        return status;
    }
    status = skua_spawn(NULL, square, &question, &(skua_spawn_opts){.arg_bytes = sizeof question});
    if (status < 0) {
        skua_oneshot_release(question.answer, SKUA_SENDER | SKUA_RECEIVER);
        return status;
    }
    int result;
    status = skua_oneshot_recv(question.answer, SKUA_ITEM(result), skua_after(SKUA_SEC(20)));
    if (status == 1) {
        printf("the square of %d is %d\n", number, result);
    } else if (status == 0) {
        printf("nobody knows the square of %d\n", number);
    }
    skua_oneshot_release(question.answer, SKUA_RECEIVER);
    return status < 0 ? status : 0;
}

static int all(void *arg)
{
    (void)arg;
    int status = tell_all();
    if (status == 0) {
        status = configure();
    }
    if (status == 0) {
        status = ask(12);
    }
    return status == 0 ? ask(-1) : status;
}

int main(void)
{
    return skua_run(NULL, all, NULL) == 0 ? 0 : 1;
}
