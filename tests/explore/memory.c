/* The memory model: for each location the history of its stores, for each thread a view of how much
   of it must be seen.

   It is C11 with these simplifications: stores enter the modification order when they are executed
   (so no load sees the future, and two threads' stores are never ordered against their execution);
   read-modify-writes and the loads of failed compare-and-swaps read the latest store;
   seq_cst accesses are acq_rel and besides agree with the fences' order. A load that has read
   a store which is not the latest STALE_READS_MAX times must then read the latest one: memory
   becomes visible in the end.

   Accesses that no other thread can disturb are no decision points: for each address it is
   remembered, over all executions, which threads have accessed it and which have written it. When
   such a set grows, the search starts again. */
#include "engine.h"

#include <string.h>

enum {
    ADDRESSES_MAX = 4096, /* a power of two */
    VIEWS_MAX = 8192,
    STALE_READS_MAX = 2,
    SLOT_RANGES_MAX = 4,
};

/* Over all executions. */
struct address {
    uintptr_t address;
    uint32_t accessors, writers; /* a bit for each thread */
    uint32_t execution;          /* in which `location` was made */
    struct location *location;
    bool is_outside; /* of the arena: a static variable, which every execution starts anew */
    uint32_t bytes;
    uint64_t start_value;
};
static struct address addresses[ADDRESSES_MAX];
static int address_count;
static bool has_grown;

/* Of this execution. */
static struct location locations[LOCATIONS_MAX];
static int location_count;
static struct view views[VIEWS_MAX];
static int view_count;
static struct slot_range {
    uintptr_t start, end;
} slot_ranges[SLOT_RANGES_MAX];
static int slot_range_count;
static struct view fenced; /* what sequentially consistent fences have agreed on */

/* Not by memcpy(), which would count as a plain access of the model. */
static uint64_t read_raw(uintptr_t address, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        return *(const volatile uint8_t *)address;
    case 2:
        return *(const volatile uint16_t *)address;
    case 4:
        return *(const volatile uint32_t *)address;
    default:
        return *(const volatile uint64_t *)address;
    }
}

static void write_raw(uintptr_t address, uint32_t bytes, uint64_t value)
{
    switch (bytes) {
    case 1:
        *(volatile uint8_t *)address = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)address = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)address = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)address = value;
        break;
    }
}

void memory_reset(void)
{
    location_count = 0;
    view_count = 0;
    slot_range_count = 0;
    memset(&fenced, 0, sizeof fenced);
}

bool memory_has_grown(void)
{
    bool result = has_grown;
    has_grown = false;
    return result;
}

void memory_forget_uses(void)
{
    for (size_t i = 0; i < ADDRESSES_MAX; i++) {
        if (addresses[i].is_outside) {
            write_raw(addresses[i].address, addresses[i].bytes, addresses[i].start_value);
        }
    }
    memset(addresses, 0, sizeof addresses);
    address_count = 0;
    has_grown = false;
}

/* --- locations -------------------------------------------------------------------------------- */

static struct address *address_entry(uintptr_t address)
{
    size_t at = (address >> 1) * UINT64_C(0x9e3779b97f4a7c15) >> 52;
    while (addresses[at].address != address) {
        if (addresses[at].address == 0) {
            addresses[at].address = address;
            if (++address_count == ADDRESSES_MAX / 2) {
                explore_fail(__FILE__, __LINE__, "too many addresses");
            }
            break;
        }
        at = (at + 1) % ADDRESSES_MAX;
    }
    return &addresses[at];
}

static void start_history(struct location *location)
{
    location->count = 1;
    location->was_overwritten = false;
    location->stores[0] =
        (struct store){.value = read_raw(location->address, location->bytes), .head = -1};
}

/* Its old stores are covered by the plain one, which everybody must have seen by now:
   plain_atomic() checks that. Views know the old numbers, so the new store comes behind them. */
static void restart_history(struct location *location)
{
    int last = location->count++;
    if (location->count > STORES_MAX) {
        explore_fail(__FILE__, __LINE__, "too many stores to one location");
    }
    location->stores[last] =
        (struct store){.value = read_raw(location->address, location->bytes), .head = -1};
    for (int i = 0; i < explorer.thread_count; i++) {
        explorer.threads[i].now.stores[location->number] = (int16_t)last;
    }
    location->was_overwritten = false;
}

void explore_slots(const void *memory, size_t bytes)
{
    if (slot_range_count == SLOT_RANGES_MAX) {
        explore_fail(__FILE__, __LINE__, "too many slot ranges");
    }
    slot_ranges[slot_range_count++] =
        (struct slot_range){(uintptr_t)memory, (uintptr_t)memory + bytes};
}

