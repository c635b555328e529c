/* One-shots: a channel with room for one item, whose sender end is given back by the send.

     (O1) There is one sender end, and a send uses it up: so there is one send at most, it never
          finds the channel full, and after it, or after a release instead of it, the channel is
          closed.
     (O2) The value stays in the channel until it is received, or both ends are gone.

   A skua_oneshot is that channel under another name, so that a select can receive from it.
   Rejected: a state word of its own. It would save memory, a few hundred bytes, and cost a second
   protocol for waiting. */
#include "chan/chan.h"
#include "sched/service.h"

#include <skua/share.h>

static skua_chan *inside(skua_oneshot *oneshot)
{
    return (skua_chan *)(void *)oneshot;
}

int skua_oneshot_create(skua_oneshot **out, size_t item_bytes)
{
    skua_chan *chan;
    int status = skua_chan_create(&chan, item_bytes, 1);
    if (status == 0) {
        *out = (skua_oneshot *)(void *)chan;
    }
    return status;
}

int skua_oneshot_send(skua_oneshot *oneshot, const void *item, size_t item_bytes)
{
    skua_chan *chan = inside(oneshot);
    int status = skua__chan_give(chan, item, item_bytes);
    skua_chan_release(chan, SKUA_SENDER);
    return status;
}

int skua_oneshot_recv(skua_oneshot *oneshot, void *item, size_t item_bytes, skua_time deadline)
{
    return skua_chan_recv(inside(oneshot), item, item_bytes, deadline);
}

void skua_oneshot_close(skua_oneshot *oneshot)
{
    skua_chan_close(inside(oneshot));
}

void skua_oneshot_release(skua_oneshot *oneshot, int ends)
{
    skua_chan_release(inside(oneshot), ends);
}
