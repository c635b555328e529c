/* The cache: a hash table of entries, the order of their use, and a table of single flights for
   those that are being made.

     (K1) Everything is under one lock, that of the flights. What may take long, fill and drop, runs
          outside of it.
     (K2) A key has at most one entry. While a runner for it stands in the table of flights it has
          none: a fill starts only for want of one, and put detaches the runner.
     (K3) An entry that stands in no list is owned by the one who has taken it out, or who is making
          it.
     (K4) A fill that was detached (forget, clear, put) is given to those who wait for it and to
          nobody else: what it has read may be older than what made somebody forget the key.
     (K5) The value in an entry has one owner, the entry. Each copy that leaves has been retained,
          under the lock, while the entry's own was there.

   The lock is held for a look into the table and a copy of the value; a cache of large things holds
   pointers to them.

   Rejected: a lock for each part of the table (the order of use would be one of each part); a clock
   hand instead of the order of use (the lock is there already); entries that are made in advance
   (keys have all sizes); a task that throws out what is too old (it is met, or pushed out). */
#include "base/clock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "group/flight.h"
#include "sched/service.h"

#include <skua/retry.h>

enum { COUNT_DEFAULT = 1024, VALUE_ALIGNMENT = 16 };

struct entry {
    struct skua__link use; /* in the order of use, the most recent last */
    struct entry *next;    /* in the chain of its hash; of those taken out */
    uint64_t hash;
    int64_t end_ns; /* when it is too old; SKUA__NEVER */
    int status;     /* < 0: a failure that is kept, without a value */
    size_t key_bytes;
    _Alignas(VALUE_ALIGNMENT) unsigned char bytes[]; /* the value, then the key */
};

struct skua_cache {
    struct skua__flight flight; /* its lock is the cache's (K1) */
    struct entry **chains;
    size_t chain_count; /* a power of two */
    struct skua__list uses;
    _Atomic uint32_t makers; /* calls that make a value, or wait for it */
    skua_cache_counts counts;
    skua_cache_opts opts; /* constant */
};

static void *value_of(struct entry *entry)
{
    return entry->bytes;
}

static unsigned char *key_of(const skua_cache *cache, struct entry *entry)
{
    return entry->bytes + cache->opts.value_bytes;
}

static void cache_lock(skua_cache *cache)
{
    skua__lock(&cache->flight.lock, SKUA__RANK_WATCH);
}

static void cache_unlock(skua_cache *cache)
{
    skua__unlock(&cache->flight.lock, SKUA__RANK_WATCH);
}

/* --- entries ---------------------------------------------------------------------------------- */

static struct entry *entry_make(const skua_cache *cache, const void *key, size_t key_bytes,
                                uint64_t hash)
{
    size_t value_bytes = cache->opts.value_bytes;
    if (key_bytes > SIZE_MAX - sizeof(struct entry) - value_bytes) {
        return NULL;
    }
    struct entry *entry = skua__alloc(sizeof *entry + value_bytes + key_bytes);
    if (entry != NULL) {
        entry->hash = hash;
        entry->key_bytes = key_bytes;
        if (key_bytes > 0) {
            memcpy(key_of(cache, entry), key, key_bytes);
        }
    }
    return entry;
}

/* Those that were taken out, linked by `next`. Not under the lock. */
static void drop_all(const skua_cache *cache, struct entry *entry)
{
    while (entry != NULL) {
        struct entry *next = entry->next;
        if (entry->status >= 0 && cache->opts.drop != NULL) {
            cache->opts.drop(value_of(entry), cache->opts.arg);
        }
        skua__free(entry);
        entry = next;
    }
}

static struct entry **chain_of(const skua_cache *cache, uint64_t hash)
{
    return &cache->chains[hash & (cache->chain_count - 1)];
}