static bool is_slot(uintptr_t address)
{
    for (int i = 0; i < slot_range_count; i++) {
        if (address >= slot_ranges[i].start && address < slot_ranges[i].end) {
            return true;
        }
    }
    return false;
}

static void restart_outside(struct address *entry, uint32_t bytes)
{
    if (entry->is_outside) {
        write_raw(entry->address, bytes, entry->start_value);
    } else if (!plain_is_inside(entry->address)) {
        entry->is_outside = true;
        entry->bytes = bytes;
        entry->start_value = read_raw(entry->address, bytes);
    }
}

static struct location *location_of(struct address *entry, uint32_t bytes)
{
    struct location *location = entry->location;
    if (entry->execution != explorer.execution) {
        if (location_count == LOCATIONS_MAX) {
            explore_fail(__FILE__, __LINE__, "more than %d atomic objects", LOCATIONS_MAX);
        }
        location = &locations[location_count];
        location->number = (uint16_t)location_count++;
        location->address = entry->address;
        location->bytes = bytes;
        location->is_slot = is_slot(entry->address);
        memset(location->read_clocks, 0, sizeof location->read_clocks);
        restart_outside(entry, bytes);
        start_history(location);
        entry->execution = explorer.execution;
        entry->location = location;
    }
    if (location->was_overwritten || location->bytes != bytes) {
        location->bytes = bytes;
        restart_history(location);
    }
    return location;
}

struct location *memory_location(const volatile void *object, uint32_t bytes)
{
    return location_of(address_entry((uintptr_t)object), bytes);
}

struct location *memory_find(uintptr_t address)
{
    size_t at = (address >> 1) * UINT64_C(0x9e3779b97f4a7c15) >> 52;
    for (; addresses[at].address != 0; at = (at + 1) % ADDRESSES_MAX) {
        if (addresses[at].address == address) {
            return addresses[at].execution == explorer.execution ? addresses[at].location : NULL;
        }
    }
    return NULL;
}

uint64_t memory_latest(const struct location *location)
{
    return location->stores[location->count - 1].value;
}

/* Notes the access. True: no other thread has ever done anything here that this could meet. */
static bool is_private(struct address *entry, bool is_write)
{
    uint32_t self = UINT32_C(1) << explorer.current->number;
    if ((entry->accessors & self) == 0 || (is_write && (entry->writers & self) == 0)) {
        entry->accessors |= self;
        entry->writers |= is_write ? self : 0;
        has_grown = true;
    }
    return ((is_write ? entry->accessors : entry->writers) & ~self) == 0;
}

/* The common beginning of an operation. */
static struct location *begin(const volatile void *object, uint32_t bytes, bool is_write,
                              const struct explore_site *site)
{
    struct address *entry = address_entry((uintptr_t)object);
    explorer_point(site, is_private(entry, is_write));
    plain_atomic(entry->address, bytes);
    return location_of(entry, bytes);
}

/* --- views ------------------------------------------------------------------------------------ */

static struct view *new_view(const struct view *from)
{
    if (view_count == VIEWS_MAX) {
        explore_fail(__FILE__, __LINE__, "too many releases in one execution");
    }
    views[view_count] = *from;
    return &views[view_count++];
}

static bool acquires(enum explore_order order)
{
    return order == explore_acquire || order >= explore_acq_rel;
}

static bool releases(enum explore_order order)
{
    return order >= explore_release;
}

/* What the thread does to plain memory from now on is not part of what it has published. */
static void tick(struct thread *thread)
{
    thread->now.clocks[thread->number]++;
}

static void learn(struct thread *thread, const struct store *store, enum explore_order order)
{
    if (store->view != NULL) {
        view_join(acquires(order) ? &thread->now : &thread->pending, store->view);
    }
}

