/* gen/sink.h: what the collecting sinks have to know of a stream. */
#ifndef SKUA_GEN_SINK_H
#define SKUA_GEN_SINK_H

#include <skua/stream.h>

/* 0 for NULL. */
size_t skua__stream_item_bytes(const skua_stream *stream);

#endif
