/* net/resolver.h: the resolver of a runtime: answers, lookups and who waits for them. */
#ifndef SKUA_NET_RESOLVER_H
#define SKUA_NET_RESOLVER_H

#include "base/atomic.h"
#include "base/lock.h"
#include "blocking/blocking.h"
#include "net/answers.h"
#include "net/hosts.h"
#include "sched/service.h"

#include <skua/sync.h>

struct skua__resolver {
    struct skua__service service;

    /* Constant once a lookup has begun. */
    skua_resolver_opts opts;
    char *hosts_path;

    /* Under the lock. */
    struct skua__lock lock;
    _Atomic bool has_begun;
    struct skua__answers answers;
    size_t running, kept;
    uint64_t lookups, hits, shared, written;
    skua_blocking_class *lookup_class; /* NULL: not made yet */

    /* Under the mutex: reading a file may take a while. */
    skua_mutex hosts_mutex;
    struct skua__hosts hosts;
};

/* The calling task's resolver, made if it is not there yet. */
int skua__resolver_get(struct skua__resolver **out);

/* What is in the file of names: how many, or < 0. */
int skua__resolver_hosts(struct skua__resolver *resolver, const skua_question *question,
                         skua_address addresses[], size_t capacity, skua_time deadline);

/* What is known or can be looked up: as skua_resolve(), without the port. */
int skua__resolver_ask(struct skua__resolver *resolver, const skua_question *question,
                       bool is_fresh, skua_address addresses[], size_t capacity,
                       skua_time deadline);

/* From now on it is not configured any more. */
void skua__resolver_begin(struct skua__resolver *resolver);

/* 0, -EBUSY, -ENOMEM. */
int skua__resolver_configure(struct skua__resolver *resolver, const skua_resolver_opts *opts);

void skua__resolver_clear(struct skua__resolver *resolver);
void skua__resolver_count(struct skua__resolver *resolver, skua_resolver_counts *out);

/* One more that needed no question. */
void skua__resolver_count_written(struct skua__resolver *resolver);

#endif
