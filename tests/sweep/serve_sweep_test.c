/* Classes of blocking calls, names, connecting, serving and pools, disturbed wherever they wait:
   every call runs once or never, lookups that were left answer the next one, every connection is
   closed, and what was lent comes back. */
#include "sweep.h"

#include <skua/blocking.h>
#include <skua/conn_pool.h>
#include <skua/io.h>
#include <skua/resolve.h>
#include <skua/serve.h>

static skua_event event;

static void set_event(void)
{
    skua_event_set(&event);
}

static void until_all_are_back(void)
{
    while (!sweep.victim.has_returned || (sweep.rival.task != NULL && !sweep.rival.has_returned)) {
        (void)!skua_yield();
    }
}

static void until_victim_is_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

/* --- classes ---------------------------------------------------------------------------------- */

static skua_blocking_class *class;
static atomic_int begun, ended;

static void make_class(void)
{
    event = (skua_event){{0}};
    begun = ended = 0;
    SAME(skua_blocking_class_create(&class, "swept", 1), 0);
}

static int wait_for_event(void *arg)
{
    atomic_fetch_add(&begun, 1);
    const int status = skua_event_wait(&event, SKUA_FOREVER);
    atomic_fetch_add(&ended, 1);
    return status;
}

static int block_in_class(skua_time deadline)
{
    return skua_blocking_in(class, wait_for_event, NULL, deadline);
}

static int block_and_leave(skua_time deadline)
{
    int copied = 0;
    return skua_blocking_abandonable(class, wait_for_event, &copied, sizeof copied, NULL, deadline);
}

static void class_is_free(int status)
{
    set_event();
    while (atomic_load(&begun) != atomic_load(&ended)) {
        (void)!skua_yield();
    }
    skua_blocking_class_destroy(class);
}

/* --- names ------------------------------------------------------------------------------------ */

static int listener;
static skua_address place;

static int look_up(const skua_question *question, skua_address addresses[], size_t capacity,
                   void *arg)
{
    SAME(skua_event_wait(&event, SKUA_FOREVER), 0);
    addresses[0] = place;
    return 1;
}

static size_t running_lookups(void)
{
    skua_resolver_counts now;
    skua_resolver_count(&now);
    return now.running;
}

static void forget_names(void)
{
    static const skua_resolver_opts opts = {.lookup = look_up, .hosts_path = ""};
    const int status = skua_resolver_setup(&opts);
    SAME(status == 0 || status == -EBUSY, true); /* once for all rounds */
    skua_resolver_clear();
    event = (skua_event){{0}};
    SAME(skua_address_parse("127.0.0.1:9", &place), 0);
}

static int resolve(skua_time deadline)
{
    skua_address found;
    const int status = skua_resolve("swept.test", "80", NULL, &found, 1, deadline);
    SAME(status < 0 || skua_address_port(&found) == 80, true);
    return status;
}

static void no_lookup_is_left(int status)
{
    set_event();
    while (running_lookups() > 0) {
        (void)!skua_yield();
    }
}

/* --- connecting ------------------------------------------------------------------------------- */

static void listen_by_name(void)
{
    forget_names();
    sweep.rival.status = -1;
    listener = skua_tcp_listen("127.0.0.1:0", NULL);
    SAME(listener >= 0, true);
    SAME(skua_local_address(listener, &place), 0);
}

static int connect_by_name(skua_time deadline)
{
    char service[16];
    snprintf(service, sizeof service, "%d", skua_address_port(&place));
    return skua_tcp_connect("swept.test", service, NULL, deadline);
}

static void connections_are_closed(int status)
{
    if (status >= 0) {
        skua_close(status);
    }
    if (sweep.rival.status >= 0) {
        skua_close(sweep.rival.status);
    }
    skua_close(listener);
    no_lookup_is_left(status);
}

/* --- serving ---------------------------------------------------------------------------------- */

static skua_server server;

static void make_server(void)
{
    server = (skua_server){{0}};
}

