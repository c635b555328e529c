/* The hierarchical wheel, much like tokio's (which follows Varghese and Lauck, SOSP
   1987).

   A timer stands in the level of the highest group of six bits in which its expiry differs from
   `elapsed`, in the slot that those six bits name. When time reaches a slot of a higher level, its
   timers move down.

     (I1) A linked timer's expiry_tick is > elapsed, or it stands in the present slot of the lowest
          level, which is being run.
     (I2) occupied[l] has bit s exactly if slots[l][s] is not empty.
     (I3) next_ns <= the moment of the earliest slot. */
#include "sched/wheel.h"

#include "base/panic.h"

enum { PREFETCHED = 8 };
enum { SLOT_BITS = 6, SLOT_MASK = SKUA__WHEEL_SLOTS - 1 };

_Static_assert(SLOT_BITS *SKUA__WHEEL_LEVELS >= 64, "a moment beyond the wheel");

/* Moments later than this are as good as never; their tick, turned back into a moment, does not
   overflow. */
#define LATEST_NS (SKUA__NEVER - (INT64_C(2) << SKUA__WHEEL_TICK_SHIFT))

/* The first tick that is not before the moment. */
static uint64_t tick_after(const struct skua__wheel *wheel, int64_t ns)
{
    ns = ns < LATEST_NS ? ns : LATEST_NS;
    return ((uint64_t)ns + (1u << wheel->tick_shift) - 1) >> wheel->tick_shift;
}

static int64_t ns_of(const struct skua__wheel *wheel, uint64_t tick)
{
    return (int64_t)(tick << wheel->tick_shift);
}

static void init(struct skua__wheel *wheel, int64_t now_ns, uint32_t tick_shift)
{
    wheel->tick_shift = tick_shift;
    wheel->elapsed = (uint64_t)now_ns >> tick_shift;
    for (int level = 0; level < SKUA__WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < SKUA__WHEEL_SLOTS; slot++) {
            skua__list_init(&wheel->slots[level][slot]);
        }
    }
    skua__store(&wheel->next_ns, SKUA__NEVER, relaxed);
}

void skua__wheel_init(struct skua__wheel *wheel, int64_t now_ns)
{
    init(wheel, now_ns, SKUA__WHEEL_TICK_SHIFT);
}

void skua__wheel_init_exact(struct skua__wheel *wheel, int64_t now_ns)
{
    init(wheel, now_ns, 0);
}

/* Into the level of the highest six bits in which `expiry` differs from now. */
static void place(struct skua__wheel *wheel, struct skua__timer *timer, uint64_t expiry)
{
    uint64_t difference = expiry ^ wheel->elapsed;
    int highest_bit = 63 - __builtin_clzll(difference | SLOT_MASK);
    timer->level = (uint8_t)(highest_bit / SLOT_BITS);
    timer->slot = (uint8_t)(expiry >> (timer->level * SLOT_BITS) & SLOT_MASK);
    timer->expiry_tick = expiry;
    skua__list_push_back(&wheel->slots[timer->level][timer->slot], &timer->link);
    wheel->occupied[timer->level] |= UINT64_C(1) << timer->slot;
    wheel->count++;
}

static void insert(struct skua__wheel *wheel, struct skua__timer *timer, int64_t deadline_ns)
{
    uint64_t expiry = tick_after(wheel, deadline_ns);
    place(wheel, timer, expiry > wheel->elapsed ? expiry : wheel->elapsed + 1);
}

static void take_out(struct skua__wheel *wheel, struct skua__timer *timer)
{
    skua__list_remove(&timer->link);
    if (skua__list_is_empty(&wheel->slots[timer->level][timer->slot])) {
        wheel->occupied[timer->level] &= ~(UINT64_C(1) << timer->slot);
    }
    wheel->count--;
}

/* The earliest occupied slot and the tick at which time reaches it; false: the wheel is empty.
   Slots of a level lie ahead of `elapsed` within its present turn, and lower levels come first. */