/* The place that points to the entry of this key, or to NULL. */
static struct entry **find(const skua_cache *cache, const void *key, size_t key_bytes,
                           uint64_t hash)
{
    struct entry **place = chain_of(cache, hash);
    for (; *place != NULL; place = &(*place)->next) {
        struct entry *entry = *place;
        if (entry->hash == hash &&
            skua__flight_same_key(key_of(cache, entry), entry->key_bytes, key, key_bytes)) {
            break;
        }
    }
    return place;
}

/* Moves the entry from the table to the list `out` of those that were taken out. */
static void take_out(skua_cache *cache, struct entry **place, struct entry **out)
{
    struct entry *entry = *place;
    *place = entry->next;
    skua__list_remove(&entry->use);
    cache->counts.kept--;
    entry->next = *out;
    *out = entry;
}

static void take_out_oldest(skua_cache *cache, struct entry **out)
{
    struct entry *oldest = SKUA_CONTAINER(skua__list_first(&cache->uses), struct entry, use);
    struct entry **place = chain_of(cache, oldest->hash);
    while (*place != oldest) {
        place = &(*place)->next;
    }
    take_out(cache, place, out);
    cache->counts.evictions++;
}

static int64_t end_of(const skua_cache *cache, int status)
{
    int64_t ttl_ns = status < 0 ? cache->opts.failure_ttl_ns : cache->opts.ttl_ns;
    return ttl_ns == 0 ? SKUA__NEVER : skua_after(ttl_ns).ns;
}

