/* The worker process: takes requests, runs jobs, responds, until it is killed.

   Invariants
   (W1) It holds nothing of the program but the standard fds, its own memory and the pool's bell.
   (W2) It has one thread, ours, unless a job starts more.
   (W3) It dies with the zygote (PR_SET_PDEATHSIG), which dies with the program.
   (W4) What is not needed for the next job is given back before the response, since after it the
        parent may be writing the next input.

   It trusts the parent, and nobody trusts it: all that it says is checked on the other side. */
#include "pool/worker.h"

#include "base/panic.h"
#include "pool/arena.h"
#include "pool/cgroup.h"
#include "pool/child.h"
#include "pool/job.h"
#include "pool/limits.h"
#include "pool/ring.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_SETUP_FAILED = 70 };

/* Where the answer of the running job goes. */
struct skua_reply {
    char *area;
    size_t payload_max;
    size_t reserved;     /* by the last call */
    size_t reserved_max; /* by any call: up to here the area may have been written */
    size_t bytes;        /* committed */
    bool refused;        /* more than payload_max was asked for, and nothing since */
};

void *skua_job_reserve(skua_reply *reply, size_t bytes)
{
    reply->refused = bytes > reply->payload_max;
    if (reply->refused) {
        return NULL;
    }
    reply->reserved = bytes;
    if (bytes > reply->reserved_max) {
        reply->reserved_max = bytes;
    }
    return reply->area;
}

void skua_job_commit(skua_reply *reply, size_t bytes)
{
    skua_require(bytes <= reply->reserved);
    reply->bytes = bytes;
}

static int set_up(const struct skua__worker_setup *setup, struct skua__arena *arena)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != setup->zygote) {
        return -ESRCH; /* too late: the zygote is gone */
    }
    setpgid(0, 0);
    skua__child_set_name(setup->settings->name);
    int error = skua__cgroup_enter(setup->settings, setup->id);
    if (error < 0) {
        return error;
    }
    skua__child_close_others((const int[]){setup->memfd, setup->bell}, 2);
    error = skua__arena_open(arena, setup->settings->payload_max, setup->memfd);
    if (error < 0) {
        return error;
    }
    close(setup->memfd);
    error = skua__limits_enter(setup->settings);
    skua__child_reset_signals();
    skua__child_ignore_ends();
    return error;
}

static void run_job(const struct skua__arena *arena, const struct skua__settings *settings,
                    const struct skua__request *request, struct skua__response *response)
{
    const skua_job *job = skua__job_find(request->job_hash);
    if (job == NULL) {
        response->status = -ENOENT;
        return;
    }
    char *input = skua__arena_input(arena);
    skua_reply reply = {.area = skua__arena_answer(arena, request->answer),
                        .payload_max = (size_t)settings->payload_max};
    skua__limits_begin_job(settings);
    response->status = job->fn((skua_bytes){input, (size_t)request->in_bytes}, &reply);
    if (reply.refused && response->status >= 0) {
        response->status = -EMSGSIZE;
        reply.bytes = 0;
    }
    response->bytes = reply.bytes;
    fflush(stdout);
    skua__arena_trim(input, 0, (size_t)request->in_bytes);
    skua__arena_trim(reply.area, reply.bytes, reply.reserved_max);
}

/* The parent that is told reads all rings, so a bell that is full is as good as a rung one. */
static void ring_bell(int bell)
{
    const uint64_t one = 1;
    while (write(bell, &one, sizeof one) < 0 && errno == EINTR) {}
}

void skua__worker_process(const struct skua__worker_setup *setup)
{
    struct skua__arena arena = {.shared = NULL};
    if (set_up(setup, &arena) < 0) {
        _exit(EXIT_SETUP_FAILED);
    }
    for (;;) {
        struct skua__request request;
        skua__jobring_receive(arena.shared, &request);
        struct skua__response response = {.ticket = request.ticket, .answer = request.answer};
        run_job(&arena, setup->settings, &request, &response);
        if (skua__jobring_respond(arena.shared, &response)) {
            ring_bell(setup->bell);
        }
    }
}
