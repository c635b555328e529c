/* An iterator of one's own: a state, and a function that gives the next item and may wait. */
#include <skua/skua.h>
#include <stdio.h>

struct countdown {
    int count;
};

static int next(void *context, void *item, skua_time deadline)
{
    struct countdown *countdown = context;
    if (countdown->count == 0) {
        return 0;
    }
    int status = skua_sleep(skua_after(SKUA_MS(100)));
    if (status < 0) {
        return status;
    }
    *(int *)item = --countdown->count;
    return 1;
}

static int run(void *arg)
{
    struct countdown countdown = {5};
    SKUA_STREAM(stream);
    stream = skua_stream_from(
        &(skua_source){.next = next, .context = &countdown, .item_bytes = sizeof(int)});
    int number;
    int status;
    while ((status = skua_stream_next(stream, SKUA_ITEM(number), SKUA_FOREVER)) == 1) {
        printf("%d\n", number);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