static uint64_t truncated(uint64_t value, uint32_t bytes)
{
    return bytes == 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

/* Whether the thread's store goes on with the release sequence that the latest store belongs to: by
   C11's rule, the same thread's stores do, and read-modify-writes of anybody. */
static bool continues_sequence(const struct store *latest, const struct thread *thread,
                               bool is_update)
{
    return latest->view != NULL && (is_update || latest->head == thread->number);
}

/* Adds a store. */
static void append(struct location *location, uint64_t value, enum explore_order order,
                   bool is_update)
{
    struct thread *thread = explorer.current;
    int last = location->count;
    if (last == STORES_MAX) {
        explore_fail(__FILE__, __LINE__, "more than %d stores to one object: does it end?",
                     STORES_MAX);
    }
    const struct store *latest = &location->stores[last - 1];
    struct store *store = &location->stores[last];
    *store = (struct store){.value = value, .head = -1};
    if (continues_sequence(latest, thread, is_update)) {
        store->view = latest->view;
        store->head = latest->head;
    }
    thread->now.stores[location->number] = (int16_t)last;
    if (releases(order) || thread->has_released) {
        struct view *view = new_view(releases(order) ? &thread->now : &thread->released);
        view->stores[location->number] = (int16_t)last;
        if (store->view != NULL) {
            view_join(view, store->view);
        }
        store->view = view;
        store->head = thread->number;
    }
    location->count = last + 1;
    if (order == explore_seq_cst) {
        fenced.stores[location->number] = (int16_t)last;
    }
    if (releases(order)) {
        tick(thread);
    }
    write_raw(location->address, location->bytes, value);
    explorer.stores_made++;
}

static void note_spin_read(struct thread *thread, struct location *location, int store)
{
    for (int i = 0; i < thread->spin_count; i++) {
        if (thread->spin_reads[i].location == location) {
            thread->spin_reads[i].store = store;
            return;
        }
    }
    if (thread->spin_count < SPIN_READS_MAX) {
        thread->spin_reads[thread->spin_count++] = (struct spin_read){location, store};
    }
}

static void note_slot_read(struct thread *thread, struct location *location)
{
    if (thread->slot_read_count < SLOT_READS_MAX) {
        thread->slot_reads[thread->slot_read_count++] = location;
    }
}

/* After a compare-and-swap: what was read before it is the thread's own, or was read in vain. */
static void settle_slot_reads(struct thread *thread, bool succeeds, int16_t clock)
{
    for (int i = 0; succeeds && i < thread->slot_read_count; i++) {
        thread->slot_reads[i]->read_clocks[thread->number] = clock;
    }
    thread->slot_read_count = 0;
}

static void check_overwriting(const struct location *slot)
{
    const struct thread *thread = explorer.current;
    for (int i = 0; i < explorer.thread_count; i++) {
        if (i != thread->number && thread->now.clocks[i] < slot->read_clocks[i]) {
            explore_fail(__FILE__, __LINE__,
                         "thread %d overwrites a slot that thread %d may still be reading",
                         thread->number, i);
        }
    }
}

/* Reads one of the stores. */
static uint64_t read_store(struct location *location, int number, enum explore_order order)
{
    struct thread *thread = explorer.current;
    const struct store *store = &location->stores[number];
    thread->now.stores[location->number] = (int16_t)number;
    learn(thread, store, order);
    note_spin_read(thread, location, number);
    if (location->is_slot) {
        note_slot_read(thread, location);
    }
    return store->value;
}

uint64_t memory_load_latest(struct location *location, enum explore_order order)
{
    return read_store(location, location->count - 1, order);
}

/* The store that a load reads: a decision among those that the views allow. */
static int choose_store(struct location *location, enum explore_order order)
{
    struct thread *thread = explorer.current;
    int16_t oldest = thread->now.stores[location->number];
    if (order == explore_seq_cst && fenced.stores[location->number] > oldest) {
        oldest = fenced.stores[location->number];
    }
    int latest = location->count - 1;
    uint8_t *stale_reads = &thread->stale_reads[location->number];
    bool may_be_stale = *stale_reads < STALE_READS_MAX && (!explorer.model->bounds_stale_reads ||
                                                           explorer.stale_reads < explorer.bound);
    int backs[STORES_MAX], count = 0;
    for (int back = 0; back <= (may_be_stale ? latest - oldest : 0); back++) {
        backs[count++] = back;
    }
    int back = explorer_choose(DECIDE_STORE, backs, count, 0);
    explorer.stale_reads += back > 0;
    *stale_reads = back > 0 ? (uint8_t)(*stale_reads + 1) : 0;
    return latest - back;
}

static const char *const order_names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};

/* --- the operations --------------------------------------------------------------------------- */

uint64_t explore__load(const volatile void *object, uint32_t bytes, enum explore_order order,
                       const struct explore_site *site)
{
    if (!explorer.is_running) {
        return read_raw((uintptr_t)object, bytes);
    }
    struct location *location = begin(object, bytes, false, site);
    int number = choose_store(location, order);
    uint64_t value = read_store(location, number, order);
    if (explorer.is_tracing) {
        int back = location->count - 1 - number;
        explorer_trace("load %s %s: %#llx%s", site->text, order_names[order],
                       (unsigned long long)value, back > 0 ? " (not the latest)" : "");
    }
    return value;
}

