/* Forks, after the design of the fast path: descriptors in a stack that only their owner sees, the
   oldest half made public when a thief has asked, the thief takes the oldest public one. A function
   whose child was stolen waits for it on its own stack, and whoever ends last goes on with it.

   The descriptors of a worker stand in one array: public ones in [first, low), private ones in
   [low, top). They all belong to the fiber that runs there, since a fiber that has to wait has none
   left: thieves take the oldest first. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

static struct sim_frame *unused;

static struct sim_frame *frame_create(struct sim_frame *parent, uint64_t seed, int depth)
{
    struct sim_frame *frame = unused;
    if (frame != NULL) {
        unused = frame->parent;
    } else {
        frame = malloc(sizeof *frame);
    }
    *frame = (struct sim_frame){.parent = parent, .seed = seed, .depth = depth};
    return frame;
}

static void frame_free(struct sim_frame *frame)
{
    frame->parent = unused;
    unused = frame;
}

/* A thief has asked: the older half becomes public, and somebody may be woken for it. */
static void publish(struct sim_worker *worker)
{
    const int count = worker->top - worker->low;
    sim_write(worker, &worker->limit_line);
    worker->is_poisoned = false;
    if (count < 2) {
        return; /* never the newest */
    }
    worker->low += count / 2;
    sim_spend(worker, sim.cost.publish_ns);
    sim_write(worker, &worker->public_line);
    sim_wake_one(worker, false);
}

/* All children but the last, which is called; the last fork's test may find that a thief asked. */
static void fork_children(struct sim_worker *worker, struct sim_frame *frame, int children)
{
    if (worker->first == worker->top) {
        worker->first = worker->low = worker->top = 0;
    }
    if (worker->top + children > SIM_DEPTH_MAX) {
        fprintf(stderr, "sim: a worker has too many descriptors\n");
        exit(1);
    }
    for (int i = 0; i < children; i++) {
        worker->children[worker->top++] =
            (struct sim_child){frame, sim_child_seed(frame->seed, i), frame->depth - 1 - i % 2};
    }
    sim_spend(worker, children * sim.cost.fork_ns);
    if (worker->is_poisoned) {
        publish(worker);
    }
}

/* The newest descriptor, if it is of this frame. A public one is taken back, for a fence. */
static bool claim_newest(struct sim_worker *worker, struct sim_frame *frame)
{
    if (worker->top == worker->first || worker->children[worker->top - 1].parent != frame) {
        return false;
    }
    if (worker->top == worker->low) {
        worker->low--;
        sim_spend(worker, sim.cost.fence_ns);
        if (worker->low == worker->first) {
            sim_write(worker, &worker->public_line);
        }
    }
    const struct sim_child child = worker->children[--worker->top];
    worker->frame = frame_create(frame, child.seed, child.depth);
    return true;
}

/* A function has returned. */
static void end_frame(struct sim_worker *worker, struct sim_frame *frame)
{
    struct sim_frame *parent = frame->parent;
    const bool is_stolen = frame->is_stolen;
    frame_free(frame);
    worker->frame = parent;
    if (parent == NULL) {
        sim.is_over = true;
        sim.end = worker->clock;
        return;
    }
    if (!is_stolen) {
        return;
    }
    worker->clock += sim_transfer(worker, parent->home) + SIM_NS(sim.cost.rmw_ns);
    worker->frame = NULL;
    if (--parent->stolen == 0 && parent->is_waiting) {
        parent->is_waiting = false;
        worker->clock += (sim_time)sim.cost.task_lines_ns * sim_transfer(worker, parent->home);
        sim_spend(worker, sim.cost.switch_ns);
        parent->home = worker->index;
        worker->frame = parent;
    }
}

void sim_fork_step(struct sim_worker *worker)
{
    struct sim_frame *frame = worker->frame;
    if (!frame->has_forked) {
        const int children = sim_work->children(frame->seed, frame->depth);
        frame->has_forked = true;
        frame->home = worker->index;
        sim.tasks++;
        if (children == 0) {
            sim_spend(worker, sim_work->leaf_ns);
            end_frame(worker, frame);
        } else {
            fork_children(worker, frame, children);
        }
    } else if (!claim_newest(worker, frame)) {
        if (frame->stolen == 0) {
            end_frame(worker, frame);
        } else {
            frame->is_waiting = true;
            sim_spend(worker, sim.cost.switch_ns + sim.cost.rmw_ns);
            worker->frame = NULL;
        }
    }
    worker->phase = worker->frame != NULL ? SIM_RUN : SIM_LOOK;
}

static void ask(struct sim_worker *worker, struct sim_worker *victim)
{
    sim_read(worker, &victim->limit_line);
    if (!victim->is_poisoned && victim->phase == SIM_RUN) {
        sim_write(worker, &victim->limit_line);
        victim->is_poisoned = true;
    }
}

bool sim_fork_steal(struct sim_worker *worker, struct sim_worker *victim)
{
    sim_read(worker, &victim->public_line);
    if (victim->low == victim->first) {
        ask(worker, victim);
        return false;
    }
    const struct sim_child child = victim->children[victim->first++];
    worker->clock += sim_transfer(worker, victim->index); /* the descriptor */
    sim_write(worker, &victim->public_line);
    sim_spend(worker, sim.cost.fiber_ns);
    worker->frame = frame_create(child.parent, child.seed, child.depth);
    worker->frame->is_stolen = true;
    child.parent->stolen++;
    worker->phase = SIM_RUN;
    /* As dispatch does, so that sleepers are not forgotten. */
    worker->is_poisoned = sim.idle[worker->group % sim.idles].parked > 0;
    if (victim->low == victim->first) {
        ask(worker, victim);
    }
    return true;
}

/* Who is the last to search asks everybody before it sleeps. */
void sim_fork_poison_all(struct sim_worker *worker)
{
    if (sim.idle[worker->group % sim.idles].searching - worker->is_searching > 0) {
        return;
    }
    for (int i = 0; i < sim.workers; i++) {
        if (i != worker->index) {
            ask(worker, &sim.actors[i]);
        }
    }
}
