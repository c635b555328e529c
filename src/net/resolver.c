/* Lookups and their answers.

   A question is an entry in the table as soon as somebody has asked it, and a lookup runs for it;
   all who ask meanwhile wait at the entry. When the lookup is through, the entry becomes the
   answer, and stays until it is too old, forgotten, or the least recently used of too many.

       (nothing) --- begin() ---> RUNNING --- settle() ---> THERE --- discard() ---> (forgotten)
                                     \------ discard() -------------------/

     (R1) Under the resolver's lock. An entry is in the table or forgotten; each reference (the
          table's, the lookup's, those of who waits) keeps it.
     (R2) The lookup belongs to nobody: it runs on a thread of a class of its own, and goes on when
          all who waited have left. The end of the runtime awaits it, since the class does
          (blocking.h), before the resolver goes.
     (R3) Of one question at most one lookup runs that is in the table. One that was forgotten while
          it ran still answers those who wait for it.
     (R4) Only -ENOENT is kept of failures: it is an answer. That nobody has answered is not.
     (R5) Those who wait are claimed under the lock and woken after it, in chunks.

   The waits are real ones: a virtual clock stands still while a name server thinks.

   Rejected: skua_cache, whose fill runs in a caller and ends with it, so that each cancel in a row
   of callers would begin the same lookup once more. */
#include "net/resolver.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/panic.h"
#include "sched/waiter.h"

#include <string.h>

enum { LOOKUP_THREADS = 8, ANSWERS_MAX = 256, LOOKUP_ADDRESSES_MAX = 64 };

static const char HOSTS_PATH[] = "/etc/hosts";
static const int64_t TTL_NS = SKUA_SEC(30);
static const int64_t FAILURE_TTL_NS = SKUA_SEC(3);

static void resolver_lock(struct skua__resolver *resolver)
{
    skua__lock(&resolver->lock, SKUA__RANK_WATCH);
}

static void resolver_unlock(struct skua__resolver *resolver)
{
    skua__unlock(&resolver->lock, SKUA__RANK_WATCH);
}

/* --- entries ---------------------------------------------------------------------------------- */

/* With the lock held. */
static void drop(struct skua__answer *answer)
{
    if (--answer->references == 0) {
        skua__answer_free(answer);
    }
}

/* With the lock held: out of the table. */
static void discard(struct skua__resolver *resolver, struct skua__answer *answer)
{
    skua__answers_remove(&resolver->answers, answer);
    resolver->kept -= answer->state == SKUA__ANSWER_THERE;
    drop(answer);
}

static int64_t lifetime_ns(const struct skua__resolver *resolver, int status)
{
    return status >= 0         ? resolver->opts.ttl_ns
           : status == -ENOENT ? resolver->opts.failure_ttl_ns
                               : -1;
}

/* With the lock held: keep it or not, after it was settled. */
static void keep(struct skua__resolver *resolver, struct skua__answer *answer)
{
    const int64_t lifetime = lifetime_ns(resolver, answer->status);
    resolver->kept++;
    if (lifetime < 0) {
        discard(resolver, answer);
        return;
    }
    const int64_t now_ns = skua__clock_ns();
    answer->until_ns = lifetime < SKUA__NEVER - now_ns ? now_ns + lifetime : SKUA__NEVER;
    while (resolver->kept > resolver->opts.count_max) {
        discard(resolver, skua__answers_oldest(&resolver->answers));
    }
}

/* With the lock held: claims up to a chunk of those who wait. True: there are more. */
static bool claim_waiters(struct skua__answer *answer, struct skua__wake_list *wakes)
{
    struct skua__link *link = NULL;
    while ((link = skua__list_pop_front(&answer->waiters)) != NULL) {
        struct skua__waiter *waiter = SKUA_CONTAINER(link, struct skua__waiter, link);
        if (skua__waiter_claim(waiter) && skua__wake_list_add(wakes, waiter->parker)) {
            return true;
        }
    }
    return false;
}

