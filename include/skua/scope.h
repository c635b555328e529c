/* skua/scope.h: cancellation, the only mechanism of it.

   A scope is a stretch of a task's execution that can be cancelled as a whole, by anybody or by its
   own deadline. Scopes nest: cancelling an outer one reaches all that is inside, and of the
   deadlines around a call the earliest holds. Cancellation is level-triggered: once a scope is
   cancelled, every blocking call inside returns -ECANCELED, again and again, until the scope has
   been left. A shield stops outer cancels for a clean-up that must wait.

   Scopes live in storage of the caller (usually its stack) and are closed in reverse order by the
   task that opened them; closing out of order, or ending a task with one open, panics. */
#ifndef SKUA_SCOPE_H
#define SKUA_SCOPE_H

#include <skua/base.h>

SKUA_BEGIN_DECLS

typedef struct skua_scope {
    uint64_t opaque[12];
} skua_scope;

/* Declare a scope that closes itself (cancelled) when the C block is left by return, goto or break
   while it is open. */
#define SKUA_SCOPE(name) skua_scope name __attribute__((cleanup(skua_scope_fini), unused)) = {{0}}

/* Run fn(arg) on this stack under a deadline (asyncio.wait_for, asyncio.timeout). When the deadline
   passes, blocking calls in fn return -ECANCELED; fn cleans up and returns; skua_within then
   returns -ETIMEDOUT. What fn has achieved counts: a status other than -ECANCELED is returned
   unchanged. Returns fn's status, or -ETIMEDOUT.
   Call from: a task. Cost: two uncontended locks. */
int skua_within(skua_time deadline, skua_fn fn, void *arg) SKUA_MUST_CHECK;

/* Open `scope` (zeroed storage, SKUA_SCOPE does that) inside the current one, with a deadline or
   SKUA_FOREVER. Cannot fail and allocates nothing.
   Call from: a task. */
void skua_scope_open(skua_scope *scope, skua_time deadline);

/* Open a shield: outer cancels and outer deadlines do not reach inside until the moment `grace`
   (SKUA_FOREVER: never), when they do.
   Call from: a task. */
void skua_shield_open(skua_scope *scope, skua_time grace);

/* Leave the scope and map `status`, the body's result: -ECANCELED becomes -ETIMEDOUT if this
   scope's own deadline fired and no outer scope is cancelled; it becomes 0 if skua_scope_cancel()
   was called on this very scope and no outer one is cancelled; anything else is returned unchanged.
   Call from: the task that opened it. Never switches. */
int skua_scope_close(skua_scope *scope, int status) SKUA_MUST_CHECK;

/* Close if still open; what SKUA_SCOPE runs at the end of the block. */
void skua_scope_fini(skua_scope *scope);

/* Cancel what runs inside. Call from anywhere while the scope is open. Never switches. */
void skua_scope_cancel(skua_scope *scope);

/* True once this scope's own deadline has fired (not: an outer one's). */
bool skua_scope_expired(const skua_scope *scope);

/* True if blocking calls would return -ECANCELED here and now.
   Call from: a task. */
bool skua_cancelled(void);

SKUA_END_DECLS
#endif
