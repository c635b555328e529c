/* The worker process: takes requests, runs jobs, responds, until it is killed.

   Invariants
   (W1) It holds nothing of the program but the standard fds, its own memory, the pool's bell and
        its talk socket.
   (W2) It has one thread, ours, unless a job starts more.
   (W3) It dies with the zygote (PR_SET_PDEATHSIG), which dies with the program.
   (W4) At most SKUA__LENT_MAX blocks of OUT are taken, so that all of them can be under way back to
        it at a time (R3 of ring.c). Beyond that, or when OUT is full, an answer is written to the
        spare block, which the parent returns at once, whatever the program does with its answers:
        so every job comes to its end.

   It trusts the parent, and nobody trusts it: all that it says is checked on the other side.

   Rejected: looking at the clock twice for each job (a job that follows another at once begins when
   that one has ended). */
#include "pool/worker.h"

#include "base/clock.h"
#include "base/panic.h"
#include "pool/arena.h"
#include "pool/cgroup.h"
#include "pool/child.h"
#include "pool/job.h"
#include "pool/limits.h"
#include "pool/ring.h"
#include "pool/strays.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_SETUP_FAILED = 70 };

/* --- memory for answers ----------------------------------------------------------------------- */

/* A block is here again. The parent has trimmed it. */
static void come_back(struct skua__worker *worker, uint32_t block)
{
    if (block == SKUA__SPARE_BLOCK) {
        worker->spare_is_lent = false;
        skua__arena_trim_spare(&worker->arena, worker->spare_used);
    } else {
        skua_require(skua__heap_give(&worker->out, block));
    }
}

static void take_returns(struct skua__worker *worker)
{
    uint32_t block;
    while ((block = skua__workring_take_return(&worker->ring)) != SKUA__NO_BLOCK) {
        come_back(worker, block);
    }
}

static bool find_block(struct skua__worker *worker, size_t bytes, struct skua__piece *piece)
{
    take_returns(worker);
    const uint32_t block = worker->out.taken < SKUA__LENT_MAX /* (W4) */
                               ? skua__heap_take(&worker->out, bytes)
                               : SKUA__NO_BLOCK;
    if (block == SKUA__NO_BLOCK) {
        return false;
    }
    *piece = (struct skua__piece){.data = skua__arena_out(&worker->arena, block),
                                  .capacity = skua__heap_block_bytes(&worker->out, block),
                                  .used = bytes,
                                  .block = block,
                                  .where = SKUA__BLOCK};
    return true;
}

bool skua__worker_find(struct skua__worker *worker, size_t bytes, struct skua__piece *piece)
{
    while (!find_block(worker, bytes, piece)) {
        if (worker->spare_is_used) {
            return false;
        }
        if (!worker->spare_is_lent) {
            worker->spare_is_used = true;
            *piece = (struct skua__piece){.data = worker->arena.spare,
                                          .capacity = worker->arena.payload_max,
                                          .used = bytes,
                                          .where = SKUA__SPARE};
            return true;
        }
        skua__workring_wait_return(&worker->ring);
    }
    return true;
}

void skua__worker_drop(struct skua__worker *worker, struct skua__piece *piece)
{
    if (piece->where == SKUA__SPARE) {
        worker->spare_is_used = false;
        skua__arena_trim_spare(&worker->arena, piece->used);
    } else if (piece->where == SKUA__BLOCK) {
        if (skua__arena_is_far(piece->block, piece->used)) {
            skua__arena_trim(worker->arena.out, piece->block, 0, piece->used);
        }
        skua_require(skua__heap_give(&worker->out, piece->block));
    }
    piece->where = SKUA__NOTHING;
}

/* --- talking ---------------------------------------------------------------------------------- */

/* The parent that is told reads all rings, so a bell that is full is as good as a rung one. */
static void ring_bell(const struct skua__worker *worker)
{
    const uint64_t one = 1;
    while (write(worker->bell, &one, sizeof one) < 0 && errno == EINTR) {}
}

void skua__worker_say(struct skua__worker *worker, struct skua__response *response,
                      const void *bytes, size_t inline_bytes, struct skua__piece *piece)
{
    if (piece != NULL) {
        response->where = piece->where;
        response->block = piece->block;
        if (piece->where == SKUA__SPARE) {
            worker->spare_is_used = false;
            worker->spare_is_lent = true;
            worker->spare_used = piece->used;
        }
        piece->where = SKUA__NOTHING;
    }
    if (skua__workring_respond(&worker->ring, response, bytes, inline_bytes)) {
        ring_bell(worker);
    }
}

void skua__worker_ask(struct skua__worker *worker, struct skua__response *question,
                      const void *inline_data, size_t inline_bytes, struct skua__piece *piece,
                      struct skua__letter *letter, const char **bytes)
{
    question->kind = SKUA__RESPONSE_QUESTION;
    skua__worker_say(worker, question, inline_data, inline_bytes, piece);
    skua__workring_wait_letter(&worker->ring, letter, bytes);
}

