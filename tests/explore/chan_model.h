/* tests/explore/chan_model.h: two channels and numbered items, for the models of channels and of
   select. */
#ifndef SKUA_TESTS_EXPLORE_CHAN_MODEL_H
#define SKUA_TESTS_EXPLORE_CHAN_MODEL_H

#include "fibers.h"

#include <skua/chan.h>

enum { CHANS = 2, CHAN_ITEMS = 8 };

/* An item is the number of an entry: whoever receives it must see the payload. */
struct chans {
    skua_chan *chans[CHANS];
    uint64_t payload[CHAN_ITEMS];
    int times_received[CHAN_ITEMS];
    bool is_sent[EXPLORE_THREADS + 1][CHAN_ITEMS]; /* by that thread, successfully */
    uint64_t next[EXPLORE_THREADS + 1];
    _Atomic uint32_t *receiver_has_ended;
};
static struct chans *chans;

static void chan_model_make(size_t capacity)
{
    chans = explore_alloc(sizeof *chans);
    chans->receiver_has_ended = explore_alloc(sizeof *chans->receiver_has_ended);
    fibers_make(4);
    for (int i = 0; i < CHANS; i++) {
        EXPLORE_CHECK(skua_chan_create(&chans->chans[i], sizeof(uint64_t), capacity) == 0);
    }
}

/* A new item of the calling thread. */
static uint64_t chan_item(void)
{
    int self = explore_self();
    uint64_t item = (uint64_t)(self + 1) + (chans->next[self + 1]++ ? 4 : 0);
    EXPLORE_CHECK(item < CHAN_ITEMS);
    chans->payload[item] = 100 + item;
    return item;
}

static void chan_sent(uint64_t item)
{
    chans->is_sent[explore_self() + 1][item] = true;
}

static void chan_received(uint64_t item)
{
    EXPLORE_CHECK(item < CHAN_ITEMS);
    EXPLORE_CHECK(chans->payload[item] == 100 + item);
    chans->times_received[item]++;
    EXPLORE_CHECK(chans->times_received[item] == 1);
}

static inline int chan_send(int chan)
{
    uint64_t item = chan_item();
    int result = skua_chan_send(chans->chans[chan], &item, sizeof item, SKUA_FOREVER);
    if (result == 0) {
        chan_sent(item);
    }
    return result;
}

static inline int chan_recv(int chan)
{
    uint64_t item = CHAN_ITEMS;
    int result = skua_chan_recv(chans->chans[chan], &item, sizeof item, SKUA_FOREVER);
    if (result == 1) {
        chan_received(item);
    }
    return result;
}

/* In finish: what was sent was received or is still there. */
static void chan_model_check(void)
{
    fibers_check();
    for (int i = 0; i < CHANS; i++) {
        uint64_t item;
        while (chans->chans[i] != NULL &&
               skua_chan_recv(chans->chans[i], &item, sizeof item, SKUA_NOW) == 1) {
            chan_received(item);
        }
    }
    for (int item = 0; item < CHAN_ITEMS; item++) {
        bool is_sent = false;
        for (int thread = 0; thread <= EXPLORE_THREADS; thread++) {
            is_sent = is_sent || chans->is_sent[thread][item];
        }
        EXPLORE_CHECK(chans->times_received[item] == is_sent);
    }
}

#endif
