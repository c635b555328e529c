/* What jobs ask the program: its side, and all of it that concerns channels.

   The reactor takes a question out of the ring under the pool's lock, notes it, and serves it after
   the unlock. It tries the channel; if that would have to wait, a task of the library's own waits
   in the job's stead. Whoever has the result locks again, and replies if the job is still there.

   Invariants
   (K1) A question is answered for exactly as long as its job has the process: skua__talk_end()
        moves the serial on, and whoever is busy with the question finds that under the lock.
   (K2) A call's channels and fds are touched only under the lock while its job has the process, or
        through an end of the channel that was retained under it: the caller may do with them what
        it likes as soon as the call is over.
   (K3) What a job sends is in the channel exactly if its skua_job_send() was told so, or its
        process died before it could read that.
   (K4) An item that was taken for a job is that job's. If there is no memory to hand it over it is
        kept for the job's next receive; if the job is over it is released. It is not put back: it
        would come after others that were behind it.
   (K5) The job's memory in IN that holds what it has received stays lent until its next receive, or
        its end.
   (K6) Tasks that wait count as callers of the pool, which it waits for, and end soon after their
        job.

   Who runs it: whoever has the lock; the reactor; the tasks that wait.

   Rejected: retaining both ends of all channels for the whole call (a channel whose last sender has
   left would not close while a job that only receives has it). */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/state.h"

#include <errno.h>
#include <skua/chan.h>
#include <skua/scope.h>
#include <string.h>

/* One question that is looked after without the lock: in the reactor's frame, or WAITING. */
struct skua__talker {
    skua_pool *pool;
    struct skua__process *process; /* a reference */
    uint64_t serial;
    uint64_t ticket;
    enum skua__question question;
    skua_chan *chan; /* an end of it, `end`; NULL: the question is of fds, or the item is here */
    int end;
    skua_buf item; /* to be sent; or what was received */
    /* (L) */
    bool is_cancelled;
    bool is_open; /* the shield */
    skua_scope shield;
};

/* --- in the ring's hands, under the lock ------------------------------------------------------ */

void skua__talk_begin(struct skua__process *process, struct skua__call *call)
{
    process->talk.jobs[call->ticket % SKUA__REQUEST_SLOTS] = call->job;
    if (call->opts != NULL && call->opts->progress != NULL) {
        skua__progress_attach(call->opts->progress, call);
    }
}

/* Might an honest worker ask this now? */
static bool is_plausible(const struct skua__talk *talk, const struct skua__call *call,
                         const struct skua__response *question)
{
    const skua_call_opts *opts = call->opts;
    if (talk->state != SKUA__TALK_NONE || question->question == SKUA__QUESTION_ROOM) {
        return talk->state == SKUA__TALK_NONE && question->where == SKUA__NOTHING;
    }
    if (opts == NULL) {
        return false;
    }
    switch (question->question) {
    case SKUA__QUESTION_SEND:
        return question->channel < opts->channel_count && question->where != SKUA__INPUT;
    case SKUA__QUESTION_RECEIVE:
    case SKUA__QUESTION_CLOSE:
        return question->channel < opts->channel_count && question->where == SKUA__NOTHING;
    case SKUA__QUESTION_FDS:
        return opts->fd_count > 0 && question->where == SKUA__NOTHING;
    default:
        return false;
    }
}

/* The block that the job was reading is free again. */
static void end_received(struct skua__talk *talk, struct skua__after *after)
{
    if (talk->received != NULL) {
        skua__loan_drop(talk->received, after);
        talk->received = NULL;
    }
}

/* The reply to the question that is open. True: wake the worker. */
static bool reply(struct skua__process *process, const struct skua__letter *letter,
                  const void *bytes)
{
    process->talk.state = SKUA__TALK_NONE;
    process->talk.serial++;
    return skua__jobring_reply(&process->ring, letter, bytes);
}

bool skua__talk_ask(struct skua__process *process, struct skua__call *call,
                    const struct skua__response *question, struct skua__after *after)
{
    struct skua__talk *talk = &process->talk;
    if (!is_plausible(talk, call, question)) {
        return false;
    }
    talk->call = call;
    talk->question = (enum skua__question)question->question;
    talk->channel = question->channel;
    talk->state = SKUA__TALK_ASKED;
    talk->serial++;
    int error = 0;
    if (talk->question == SKUA__QUESTION_SEND) {
        error = skua__loan_answer(call, question, after);
        talk->sent = call->answer;
        call->answer = NULL; /* that was not it yet */
    } else if (talk->question == SKUA__QUESTION_RECEIVE) {
        end_received(talk, after);
    }
    if (error == 0) {
        skua__list_push_back(&process->pool->talk.asked, &talk->link);
        if (process->pool->sleep != 0) {
            skua__pool_ring(process->pool);
        }
    } else if (reply(process, &(struct skua__letter){.status = error}, NULL)) {
        skua__after_bell(after, process->arena.shared);
    }
    return true;
}

