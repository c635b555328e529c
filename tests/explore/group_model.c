/* The ends of a group's members against its owner, who closes it and gives its memory away, and
   against cancels from outside.

   Sources: group/group.c sched/member.c sched/task.c sched/watch.c sched/waiter.c sched/scope.c
       sched/wheel.c
   Mutates: sched/member.c group/group.c */
#include "explore.h"
#include "fibers.h"
#include "sched/local.h"
#include "sched/member.h"

#include "base/mem.h"

#include <skua/group.h>

enum { OWNER = 0, MEMBERS = 2 };
enum { NOTE_FAILED, NOTE_CANCELLED, NOTE_WELL, NOTE_TAKEN };

struct model {
    skua_group *group; /* the owner's frame: freed when the close has returned */
    struct skua__roomy_task *tasks[MEMBERS];
    int ran[MEMBERS]; /* written by members, read by the owner after the close */
    size_t freed_from_outside, blocks;
};
static struct model *model;

void skua__slab_return_slow(struct skua__slab *slab, struct skua__slab_cache *cache, void *object)
{
    ((skua_task *)object)->runnable.next = NULL;
    model->freed_from_outside++;
}

void skua__stack_check(const struct skua__stack *stack) {}
void skua__locals_release(struct skua__locals *locals) {}

const char *skua_error_text(int code)
{
    return "";
}

/* --- making ----------------------------------------------------------------------------------- */

static int end_well(void *arg)
{
    *(int *)arg = 1;
    return 0;
}

static int fail(void *arg)
{
    *(int *)arg = 1;
    return -EIO;
}

static int wait_for_cancel(void *arg)
{
    *(int *)arg = 1;
    return skua_sleep(SKUA_FOREVER);
}

/* The fiber behind the owner's runs a member. */
static void make_member(int number, skua_fn fn)
{
    struct skua__members *members = (struct skua__members *)(void *)model->group;
    struct skua__roomy_task *roomy = explore_alloc(sizeof *roomy);
    struct skua_task *task = &roomy->task;
    model->tasks[number] = roomy;
    task->runnable.runtime = &fibers->runtime;
    task->fn = fn;
    task->arg = &model->ran[number];
    skua__store(&task->refs, 1, relaxed);
    skua__scope_init_root(&task->scope);
    skua__store(&task->scope.flags, SKUA__TASK_ROOMY, relaxed);
    EXPLORE_CHECK(skua__members_lock(members, &fibers->runtime) == 0);
    skua__members_add(members, task, NULL);
    uint32_t flags = skua__load(&task->scope.flags, relaxed);
    skua__store(&task->scope.flags, flags | SKUA__SCOPE_OPEN, relaxed);
    skua__members_unlock(members);
    skua__store(&fibers->fibers[1 + number].task, task, relaxed);
}

static void make(skua_policy policy, skua_fn first, skua_fn second)
{
    fibers_make(1 + MEMBERS);
    model = explore_alloc(sizeof *model);
    model->group = skua__alloc(sizeof *model->group);
    become(OWNER);
    skua_group_open(model->group, policy, SKUA_FOREVER);
    skua__current_worker = NULL;
    make_member(0, first);
    make_member(1, second);
    for (uint32_t i = 0; i < fibers->runtime.worker_count; i++) {
        skua__wheel_init(&fibers->workers[i].wheel, skua__clock_ns());
    }
    model->blocks = explore_blocks();
}

static void setup_both_end(void)
{
    make(SKUA_FAIL_FAST, end_well, end_well);
}

static void setup_one_fails(void)
{
    make(SKUA_FAIL_FAST, fail, wait_for_cancel);
}

static void setup_one_waits(void)
{
    make(SKUA_FAIL_FAST, end_well, wait_for_cancel);
}

static void setup_one_wins(void)
{
    make(SKUA_ANY_SUCCESS, end_well, wait_for_cancel);
}

static void setup_join_set(void)
{
    make(SKUA_JOIN_SET, end_well, end_well);
}