/* --- the lookup, on its thread ---------------------------------------------------------------- */

/* The answer is there. Takes over the addresses. */
static void settle(struct skua__answer *answer, int status, skua_address *addresses)
{
    struct skua__resolver *resolver = answer->owner;
    struct skua__wake_list wakes;
    skua__wake_list_init(&wakes);
    resolver_lock(resolver);
    answer->status = status;
    answer->addresses = addresses;
    answer->state = SKUA__ANSWER_THERE;
    resolver->running--;
    if (skua__link_is_linked(&answer->used)) {
        keep(resolver, answer);
    }
    bool has_more = true;
    while (has_more) {
        has_more = claim_waiters(answer, &wakes);
        resolver_unlock(resolver);
        skua__wake_list_flush(&wakes);
        resolver_lock(resolver);
    }
    resolver_unlock(resolver);
}

static int look_up(void *arg)
{
    struct skua__answer *answer = arg;
    const skua_resolver_opts *opts = &((struct skua__resolver *)answer->owner)->opts;
    skua_address found[LOOKUP_ADDRESSES_MAX];
    skua_address *own = NULL;
    int status = opts->lookup != NULL
                     ? opts->lookup(&answer->question, found, LOOKUP_ADDRESSES_MAX, opts->arg)
                     : skua__name_lookup(&answer->question, found, LOOKUP_ADDRESSES_MAX);
    status = status == 0 ? -ENOENT : status > LOOKUP_ADDRESSES_MAX ? LOOKUP_ADDRESSES_MAX : status;
    if (status > 0) {
        own = skua__alloc((size_t)status * sizeof *own);
        if (own != NULL) {
            memcpy(own, found, (size_t)status * sizeof *own);
        } else {
            status = -ENOMEM;
        }
    }
    settle(answer, status, own);
    return 0;
}

/* The lookup's reference; also when there was none after all. */
static void end_lookup(void *arg)
{
    struct skua__answer *answer = arg;
    struct skua__resolver *resolver = answer->owner;
    resolver_lock(resolver);
    const bool has_run = answer->state == SKUA__ANSWER_THERE;
    resolver_unlock(resolver);
    if (!has_run) {
        settle(answer, -EAGAIN, NULL); /* no thread to be had, or the end of the runtime */
    }
    resolver_lock(resolver);
    drop(answer);
    resolver_unlock(resolver);
}

/* --- who asks --------------------------------------------------------------------------------- */

/* The class is made outside of the lock; of two at the same time one is given back. */
static int get_class(struct skua__resolver *resolver, skua_blocking_class **out)
{
    resolver_lock(resolver);
    *out = resolver->lookup_class;
    resolver_unlock(resolver);
    if (*out != NULL) {
        return 0;
    }
    skua_blocking_class *made = NULL;
    int status = skua__blocking_class_create(&made, resolver->opts.threads_max);
    if (status < 0) {
        return status;
    }
    resolver_lock(resolver);
    if (resolver->lookup_class == NULL) {
        resolver->lookup_class = made;
        made = NULL;
    }
    *out = resolver->lookup_class;
    resolver_unlock(resolver);
    skua_blocking_class_destroy(made);
    return 0;
}

/* With the lock held: an entry with a reference for the caller; *begins: and one for the lookup,
   which he is to begin. NULL: no memory. */
static struct skua__answer *enter(struct skua__resolver *resolver, const skua_question *question,
                                  bool is_fresh, bool *begins)
{
    *begins = false;
    struct skua__answer *answer = skua__answers_find(&resolver->answers, question);
    if (answer != NULL && answer->state == SKUA__ANSWER_THERE &&
        (is_fresh || skua__clock_ns() >= answer->until_ns)) {
        discard(resolver, answer);
        answer = NULL;
    }
    if (answer != NULL) {
        answer->references++;
        skua__answers_touch(&resolver->answers, answer);
        resolver->hits += answer->state == SKUA__ANSWER_THERE;
        resolver->shared += answer->state == SKUA__ANSWER_RUNNING;
        return answer;
    }
    answer = skua__answer_create(question);
    if (answer != NULL) {
        *begins = true;
        answer->references += 2; /* the lookup's and the caller's; the first is the table's */
        answer->owner = resolver;
        skua__answers_add(&resolver->answers, answer);
        resolver->running++;
        resolver->lookups++;
    }
    return answer;
}

