/* One test out of setup, body and teardown, each a task of its own in the same run. */
#include "base/panic.h"
#include "testing/kit.h"

#include <skua/scope.h>
#include <stdlib.h>

struct test_case {
    struct skua__kit *kit;
    const skua_test_parts *parts;
    void **state;
};

/* A part's task finds its function and its state here. */
struct part {
    skua_test_fn fn;
    void **state;
};

static int run_part(void *arg)
{
    const struct part *part = arg;
    return part->fn(part->state);
}

/* Runs one part to its end; what goes wrong is noted. `is_subject`: a failed check cancels it. */
static int run(const struct test_case *self, skua_test_fn fn, const char *part_name,
               bool is_subject)
{
    struct part part = {.fn = fn, .state = self->state};
    const skua_spawn_opts opts = {.name = is_subject ? self->parts->name : part_name};
    skua_task *task = NULL;
    int result = 0;
    int status = fn != NULL ? skua_spawn(&task, run_part, &part, &opts) : 0;
    if (task != NULL) {
        skua__kit_set_subject(self->kit, is_subject ? task : NULL);
        status = skua_join(task, &result, SKUA_FOREVER);
        skua__kit_set_subject(self->kit, NULL);
        status = status < 0 ? status : result;
        skua_task_release(task);
    }
    if (status < 0 && status != SKUA_TEST_FAILED) {
        skua__kit_note(self->kit, "%s: %s returned %d (%s)", self->parts->name, part_name, status,
                       skua_error_text(status));
    }
    return status < 0 ? status : 0;
}

static int run_parts(void *arg)
{
    const struct test_case *self = arg;
    skua__kit_set_subject(self->kit, NULL); /* the part is, not this task, which sees to all */
    int status = run(self, self->parts->setup, "setup", false);
    if (status == 0 && !skua__kit_has_failed(self->kit)) {
        status = run(self, self->parts->body, "body", true);
    }
    int torn_down = run(self, self->parts->teardown, "teardown", false);
    return status < 0 ? status : torn_down;
}

int skua_test_case(const skua_test_opts *opts, const skua_test_parts *parts, void **state,
                   const char **message)
{
    struct skua__kit *kit = &skua__kit;
    struct test_case self = {.kit = kit, .parts = parts, .state = state};
    const char *seeded = getenv("SKUA_TEST_SEEDED");
    skua_test_opts used = {.virtual_clock = true, .name = parts->name};
    if (opts != NULL) {
        used = *opts;
        used.name = opts->name != NULL ? opts->name : parts->name;
    } else {
        used.seeded = seeded != NULL && seeded[0] == '1';
    }
    int status = skua_test_run(&used, run_parts, &self);
    if (status == SKUA_TEST_FAILED) {
        *message = kit->text;
    } else if (status < 0) {
        *message = status == -ENOTEMPTY ? "something was left behind: see standard error"
                                        : skua_error_text(status);
    }
    return status < 0 ? status : 0;
}
