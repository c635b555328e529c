/* skua/scope.h: cancellation, the only mechanism of it.

   A scope is a stretch of a task's execution that can be cancelled as a whole, by anybody or by its
   own deadline. Scopes nest: cancelling an outer one reaches all that is inside, and of the
   deadlines around a call the earliest holds. Cancellation is level-triggered: once a scope is
   cancelled, every blocking call inside returns -ECANCELED, again and again, until the scope has
   been left. A shield stops outer cancels for a clean-up that must wait; what has to be cleaned up
   in any case is deferred, or belongs to a resource.

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

/* skua_within() for work that may be left out (trio.move_on_after): returns 0 when its own deadline
   has ended it, and fn's status otherwise. So that a caller can tell, let fn return 1 when it is
   through; or open a scope, and ask skua_scope_expired().
   Call from: a task. */
int skua_move_on(skua_time deadline, skua_fn fn, void *arg) SKUA_MUST_CHECK;

/* Run fn(arg) on this stack under a shield: outer cancels and deadlines do not reach it before the
   moment `grace` (SKUA_FOREVER: never). Returns fn's status.
   Call from: a task. */
int skua_shielded(skua_time grace, skua_fn fn, void *arg) SKUA_MUST_CHECK;

/* --- scopes by hand --------------------------------------------------------------------------- */

/* Open `scope` (zeroed storage, SKUA_SCOPE does that) inside the current one, with a deadline or
   SKUA_FOREVER. Cannot fail and allocates nothing.
   Call from: a task. */
void skua_scope_open(skua_scope *scope, skua_time deadline);

/* Open a shield: outer cancels and outer deadlines do not reach inside until the moment `grace`
   (SKUA_FOREVER: never), when they do.
   Call from: a task. */
void skua_shield_open(skua_scope *scope, skua_time grace);

/* Leave the scope: run what was deferred in it, then map `status`, the body's result. -ECANCELED
   becomes, if this very scope was cancelled and no outer scope is: -ETIMEDOUT if its deadline did
   it, 0 if skua_scope_cancel() did, or the code that skua_scope_cancel_because() was given; what
   came first decides. Anything else is returned unchanged.
   Call from: the task that opened it. Switches only in what was deferred. */
int skua_scope_close(skua_scope *scope, int status) SKUA_MUST_CHECK;

/* Close if still open; what SKUA_SCOPE runs at the end of the block. */
void skua_scope_fini(skua_scope *scope);

/* Cancel what runs inside. Call from anywhere while the scope is open. Never switches. */
void skua_scope_cancel(skua_scope *scope);

/* The same for a reason: `code` (< 0) is what skua_cancel_reason() says inside and what
   skua_scope_close() makes of -ECANCELED. The first reason stays. */
void skua_scope_cancel_because(skua_scope *scope, int code);

/* Ask what runs inside to come to its end: from now on skua_stopping() is true there; what is
   still inside at the moment `until` (SKUA_FOREVER: nothing) is cancelled, as skua_scope_cancel()
   does it. A stop cannot be taken back; asking again can only bring `until` forward.
   Call from anywhere while the scope is open. Never switches. */
void skua_scope_stop(skua_scope *scope, skua_time until);

/* Move the scope's deadline (of a shield: its grace), to an earlier or a later moment, or to
   SKUA_FOREVER. Who waits inside is told of an earlier one, and begins its wait anew, behind others
   who wait for the same. A deadline that has fired cannot be taken back, and once a stop was asked
   for it can only be brought forward: else the call does nothing.
   Call from anywhere while the scope is open. Never switches. */
void skua_scope_deadline(skua_scope *scope, skua_time deadline);

/* The scope's own deadline, or SKUA_FOREVER. Once the scope itself was cancelled, SKUA_NOW: no time
   is left. Call from anywhere while the scope is open. */
skua_time skua_scope_when(const skua_scope *scope);

/* True once this scope's own deadline has fired (not: an outer one's). Also after the close. */
bool skua_scope_expired(const skua_scope *scope);

/* --- what holds here -------------------------------------------------------------------------- */

/* True if blocking calls would return -ECANCELED here and now.
   Call from: a task. */
bool skua_cancelled(void);

/* Why blocking calls return -ECANCELED here: 0 if they do not; -ETIMEDOUT: a deadline has passed;
   -ECANCELED: somebody has asked; -ESHUTDOWN: the runtime ends; or the code that
   skua_scope_cancel_because() or skua_task_cancel_because() was given. If several scopes around
   this call are cancelled each for its own reason, that of the outermost: leaving the inner ones
   would not help.
   Call from: a task. */
int skua_cancel_reason(void);

/* True once somebody has asked what runs here to come to its end (skua_scope_stop(),
   skua_task_stop(), a runtime that drains), or it is cancelled. A loop that asks between two items
   loses none. Seen through shields: it forbids nothing.
   Call from: a task. Cost: a load for each scope around. */
bool skua_stopping(void);

/* --- cleaning up ------------------------------------------------------------------------------ */

/* Run fn(arg) when the innermost open scope is closed or, outside of any, when the task ends: once,
   however that comes about, last deferred first. It may block: it runs under a shield that ends
   when the runtime's cleanup_ns have passed. What a forked function defers outside of a scope of
   its own runs when the scope around the fork is closed: after the sync, so `arg` must outlive the
   function. Returns 0, or -ENOMEM, -EPERM (on a foreign thread), -ESHUTDOWN (in a forked process):
   then fn(arg) has been called already, so that nothing leaks. -EINVAL: fn is NULL.
   Call from: a task. Never switches when it succeeds. Cost: one small allocation. */
int skua_defer(void (*fn)(void *arg), void *arg) SKUA_MUST_CHECK;

/* A kind of resource: how it is taken and given back (a context manager). Either may be NULL. */
typedef struct skua_resource {
    int (*enter)(void *self);            /* < 0: it could not be had */
    int (*exit)(void *self, int status); /* gets the body's status, returns the result; 0 for a
                                            status < 0 suppresses the failure */
} skua_resource;

/* Run body(arg) with the resource `self`: enter, body, exit. Returns enter's status if that is
   < 0, and nothing else was called then; else what exit returns. exit is called once, whatever the
   body returns, cancelled or not, under a shield that ends when the runtime's cleanup_ns have
   passed.
   Call from: a task. May switch in what it calls. */
int skua_with(const skua_resource *resource, void *self, skua_fn body, void *arg) SKUA_MUST_CHECK;

SKUA_END_DECLS
#endif
