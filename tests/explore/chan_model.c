/* Channels: sending, receiving, closing, cancelling. Through the public functions only, so that it
   does not depend on how a channel does it. No item is lost or comes twice, nobody waits for ever,
   and what the sender did before is seen.

   Sources: chan/chan.c chan/cells.c chan/waiters.c sched/waiter.c sched/scope.c sched/wheel.c
   Mutates: chan/chan.c chan/cells.c chan/cells.h sched/fastpath.h(skua__wait_begin_inline_for) */
#include "chan_model.h"

enum { NOTE_GOT, NOTE_CLOSED, NOTE_CANCELLED, NOTE_REFUSED };

/* --- the threads ------------------------------------------------------------------------------ */

static void sends_one(void)
{
    chan_send(0);
}

static void sends_two(void)
{
    chan_send(0);
    chan_send(0);
}

static void sends_and_closes(void)
{
    chan_send(0);
    skua_chan_close(chans->chans[0]);
}

static void closes(void)
{
    skua_chan_close(chans->chans[0]);
}

static void receives_one(void)
{
    EXPLORE_CHECK(chan_recv(0) == 1);
}

static void receives_two(void)
{
    receives_one();
    receives_one();
}

static void receives_until_closed(void)
{
    int result = chan_recv(0);
    explore_note(result == 1 ? NOTE_GOT : NOTE_CLOSED);
    if (result == 1) {
        result = chan_recv(0);
    }
    EXPLORE_CHECK(result == 0 || result == 1);
}

static void receives_or_closed(void)
{
    int result = chan_recv(0);
    explore_note(result == 1 ? NOTE_GOT : NOTE_CLOSED);
    EXPLORE_CHECK(result == 0 || result == 1);
}

static void receives_or_cancelled(void)
{
    int result = chan_recv(0);
    explore_note(result == 1 ? NOTE_GOT : NOTE_CANCELLED);
    EXPLORE_CHECK(result == 1 || result == -ECANCELED);
}

static void receives_then_is_cancelled(void)
{
    receives_or_cancelled();
    EXPLORE_CHECK(chan_recv(0) == -ECANCELED);
    skua__store(chans->receiver_has_ended, 1, relaxed);
}

/* The item is the sender's again if it says so. */
static void sends_or_not(void)
{
    int result = chan_send(0);
    explore_note(result == 0 ? NOTE_GOT : result == -EPIPE ? NOTE_REFUSED : NOTE_CANCELLED);
    EXPLORE_CHECK(result == 0 || result == -EPIPE || result == -ECANCELED);
}

static void cancels_first(void)
{
    skua__scope_cancel(&fibers->tasks[0].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

/* Whoever of the two gets one, the other item is for the second receiver. */
static void cancels_first_and_sends(void)
{
    chan_send(0);
    cancels_first();
    chan_send(0);
}

/* The closing is for the sender; the cancelled receiver does not notice. */
static void cancels_first_and_closes(void)
{
    cancels_first();
    explore_wait_while(chans->receiver_has_ended, 0);
    skua_chan_close(chans->chans[0]);
}

static void releases_its_end(void)
{
    EXPLORE_CHECK(chan_send(0) == 0);
    skua_chan_release(chans->chans[0], SKUA_SENDER);
}

static void receives_and_releases(void)
{
    receives_until_closed();
    skua_chan_release(chans->chans[0], SKUA_RECEIVER);
    chans->chans[0] = NULL;
}

/* --- the models ------------------------------------------------------------------------------- */

static void setup_0(void)
{
    chan_model_make(0);
}

static void setup_1(void)
{
    chan_model_make(1);
}

static void setup_2(void)
{
    chan_model_make(2);
}

/* One item is in the buffer, which is full. */
static void setup_full(void)
{
    chan_model_make(1);
    chan_send(0);
}

/* covers: B37 */
int main(void)
{
    EXPLORE("chan 0: one to one", setup_0, chan_model_check, sends_two, receives_two);
    EXPLORE("chan 0: two to one", setup_0, chan_model_check, sends_one, sends_one, receives_two);
    EXPLORE("chan 0: one to two", setup_0, chan_model_check, sends_two, receives_one, receives_one);
    EXPLORE("chan 1: one to one", setup_1, chan_model_check, sends_two, receives_two);
    EXPLORE_LARGE("chan 1: two to one", setup_1, chan_model_check, sends_one, sends_one,
                  receives_two);
    EXPLORE_LARGE("chan 1: one to two", setup_1, chan_model_check, sends_two, receives_one,
                  receives_one);
    EXPLORE_LARGE("chan 2: one to two", setup_2, chan_model_check, sends_two, receives_one,
                  receives_one);
    EXPLORE_LARGE("chan 1: full, two to two", setup_full, chan_model_check, sends_one, sends_one,
                  receives_two);
    EXPLORE("chan 0: close", setup_0, chan_model_check, sends_or_not, closes, receives_or_closed);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CLOSED) > 0 &&
                  explore_happened(NOTE_REFUSED) > 0);
    EXPLORE_LARGE("chan 1: close", setup_1, chan_model_check, sends_and_closes,
                  receives_until_closed, receives_or_closed);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CLOSED) > 0);
    EXPLORE_LARGE("chan 1: full, close", setup_full, chan_model_check, sends_or_not, closes,
                  receives_until_closed);
    EXPLORE_LARGE("chan 1: a receiver is cancelled", setup_1, chan_model_check,
                  receives_or_cancelled, sends_one, cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE_LARGE("chan 1: one of two receivers is cancelled", setup_1, chan_model_check,
                  receives_or_cancelled, cancels_first_and_sends, receives_one);
    EXPLORE_LARGE("chan 1: a sender is cancelled", setup_full, chan_model_check, sends_or_not,
                  receives_one, cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("chan 0: the second receive is cancelled", setup_0, chan_model_check,
            receives_then_is_cancelled, sends_or_not, cancels_first_and_closes);
    EXPLORE("chan 1: the ends are released", setup_1, chan_model_check, releases_its_end,
            receives_and_releases);
    return 0;
}