void skua__worker_log(struct skua__worker *worker, const char *line)
{
    if (skua__workring_log(&worker->ring, line, strlen(line))) {
        ring_bell(worker);
    }
}

/* --- jobs ------------------------------------------------------------------------------------- */

/* As a rule it is the one that ran last. */
static const skua_job *find_job(struct skua__worker *worker, const struct skua__request *request)
{
    const skua_job *job = worker->job;
    if (job == NULL || job->name_hash != request->job_hash) {
        job = skua__job_find(request->job_hash);
        worker->job = job;
    }
    return job;
}

/* The library of jobs to come. Nobody waits for this answer: it is they who tell why they cannot
   run. */
static int load(struct skua__worker *worker, const skua_reply *reply)
{
    worker->load_error[0] = '\0';
    if (worker->is_confined && worker->settings->limits.sandbox) {
        snprintf(worker->load_error, sizeof worker->load_error,
                 "its library was loaded late, and the sandbox forbids the worker to do the same");
        return -ENOENT;
    }
    return skua__job_load(reply->input, (size_t)reply->request.in_bytes, worker->load_error,
                          sizeof worker->load_error);
}

static int fail_unknown(const struct skua__worker *worker, skua_reply *reply)
{
    if (worker->load_error[0] == '\0') {
        return -ENOENT;
    }
    return skua_job_fail(reply, -ENOENT, "%s", worker->load_error);
}

/* Before the first job that is not the pool's init job. */
static void confine(struct skua__worker *worker)
{
    worker->is_confined = true;
    if (worker->settings != NULL &&
        skua__sandbox_enter(worker->settings, &worker->arena.shared->sandbox_note) < 0) {
        _exit(EXIT_SETUP_FAILED); /* rather than without it */
    }
}

static int run(struct skua__worker *worker, skua_reply *reply)
{
    if (reply->request.kind == SKUA__REQUEST_LOAD) {
        return load(worker, reply);
    }
    if (reply->request.kind == SKUA__REQUEST_RUN && !worker->is_confined) {
        confine(worker);
    }
    const skua_job *job = find_job(worker, &reply->request);
    if (job == NULL) {
        return fail_unknown(worker, reply);
    }
    const skua_bytes in = {reply->input, (size_t)reply->request.in_bytes};
    if (worker->settings != NULL) {
        skua__limits_begin_job(worker->settings);
    }
    const int status = job->fn(in, reply);
    if (__fpending(stdout) > 0) {
        fflush(stdout);
    }
    return status;
}

void skua__worker_turn(struct skua__worker *worker)
{
    struct skua__request request;
    char *bytes;
    const uint64_t ticket = skua__workring_receive(&worker->ring, &request, &bytes);
    if (worker->ring.has_waited || worker->clock_ns == 0) {
        worker->clock_ns = skua__clock_real_ns();
    }
    skua_reply reply;
    skua__reply_begin(&reply, worker, &request, ticket, bytes);
    const int status = run(worker, &reply);
    skua__job_talk_end(&reply.talk);
    const int64_t start_ns = worker->clock_ns;
    worker->clock_ns = skua__clock_real_ns();
    skua__reply_send(&reply, status, worker->clock_ns - start_ns);
}

/* --- the process ------------------------------------------------------------------------------ */

int skua__worker_init(struct skua__worker *worker, uint32_t cores, uint32_t spinners)
{
    skua__workring_init(&worker->ring, worker->arena.shared, cores, spinners);
    return skua__heap_init(&worker->out, worker->arena.region_bytes);
}

void skua__worker_fini(struct skua__worker *worker)
{
    skua__heap_fini(&worker->out);
}

static int set_up(const struct skua__worker_setup *setup, struct skua__worker *worker)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != setup->zygote) {
        return -ESRCH; /* too late: the zygote is gone */
    }
    setpgid(0, 0);
    skua__strays_adopt();
    skua__child_set_name(setup->settings->name);
    int error = skua__cgroup_enter(setup->settings, setup->id);
    if (error < 0) {
        return error;
    }
    const int kept[] = {setup->memfd, setup->bell, setup->talk};
    skua__child_close_others(kept, setup->talk >= 0 ? 3 : 2);
    error = skua__arena_open(&worker->arena, setup->settings->payload_max, setup->memfd);
    if (error < 0) {
        return error;
    }
    close(setup->memfd);
    error = skua__worker_init(worker, setup->settings->cores, setup->settings->spinners);
    if (error < 0) {
        return error;
    }
    worker->bell = setup->bell;
    worker->talk = setup->talk;
    worker->number = setup->number;
    worker->settings = setup->settings;
    error = skua__limits_enter(setup->settings);
    skua__child_reset_signals();
    skua__child_ignore_ends();
    return error;
}

void skua__worker_process(const struct skua__worker_setup *setup)
{
    struct skua__worker worker = {.state = NULL};
    if (set_up(setup, &worker) < 0) {
        _exit(EXIT_SETUP_FAILED);
    }
    for (;;) {
        skua__worker_turn(&worker);
    }
}
