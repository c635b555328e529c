/* sched/signals.h: what others who catch signals have to know of skua_run(). */
#ifndef SKUA_SCHED_SIGNALS_H
#define SKUA_SCHED_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Is this the handler by which a skua_run() drains? */
bool skua__run_has_handler(const struct sigaction *action);

/* Is there a run now that heeds signals? */
bool skua__run_heeds_signals(void);

#endif