/* Whoever waits for a channel in the job's stead may stop. */
static void stop_waiting(const struct skua__talk *talk)
{
    struct skua__talker *talker = talk->talker;
    if (talk->state == SKUA__TALK_WAITING && !talker->is_cancelled) {
        talker->is_cancelled = true;
        if (talker->is_open) {
            skua_scope_cancel(&talker->shield);
        }
    }
}

void skua__talk_stop(struct skua__process *process, struct skua__call *call)
{
    skua__jobring_stop(process->arena.shared, call->ticket);
    if (process->talk.call == call) {
        stop_waiting(&process->talk);
    }
}

/* What the job has asked for, and was given, is over. */
static void end_question(struct skua__process *process, struct skua__after *after)
{
    struct skua__talk *talk = &process->talk;
    stop_waiting(talk);
    if (talk->state == SKUA__TALK_ASKED) {
        skua__list_remove(&talk->link);
        if (talk->sent != NULL) {
            skua__loan_drop(talk->sent, after);
            talk->sent = NULL;
        }
    }
    end_received(talk, after);
    if (talk->has_kept) {
        struct skua__loan *loan = talk->kept.owner;
        talk->has_kept = false;
        if (loan != NULL) {
            loan->next = after->released;
            after->released = loan;
        }
    }
    skua__packet_close_fds(&talk->early);
    talk->state = SKUA__TALK_NONE;
    talk->talker = NULL;
    talk->call = NULL;
    talk->serial++;
}

void skua__talk_end(struct skua__process *process, struct skua__call *call,
                    struct skua__after *after)
{
    if (process->talk.call == call) {
        end_question(process, after);
    }
    if (call->opts != NULL && call->opts->progress != NULL) {
        skua__progress_detach(call->opts->progress);
    }
}

int skua__talk_answered(struct skua__process *process, struct skua__call *call,
                        const struct skua__response *answer)
{
    const skua_call_opts *opts = call->opts;
    if (opts != NULL && opts->progress != NULL) {
        skua__progress_answered(opts->progress, answer);
    }
    if (answer->fd_count == 0 && process->talk.early.count == 0) {
        return 0;
    }
    int count = skua__talk_take_fds(&process->talk, answer, opts != NULL ? opts->reply_fds : NULL);
    if (count > 0 && opts->reply_fd_count != NULL) {
        *opts->reply_fd_count = (uint32_t)count;
    }
    return count < 0 ? count : 0;
}

/* --- questions, after the unlock -------------------------------------------------------------- */

/* The job still waits for this reply. (L) */
static bool is_awaited(const struct skua__talker *talker)
{
    return talker->process->talk.serial == talker->serial;
}

/* The item lies in the memory of the job's own worker, whole, where the program got it. */
static bool is_at_home(const struct skua__talker *talker)
{
    const struct skua__loan *loan = talker->item.owner;
    return loan != NULL && loan->kind == SKUA__LOAN_IN && loan->process == talker->process &&
           talker->item.data == skua__arena_in(&talker->process->arena, loan->block);
}

/* (L) Memory of the worker's; NULL: there is none. */
static struct skua__loan *take_block(struct skua__process *process, size_t bytes)
{
    const uint32_t block = skua__heap_take(&process->in, bytes);
    struct skua__loan *loan =
        block != SKUA__NO_BLOCK ? skua__loan_make(process->pool, SKUA__LOAN_IN) : NULL;
    if (loan == NULL) {
        skua__heap_give(&process->in, block);
        return NULL;
    }
    process->references++;
    loan->process = process;
    loan->block = block;
    loan->bytes = bytes;
    loan->used = bytes;
    loan->memory = skua__arena_in(&process->arena, block);
    return loan;
}

/* The same for the item. 0, -ENOMEM, or -ECANCELED: nobody waits for it. */
static int find_room(struct skua__talker *talker, struct skua__loan **out)
{
    int error = -ECANCELED;
    skua__pool_lock(talker->pool);
    if (is_awaited(talker)) {
        *out = take_block(talker->process, talker->item.bytes);
        error = *out != NULL ? 0 : -ENOMEM;
    }
    skua__pool_unlock(talker->pool);
    return error;
}

/* There was no memory for the item: the job's next receive finds it first (K4). */
static void keep(struct skua__talker *talker)
{
    struct skua__talk *talk = &talker->process->talk;
    skua__pool_lock(talker->pool);
    if (is_awaited(talker)) {
        talk->kept = talker->item;
        talk->has_kept = true;
        talk->kept_channel = talk->channel;
        talker->item = (skua_buf){NULL, 0, NULL};
    }
    skua__pool_unlock(talker->pool);
}

