/* The gate: a turn, which is handed along the line (queue.h), and a timer of who has it.

     (G1) Who has set is_busy clears it, on every way out, and serves the line then.
     (G2) Only who has the turn, or who comes when nobody has it and nobody waits, takes something.

   So what is taken is taken in the order of the line, and there is one timer a gate, whose moment
   is known: nobody looks twice before it. Each pass costs the next in line one wake to become the
   first; in return those who leave the line cost nothing to those behind them.

   Rejected: every waiter with a timer for the moment that it computes from those before it (when
   one of them leaves, all behind it have to be told). */
#include "sync/gate.h"

#include "sched/fastpath.h"

static struct skua__gate *gate_of(const struct skua__queue *queue)
{
    return (struct skua__gate *)(uintptr_t)queue;
}

static bool may_be_first(const struct skua__queue *queue, const void *wish)
{
    (void)wish;
    return !gate_of(queue)->is_busy;
}

static int be_first(struct skua__queue *queue, void *wish)
{
    (void)wish;
    gate_of(queue)->is_busy = true;
    return 0;
}

static void pass_turn(struct skua__queue *queue, void *wish)
{
    (void)wish;
    gate_of(queue)->is_busy = false;
}

static const struct skua__queue_rules rules = {may_be_first, be_first, pass_turn};

/* With the lock, which is given back. */
static int leave_gate(struct skua__gate *gate, int status)
{
    gate->is_busy = false;
    skua__queue_serve_and_unlock(&gate->queue, &rules);
    return status;
}

/* Waits at the gate; without the lock. Returns 0 at the moment, or earlier to look again; or why
   not to wait any longer. */
static int wait_until(int64_t moment_ns)
{
    struct skua__wait wait;
    skua__wait_begin(&wait, SKUA__SOFT);
    int cause = skua__wait_park(&wait, moment_ns);
    return cause == -ECANCELED ? cause : 0;
}

/* It is our turn. Called with the lock, which is given back. */
static int stand_at_gate(struct skua__gate *gate, skua__gate_fn *try_once, void *wish,
                         int64_t deadline_ns)
{
    for (;;) {
        int64_t now_ns = skua__clock_ns();
        int64_t moment_ns = try_once(gate, wish, now_ns);
        if (moment_ns == 0) {
            return leave_gate(gate, 0);
        }
        if (now_ns >= deadline_ns) {
            return leave_gate(gate, -ETIMEDOUT);
        }
        skua__queue_unlock(&gate->queue);
        int status = wait_until(moment_ns < deadline_ns ? moment_ns : deadline_ns);
        skua__queue_lock(&gate->queue);
        if (status < 0) {
            return leave_gate(gate, status);
        }
    }
}

/* Tries without waiting. Returns 0; or -EAGAIN with the lock kept, and with the turn unless others
   have it. */
static int try_first(struct skua__gate *gate, skua__gate_fn *try_once, void *wish)
{
    if (gate->is_busy || gate->queue.count > 0) {
        return -EAGAIN;
    }
    return try_once(gate, wish, skua__clock_ns()) == 0 ? 0 : -EAGAIN;
}

int skua__gate_pass(struct skua__gate *gate, skua__gate_fn *try_once, void *wish,
                    skua_time deadline)
{
    int status = skua__cancel_point_passes() ? 0 : skua__cancel_point();
    if (status < 0) {
        return status;
    }
    skua__queue_lock(&gate->queue);
    status = try_first(gate, try_once, wish);
    if (status == 0 || skua__is_now(deadline)) {
        skua__queue_unlock(&gate->queue);
        return status;
    }
    if (gate->is_busy || gate->queue.count > 0) {
        status = skua__queue_wait(&gate->queue, &rules, NULL, deadline);
        if (status < 0) {
            return status;
        }
        skua__queue_lock(&gate->queue);
    }
    gate->is_busy = true;
    return stand_at_gate(gate, try_once, wish, skua__deadline_ns(deadline));
}
