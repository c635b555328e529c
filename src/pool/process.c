/* Worker processes as records in the parent.

   A record stands for one process and its memory. A process that replaces another one gets a new
   record, a new id and new memory: nothing is initialised again, and nothing that comes late can be
   taken for something of the successor.

   Invariants
   (P1) pidfd >= 0 from FORKED until GONE, so that a kill reaches this very process or none.
   (P2) Only a READY process has requests. GRANTED calls may outlive it: who copies the input finds
        another state, and gives up the call's reference.
   (P3) Each process is counted as life.h says.
   (P4) A process that is killed has at most one job that had begun, the oldest in its ring. That
        one fails or is begun again; the others have not begun and get another worker, whatever the
        dead one wrote about them.
   (P5) A process that does not begin what it was given makes room for one that does: it was
        stopped, or a job has said that it has not begun, so that nobody would kill it at its
        deadline, and hangs. Nothing of it has begun, so no job is lost. The time adds up over
        requests that are taken back, else jobs with short deadlines would go to it for ever. Time
        in which we have not looked counts little: if we stood still, so did all others perhaps
        (a control group that is frozen, a machine that is halted).

   Who runs it: whoever has the pool's lock; create and free: anybody, without it. */
#include "base/mem.h"
#include "base/panic.h"
#include "pool/limits.h"
#include "pool/state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    FIRST_LIMIT = 2,
    RESTARTS_MAX = 8, /* a worker could lie about what it has begun */
    UNSTICK_EVERY_NS = 100 * 1000 * 1000,
    ABSENT_NS = 500 * 1000 * 1000, /* who has not looked for so long has stood still, or slept */
    STUCK_NS = 1000 * 1000 * 1000, /* no worker waits so long for a processor */
};

/* From its fork to its first look at a request: there may be a library to load. */
static const int64_t stuck_at_first_ns = (int64_t)10 * STUCK_NS;

int skua__process_create(struct skua__process **out, skua_pool *pool, uint32_t id)
{
    struct skua__process *process = skua__alloc(sizeof *process);
    if (process == NULL) {
        return -ENOMEM;
    }
    int error = skua__arena_create(&process->arena, pool->payload_max, &process->memfd);
    if (error < 0) {
        goto fail_arena;
    }
    error = skua__heap_init(&process->in, process->arena.region_bytes);
    if (error < 0) {
        goto fail_blocks;
    }
    error = skua__talk_open(&process->talk);
    if (error < 0) {
        goto fail_talk;
    }
    skua__jobring_init(&process->ring, process->arena.shared, process->arena.region_bytes,
                       pool->payload_max);
    process->pool = pool;
    process->id = id;
    process->references = 1;
    process->pidfd = -1;
    process->limit = FIRST_LIMIT;
    process->run_ns = -1;
    *out = process;
    return 0;

fail_talk:
    skua__heap_fini(&process->in);
fail_blocks:
    close(process->memfd);
    skua__arena_unmap(&process->arena);
fail_arena:
    skua__free(process);
    return error;
}

void skua__process_free(struct skua__process *process)
{
    if (process == NULL) {
        return;
    }
    if (process->memfd >= 0) {
        close(process->memfd);
    }
    skua__talk_close(&process->talk);
    skua__heap_fini(&process->in);
    skua__arena_unmap(&process->arena);
    skua__free(process);
}

void skua__process_unref(struct skua__process *process, struct skua__after *after)
{
    skua_require(process->references > 0);
    if (--process->references == 0) {
        process->next_freed = after->freed;
        after->freed = process;
    }
}

void skua__process_welcome(struct skua__process *process, struct skua__after *after)
{
    process->state = SKUA__PROCESS_READY;
    skua__list_push_back(&process->pool->memory, &process->memory);
    skua__process_settle(process);
    skua__pool_dispatch(process->pool, after);
    skua__pool_notify_memory(process->pool, after);
}

void skua__process_kill(const struct skua__process *process)
{
    if (process->pidfd >= 0) {
        /* It may be dead by now, which is as good. */
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
    }
}