/* Where the job is to find an item: in the letter's bytes, or in a block of its worker's memory,
   which the item is copied to unless it lies there already. Returns 1 or a negative errno. */
static int bring(struct skua__talker *talker, char bytes[SKUA__OUT_INLINE_BYTES],
                 struct skua__loan **block)
{
    const skua_buf *item = &talker->item;
    int error = 0;
    if (item->bytes <= SKUA__OUT_INLINE_BYTES) {
        memcpy(bytes, item->bytes > 0 ? item->data : "", item->bytes);
    } else if (item->bytes > talker->pool->payload_max) {
        error = -EMSGSIZE;
    } else if (is_at_home(talker)) {
        *block = item->owner;
        (*block)->bytes = item->bytes;
        talker->item = (skua_buf){NULL, 0, NULL};
    } else {
        error = find_room(talker, block);
        if (error == 0) {
            memcpy((*block)->memory, item->data, item->bytes);
        } else if (error == -ENOMEM) {
            keep(talker);
        }
    }
    return error < 0 ? error : 1;
}

/* Give up what the job will not need: before the reply, so that it is not seen after the job. */
static void let_go(struct skua__talker *talker)
{
    skua_buf_release(&talker->item);
    skua_chan_release(talker->chan, talker->end);
    talker->chan = NULL;
}

/* Reply, unless nobody waits for it any more; and the talker is through. */
static void send_reply(struct skua__talker *talker, const struct skua__letter *letter,
                       const char *bytes, struct skua__loan *block)
{
    struct skua__process *process = talker->process;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(talker->pool);
    if (!is_awaited(talker)) {
        if (block != NULL) {
            skua__loan_drop(block, &after);
        }
    } else {
        if (block != NULL) {
            process->talk.received = block;
        }
        if (reply(process, letter, bytes)) {
            skua__after_bell(&after, process->arena.shared);
        }
    }
    skua__process_unref(process, &after);
    skua__pool_unlock_after(talker->pool, &after);
}

/* Make room in the talk socket, which is the reactor's as long as the worker waits for the reply.
   What is of its job is kept for its answer. */
static void make_room(struct skua__talker *talker)
{
    struct skua__talk *talk = &talker->process->talk;
    struct skua__packet early;
    skua__talk_take_early(talk, talker->ticket, &early);
    skua__pool_lock(talker->pool);
    if (is_awaited(talker)) {
        skua__packet_close_fds(&talk->early);
        talk->early = early;
        early.count = 0;
    }
    skua__pool_unlock(talker->pool);
    skua__packet_close_fds(&early);
}

/* The channel has given its result. */
static void conclude(struct skua__talker *talker, int status)
{
    char bytes[SKUA__OUT_INLINE_BYTES];
    struct skua__loan *block = NULL;
    struct skua__letter letter = {.status = status, .where = SKUA__NOTHING};
    if (talker->question == SKUA__QUESTION_RECEIVE && status == 1) {
        letter.bytes = talker->item.bytes;
        letter.status = bring(talker, bytes, &block);
        letter.where = block != NULL ? SKUA__BLOCK : SKUA__INLINE;
        letter.block = block != NULL ? block->block : SKUA__NO_BLOCK;
        letter.bytes = letter.status == 1 ? letter.bytes : 0;
    } else if (talker->question == SKUA__QUESTION_SEND && status == 0) {
        talker->item = (skua_buf){NULL, 0, NULL}; /* the channel's */
    }
    if (letter.bytes == 0) {
        letter.where = SKUA__NOTHING;
    }
    let_go(talker);
    send_reply(talker, &letter, bytes, block);
}

/* Send or receive, in the job's stead. */
static int use_channel(struct skua__talker *talker, skua_time deadline)
{
    return talker->question == SKUA__QUESTION_SEND
               ? skua_chan_send(talker->chan, SKUA_ITEM(talker->item), deadline)
               : skua_chan_recv(talker->chan, SKUA_ITEM(talker->item), deadline);
}

/* Enter or leave what stop_waiting() ends. True: there is no reason to wait any more. */
static bool set_open(struct skua__talker *talker, bool is_open)
{
    skua__pool_lock(talker->pool);
    talker->is_open = is_open;
    const bool is_cancelled = talker->is_cancelled;
    skua__pool_unlock(talker->pool);
    return is_cancelled;
}

static void leave(skua_pool *pool)
{
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    skua__pool_leave(pool, &after);
    skua__pool_unlock_after(pool, &after);
}

