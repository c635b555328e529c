/* Select over two channels, against plain senders and receivers, closes, and other selects.

   Sources: chan/chan.c chan/cells.c chan/waiters.c chan/select.c sched/waiter.c sched/scope.c
   sched/wheel.c
   Mutates: chan/select.c */
#include "chan_model.h"

#include <skua/select.h>
#include <string.h>

enum { NOTE_FIRST, NOTE_SECOND, NOTE_CLOSED, NOTE_SENT };

bool skua__task_link_joiner(struct skua_task *task, struct skua__waiter *waiter)
{
    return false;
}

void skua__task_unlink_joiner(struct skua_task *task, struct skua__waiter *waiter) {}

static int choose(skua_case *cases, int *kinds)
{
    int index = skua_select(cases, 2, SKUA_IN_ORDER, SKUA_FOREVER);
    EXPLORE_CHECK(index == 0 || index == 1);
    explore_note(index == 0 ? NOTE_FIRST : NOTE_SECOND);
    *kinds = cases[index].kind;
    return index;
}

/* From whichever channel has an item first. */
static int receive_from_either(void)
{
    uint64_t items[CHANS] = {CHAN_ITEMS, CHAN_ITEMS};
    skua_case cases[CHANS];
    int kind;
    memset(cases, 0, sizeof cases);
    for (int i = 0; i < CHANS; i++) {
        cases[i].kind = SKUA_CASE_RECV;
        cases[i].object = chans->chans[i];
        cases[i].item = &items[i];
        cases[i].item_bytes = sizeof items[i];
    }
    int index = choose(cases, &kind);
    if (cases[index].result == 1) {
        chan_received(items[index]);
    } else {
        EXPLORE_CHECK(cases[index].result == 0);
        explore_note(NOTE_CLOSED);
    }
    return cases[index].result;
}

static void receives_from_either(void)
{
    receive_from_either();
}

static void receives_an_item(void)
{
    if (receive_from_either() == 0) {
        EXPLORE_CHECK(chan_recv(0) == 1);
    }
}

static void receives_twice_from_either(void)
{
    receives_from_either();
    receives_from_either();
}

/* Send to one, or receive from the other. */
static void exchanges(int to, int from)
{
    uint64_t out = chan_item(), in = CHAN_ITEMS;
    skua_case cases[2];
    int kind;
    memset(cases, 0, sizeof cases);
    cases[0].kind = SKUA_CASE_SEND;
    cases[0].object = chans->chans[to];
    cases[0].item = &out;
    cases[1].kind = SKUA_CASE_RECV;
    cases[1].object = chans->chans[from];
    cases[1].item = &in;
    cases[0].item_bytes = cases[1].item_bytes = sizeof out;
    int index = choose(cases, &kind);
    EXPLORE_CHECK(cases[index].result == (kind == SKUA_CASE_SEND ? 0 : 1));
    if (kind == SKUA_CASE_SEND) {
        chan_sent(out);
    } else {
        chan_received(in);
    }
}

static void sends_0_or_receives_1(void)
{
    exchanges(0, 1);
}

static void sends_1_or_receives_0(void)
{
    exchanges(1, 0);
}

static void sends_to_0(void)
{
    EXPLORE_CHECK(chan_send(0) == 0);
}

static void sends_to_1(void)
{
    EXPLORE_CHECK(chan_send(1) == 0);
}

static void sends_to_both(void)
{
    sends_to_0();
    sends_to_1();
}

static void sends_two_to_0(void)
{
    sends_to_0();
    sends_to_0();
}

static void receives_from_0(void)
{
    EXPLORE_CHECK(chan_recv(0) == 1);
}

static void closes_1(void)
{
    skua_chan_close(chans->chans[1]);
}

static void setup_0(void)
{
    chan_model_make(0);
}

static void setup_1(void)
{
    chan_model_make(1);
}

/* covers: B37 */
int main(void)
{
    EXPLORE_LARGE("select 0: two senders", setup_0, chan_model_check, receives_twice_from_either,
                  sends_to_0, sends_to_1);
    EXPLORE_CHECK(explore_happened(NOTE_FIRST) > 0 && explore_happened(NOTE_SECOND) > 0);
    EXPLORE_LARGE("select 0: one sender to both", setup_0, chan_model_check,
                  receives_twice_from_either, sends_to_both);
    EXPLORE_LARGE("select 0: beside a receiver", setup_0, chan_model_check, receives_from_either,
                  receives_from_0, sends_two_to_0);
    EXPLORE_LARGE("select 0: face to face", setup_0, chan_model_check, sends_0_or_receives_1,
                  sends_1_or_receives_0);
    EXPLORE_LARGE("select 0: close", setup_0, chan_model_check, receives_an_item, sends_to_0,
                  closes_1);
    EXPLORE_CHECK(explore_happened(NOTE_CLOSED) > 0);
    EXPLORE_LARGE("select 1: one sender to both", setup_1, chan_model_check,
                  receives_twice_from_either, sends_to_both);
    EXPLORE_LARGE("select 1: two selects", setup_1, chan_model_check, receives_from_either,
                  receives_from_either, sends_to_both);
    EXPLORE_LARGE("select 1: face to face", setup_1, chan_model_check, sends_0_or_receives_1,
                  sends_1_or_receives_0);
    return 0;
}