/* Puts the entry in, whose key has none; the oldest may have to go. */
static void put_in(skua_cache *cache, struct entry *entry, struct entry **out)
{
    if (cache->counts.kept >= cache->opts.count_max) {
        take_out_oldest(cache, out);
    }
    struct entry **chain = chain_of(cache, entry->hash);
    entry->next = *chain;
    *chain = entry;
    skua__list_push_back(&cache->uses, &entry->use);
    cache->counts.kept++;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* One call of skua_cache_get(). */
struct request {
    skua_cache *cache;
    struct skua__caller caller;
    struct entry *entry; /* that a runner makes */
    skua_time deadline;
};

/* Copies the value out. Under the lock (K5). */
static void copy_out(const skua_cache *cache, struct entry *entry, void *value)
{
    memcpy(value, value_of(entry), cache->opts.value_bytes);
    if (cache->opts.retain != NULL) {
        cache->opts.retain(value, cache->opts.arg);
    }
}

static bool is_too_old(const struct entry *entry)
{
    return entry->end_ns != SKUA__NEVER && skua__clock_ns() >= entry->end_ns;
}

/* The entry of the key, which has been used now, or NULL; one that is too old is taken out. */
static struct entry *look_up(struct request *request, struct entry **out)
{
    skua_cache *cache = request->cache;
    const struct skua__caller *caller = &request->caller;
    struct entry **place = find(cache, caller->key, caller->key_bytes, caller->hash);
    struct entry *entry = *place;
    if (entry != NULL && is_too_old(entry)) {
        take_out(cache, place, out);
        return NULL;
    }
    if (entry != NULL) {
        skua__list_remove(&entry->use);
        skua__list_push_back(&cache->uses, &entry->use);
    }
    return entry;
}

static int fill(void *arg)
{
    struct request *request = arg;
    const skua_cache_opts *opts = &request->cache->opts;
    int status = opts->fill(request->caller.key, request->caller.key_bytes,
                            value_of(request->entry), opts->arg);
    return status < 0 ? status : 0;
}

/* The runner's call, outside of the lock. *is_own as in skua__flight_attempt(). */
static int make_value(struct request *request, bool *is_own)
{
    const struct skua__caller *caller = &request->caller;
    *is_own = false;
    request->entry = entry_make(request->cache, caller->key, caller->key_bytes, caller->hash);
    if (request->entry == NULL) {
        return -ENOMEM;
    }
    int status = skua__flight_attempt(fill, request, request->deadline, is_own);
    request->entry->status = status;
    request->entry->end_ns = end_of(request->cache, status);
    return status;
}

/* Keeps what was made, or leaves it to be dropped. Under the lock. */
static void keep(struct request *request, int status, struct entry **out)
{
    skua_cache *cache = request->cache;
    struct entry *entry = request->entry;
    bool is_wanted = status >= 0 || cache->opts.failure_ttl_ns > 0;
    if (entry != NULL && is_wanted && !request->caller.is_detached) {
        put_in(cache, entry, out);
    } else if (entry != NULL) {
        entry->next = *out;
        *out = entry;
    }
}

/* Makes the value for all who ask, and copies it to *value. */
static int run(struct request *request, void *value)
{
    skua_cache *cache = request->cache;
    const struct skua__flight_retain retain = {cache->opts.retain, cache->opts.arg};
    struct entry *out = NULL;
    bool is_own;
    int status = make_value(request, &is_own);
    cache_lock(cache);
    cache->counts.fills += request->entry != NULL;
    if (is_own) {
        skua__flight_hand_over(&cache->flight, &request->caller);
        request->entry->status = status;
        drop_all(cache, request->entry);
        return status;
    }
    if (status >= 0) {
        copy_out(cache, request->entry, value);
        request->caller.value = value_of(request->entry);
    }
    keep(request, status, &out);
    skua__flight_finish(&cache->flight, &request->caller, status, &retain);
    drop_all(cache, out);
    return status;
}

/* There is no value: make it, or wait for the one who does. Under the lock, which it gives up. */
static int make_or_wait(struct request *request, void *value)
{
    skua_cache *cache = request->cache;
    skua__fetch_add(&cache->makers, 1, relaxed);
    enum skua__part part = skua__flight_enter(&cache->flight, &request->caller, request->deadline);
    int status = request->caller.status;
    if (part == SKUA__PART_RUN) {
        status = run(request, value);
    } else if (part == SKUA__PART_AGAIN) {
        status = SKUA__RECHECK;
    }
    skua__fetch_sub(&cache->makers, 1, relaxed);
    return status;
}

/* One look, under the lock, and what follows from it. Returns what the caller gets, or
   SKUA__RECHECK. */
static int get_once(struct request *request, void *value)
{
    skua_cache *cache = request->cache;
    struct entry *out = NULL;
    cache_lock(cache);
    struct entry *entry = look_up(request, &out);
    if (entry == NULL && out == NULL && !skua__is_now(request->deadline)) {
        return make_or_wait(request, value);
    }
    int status = out != NULL ? SKUA__RECHECK : -EAGAIN;
    if (entry != NULL) {
        status = entry->status;
        cache->counts.hits++;
    }
    if (entry != NULL && status >= 0) {
        copy_out(cache, entry, value);
    }
    cache_unlock(cache);
    drop_all(cache, out);
    return status;
}

static void check_size(const skua_cache *cache, size_t value_bytes)
{
    if (value_bytes != cache->opts.value_bytes) {
        skua__panic("a value of %zu bytes at a cache of values of %zu bytes", value_bytes,
                    cache->opts.value_bytes);
    }
}

int skua_cache_get(skua_cache *cache, const void *key, size_t key_bytes, void *value,
                   size_t value_bytes, skua_time deadline)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    check_size(cache, value_bytes);
    struct request request = {.cache = cache, .deadline = deadline};
    skua__caller_init(&request.caller, key, key_bytes, skua__flight_hash(key, key_bytes));
    request.caller.value = value;
    request.caller.value_bytes = value_bytes;
    int status;
    do {
        status = skua__cancel_point();
        status = status < 0 ? status : get_once(&request, value);
    } while (status == SKUA__RECHECK);
    return status;
}

/* --- telling ---------------------------------------------------------------------------------- */

