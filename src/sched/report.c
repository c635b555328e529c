/* Reports: what a person has to know, to the program's hooks or on standard error.

   Everything goes through one door: the rooms that know their runtime say what kind of report it is
   (skua__runtime_report); what the others say (skua__report) is given to the runtime whose worker
   is speaking, if there is one. */
#include "sched/report.h"

#include "base/panic.h"
#include "sched/drain.h"
#include "sched/runtime.h"
#include "sched/task.h"

#include <skua/control.h>
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_BYTES = 1000 };

void skua__runtime_report(const skua_runtime *runtime, skua_report_kind kind, const char *format,
                          ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (runtime->on_report != NULL) {
        runtime->on_report(kind, text, runtime->hook_arg);
    } else {
        skua__report("%s", text);
    }
}

/* For what is said without a runtime. */
static bool tell_own_runtime(const char *text)
{
    const struct skua__worker *worker = skua__worker_self();
    if (worker == NULL || worker->runtime->on_report == NULL) {
        return false;
    }
    const skua_runtime *runtime = worker->runtime;
    runtime->on_report(SKUA_REPORT_OTHER, text, runtime->hook_arg);
    return true;
}

__attribute__((constructor)) static void let_reports_find_hooks(void)
{
    skua__report_hook = tell_own_runtime;
}

static void print_failure(const skua_error *error)
{
    char origin[320] = "";
    if (error->file != NULL) {
        snprintf(origin, sizeof origin, " at %s:%d", error->file, error->line);
    }
    bool has_site = error->task_site != NULL, has_text = error->text[0] != '\0';
    skua__report("task '%s'%s%s failed and nobody has asked for its status: %d (%s)%s%s%s",
                 error->task_name, has_site ? " of " : "", has_site ? error->task_site : "",
                 error->code, skua_error_text(error->code), origin, has_text ? ": " : "",
                 error->text);
}

void skua__runtime_report_failure(const struct skua_task *task)
{
    skua_runtime *runtime = task->runnable.runtime;
    /* Without memory for a record there is only the code. */
    const skua_error bare = {.code = task->status,
                             .task_name = skua_task_name(task),
                             .text = "",
                             .task_site = skua_task_site(task)};
    const skua_error *error = task->error != NULL ? &task->error->error : &bare;
    skua__fetch_add(&runtime->failures_unseen, 1, relaxed);
    if (runtime->on_failure != NULL) {
        runtime->on_failure(error, runtime->hook_arg);
    } else {
        print_failure(error);
    }
}

void skua_runtime_counts(skua_runtime *runtime, skua_counts *counts)
{
    *counts = (skua_counts){0};
    runtime = runtime != NULL ? runtime : skua_runtime_current();
    if (runtime == NULL || skua__forked()) {
        return;
    }
    counts->tasks_alive = skua__runtime_live_tasks(runtime);
    for (uint32_t i = 0; i < runtime->worker_capacity; i++) {
        counts->tasks_ended += skua__load(&runtime->workers[i].ended, relaxed);
        counts->tasks_started += skua__load(&runtime->workers[i].started, relaxed);
    }
    counts->tasks_started += skua__load(&runtime->submitted, relaxed);
    counts->failures_unseen = skua__load(&runtime->failures_unseen, relaxed);
    counts->cancels_swallowed = skua__load(&runtime->cancels_swallowed, relaxed);
}
