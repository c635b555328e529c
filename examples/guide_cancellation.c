/* The examples of docs/guide/cancellation.md. */
#include <skua/skua.h>
#include <stdatomic.h>
#include <stdio.h>

static const char *name_of(int code)
{
    return code == 0 ? "nothing" : skua_error_text(code);
}

/* --- timeouts --------------------------------------------------------------------------------- */

static int fetch_slowly(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_SEC(10)));
    return status < 0 ? status : 1;
}

static int fetch_quickly(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_MS(1)));
    return status < 0 ? status : 1;
}

static int fail_or_move_on(void)
{
    int late = skua_within(skua_after(SKUA_MS(5)), fetch_slowly, NULL);
    int left_out = skua_move_on(skua_after(SKUA_MS(5)), fetch_slowly, NULL);
    int fetched = skua_move_on(skua_after(SKUA_SEC(5)), fetch_quickly, NULL);
    printf("within: %s; move on: %d and %d\n", skua_error_text(late), left_out, fetched);
    return 0;
}

/* Every item moves the deadline: who is slow as a whole is fine, who stands still is not. */
static int copy_with_watchdog(void)
{
    SKUA_SCOPE(watchdog);
    skua_scope_open(&watchdog, skua_after(SKUA_SEC(5)));
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_sleep(skua_after(SKUA_MS(2))); /* one item */
        skua_scope_deadline(&watchdog, skua_after(SKUA_SEC(5)));
    }
    status = skua_scope_close(&watchdog, status);
    printf("copied: %s\n", status == 0 ? "yes" : skua_error_text(status));
    return status;
}

/* --- reasons ---------------------------------------------------------------------------------- */

enum { TENANT_GONE = SKUA_ERR(7, 1) };

static int work_until_told(void *arg)
{
    int status = skua_sleep(SKUA_FOREVER);
    int reason = skua_cancel_reason();
    printf("told to end: %s\n", reason == TENANT_GONE ? "the tenant is gone" : name_of(reason));
    return status;
}

static int cancel_for_a_reason(void)
{
    skua_task *task;
    int status = skua_spawn(&task, work_until_told, NULL, NULL);
    if (status < 0) {
        return status;
    }
    skua_task_cancel_because(task, TENANT_GONE);
    status = skua_join(task, NULL, SKUA_FOREVER);
    skua_task_release(task);
    return status;
}

/* --- asking first ----------------------------------------------------------------------------- */

static _Atomic int orders;

/* An order takes two steps. A cancel in between would leave half of one. */
static int take_orders(void *arg)
{
    while (!skua_stopping()) {
        for (int step = 0; step < 2; step++) {
            int status = skua_sleep(skua_after(SKUA_US(100)));
            if (status < 0) {
                return status; /* it was asked, and took too long */
            }
        }
        atomic_fetch_add(&orders, 1);
    }
    return 0;
}

static int ask_before_cancelling(void)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, take_orders, NULL, NULL);
    if (status < 0) {
        return status;
    }
    while (atomic_load(&orders) < 3 && status == 0) {
        status = skua_yield();
    }
    skua_task_stop(task, skua_after(SKUA_SEC(5)));
    int joined = skua_join(task, &result, SKUA_FOREVER);
    printf("orders taken: %s, none half: %s\n", atomic_load(&orders) >= 3 ? "some" : "none",
           result == 0 ? "yes" : "no");
    skua_task_release(task);
    return status < 0 ? status : joined;
}

/* --- shields and deferred calls --------------------------------------------------------------- */

static int say_goodbye(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_MS(2))); /* the other side answers */
    printf("goodbye to %s: %s\n", (const char *)arg, status == 0 ? "said" : "cut short");
    return status;
}

static void remove_file(void *arg)
{
    printf("removed %s\n", (const char *)arg);
}

static int write_and_rename(void *arg)
{
    static char temporary[] = "list.tmp";
    static char peer[] = "the replica";
    int status = skua_defer(remove_file, temporary); /* runs in any case, when the task ends */
    if (status < 0) {
        return status; /* it has run already */
    }
    status = skua_sleep(SKUA_FOREVER);
    int said = skua_shielded(skua_after(SKUA_SEC(1)), say_goodbye, peer);
    return said < 0 ? said : status;
}

static int clean_up_when_cancelled(void)
{
    skua_task *task;
    int result = 0;
    int status = skua_spawn(&task, write_and_rename, NULL, NULL);
    if (status < 0) {
        return status;
    }
    skua_task_cancel(task);
    status = skua_join(task, &result, SKUA_FOREVER);
    printf("the writer ended: %s\n", skua_error_text(result));
    skua_task_release(task);
    return status;
}

/* --- resources -------------------------------------------------------------------------------- */

struct connection {
    const char *host;
    int sent;
};

static int connection_enter(void *self)
{
    struct connection *connection = self;
    printf("connected to %s\n", connection->host);
    return 0;
}

static int connection_exit(void *self, int status)
{
    struct connection *connection = self;
    int flushed = skua_sleep(skua_after(SKUA_MS(1))); /* allowed, also when cancelled */
    printf("closed %s after %d\n", connection->host, connection->sent);
    return status == -EPIPE ? 0 : status < 0 ? status : flushed; /* a closed pipe is no failure */
}

static const skua_resource connections = {connection_enter, connection_exit};

static int send_until_refused(void *arg)
{
    struct connection *connection = arg;
    connection->sent = 3;
    return -EPIPE;
}

static int use_a_resource(void)
{
    struct connection connection = {"example.org", 0};
    int status = skua_with(&connections, &connection, send_until_refused, &connection);
    printf("sending: %s\n", status == 0 ? "well" : skua_error_text(status));
    return status;
}

/* Setup, body, teardown, in one function: the body may be anything. */
static int with_timer(const char *what, skua_fn body, void *arg)
{
    skua_time begun = skua_clock();
    int status = body(arg);
    printf("%s took %s\n", what, skua_elapsed_ns(begun) < SKUA_SEC(5) ? "no time" : "long");
    return status;
}

static int use_a_manager(void)
{
    int status = with_timer("fetching", fetch_quickly, NULL);
    return status < 0 ? status : 0;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int run(void *arg)
{
    int (*const parts[])(void) = {
        fail_or_move_on,         copy_with_watchdog, cancel_for_a_reason, ask_before_cancelling,
        clean_up_when_cancelled, use_a_resource,     use_a_manager,
    };
    int status = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == 0; i++) {
        status = parts[i]();
    }
    return status;
}

int main(void)
{
    int status = skua_run(NULL, run, NULL);
    if (status < 0) {
        fprintf(stderr, "%s\n", skua_error_text(status));
    }
    return status < 0;
}
