/* Tasks are met in the order in which they end, not in that of their start. */
#include <skua/skua.h>
#include <stdio.h>

struct job {
    const char *name;
    int64_t takes_ns;
};

static struct job jobs[] = {
    {"slow", SKUA_SEC(3)}, {"quick", SKUA_SEC(1)}, {"middling", SKUA_SEC(2)}};

static int work(void *arg)
{
    const struct job *job = arg;
    return skua_sleep(skua_after(job->takes_ns));
}

static int run(void *arg)
{
    skua_task *tasks[3];
    int status = skua_spawn_many(tasks, work, jobs, sizeof jobs[0], 3, NULL);
    if (status < 0) {
        return status;
    }
    skua_as_completed *completed = NULL;
    status = skua_as_completed_create(&completed, tasks, 3);
    if (status == 0) {
        skua_task *earliest;
        size_t index;
        while ((status = skua_as_completed_next(completed, &earliest, &index, SKUA_FOREVER)) == 1) {
            puts(jobs[index].name);
        }
    }
    skua_as_completed_destroy(completed);
    skua_task_release_all(tasks, 3);
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
