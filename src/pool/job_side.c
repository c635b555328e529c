/* What a job calls, in its worker process, but for channels and fds (talk.c); and how it answers.

   Where an answer is written:

       reserve <= 256 bytes    `small`, in the reply: travels in the response
       more                    a piece: a block of OUT, or the spare block if there is none
       commit_input()          the input's own memory

   A job that reserves more than it commits pays for what it commits: a short answer in a large
   piece still travels in the response.

   Invariants
   (Q1) The reply holds a piece exactly while `area` points into it.
   (Q2) What is not needed for the answer is given back before the response, since after it the
        parent may be writing the next input, or have the answer on loan.

   Who runs it: the thread of the worker process that runs the job. */
#include "base/panic.h"
#include "pool/worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- the answer ------------------------------------------------------------------------------- */

/* The memory of the last reserve is not the answer's any more. */
static void drop_area(skua_reply *reply)
{
    if (reply->area != NULL && reply->area != reply->small) {
        skua__worker_drop(reply->worker, &reply->piece);
    }
    reply->area = NULL;
    reply->reserved = 0;
}

/* Room for `bytes` bytes, which the area has not, with what was written so far. */
static bool grow(skua_reply *reply, size_t bytes)
{
    if (reply->area == NULL && bytes <= sizeof reply->small) {
        reply->area = reply->small;
        return true;
    }
    struct skua__piece piece;
    if (!skua__worker_find(reply->worker, bytes, &piece)) {
        return false;
    }
    const size_t keep = reply->reserved;
    if (keep > 0) {
        memcpy(piece.data, reply->area, keep);
    }
    drop_area(reply);
    reply->piece = piece;
    reply->area = piece.data;
    return true;
}

static size_t capacity(const skua_reply *reply)
{
    if (reply->area == NULL) {
        return 0;
    }
    return reply->area == reply->small ? sizeof reply->small : reply->piece.capacity;
}

void *skua_job_reserve(skua_reply *reply, size_t bytes)
{
    reply->is_input = false;
    reply->is_refused = bytes > reply->worker->arena.payload_max;
    if (!reply->is_refused && (reply->area == NULL || bytes > capacity(reply))) {
        reply->is_refused = !grow(reply, bytes);
    }
    if (reply->is_refused) {
        return NULL;
    }
    reply->reserved = bytes;
    if (reply->area != reply->small && bytes > reply->piece.used) {
        reply->piece.used = bytes;
    }
    return reply->area;
}

void skua_job_commit(skua_reply *reply, size_t bytes)
{
    skua_require(bytes <= reply->reserved);
    reply->is_input = false;
    reply->bytes = bytes;
}

void *skua_job_input(skua_reply *reply)
{
    return reply->input;
}

void skua_job_commit_input(skua_reply *reply, size_t bytes)
{
    skua_require(bytes <= reply->request.in_bytes);
    drop_area(reply);
    reply->is_input = true;
    reply->is_refused = false;
    reply->bytes = bytes;
}

int skua_job_fail(skua_reply *reply, int code, const char *format, ...)
{
    skua_require(code < 0);
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(reply->text, sizeof reply->text, format, arguments);
    va_end(arguments);
    const size_t max = sizeof reply->text - 1;
    reply->text_bytes = (uint16_t)(length < 0 ? 0 : (size_t)length < max ? (size_t)length : max);
    return code;
}

/* --- the worker, and what the caller sees ----------------------------------------------------- */

void **skua_job_state(skua_reply *reply)
{
    return &reply->worker->state;
}

uint32_t skua_job_worker(const skua_reply *reply)
{
    return reply->worker->number;
}

bool skua_job_stopping(const skua_reply *reply)
{
    return skua__workring_stops(&reply->worker->ring);
}

void skua_job_log(skua_reply *reply, const char *format, ...)
{
    char line[SKUA__TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length >= 0) {
        skua__worker_log(reply->worker, line);
    }
}

void skua_job_progress(skua_reply *reply, uint64_t done, uint64_t total)
{
    skua__workring_progress(&reply->worker->ring, done, total);
}

