/* Sends in two steps, against plain sends and receives past the lock, closes and cancels. Room that
   is kept is there for the commit; no item is lost or comes twice, nobody waits for ever.

   Sources: chan/chan.c chan/cells.c chan/waiters.c chan/permit.c sched/waiter.c sched/scope.c
   sched/wheel.c
   Mutates: chan/permit.c chan/waiters.c */
#include "chan_model.h"

enum { NOTE_GOT, NOTE_CLOSED, NOTE_CANCELLED, NOTE_REFUSED };

/* --- the threads ------------------------------------------------------------------------------ */

static int reserve(skua_permit *permit)
{
    return skua_chan_reserve(chans->chans[0], permit, SKUA_FOREVER);
}

static int commit(skua_permit *permit)
{
    uint64_t item = chan_item();
    int result = skua_chan_commit(permit, &item, sizeof item);
    if (result == 0) {
        chan_sent(item);
    }
    return result;
}

static void commits_one(void)
{
    skua_permit permit;
    EXPLORE_CHECK(reserve(&permit) == 0);
    EXPLORE_CHECK(commit(&permit) == 0);
}

static void aborts_one(void)
{
    skua_permit permit;
    EXPLORE_CHECK(reserve(&permit) == 0);
    skua_chan_abort(&permit);
}

static void commits_or_not(void)
{
    skua_permit permit;
    int result = reserve(&permit);
    explore_note(result == 0 ? NOTE_GOT : result == -EPIPE ? NOTE_REFUSED : NOTE_CANCELLED);
    EXPLORE_CHECK(result == 0 || result == -EPIPE || result == -ECANCELED);
    if (result == 0) {
        EXPLORE_CHECK(commit(&permit) == 0);
    }
}

static void sends_one(void)
{
    EXPLORE_CHECK(chan_send(0) == 0);
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
    EXPLORE_CHECK(result == 0);
}

static void cancels_first(void)
{
    skua__scope_cancel(&fibers->tasks[0].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

static void releases_its_end(void)
{
    skua_permit permit;
    EXPLORE_CHECK(reserve(&permit) == 0);
    skua_chan_release(chans->chans[0], SKUA_SENDER);
    EXPLORE_CHECK(commit(&permit) == 0);
}

static void receives_and_releases(void)
{
    receives_until_closed();
    skua_chan_release(chans->chans[0], SKUA_RECEIVER);
    chans->chans[0] = NULL;
}

/* Who has seen the end has seen everything. */
static void check_nothing_came_after_the_end(void)
{
    EXPLORE_CHECK(skua_chan_count(chans->chans[0]) == 0);
    chan_model_check();
}

/* --- the models ------------------------------------------------------------------------------- */

static void setup_1(void)
{
    chan_model_make(1);
}

static void setup_full(void)
{
    chan_model_make(1);
    chan_send(0);
}

/* covers: B37 */
int main(void)
{
    EXPLORE("permit 1: one to one", setup_1, chan_model_check, commits_one, receives_one);
    EXPLORE_LARGE("permit 1: beside a send", setup_1, chan_model_check, commits_one, sends_one,
                  receives_two);
    EXPLORE_LARGE("permit 1: given back", setup_1, chan_model_check, aborts_one, sends_one,
                  receives_one);
    EXPLORE_LARGE("permit 1: full", setup_full, chan_model_check, commits_one, receives_two);
    EXPLORE_LARGE("permit 1: close", setup_1, check_nothing_came_after_the_end, commits_or_not,
                  closes, receives_until_closed);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CLOSED) > 0 &&
                  explore_happened(NOTE_REFUSED) > 0);
    EXPLORE_LARGE("permit 1: one who waits is cancelled", setup_full, chan_model_check,
                  commits_or_not, receives_one, cancels_first);
    EXPLORE_CHECK(explore_happened(NOTE_GOT) > 0 && explore_happened(NOTE_CANCELLED) > 0);
    EXPLORE("permit 1: the last sender", setup_1, chan_model_check, releases_its_end,
            receives_and_releases);
    return 0;
}
