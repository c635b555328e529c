/* sched/report.h: what the runtime tells the person who runs the program. */
#ifndef SKUA_SCHED_REPORT_H
#define SKUA_SCHED_REPORT_H

#include "base/compiler.h"

#include <skua/runtime.h>

struct skua_task;

/* To the runtime's hook, or as a line "skua: ..." on standard error. Call from anywhere. */
void skua__runtime_report(const skua_runtime *runtime, skua_report_kind kind, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));

/* The task has failed and nobody has looked. To the hook for failures, or as a line. */
void skua__runtime_report_failure(const struct skua_task *task);

/* Call write_line(line, arg) for each live task. */
void skua__dump_tasks(skua_runtime *runtime, void (*write_line)(const char *line, void *arg),
                      void *arg);

/* All workers have been asleep for a while: say so, once, if no task can ever be woken. Call from:
   the monitor. */
void skua__report_deadlock(skua_runtime *runtime);

#endif