void explore__store(volatile void *object, uint32_t bytes, uint64_t value, enum explore_order order,
                    const struct explore_site *site)
{
    if (!explorer.is_running) {
        write_raw((uintptr_t)object, bytes, value);
        return;
    }
    struct location *location = begin(object, bytes, true, site);
    if (explorer.is_tracing) {
        explorer_trace("store %s %s: %#llx", site->text, order_names[order],
                       (unsigned long long)value);
    }
    if (location->is_slot) {
        check_overwriting(location);
    }
    append(location, truncated(value, bytes), order, false);
}

static uint64_t changed(uint64_t old, enum explore_change change, uint64_t operand)
{
    switch (change) {
    case explore_add:
        return old + operand;
    case explore_sub:
        return old - operand;
    case explore_or:
        return old | operand;
    case explore_and:
        return old & operand;
    default:
        return operand;
    }
}

/* Reads the latest store and puts `value` behind it. */
static void replace(struct location *location, uint64_t value, enum explore_order order)
{
    append(location, truncated(value, location->bytes), order, true);
}

uint64_t explore__update(volatile void *object, uint32_t bytes, enum explore_change change,
                         uint64_t operand, enum explore_order order,
                         const struct explore_site *site)
{
    if (!explorer.is_running) {
        uint64_t old = read_raw((uintptr_t)object, bytes);
        uint64_t value = changed(old, change, operand);
        write_raw((uintptr_t)object, bytes, value);
        return old;
    }
    struct location *location = begin(object, bytes, true, site);
    uint64_t old = memory_load_latest(location, order);
    replace(location, changed(old, change, operand), order);
    if (explorer.is_tracing) {
        explorer_trace("update %s %s: %#llx -> %#llx", site->text, order_names[order],
                       (unsigned long long)old, (unsigned long long)memory_latest(location));
    }
    return old;
}

bool explore__cas(volatile void *object, uint32_t bytes, void *expected, uint64_t desired,
                  enum explore_order success, enum explore_order failure,
                  const struct explore_site *site)
{
    uint64_t wanted = read_raw((uintptr_t)expected, bytes);
    if (!explorer.is_running) {
        uint64_t old = read_raw((uintptr_t)object, bytes);
        write_raw(old == wanted ? (uintptr_t)object : (uintptr_t)expected, bytes,
                  old == wanted ? desired : old);
        return old == wanted;
    }
    struct location *location = begin(object, bytes, true, site);
    uint64_t old = memory_latest(location);
    bool succeeds = old == wanted;
    if (explorer.is_tracing) {
        explorer_trace("cas %s %s: %#llx -> %#llx %s, was %#llx", site->text,
                       order_names[succeeds ? success : failure], (unsigned long long)wanted,
                       (unsigned long long)desired, succeeds ? "succeeds" : "fails",
                       (unsigned long long)old);
    }
    memory_load_latest(location, succeeds ? success : failure);
    int16_t clock = explorer.current->now.clocks[explorer.current->number];
    settle_slot_reads(explorer.current, succeeds, clock);
    if (succeeds) {
        replace(location, desired, success);
    } else {
        write_raw((uintptr_t)expected, bytes, old);
    }
    return succeeds;
}

/* --- fences ----------------------------------------------------------------------------------- */

static void acquire_fence(struct thread *thread)
{
    view_join(&thread->now, &thread->pending);
}

static void release_fence(struct thread *thread)
{
    thread->released = thread->now;
    thread->has_released = true;
    tick(thread);
}

void explore__fence(enum explore_order order, const struct explore_site *site)
{
    if (!explorer.is_running || order == explore_relaxed) {
        return;
    }
    explorer_point(site, order != explore_seq_cst);
    if (explorer.is_tracing) {
        explorer_trace("fence %s", site->text);
    }
    struct thread *thread = explorer.current;
    if (acquires(order)) {
        acquire_fence(thread);
    }
    if (order == explore_seq_cst) {
        /* Of what must be seen, not of what happens before: for that somebody has to read. */
        view_join_stores(&fenced, &thread->now);
        view_join_stores(&thread->now, &fenced);
    }
    if (releases(order)) {
        release_fence(thread);
    }
}

void memory_fence_everywhere(void)
{
    for (int i = 0; i < explorer.thread_count; i++) {
        acquire_fence(&explorer.threads[i]);
        view_join_stores(&fenced, &explorer.threads[i].now);
    }
    for (int i = 0; i < explorer.thread_count; i++) {
        view_join_stores(&explorer.threads[i].now, &fenced);
        release_fence(&explorer.threads[i]);
    }
}
