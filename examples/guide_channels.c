/* The examples of docs/guide/channels.md. */
#include <skua/skua.h>
#include <stdio.h>

/* What those in the middle share. */
struct work {
    skua_chan *numbers; /* int: to be squared */
    skua_chan *squares; /* int */
};

/* Sends the numbers, and then gives its end back: the last sender closes the channel. */
static int produce(void *arg)
{
    skua_chan *numbers = arg;
    int status = 0;
    for (int number = 1; number <= 100 && status == 0; number++) {
        status = skua_chan_send(numbers, SKUA_ITEM(number), SKUA_FOREVER);
    }
    skua_chan_release(numbers, SKUA_SENDER);
    return status;
}

/* Several of these take from one channel and send to another. */
static int square(void *arg)
{
    struct work *work = arg;
    int number;
    int status;
    while ((status = skua_chan_recv(work->numbers, SKUA_ITEM(number), SKUA_FOREVER)) == 1) {
        number *= number;
        status = skua_chan_send(work->squares, SKUA_ITEM(number), SKUA_FOREVER);
        if (status < 0) {
            break;
        }
    }
    skua_chan_release(work->squares, SKUA_SENDER);
    return status;
}

/* Adds up what comes until nobody can send any more. */
static int add_up(struct work *work)
{
    long sum = 0;
    int number;
    int status;
    while ((status = skua_chan_recv(work->squares, SKUA_ITEM(number), SKUA_FOREVER)) == 1) {
        sum += number;
    }
    printf("the sum is %ld\n", sum);
    return status;
}

static int run_pipeline(struct work *work)
{
    int status = skua_spawn(NULL, produce, work->numbers, NULL);
    if (status < 0) {
        skua_chan_release(work->numbers, SKUA_SENDER);
    }
    for (int i = 0; i < 3; i++) {
        skua_chan_retain(work->squares, SKUA_SENDER);
        int spawned = skua_spawn(NULL, square, work, NULL);
        if (spawned < 0) {
            skua_chan_release(work->squares, SKUA_SENDER);
        }
    }
    skua_chan_release(work->squares, SKUA_SENDER); /* the others have their own now */
    int added = add_up(work);
    skua_chan_release(work->numbers, SKUA_RECEIVER);
    skua_chan_release(work->squares, SKUA_RECEIVER);
    return status < 0 ? status : added;
}

static int make_pipeline(void)
{
    struct work work = {NULL, NULL};
    int status = skua_chan_create(&work.numbers, sizeof(int), 4);
    if (status == 0) {
        status = skua_chan_create(&work.squares, sizeof(int), 0); /* 0: hand to hand */
    }
    if (status < 0) {
        skua_chan_release(work.numbers, SKUA_SENDER | SKUA_RECEIVER);
        return status;
    }
    return run_pipeline(&work);
}

/* A news item now and then, three in all. */
static int report(void *arg)
{
    skua_chan *news = arg;
    int status = 0;
    for (int number = 1; number <= 3 && status == 0; number++) {
        status = skua_sleep(skua_after(SKUA_MS(30)));
        if (status == 0) {
            status = skua_chan_send(news, SKUA_ITEM(number), SKUA_FOREVER);
        }
    }
    skua_chan_close(news);
    return status;
}

/* Waits for news, the end of the reporter and the closing hour, whichever comes first. */
static int read_news(skua_chan *news, skua_task *reporter)
{
    int number = 0;
    skua_case cases[] = {
        SKUA_RECV(news, number),
        SKUA_ENDED(reporter),
        SKUA_AT(skua_after(SKUA_SEC(20))),
    };
    for (;;) {
        int which = skua_select(cases, 3, SKUA_IN_ORDER, SKUA_FOREVER);
        if (which < 0) {
            return which;
        }
        if (which == 0 && cases[0].result == 1) {
            printf("news %d\n", number);
        } else if (which == 0) {
            cases[0].kind = SKUA_CASE_NONE; /* the channel has ended */
        } else {
            printf("%s\n", which == 1 ? "the reporter went home" : "closing time");
            return 0;
        }
    }
}

static int wait_for_several(void)
{
    skua_chan *news;
    skua_task *reporter;
    int status = skua_chan_create(&news, sizeof(int), 1);
    if (status < 0) {
        return status;
    }
    status = skua_spawn(&reporter, report, news, NULL);
    if (status == 0) {
        status = read_news(news, reporter);
        int joined = skua_join(reporter, NULL, SKUA_FOREVER);
        status = status < 0 ? status : joined;
        skua_task_release(reporter);
    }
    skua_chan_release(news, SKUA_SENDER | SKUA_RECEIVER);
    return status;
}

/* Takes a ticket off the roll only when there is room for it: a ticket that is off the roll and
   cannot be sent would be lost. */
static int hand_out_ticket(skua_chan *tickets, int *roll)
{
    skua_permit room;
    int status = skua_chan_reserve(tickets, &room, skua_after(SKUA_MS(1)));
    if (status < 0) {
        return status; /* nothing was taken */
    }
    int ticket = (*roll)++;
    return skua_chan_commit(&room, SKUA_ITEM(ticket));
}

static int hand_out_tickets(void)
{
    int roll = 1;
    skua_chan *tickets;
    skua_chan_statistics now;
    int status = skua_chan_create(&tickets, sizeof(int), 2);
    if (status < 0) {
        return status;
    }
    while (status == 0) {
        status = hand_out_ticket(tickets, &roll);
    }
    skua_chan_stats(tickets, &now);
    printf("%zu of %zu tickets are out, the next is %d\n", now.count, now.capacity, roll);
    skua_chan_release(tickets, SKUA_SENDER | SKUA_RECEIVER);
    return status == -ETIMEDOUT ? 0 : status;
}

/* The first task. */
static int run(void *arg)
{
    int status = make_pipeline();
    if (status == 0) {
        status = wait_for_several();
    }
    return status < 0 ? status : hand_out_tickets();
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