/* --- begin and end ---------------------------------------------------------------------------- */

void skua__reply_begin(skua_reply *reply, struct skua__worker *worker,
                       const struct skua__request *request, uint64_t ticket, char *bytes)
{
    reply->worker = worker;
    reply->request = *request;
    reply->ticket = ticket;
    reply->input = request->in_where == SKUA__BLOCK
                       ? skua__arena_in(&worker->arena, request->in_block)
                       : bytes;
    reply->area = NULL;
    reply->reserved = 0;
    reply->bytes = 0;
    reply->is_input = false;
    reply->is_refused = false;
    reply->text_bytes = 0;
    reply->fd_count = 0;
    skua__job_talk_begin(&reply->talk);
}

/* An answer that would travel in the response if that were not full of a text. */
static void move_to_piece(skua_reply *reply, const char *from)
{
    struct skua__piece piece;
    if (!skua__worker_find(reply->worker, reply->bytes, &piece)) {
        reply->text_bytes = 0; /* cannot be: the job holds no piece */
        return;
    }
    memcpy(piece.data, from, reply->bytes);
    reply->piece = piece;
    reply->area = piece.data;
}

/* Where a short answer lies that needs no memory of its own; NULL: it is not short. */
static const char *short_answer(const skua_reply *reply)
{
    if (reply->is_input) {
        return reply->request.in_where == SKUA__INLINE ? reply->input : NULL;
    }
    return reply->bytes <= SKUA__OUT_INLINE_BYTES ? reply->area : NULL;
}

/* Bring what is short into the reply itself, and give its piece back. */
static void settle_short(skua_reply *reply)
{
    const char *from = reply->bytes > 0 ? short_answer(reply) : NULL;
    if (from != NULL && from != reply->small) {
        memmove(reply->small, from, reply->bytes);
    }
    if (from != NULL || reply->bytes == 0) {
        drop_area(reply);
        reply->is_input = false;
    }
    if (from != NULL && reply->text_bytes > 0) {
        move_to_piece(reply, reply->small);
    }
}

/* What the job was given and does not give back. Not a buffer of the program: should this process
   die before the answer is out, the job may be begun again on it. */
static void trim_input(const skua_reply *reply)
{
    const struct skua__request *request = &reply->request;
    const size_t bytes = (size_t)request->in_bytes;
    if (request->in_where == SKUA__BLOCK && !request->in_is_lent &&
        skua__arena_is_far(request->in_block, bytes)) {
        skua__arena_trim(reply->worker->arena.in, request->in_block,
                         reply->is_input ? reply->bytes : 0, bytes);
    }
}

/* The rest of the piece is not needed. */
static void trim_piece(const skua_reply *reply)
{
    const struct skua__piece *piece = &reply->piece;
    if (piece->where == SKUA__BLOCK && skua__arena_is_far(piece->block, piece->used)) {
        skua__arena_trim(reply->worker->arena.out, piece->block, reply->bytes, piece->used);
    }
}

void skua__reply_send(skua_reply *reply, int status, int64_t run_ns)
{
    if (reply->is_refused && status >= 0) {
        status = -EMSGSIZE;
        reply->bytes = 0;
    }
    if (status >= 0) {
        reply->text_bytes = 0;
    }
    settle_short(reply);
    trim_input(reply);
    struct skua__response response = {.kind = SKUA__RESPONSE_ANSWER,
                                      .status = status,
                                      .run_ns = run_ns,
                                      .bytes = reply->bytes,
                                      .text_bytes = reply->text_bytes,
                                      .fd_count = reply->fd_count};
    struct skua__piece *piece = NULL;
    const char *bytes = reply->text_bytes > 0 ? reply->text : reply->small;
    size_t inline_bytes = reply->text_bytes;
    if (reply->is_input) {
        response.where = SKUA__INPUT;
    } else if (reply->area != NULL) {
        trim_piece(reply);
        piece = &reply->piece;
    } else if (reply->bytes > 0) {
        response.where = SKUA__INLINE;
        inline_bytes = reply->bytes;
    }
    skua__worker_say(reply->worker, &response, bytes, inline_bytes, piece);
}
