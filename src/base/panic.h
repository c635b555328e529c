/* base/panic.h: assertions, and the end of a program that breaks a rule.

   skua_require()  always checked: states, ownership, bounds of the control plane.
   skua_assert()   checked when SKUA_DEBUG is set: the data plane.

   The world's errors (no memory, a closed peer, bad input) are never panics. */
#ifndef SKUA_BASE_PANIC_H
#define SKUA_BASE_PANIC_H

#include "base/compiler.h"

#include <stdbool.h>

/* Prints "skua: panic in task '<name>': <message> (file:line)" and aborts. */
SKUA_NORETURN void skua__panic_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define skua__panic(...) skua__panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* Gives the calling task's name or NULL; set once by the room that knows tasks. */
extern const char *(*skua__panic_task_name)(void);

#define skua_require(condition)                                                                    \
    do {                                                                                           \
        if (SKUA_UNLIKELY(!(condition))) {                                                         \
            skua__panic("broken invariant: %s", #condition);                                       \
        }                                                                                          \
    } while (0)

#if SKUA_DEBUG
#define skua_assert(condition) skua_require(condition)
#else
#define skua_assert(condition)                                                                     \
    do {                                                                                           \
        if (0 && !(condition)) {                                                                   \
            __builtin_unreachable();                                                               \
        }                                                                                          \
    } while (0)
#endif

/* Is shown the text of each report first, and returns true if it has seen to it; set once by the
   room that knows what the program wants. */
extern bool (*skua__report_hook)(const char *text);

/* Prints a line "skua: ..." on standard error in one write. For what a person has to know. */
void skua__report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
