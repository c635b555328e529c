/* The program of docs/guide/forks.md: parallel calls. */
#include <skua/skua.h>
#include <stdio.h>

static long fib(int n);
SKUA_FORKABLE(long, fib, int)

static long fib(int n)
{
    if (n < 2) {
        return n;
    }
    fib_child child;
    fib_fork(&child, n - 2); /* may run from here on ... */
    const long one = fib(n - 1);
    return one + fib_sync(&child); /* ... and has run here */
}

typedef struct half {
    const int *items;
    size_t count;
    long sum;
} half;

static int add_up(void *arg)
{
    half *all = arg;
    if (all->count < 1000) {
        all->sum = 0;
        for (size_t i = 0; i < all->count; i++) {
            all->sum += all->items[i];
        }
        return 0;
    }
    half left = {all->items, all->count / 2, 0};
    half right = {all->items + left.count, all->count - left.count, 0};
    const int status = skua_both(add_up, &left, add_up, &right);
    all->sum = left.sum + right.sum;
    return status;
}

static int produce(void *arg)
{
    skua_chan *numbers = arg;
    for (int i = 1; i <= 3; i++) {
        int status = skua_chan_send(numbers, SKUA_ITEM(i), SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
    }
    return skua_sleep(skua_after(SKUA_MS(1)));
}

static int consume(skua_chan *numbers)
{
    SKUA_CHILD(child); /* synced on every way out of the block */
    skua_fork(&child, produce, numbers);
    for (int i = 0, number; i < 3; i++) {
        int status = skua_chan_recv(numbers, SKUA_ITEM(number), SKUA_FOREVER);
        if (status < 0) {
            return status;
        }
        printf("%d\n", number);
    }
    return skua_sync(&child);
}

static int example(void *arg)
{
    int items[5000];
    skua_chan *numbers = arg;
    for (int i = 0; i < 5000; i++) {
        items[i] = i;
    }
    half all = {items, 5000, 0};
    int status = add_up(&all);
    printf("%ld %ld\n", fib(20), all.sum);
    return status < 0 ? status : consume(numbers);
}

static int run(void *arg)
{
    skua_chan *numbers;
    int status = skua_chan_create(&numbers, sizeof(int), 0);
    if (status == 0) {
        status = example(numbers);
        skua_chan_release(numbers, SKUA_SENDER | SKUA_RECEIVER);
    }
    return status;
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