/* The task of a question that has to wait. */
static int wait_for_channel(void *arg)
{
    struct skua__talker *talker = arg;
    skua_pool *pool = talker->pool;
    /* A shield: the runtime's end reaches it through the pool's. */
    skua_shield_open(&talker->shield, SKUA_FOREVER);
    int status = -ECANCELED;
    if (!set_open(talker, true)) {
        status = use_channel(talker, SKUA_FOREVER);
    }
    set_open(talker, false);
    int error = skua_scope_close(&talker->shield, 0);
    (void)error; /* of nobody's interest: `status` says all */
    conclude(talker, status);
    skua__free(talker);
    leave(pool);
    return 0;
}

/* From now on the question WAITs. 0, -ECANCELED (there is no reason to), or no memory. */
static int begin_wait(struct skua__talker *talker)
{
    skua_pool *pool = talker->pool;
    struct skua__talk *talk = &talker->process->talk;
    skua__pool_lock(pool);
    const bool may_wait = is_awaited(talker) && !talk->call->is_stopping;
    if (may_wait) {
        talk->state = SKUA__TALK_WAITING;
        talk->talker = talker;
        skua__pool_enter(pool);
    }
    skua__pool_unlock(pool);
    if (!may_wait) {
        return -ECANCELED;
    }
    const skua_spawn_opts opts = {.name = "pool channel"};
    int error = skua__submit_own(pool->runtime, wait_for_channel, talker, &opts);
    if (error < 0) {
        skua__pool_lock(pool);
        if (is_awaited(talker)) {
            talk->state = SKUA__TALK_SERVED;
            talk->talker = NULL;
        }
        skua__pool_unlock(pool);
        leave(pool);
    }
    return error;
}

/* It has to wait: somewhere else. */
static void wait_elsewhere(const struct skua__talker *served)
{
    struct skua__talker *talker = skua__alloc(sizeof *talker);
    struct skua__talker fallback = *served;
    int error = -ENOMEM;
    if (talker != NULL) {
        *talker = *served;
        error = begin_wait(talker);
    }
    if (error < 0) {
        conclude(&fallback, error == -ECANCELED ? error : -ENOMEM);
        skua__free(talker);
    }
}

/* (L) The question is looked after from now on. False: it was answered at once. */
static bool take_up(struct skua__process *process, struct skua__talker *talker,
                    struct skua__after *after)
{
    struct skua__talk *talk = &process->talk;
    talk->state = SKUA__TALK_SERVED;
    const bool is_kept = talk->question == SKUA__QUESTION_RECEIVE && talk->has_kept;
    if (talk->question == SKUA__QUESTION_FDS || (is_kept && talk->kept_channel != talk->channel)) {
        const int status = is_kept ? -ENOMEM : skua__talk_send_fds(talk);
        if (reply(process, &(struct skua__letter){.status = status}, NULL)) {
            skua__after_bell(after, process->arena.shared);
        }
        return false;
    }
    *talker = (struct skua__talker){.pool = process->pool,
                                    .process = process,
                                    .serial = talk->serial,
                                    .ticket = talk->call->ticket,
                                    .question = talk->question};
    process->references++;
    if (talk->question == SKUA__QUESTION_ROOM) {
        return true;
    }
    if (is_kept) {
        talker->item = talk->kept;
        talk->has_kept = false;
        return true;
    }
    skua__loan_deliver(talk->sent, &talker->item);
    talk->sent = NULL;
    talker->chan = talk->call->opts->channels[talk->channel];
    talker->end = talk->question == SKUA__QUESTION_RECEIVE ? SKUA_RECEIVER : SKUA_SENDER;
    skua_chan_retain(talker->chan, talker->end);
    return true;
}

static void look_after(struct skua__talker *talker)
{
    if (talker->question == SKUA__QUESTION_CLOSE || talker->question == SKUA__QUESTION_ROOM) {
        if (talker->chan != NULL) {
            skua_chan_close(talker->chan);
        } else {
            make_room(talker);
        }
        conclude(talker, 0);
        return;
    }
    int status = talker->chan == NULL ? 1 : use_channel(talker, SKUA_NOW);
    if (status == -EAGAIN) {
        wait_elsewhere(talker);
    } else {
        conclude(talker, status);
    }
}

static bool serve_one(skua_pool *pool)
{
    struct skua__talker talker;
    struct skua__after after;
    skua__after_init(&after);
    skua__pool_lock(pool);
    struct skua__link *link = skua__list_pop_front(&pool->talk.asked);
    const bool must_look =
        link != NULL &&
        take_up(SKUA_CONTAINER(link, struct skua__process, talk.link), &talker, &after);
    skua__pool_unlock_after(pool, &after);
    if (must_look) {
        look_after(&talker);
    }
    return link != NULL;
}

bool skua__talk_serve(skua_pool *pool)
{
    bool found = skua__talk_deliver(pool);
    while (serve_one(pool)) {
        found = true;
    }
    return found;
}