/* Out of all lists but that of the processes. */
static void leave_lists(struct skua__process *process)
{
    struct skua__link *const links[] = {&process->place, &process->memory, &process->busy,
                                        &process->fresh};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (skua__link_is_linked(links[i])) {
            skua__list_remove(links[i]);
        }
    }
}

/* A call that its process has lost before it began. */
static void send_elsewhere(skua_pool *pool, struct skua__call *call, struct skua__after *after)
{
    if (call->kind == SKUA__CALL_INIT) {
        skua__call_finish(pool, call, after, -EOWNERDEAD);
        return;
    }
    pool->stats.requeued++;
    if (++call->restarts > RESTARTS_MAX && !skua__after_is_full(after)) {
        skua__call_fail(pool, call, after, -EOWNERDEAD,
                        "job '%s': its workers died before they began it", call->job->name);
    } else {
        skua__pool_requeue(pool, call);
    }
}

/* Take all that has not begun away from the process, the latest first, so that they wait in their
   order again. Returns the call that has begun, or NULL. `is_known`: the oldest has, it was seen
   to; whatever its worker writes by now. */
static struct skua__call *take_away(struct skua__process *process, struct skua__after *after,
                                    bool is_known)
{
    struct skua__jobring *ring = &process->ring;
    struct skua__call *begun = NULL;
    const uint64_t oldest = skua__jobring_oldest(ring);
    for (uint64_t ticket = skua__jobring_newest(ring); ticket != 0;) {
        const uint64_t before = skua__jobring_previous(ring, ticket);
        struct skua__call *call = skua__jobring_sent(ring, ticket)->owner;
        const bool has_begun = !skua__jobring_revoke(ring, ticket);
        if (call != NULL) {
            skua__call_detach(call, after);
            if ((has_begun || is_known) && ticket == oldest) {
                begun = call;
            } else { /* if it is said to have begun the worker has lied (P4) */
                send_elsewhere(process->pool, call, after);
            }
        }
        ticket = before;
    }
    return begun;
}

static void doom(struct skua__process *process, struct skua__after *after, int status,
                 const char *story, bool is_known)
{
    struct skua__call *begun = take_away(process, after, is_known);
    leave_lists(process);
    skua__life_lost(process);
    process->state = SKUA__PROCESS_DOOMED;
    skua__process_kill(process);
    if (begun != NULL && story != NULL) {
        skua__call_fail(process->pool, begun, after, status, "job '%s': %s", begun->job->name,
                        story);
    } else if (begun != NULL) {
        skua__call_finish(process->pool, begun, after, status);
    }
    skua__life_promote(process->pool, after);
    skua__pool_dispatch(process->pool, after);
}

void skua__process_doom(struct skua__process *process, struct skua__after *after, int status,
                        const char *story)
{
    doom(process, after, status, story, false);
}

void skua__process_stop_job(struct skua__process *process, struct skua__after *after, int status)
{
    doom(process, after, status, NULL, true);
}

/* (P5) It was given something, and has not begun it for so long. */
static bool is_stuck(const struct skua__process *process, int64_t now_ns)
{
    const bool has_looked = skua__load(&process->arena.shared->request_read, relaxed) != 0;
    const int64_t patience_ns = has_looked ? STUCK_NS : stuck_at_first_ns;
    const uint64_t oldest = skua__jobring_oldest(&process->ring);
    return process->state == SKUA__PROCESS_READY && now_ns - process->since_ns >= patience_ns &&
           oldest != 0 && !skua__jobring_has_begun(&process->ring, oldest);
}

/* It may begin just now: then it goes on. */
static void give_up_on(struct skua__process *process, struct skua__after *after)
{
    skua_pool *pool = process->pool;
    const uint64_t oldest = skua__jobring_oldest(&process->ring);
    struct skua__call *call = skua__jobring_sent(&process->ring, oldest)->owner;
    if (!skua__jobring_revoke(&process->ring, oldest)) {
        return;
    }
    if (call != NULL) {
        skua__call_detach(call, after);
    }
    doom(process, after, -EOWNERDEAD, NULL, false);
    if (call != NULL) {
        send_elsewhere(pool, call, after);
        skua__pool_dispatch(pool, after);
    }
}