static bool find_next(const struct skua__wheel *wheel, int *level_out, int *slot_out,
                      uint64_t *tick_out)
{
    for (int level = 0; level < SKUA__WHEEL_LEVELS; level++) {
        if (wheel->occupied[level] == 0) {
            continue;
        }
        int shift = level * SLOT_BITS;
        uint32_t now_slot = (uint32_t)(wheel->elapsed >> shift) & SLOT_MASK;
        uint64_t ahead = wheel->occupied[level] >> now_slot;
        skua_assert(ahead != 0);
        uint32_t slot = now_slot + (uint32_t)__builtin_ctzll(ahead);
        uint64_t turn = level + 1 < SKUA__WHEEL_LEVELS
                            ? wheel->elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS)
                            : 0; /* the highest level is never left */
        *level_out = level;
        *slot_out = (int)slot;
        *tick_out = turn | (uint64_t)slot << shift;
        return true;
    }
    return false;
}

static void publish_next(struct skua__wheel *wheel)
{
    int level, slot;
    uint64_t tick;
    int64_t next = find_next(wheel, &level, &slot, &tick) ? ns_of(wheel, tick) : SKUA__NEVER;
    skua__store(&wheel->next_ns, next, relaxed);
}

/* True if the timer stands in another worker's wheel early enough: then only its deadline changes.
   Else it is in no wheel afterwards. */
static bool settle_elsewhere(struct skua__timer *timer, uint64_t ticket, int64_t deadline_ns)
{
    struct skua__wheel *wheel = timer->wheel;
    bool is_early = false;
    skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
    if (skua__link_is_linked(&timer->link)) {
        is_early = timer->expiry_tick <= tick_after(wheel, deadline_ns);
        if (is_early) {
            timer->ticket = ticket;
            timer->deadline_ns = deadline_ns;
        } else {
            take_out(wheel, timer);
        }
    }
    skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
    return is_early;
}

void skua__wheel_arm(struct skua__wheel *wheel, struct skua__timer *timer, uint64_t ticket,
                     int64_t deadline_ns)
{
    if (timer->wheel != NULL && timer->wheel != wheel &&
        settle_elsewhere(timer, ticket, deadline_ns)) {
        return;
    }
    skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
    timer->wheel = wheel;
    timer->ticket = ticket;
    timer->deadline_ns = deadline_ns;
    bool is_linked = skua__link_is_linked(&timer->link);
    if (is_linked && timer->expiry_tick > tick_after(wheel, deadline_ns)) {
        take_out(wheel, timer);
        is_linked = false;
    }
    if (!is_linked) {
        insert(wheel, timer, deadline_ns);
        int64_t at = ns_of(wheel, timer->expiry_tick);
        if (at < skua__load(&wheel->next_ns, relaxed)) {
            skua__store(&wheel->next_ns, at, relaxed);
        }
    }
    skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
}

void skua__timer_disarm(struct skua__timer *timer)
{
    struct skua__wheel *wheel = timer->wheel;
    if (wheel == NULL) {
        return;
    }
    skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
    if (skua__link_is_linked(&timer->link)) {
        take_out(wheel, timer);
    }
    skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
}

/* A timer whose slot has come: claimed, moved on, or dropped since its wait is over. */
static bool fire(struct skua__wheel *wheel, struct skua__timer *timer, int64_t now_ns)
{
    uint64_t word = skua__load(&timer->parker->word, relaxed);
    if (word != timer->ticket) {
        return false;
    }
    if (timer->deadline_ns > now_ns) {
        insert(wheel, timer, timer->deadline_ns);
        return false;
    }
    return skua__claim(timer->parker, timer->ticket, SKUA__CAUSE_DEADLINE);
}

/* Time has reached a slot of a higher level: its timers move down, those that are due at this very
   tick into the present slot of the lowest level. */
static void cascade(struct skua__wheel *wheel, struct skua__list *list)
{
    struct skua__link *link;
    while ((link = skua__list_first(list)) != NULL) {
        struct skua__timer *timer = SKUA_CONTAINER(link, struct skua__timer, link);
        take_out(wheel, timer);
        place(wheel, timer, timer->expiry_tick);
    }
}

