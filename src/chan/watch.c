/* Watches: the latest value under a lock, its version, and those who wait for another one.

     (V1) The version grows by one with each change, and is never 0.
     (V2) Who waits has seen the present version, and the watch is open. A change wakes them all.
     (V3) Who was woken reads the value again, under the lock, and so gets the latest, perhaps one
          that came after the one that woke it. It does not look at cancels before it has done so:
          its wait has succeeded.

   Nothing is taken out, so a cancelled wait has nothing to lose and nothing to pass on. */
#include "base/mem.h"
#include "base/panic.h"
#include "chan/waiters.h"
#include "sched/service.h"

#include <skua/select.h>
#include <skua/share.h>
#include <string.h>

enum { ITEM_BYTES_MAX = 64 * 1024 };

/* What a waiter is told: look again. */
enum { WOKEN = 1 };

struct skua_watch {
    size_t item_bytes; /* constant */

    /* Under the lock. */
    struct skua__lock lock;
    bool is_closed;
    uint64_t version;
    struct skua__list waiters;

    _Alignas(16) char item[];
};

static void lock(skua_watch *watch)
{
    skua__lock(&watch->lock, SKUA__RANK_CHAN);
}

static void unlock(skua_watch *watch)
{
    skua__unlock(&watch->lock, SKUA__RANK_CHAN);
}

static void check_size(const skua_watch *watch, size_t item_bytes)
{
    if (SKUA_UNLIKELY(item_bytes != watch->item_bytes)) {
        skua__panic("an item of %zu bytes at a watch of items of %zu bytes", item_bytes,
                    watch->item_bytes);
    }
}

static void copy_item(const skua_watch *watch, void *to, const void *from)
{
    if (watch->item_bytes > 0) {
        memcpy(to, from, watch->item_bytes);
    }
}

int skua_watch_create(skua_watch **out, const void *item, size_t item_bytes)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (item_bytes > ITEM_BYTES_MAX) {
        return -EINVAL;
    }
    skua_watch *watch = skua__alloc_aligned(_Alignof(skua_watch), sizeof *watch + item_bytes);
    if (watch == NULL) {
        return -ENOMEM;
    }
    watch->item_bytes = item_bytes;
    watch->version = 1;
    skua__list_init(&watch->waiters);
    copy_item(watch, watch->item, item);
    *out = watch;
    return 0;
}

void skua_watch_destroy(skua_watch *watch)
{
    if (watch == NULL || skua__forked()) {
        return;
    }
    lock(watch); /* whoever was the last to unlock it is through */
    if (!skua__list_is_empty(&watch->waiters)) {
        skua__panic("a watch is destroyed while somebody waits on it");
    }
    unlock(watch);
    skua__free(watch);
}

int skua_watch_set(skua_watch *watch, const void *item, size_t item_bytes)
{
    check_size(watch, item_bytes);
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(watch);
    int status = watch->is_closed ? -EPIPE : 0;
    if (status == 0) {
        copy_item(watch, watch->item, item);
        watch->version++;
        skua__waiters_claim_all(&watch->waiters, WOKEN, &claimed);
    }
    unlock(watch);
    skua__waiters_wake_all(&claimed);
    return status;
}

void skua_watch_close(skua_watch *watch)
{
    if (skua__forked()) {
        return;
    }
    struct skua__list claimed;
    skua__list_init(&claimed);
    lock(watch);
    watch->is_closed = true;
    skua__waiters_claim_all(&watch->waiters, WOKEN, &claimed);
    unlock(watch);
    skua__waiters_wake_all(&claimed);
}

uint64_t skua_watch_get(const skua_watch *watch, void *item, size_t item_bytes)
{
    check_size(watch, item_bytes);
    if (skua__forked()) {
        return 0;
    }
    skua_watch *lockable = (skua_watch *)(uintptr_t)watch;
    lock(lockable);
    copy_item(watch, item, watch->item);
    uint64_t version = watch->version;
    unlock(lockable);
    return version;
}

/* Under the lock. 1, 0, or SKUA__WOULD_WAIT. */
static int try_read(skua_watch *watch, uint64_t *version, void *item)
{
    if (watch->version == *version) {
        return watch->is_closed ? 0 : SKUA__WOULD_WAIT;
    }
    copy_item(watch, item, watch->item);
    *version = watch->version;
    return 1;
}

/* After a wait that was ended by a change or the close (V3). */
static int read_again(skua_watch *watch, uint64_t *version, void *item)
{
    lock(watch);
    int status = try_read(watch, version, item);
    unlock(watch);
    return status;
}

int skua_watch_wait(skua_watch *watch, uint64_t *version, void *item, size_t item_bytes,
                    skua_time deadline)
{
    check_size(watch, item_bytes);
    int status;
    do {
        status = skua__cancel_point();
        if (status < 0) {
            return status;
        }
        lock(watch);
        status = try_read(watch, version, item);
        if (status != SKUA__WOULD_WAIT || skua__is_now(deadline)) {
            unlock(watch);
            return status == SKUA__WOULD_WAIT ? -EAGAIN : status;
        }
        status = skua__waiters_wait(&watch->lock, &watch->waiters, NULL, deadline);
        if (status == WOKEN) {
            status = read_again(watch, version, item);
        }
    } while (status == SKUA__RECHECK || status == SKUA__WOULD_WAIT);
    return status;
}

/* --- select ----------------------------------------------------------------------------------- */

/* The case's item is the version that was seen. */
static int check_entry(const skua_case *entry)
{
    return entry->item_bytes == sizeof(uint64_t) ? 0 : -EINVAL;
}

static struct skua__lock *lock_of_entry(const skua_case *entry)
{
    return &((skua_watch *)entry->object)->lock;
}

static int attempt_entry(const skua_case *entry, struct skua__candidate *candidate,
                         struct skua__wake_list *wakes)
{
    (void)candidate;
    (void)wakes;
    const skua_watch *watch = entry->object;
    if (watch->version != *(const uint64_t *)entry->item) {
        return 1;
    }
    return watch->is_closed ? 0 : SKUA__WOULD_WAIT;
}

static int link_entry(const skua_case *entry, struct skua__candidate *candidate)
{
    skua__list_push_back(&((skua_watch *)entry->object)->waiters, &candidate->waiter.link);
    return 1;
}

/* Woken by a change, or by the close: which of them? */
static int finish_entry(const skua_case *entry, struct skua__candidate *candidate)
{
    lock(entry->object);
    int status = attempt_entry(entry, candidate, NULL);
    unlock(entry->object);
    return status;
}

const struct skua__waitable skua_watch_changes = {
    .check = check_entry,
    .lock = lock_of_entry,
    .attempt = attempt_entry,
    .link = link_entry,
    .unlink = skua__waiters_unlink,
    .finish = finish_entry,
};