/* We have not looked for so long: that is not the time of those who had a request meanwhile. What
   they had ignored before remains, which changes their order. */
static void forgive(skua_pool *pool, int64_t absent_ns, int64_t now_ns)
{
    struct skua__list busy;
    struct skua__link *link;
    skua__list_init(&busy);
    while ((link = skua__list_pop_front(&pool->busy)) != NULL) {
        skua__list_push_back(&busy, link);
    }
    while ((link = skua__list_first(&busy)) != NULL) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
        const int64_t latest_ns = now_ns - process->ignored_ns;
        const int64_t since_ns = process->since_ns + absent_ns;
        skua__process_note_head(process, since_ns < latest_ns ? since_ns : latest_ns);
    }
}

void skua__pool_unstick(skua_pool *pool, struct skua__after *after, int64_t now_ns)
{
    const int64_t passed_ns = now_ns - pool->unstuck_ns;
    if (passed_ns < UNSTICK_EVERY_NS) {
        return;
    }
    if (passed_ns > ABSENT_NS) {
        forgive(pool, passed_ns - UNSTICK_EVERY_NS, now_ns);
    }
    pool->unstuck_ns = now_ns;
    struct skua__link *link = pool->busy.head.next;
    while (link != &pool->busy.head && !skua__after_is_full(after)) {
        struct skua__process *process = SKUA_CONTAINER(link, struct skua__process, busy);
        link = link->next;
        if (now_ns - process->since_ns < STUCK_NS) {
            return; /* those after it have their jobs for less (D3 in dispatch.c) */
        }
        if (is_stuck(process, now_ns)) {
            give_up_on(process, after);
        }
    }
}

/* The story of a death. Returns the error code of the job that was hit. */
static int describe_death(const struct skua__process *process, int status, char *text, size_t bytes)
{
    const int pid = (int)process->pid;
    char line[SKUA__TEXT_BYTES];
    char how[200] = "ended because the zygote was killed";
    int code = -EOWNERDEAD;
    if (status != -1) {
        const uint32_t note = skua__load(&process->arena.shared->sandbox_note, relaxed);
        code = skua__limits_explain(process->pool->life.settings, status, note,
                                    process->life.is_oom, how, sizeof how);
    }
    const uint64_t ticket = skua__jobring_oldest(&process->ring);
    if (skua__talk_last_line(process, ticket, line)) {
        snprintf(text, bytes, "worker %d %s; its last words: %s", pid, how, line);
    } else {
        snprintf(text, bytes, "worker %d %s", pid, how);
    }
    return code;
}

/* The job that the dead process had begun. */
static void bury_job(struct skua__process *process, int status, struct skua__after *after)
{
    char story[SKUA__CALL_TEXT_BYTES];
    const int code = describe_death(process, status, story, sizeof story);
    struct skua__call *begun = take_away(process, after, false);
    if (begun != NULL) {
        process->pool->stats.crashed++;
        skua__call_crashed(process->pool, begun, after, code, story);
    }
}

/* STARTING: the init job. */
static bool may_have_calls(const struct skua__process *process)
{
    return process->state == SKUA__PROCESS_READY ||
           (process->state == SKUA__PROCESS_STARTING && skua__jobring_live(&process->ring) > 0);
}

bool skua__process_died(struct skua__process *process, int status, struct skua__after *after)
{
    skua_pool *pool = process->pool;
    if (may_have_calls(process)) {
        skua__process_drain(process, after); /* it may have answered before it died */
        if (skua__after_is_full(after)) {
            return false;
        }
    }
    if (may_have_calls(process)) {
        bury_job(process, status, after);
    }
    leave_lists(process);
    skua__life_lost(process);
    process->state = SKUA__PROCESS_GONE;
    if (process->pidfd >= 0) {
        close(process->pidfd);
        process->pidfd = -1;
    }
    skua__list_remove(&process->link);
    skua__process_unref(process, after);
    skua__pool_dispatch(pool, after);
    return true;
}