/* With the lock held, which it gives back meanwhile: until the answer is there. */
static int await(struct skua__resolver *resolver, struct skua__answer *answer, int64_t deadline_ns)
{
    int cause = 0;
    while (answer->state == SKUA__ANSWER_RUNNING && cause == 0) {
        struct skua__wait wait;
        struct skua__waiter waiter;
        skua__wait_begin_for(&wait, SKUA__SOFT, "a name");
        skua__waiter_init(&waiter, &wait, 0, NULL);
        skua__list_push_back(&answer->waiters, &waiter.link);
        resolver_unlock(resolver);
        cause = skua__wait_park_real(&wait, deadline_ns);
        resolver_lock(resolver);
        if (skua__link_is_linked(&waiter.link)) {
            skua__list_remove(&waiter.link);
        }
        cause = cause == SKUA__RECHECK || cause > 0 ? 0 : cause;
    }
    return answer->state == SKUA__ANSWER_THERE ? 0 : cause;
}

/* With the lock held: the answer as the caller wants it. */
static int copy_out(const struct skua__answer *answer, skua_address addresses[], size_t capacity)
{
    if (answer->status > 0 && capacity > 0) {
        const size_t count = (size_t)answer->status < capacity ? (size_t)answer->status : capacity;
        memcpy(addresses, answer->addresses, count * sizeof *addresses);
    }
    return answer->status;
}

/* With the lock held: is there an answer that need not be waited for? */
static bool is_known(struct skua__resolver *resolver, const skua_question *question, bool is_fresh)
{
    const struct skua__answer *answer = skua__answers_find(&resolver->answers, question);
    return answer != NULL && answer->state == SKUA__ANSWER_THERE && !is_fresh &&
           skua__clock_ns() < answer->until_ns;
}

int skua__resolver_ask(struct skua__resolver *resolver, const skua_question *question,
                       bool is_fresh, skua_address addresses[], size_t capacity, skua_time deadline)
{
    skua_blocking_class *class = NULL;
    bool begins = false;
    int status = get_class(resolver, &class);
    if (status < 0) {
        return status;
    }
    resolver_lock(resolver);
    if (skua__is_now(deadline) && !is_known(resolver, question, is_fresh)) {
        resolver_unlock(resolver);
        return -EAGAIN;
    }
    struct skua__answer *answer = enter(resolver, question, is_fresh, &begins);
    if (answer == NULL) {
        resolver_unlock(resolver);
        return -ENOMEM;
    }
    if (begins) {
        resolver_unlock(resolver);
        status = skua__blocking_begin(class, look_up, answer, end_lookup);
        if (status < 0) {
            settle(answer, status, NULL);
            end_lookup(answer);
        }
        resolver_lock(resolver);
    }
    status = await(resolver, answer, skua__deadline_ns(deadline));
    status = status == 0 ? copy_out(answer, addresses, capacity) : status;
    drop(answer);
    resolver_unlock(resolver);
    return status;
}

int skua__resolver_hosts(struct skua__resolver *resolver, const skua_question *question,
                         skua_address addresses[], size_t capacity, skua_time deadline)
{
    const char *path = resolver->hosts_path != NULL ? resolver->hosts_path : HOSTS_PATH;
    if (path[0] == '\0') {
        return 0;
    }
    int status = skua_mutex_lock(&resolver->hosts_mutex, deadline);
    if (status < 0) {
        return status;
    }
    const size_t found = skua__hosts_find(&resolver->hosts, path, question->host, question->family,
                                          addresses, capacity);
    skua_mutex_unlock(&resolver->hosts_mutex);
    return (int)found;
}

