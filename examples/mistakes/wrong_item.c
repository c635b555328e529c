/* An item of another type than the channel's.
   Says: an item of 8 bytes at a channel of items of 4 bytes */
#include <skua/skua.h>

static int run(void *arg)
{
    skua_chan *numbers;
    int status = skua_chan_create(&numbers, sizeof(int), 1);
    if (status < 0) {
        return status;
    }
    int64_t number = 1;
    status = skua_chan_send(numbers, SKUA_ITEM(number), SKUA_FOREVER);
    skua_chan_release(numbers, SKUA_SENDER | SKUA_RECEIVER);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
