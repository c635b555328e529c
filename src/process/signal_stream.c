/* Signals as a stream. */
#include "process/signal.h"

static int next(void *context, void *item, skua_time deadline)
{
    return skua_signal_wait(context, item, deadline);
}

static void close_listener(void *context)
{
    skua_signal_close(context);
}

skua_stream *skua_stream_from_signals(skua_signal *listener)
{
    const skua_source source = {.next = next,
                                .close = close_listener,
                                .context = listener,
                                .item_bytes = sizeof(skua_signal_info)};
    return skua_stream_from(&source);
}