int skua_cache_put(skua_cache *cache, const void *key, size_t key_bytes, const void *value,
                   size_t value_bytes)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    check_size(cache, value_bytes);
    uint64_t hash = skua__flight_hash(key, key_bytes);
    struct entry *entry = entry_make(cache, key, key_bytes, hash), *out = NULL;
    if (entry == NULL) {
        return -ENOMEM;
    }
    memcpy(value_of(entry), value, value_bytes);
    entry->end_ns = end_of(cache, 0);
    cache_lock(cache);
    skua__flight_detach(&cache->flight, key, key_bytes, hash); /* K2 */
    struct entry **place = find(cache, key, key_bytes, hash);
    if (*place != NULL) {
        take_out(cache, place, &out);
    }
    put_in(cache, entry, &out);
    cache_unlock(cache);
    drop_all(cache, out);
    return 0;
}

void skua_cache_forget(skua_cache *cache, const void *key, size_t key_bytes)
{
    if (skua__forked()) {
        return;
    }
    uint64_t hash = skua__flight_hash(key, key_bytes);
    struct entry *out = NULL;
    cache_lock(cache);
    skua__flight_detach(&cache->flight, key, key_bytes, hash); /* K4 */
    struct entry **place = find(cache, key, key_bytes, hash);
    if (*place != NULL) {
        take_out(cache, place, &out);
    }
    cache_unlock(cache);
    drop_all(cache, out);
}

void skua_cache_clear(skua_cache *cache)
{
    if (skua__forked()) {
        return;
    }
    struct entry *out = NULL;
    cache_lock(cache);
    skua__flight_detach_all(&cache->flight);
    for (size_t i = 0; i < cache->chain_count; i++) {
        while (cache->chains[i] != NULL) {
            take_out(cache, &cache->chains[i], &out);
        }
    }
    cache_unlock(cache);
    drop_all(cache, out);
}

void skua_cache_count(skua_cache *cache, skua_cache_counts *out)
{
    if (skua__forked()) {
        *out = (skua_cache_counts){0};
        return;
    }
    cache_lock(cache);
    *out = cache->counts;
    out->shared = cache->flight.served;
    cache_unlock(cache);
}

/* --- making ----------------------------------------------------------------------------------- */

static bool are_good(const skua_cache_opts *opts)
{
    return opts != NULL && opts->fill != NULL && opts->value_bytes > 0 && opts->ttl_ns >= 0 &&
           opts->failure_ttl_ns >= 0 && (opts->drop == NULL) == (opts->retain == NULL);
}

/* At least one chain for two entries; 0: too many. */
static size_t chains_for(size_t count_max)
{
    size_t count = 1;
    while (count < count_max / 2) {
        count *= 2;
    }
    return count <= SIZE_MAX / sizeof(struct entry *) ? count : 0;
}

int skua_cache_create(skua_cache **out, const skua_cache_opts *opts)
{
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (!are_good(opts)) {
        return -EINVAL;
    }
    skua_cache *cache = skua__alloc(sizeof *cache);
    if (cache == NULL) {
        return -ENOMEM;
    }
    cache->opts = *opts;
    cache->opts.count_max = opts->count_max > 0 ? opts->count_max : COUNT_DEFAULT;
    cache->chain_count = chains_for(cache->opts.count_max);
    cache->chains = skua__alloc(cache->chain_count * sizeof *cache->chains);
    if (cache->chains == NULL || cache->chain_count == 0) {
        skua__free(cache->chains);
        skua__free(cache);
        return -ENOMEM;
    }
    skua__list_init(&cache->uses);
    *out = cache;
    return 0;
}

void skua_cache_destroy(skua_cache *cache)
{
    if (cache == NULL || skua__forked()) {
        return;
    }
    if (skua__load(&cache->makers, relaxed) > 0) {
        skua__panic("a cache is destroyed while a value is being made");
    }
    skua_cache_clear(cache);
    skua__free(cache->chains);
    skua__free(cache);
}