static int return_at_once(skua_client *client)
{
    return 0;
}

static int serve(skua_time deadline)
{
    const int fd = skua_tcp_listen("127.0.0.1:0", NULL);
    SAME(fd >= 0, true);
    return skua_serve(&server, fd, return_at_once, NULL, NULL);
}

static void stop_server(void)
{
    skua_server_stop(&server, SKUA_FOREVER);
}

static void no_connection_is_left(int status)
{
    skua_server_counts now;
    skua_server_count(&server, &now);
    SAME(now.connections, 0);
}

/* --- pools ------------------------------------------------------------------------------------ */

static skua_conn_pool *pool;
static skua_sem may_open;
static gate opened, closed;
static int number;
static void *lent;

static int open_number(void **out, void *arg)
{
    const int status = skua_sem_acquire(&may_open, 1, SKUA_FOREVER);
    if (status == 0) {
        opened++;
        *out = &number;
    }
    return status;
}

static void close_number(void *thing, void *arg)
{
    closed++;
}

static void make_pool(void)
{
    const skua_conn_pool_opts opts = {.open = open_number, .close = close_number, .open_max = 1};
    opened = closed = 0;
    lent = NULL;
    skua_sem_init(&may_open, 0);
    SAME(skua_conn_pool_create(&pool, &opts), 0);
}

static void make_lent_pool(void)
{
    make_pool();
    skua_sem_release(&may_open, 1);
    SAME(skua_conn_pool_acquire(pool, &lent, SKUA_FOREVER), 0);
}

static void may_open_one(void)
{
    skua_sem_release(&may_open, 1);
}

static void give_back(void)
{
    if (lent != NULL) {
        skua_conn_pool_release(pool, lent);
        lent = NULL;
    }
}

static int borrow(skua_time deadline)
{
    void *thing = NULL;
    const int status = skua_conn_pool_acquire(pool, &thing, deadline);
    if (status == 0) {
        skua_conn_pool_release(pool, thing);
    }
    return status;
}

static int close_pool(skua_time deadline)
{
    return skua_conn_pool_close(pool, deadline);
}

static void pool_is_whole(int status)
{
    skua_conn_pool_counts now;
    give_back();
    skua_conn_pool_count(pool, &now);
    SAME(now.lent + now.opening + now.waiting, 0);
    skua_conn_pool_destroy(pool);
    SAME(opened, closed);
}

/* --- the table -------------------------------------------------------------------------------- */

static const swept entries[] = {
    {"skua_blocking_in: once it has started", make_class, block_in_class, set_event, class_is_free,
     .await = until_victim_is_back,
     .flags = SWEEP_NO_DEADLINE | SWEEP_AWAITS | SWEEP_ALONE | SWEEP_REAL},
    {"skua_blocking_abandonable", make_class, block_and_leave, set_event, class_is_free,
     .await = until_all_are_back, .flags = SWEEP_REAL},
    {"skua_resolve", forget_names, resolve, set_event, no_lookup_is_left,
     .await = until_all_are_back, .done = 1, .flags = SWEEP_REAL},
    {"skua_tcp_connect", listen_by_name, connect_by_name, set_event, connections_are_closed,
     .await = until_all_are_back, .done = SWEEP_FINE, .flags = SWEEP_REAL | SWEEP_BEGINS},
    {"skua_serve", make_server, serve, stop_server, no_connection_is_left,
     .await = until_victim_is_back, .flags = SWEEP_NO_DEADLINE | SWEEP_ALONE | SWEEP_REAL},
    {"skua_conn_pool_acquire: in line", make_lent_pool, borrow, give_back, pool_is_whole,
     .done = 0},
    {"skua_conn_pool_acquire: while it opens", make_pool, borrow, may_open_one, pool_is_whole,
     .done = 0},
    {"skua_conn_pool_close", make_lent_pool, close_pool, give_back, pool_is_whole, .done = 0},
};

/* covers: B12 */
static void serving_is_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(serving_is_swept)};
    return TEST_RUN(tests);
}