void skua__resolver_count_written(struct skua__resolver *resolver)
{
    resolver_lock(resolver);
    resolver->written++;
    resolver_unlock(resolver);
}

/* --- the service ------------------------------------------------------------------------------ */

/* The threads have ended before, and with them the lookups. */
static void resolver_destroy(struct skua__service *service)
{
    struct skua__resolver *resolver = SKUA_CONTAINER(service, struct skua__resolver, service);
    skua_require(resolver->running == 0);
    skua__resolver_clear(resolver);
    skua__answers_fini(&resolver->answers);
    skua__hosts_fini(&resolver->hosts);
    skua__free(resolver->hosts_path);
    skua__free(resolver);
}

static void fill_in(skua_resolver_opts *opts)
{
    opts->threads_max = opts->threads_max != 0 ? opts->threads_max : LOOKUP_THREADS;
    opts->count_max = opts->count_max != 0 ? opts->count_max : ANSWERS_MAX;
    opts->ttl_ns = opts->ttl_ns != 0 ? opts->ttl_ns : TTL_NS;
    opts->failure_ttl_ns = opts->failure_ttl_ns != 0 ? opts->failure_ttl_ns : FAILURE_TTL_NS;
    opts->hosts_path = NULL;
}

static int resolver_create(skua_runtime *runtime, struct skua__service **out)
{
    (void)runtime;
    struct skua__resolver *resolver = skua__alloc(sizeof *resolver);
    if (resolver == NULL || skua__answers_init(&resolver->answers, ANSWERS_MAX) < 0) {
        skua__free(resolver);
        return -ENOMEM;
    }
    fill_in(&resolver->opts);
    resolver->service.destroy = resolver_destroy;
    *out = &resolver->service;
    return 0;
}

int skua__resolver_get(struct skua__resolver **out)
{
    struct skua__service *service = NULL;
    if (skua__forked()) {
        return -ESHUTDOWN;
    }
    if (skua_runtime_current() == NULL) {
        return -EPERM;
    }
    int status = skua__service_get(SKUA__SERVICE_RESOLVER, &service, resolver_create);
    if (status == 0) {
        *out = SKUA_CONTAINER(service, struct skua__resolver, service);
    }
    return status;
}

void skua__resolver_begin(struct skua__resolver *resolver)
{
    if (SKUA_UNLIKELY(!skua__load(&resolver->has_begun, relaxed))) {
        resolver_lock(resolver);
        skua__store(&resolver->has_begun, true, relaxed);
        resolver_unlock(resolver);
    }
}

int skua__resolver_configure(struct skua__resolver *resolver, const skua_resolver_opts *opts)
{
    char *path = NULL;
    int status = 0;
    if (opts->hosts_path != NULL && (path = skua__alloc_string(opts->hosts_path)) == NULL) {
        return -ENOMEM;
    }
    resolver_lock(resolver);
    if (skua__load(&resolver->has_begun, relaxed)) {
        status = -EBUSY;
    } else {
        char *before = resolver->hosts_path;
        resolver->opts = *opts;
        fill_in(&resolver->opts);
        resolver->hosts_path = path;
        path = before;
    }
    resolver_unlock(resolver);
    skua__free(path);
    return status;
}

void skua__resolver_clear(struct skua__resolver *resolver)
{
    resolver_lock(resolver);
    struct skua__link *link = NULL;
    while ((link = skua__list_first(&resolver->answers.used)) != NULL) {
        discard(resolver, SKUA_CONTAINER(link, struct skua__answer, used));
    }
    resolver_unlock(resolver);
}

void skua__resolver_count(struct skua__resolver *resolver, skua_resolver_counts *out)
{
    resolver_lock(resolver);
    *out = (skua_resolver_counts){.kept = resolver->kept,
                                  .running = resolver->running,
                                  .lookups = resolver->lookups,
                                  .hits = resolver->hits,
                                  .shared = resolver->shared,
                                  .written = resolver->written};
    resolver_unlock(resolver);
}