/* The fiber of the link after `ahead` comes up soon, and is in no cache: it has slept. Without this
   each claim waits for its own miss, since it is a locked operation. Returns that link, or the
   list's head if there is none. */
static struct skua__link *prefetch_next(const struct skua__list *list, struct skua__link *ahead)
{
    struct skua__link *next = ahead->next;
    if (next != &list->head) {
        __builtin_prefetch(SKUA_CONTAINER(next, struct skua__timer, link)->parker, 1);
        return next;
    }
    return ahead;
}

/* The present slot of the lowest level: its timers are due. False: the list of those to wake is
   full, the rest stays where it is. */
static bool run_slot(struct skua__wheel *wheel, struct skua__list *list, int64_t now_ns,
                     struct skua__wake_list *due)
{
    struct skua__link *link, *ahead = &list->head;
    for (int i = 0; i < PREFETCHED; i++) {
        ahead = prefetch_next(list, ahead);
    }
    while ((link = skua__list_first(list)) != NULL) {
        struct skua__timer *timer = SKUA_CONTAINER(link, struct skua__timer, link);
        ahead = prefetch_next(list, ahead);
        take_out(wheel, timer);
        if (fire(wheel, timer, now_ns) && skua__wake_list_add(due, timer->parker)) {
            return false;
        }
    }
    return true;
}

/* Runs all slots up to the tick; false: the list of those to wake is full. Under the lock. */
static bool advance(struct skua__wheel *wheel, uint64_t now_tick, int64_t now_ns,
                    struct skua__wake_list *due)
{
    int level, slot;
    uint64_t tick;
    while (find_next(wheel, &level, &slot, &tick) && tick <= now_tick) {
        wheel->elapsed = tick > wheel->elapsed ? tick : wheel->elapsed;
        struct skua__list *list = &wheel->slots[level][slot];
        if (level > 0) {
            cascade(wheel, list);
        } else if (!run_slot(wheel, list, now_ns, due)) {
            return false;
        }
    }
    wheel->elapsed = now_tick > wheel->elapsed ? now_tick : wheel->elapsed;
    return true;
}

size_t skua__wheel_run(struct skua__wheel *wheel, int64_t now_ns)
{
    struct skua__wake_list due;
    skua__wake_list_init(&due);
    uint64_t now_tick = (uint64_t)now_ns >> wheel->tick_shift;
    size_t woken = 0;
    bool is_done;
    do {
        skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
        is_done = advance(wheel, now_tick, now_ns, &due);
        publish_next(wheel);
        skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
        woken += due.count;
        skua__wake_list_flush(&due);
    } while (!is_done);
    return woken;
}

/* Leaves in the slot only timers that belong there. False: there are none. */
static bool prune_slot(struct skua__wheel *wheel, struct skua__list *list)
{
    bool is_live = false;
    struct skua__link *link = list->head.next;
    while (link != &list->head) {
        struct skua__timer *timer = SKUA_CONTAINER(link, struct skua__timer, link);
        link = link->next;
        bool is_over = skua__load(&timer->parker->word, relaxed) != timer->ticket;
        bool is_later = timer->expiry_tick < tick_after(wheel, timer->deadline_ns);
        if (is_over || is_later) {
            take_out(wheel, timer);
        }
        if (!is_over && is_later) {
            insert(wheel, timer, timer->deadline_ns); /* perhaps in this very slot again */
        }
        is_live = is_live || (!is_over && !is_later);
    }
    return is_live;
}

int64_t skua__wheel_next_live(struct skua__wheel *wheel)
{
    int level, slot;
    uint64_t tick;
    skua__lock(&wheel->lock, SKUA__RANK_WHEEL);
    while (find_next(wheel, &level, &slot, &tick) &&
           !prune_slot(wheel, &wheel->slots[level][slot])) {}
    publish_next(wheel);
    int64_t next = skua__wheel_next(wheel);
    skua__unlock(&wheel->lock, SKUA__RANK_WHEEL);
    return next;
}