static void finish(void)
{
    size_t freed = model->freed_from_outside;
    fibers_check();
    for (uint32_t i = 0; i < fibers->runtime.worker_count; i++) {
        freed += fibers->workers[i].roomy_tasks.count;
    }
    EXPLORE_CHECK(freed == MEMBERS);
    EXPLORE_CHECK(explore_blocks() == model->blocks - 1); /* but for the group's, as before */
}

/* --- the threads ------------------------------------------------------------------------------ */

static void run_member(void)
{
    struct skua__runnable *woken = skua__task_run(&fibers->fibers[explore_self()]);
    if (woken != NULL) {
        skua__ready(woken, SKUA__READY_WOKEN);
    }
}

/* The owner's frame ends. */
static int close_and_go(void)
{
    int status = skua_group_close(model->group, 0);
    EXPLORE_CHECK(skua_group_count(model->group) == 0);
    for (int i = 0; i < MEMBERS; i++) {
        EXPLORE_CHECK(model->ran[i] == 1);
    }
    explore_note(status == -EIO ? NOTE_FAILED : status == 0 ? NOTE_WELL : NOTE_CANCELLED);
    skua_group_fini(model->group);
    skua__free(model->group);
    struct skua__error_record *record = fibers->tasks[OWNER].error;
    if (record != NULL) { /* as the end of the owner's task would */
        struct skua__kept causes = {.first = record->causes};
        skua__kept_release(&causes);
        skua__free(record);
    }
    return status;
}

static void closes_well(void)
{
    EXPLORE_CHECK(close_and_go() == 0);
}

static void closes_with_failure(void)
{
    EXPLORE_CHECK(close_and_go() == -EIO);
}

static void closes_cancelled(void)
{
    EXPLORE_CHECK(close_and_go() == -ECANCELED);
}

static void closes_somehow(void)
{
    int status = close_and_go();
    EXPLORE_CHECK(status == 0 || status == -ECANCELED);
}

static void makes_room_and_closes(void)
{
    EXPLORE_CHECK(skua_group_room(model->group, 2, SKUA_FOREVER) == 0);
    closes_well();
}

static void takes_and_closes(void)
{
    skua_task *task;
    int taken = 0, got;
    while ((got = skua_group_next(model->group, &task, SKUA_FOREVER)) == 1) {
        EXPLORE_CHECK(skua_task_state(task) == SKUA_DONE);
        skua_task_release(task);
        explore_note(NOTE_TAKEN);
        taken++;
    }
    EXPLORE_CHECK(got == -ECANCELED || (got == 0 && taken == MEMBERS));
    closes_somehow();
}

static void cancels_owner(void)
{
    skua__scope_cancel(&fibers->tasks[OWNER].scope, SKUA__SCOPE_REQUESTED, &fibers->runtime);
}

/* Four threads: with one preemption less. */
static void explore_with_cancel(const char *name, void (*setup)(void), void (*owner)(void))
{
    const struct explore_model cancelled = {
        .name = name,
        .setup = setup,
        .finish = finish,
        .threads = {owner, run_member, run_member, cancels_owner},
        .preemptions_less = 1,
        .bounds_stale_reads = true,
    };
    explore(&cancelled);
}

/* covers: B37 */
int main(void)
{
    EXPLORE_LARGE("group: both end", setup_both_end, finish, closes_well, run_member, run_member);
    EXPLORE_LARGE("group: room", setup_both_end, finish, makes_room_and_closes, run_member,
                  run_member);
    EXPLORE_LARGE("group: one fails", setup_one_fails, finish, closes_with_failure, run_member,
                  run_member);
    EXPLORE_CHECK(explore_happened(NOTE_FAILED) > 0);
    EXPLORE_LARGE("group: one wins", setup_one_wins, finish, closes_well, run_member, run_member);
    explore_with_cancel("group: a cancel", setup_one_waits, closes_cancelled);
    EXPLORE_CHECK(explore_happened(NOTE_CANCELLED) > 0);
    explore_with_cancel("group: ends and a cancel", setup_both_end, closes_somehow);
    EXPLORE_LARGE("group: taking", setup_join_set, finish, takes_and_closes, run_member,
                  run_member);
    EXPLORE_CHECK(explore_happened(NOTE_TAKEN) > 0);
    return 0;
}
