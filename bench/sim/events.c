/* The agenda: a binary heap of actors by time; at equal times the lower index first, so that a run
   repeats exactly. An actor stands in it once or not at all. */
#include "sim.h"

static struct entry {
    sim_time when;
    int actor;
} heap[SIM_ACTORS_MAX];
static int count;

static bool is_before(struct entry a, struct entry b)
{
    return a.when < b.when || (a.when == b.when && a.actor < b.actor);
}

void sim_schedule(int actor, sim_time when)
{
    const struct entry entry = {when, actor};
    int at = count++;
    while (at > 0 && is_before(entry, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

int sim_next(sim_time *when)
{
    if (count == 0) {
        return -1;
    }
    const struct entry first = heap[0], last = heap[--count];
    int at = 0;
    for (int child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_before(heap[child + 1], heap[child])) {
            child++;
        }
        if (!is_before(heap[child], last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    *when = first.when;
    return first.actor;
}
