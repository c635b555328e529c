/* Accepting under difficulties: errors of the network, no fds, and a runtime that drains. The
   kernel's part is played by an accept4(2) of this program's own. */
#include "net_help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Which errors come next; then real ones. */
static _Atomic(const int *) next_errors;
static _Atomic int accept_calls;

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    const int *errors = atomic_load(&next_errors);
    atomic_fetch_add(&accept_calls, 1);
    if (errors != NULL && *errors != 0) {
        atomic_store(&next_errors, errors + 1);
        errno = *errors;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, address, bytes, flags);
}

static void fail_with(const int *errors)
{
    atomic_store(&next_errors, errors);
    atomic_store(&accept_calls, 0);
}

static int accept_through_errors(void *arg)
{
    static const int errors[] = {
        ECONNABORTED, EINTR,        ENETDOWN,    EPROTO, ENOPROTOOPT, EHOSTDOWN, ECONNABORTED,
        ENONET,       EHOSTUNREACH, ENETUNREACH, 0};
    skua_address at;
    const int listener = listen_tcp(&at, NULL);
    const int client = connect_to(&at);
    fail_with(errors);
    const int server = accept_one(listener);
    CHECK_INT(atomic_load(&accept_calls), sizeof errors / sizeof errors[0]);
    static const int fatal[] = {EOPNOTSUPP, 0};
    fail_with(fatal);
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_FOREVER), -EOPNOTSUPP);
    skua_close(client);
    skua_close(server);
    skua_close(listener);
    return 0;
}

static void connections_that_failed_are_passed_over(void **state)
{
    run(accept_through_errors, NULL);
}

/* --- shortages --- */

static int accept_in_task(void *arg)
{
    const int fd = skua_accept(*(int *)arg, NULL, NULL, SKUA_FOREVER);
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd < 0 ? fd : 0;
}

/* A cancel that comes after the pause finds the call over, and says nothing: then once more. */
static void cancel_in_the_pause(int *listener, const int shortage[])
{
    int status = 0;
    while (status != -ECANCELED) {
        fail_with(shortage);
        skua_task *task = spawn(accept_in_task, listener);
        while (atomic_load(&accept_calls) == 0) {
            skua_yield();
        }
        skua_task_cancel(task);
        status = join(task);
        CHECK(status == -ECANCELED || status == -shortage[0]);
    }
}

static int accept_in_need(void *arg)
{
    static const int shortages[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    skua_address at;
    int listener = listen_tcp(&at, NULL);
    for (int i = 0; i < 4; i++) {
        const int once[] = {shortages[i], 0}, often[] = {shortages[i], shortages[i], 0};
        const int client = connect_to(&at);
        fail_with(often);
        CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_FOREVER), -shortages[i]); /* it is told */
        CHECK_INT(atomic_load(&accept_calls), 2);
        fail_with(once);
        CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_NOW), -shortages[i]);
        fail_with(often); /* the deadline bounds the pause, and is not what is told */
        CHECK_INT(skua_accept(listener, NULL, NULL, skua_after(SKUA_US(10))), -shortages[i]);
        cancel_in_the_pause(&listener, often);
        fail_with(once); /* and over when it tries again: nobody is told */
        const int server = accept_one(listener);
        skua_close(server);
        skua_close(client);
    }
    skua_close(listener);
    return 0;
}

/* covers: A72 */
static void a_shortage_is_told_after_a_pause(void **state)
{
    run(accept_in_need, NULL);
}

struct loop {
    int listener;
    _Atomic int errors, accepted;
};

enum { CLIENTS = 5 };

/* The plainest loop there is: it goes on whatever happens. */
static int accept_always(void *arg)
{
    struct loop *loop = arg;
    while (atomic_load(&loop->accepted) < CLIENTS) {
        const int fd = skua_accept(loop->listener, NULL, NULL, SKUA_FOREVER);
        if (fd < 0) {
            CHECK_INT(fd, -EMFILE);
            atomic_fetch_add(&loop->errors, 1);
            continue;
        }
        atomic_fetch_add(&loop->accepted, 1);
        skua_close(fd);
    }
    return 0;
}

/* Without fds for a while. */
static int starve(void *arg)
{
    skua_address at;
    struct rlimit before, tight;
    struct loop loop = {0};
    int clients[CLIENTS];
    loop.listener = listen_tcp(&at, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_to(&at);
    }
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    fail_with(NULL);
    const skua_time start = skua_clock();
    skua_task *task = spawn(accept_always, &loop);
    while (atomic_load(&loop.errors) < 3) {
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(1))), 0);
    }
    const int64_t starved_ns = skua_elapsed_ns(start);
    CHECK(starved_ns >= 3 * SKUA_MS(50));         /* no spinning: three errors, six tries */
    const int calls = atomic_load(&accept_calls); /* before the errors, which go on meanwhile */
    CHECK(calls <= 2 * atomic_load(&loop.errors) + 2);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(join(task), 0); /* none was lost */
    CHECK_INT(atomic_load(&loop.accepted), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        skua_close(clients[i]);
    }
    skua_close(loop.listener);
    return 0;
}

static void a_loop_without_fds_neither_spins_nor_loses(void **state)
{
    run(starve, NULL);
}

/* --- draining --- */

enum { LISTENERS = 3 };

struct draining {
    int listeners[LISTENERS], pair[2];
    skua_task *acceptors[LISTENERS];
};

static void park_acceptors(struct draining *draining)
{
    skua_address at;
    for (int i = 0; i < LISTENERS; i++) {
        draining->listeners[i] = listen_tcp(&at, NULL);
        draining->acceptors[i] = spawn(accept_in_task, &draining->listeners[i]);
        while (!has_waiter(draining->listeners[i], 0)) {
            skua_yield();
        }
    }
}

static void end_acceptors(const struct draining *draining)
{
    for (int i = 0; i < LISTENERS; i++) {
        CHECK_INT(join(draining->acceptors[i]), -ESHUTDOWN);
        skua_close(draining->listeners[i]);
    }
}

static void *drain_on_thread(void *runtime)
{
    skua_drain(runtime, skua_after(SKUA_SEC(100)));
    return NULL;
}

static int select_reading(void *arg)
{
    skua_case cases[] = {SKUA_READY(*(int *)arg, SKUA_READABLE)};
    return skua_select(cases, 1, 0, SKUA_FOREVER);
}

static int wait_reading(void *arg)
{
    return skua_wait_fd(*(int *)arg, SKUA_READABLE, SKUA_FOREVER);
}

/* Who only looks whether somebody comes is not told, and does not take the drain for a visitor. */
static void look_on(skua_fn look, int want)
{
    skua_address at;
    int listener = listen_tcp(&at, NULL);
    skua_task *task = spawn(look, &listener);
    while (!has_waiter(listener, 0)) {
        skua_yield();
    }
    skua_drain(NULL, skua_after(SKUA_SEC(100)));
    while (!has_waiter(listener, 0)) { /* back again */
        skua_yield();
    }
    const int client = connect_to(&at);
    CHECK_INT(join(task), want);
    skua_close(client);
    skua_close(listener);
}

static int look_on_both(void *arg)
{
    look_on(wait_reading, SKUA_READABLE);
    look_on(select_reading, 0);
    return 0;
}

static void draining_is_no_visitor(void **state)
{
    fail_with(NULL);
    run(look_on_both, NULL);
}

/* Acceptors end; who reads goes on. */
static int drain_beside(void *arg)
{
    const bool is_outside = arg != NULL;
    struct draining draining;
    pthread_t thread;
    char byte;
    skua_address at;
    fail_with(NULL);
    park_acceptors(&draining);
    const int listener = listen_tcp(&at, NULL), client = connect_to(&at);
    open_pair(draining.pair);
    struct one_byte reader = {.fd = draining.pair[0]};
    skua_task *reading = park_reader(&reader);
    if (is_outside) {
        CHECK_INT(pthread_create(&thread, NULL, drain_on_thread, skua_runtime_current()), 0);
        end_acceptors(&draining);
        CHECK_INT(pthread_join(thread, NULL), 0);
    } else {
        skua_drain(NULL, skua_after(SKUA_SEC(100)));
        end_acceptors(&draining);
    }
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_NOW), -ESHUTDOWN);
    skua_close(client);
    skua_close(listener);
    CHECK_INT(skua_join(reading, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_write(draining.pair[1], "x", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(reading), 1);
    CHECK_INT(reader.byte, 'x');
    CHECK_INT(skua_read(draining.pair[1], &byte, 1, SKUA_NOW), -EAGAIN);
    close_both(draining.pair);
    return 0;
}

static void run_on(int workers, skua_fn fn, void *arg)
{
    const skua_config config = {.workers = (uint32_t)workers};
    const int fds = test_fds();
    CHECK_INT(skua_run(&config, fn, arg), 0);
    CHECK_INT(test_fds(), fds);
}

static void draining_ends_accepts_and_nothing_else(void **state)
{
    for (int workers = 1; workers <= 4; workers *= 2) {
        run_on(workers, drain_beside, NULL);
        run_on(workers, drain_beside, (void *)1);
    }
}

static int drain_now(void *arg)
{
    (void)arg;
    skua_drain(NULL, skua_after(SKUA_SEC(100)));
    return 0;
}

/* The drain begins at any moment of the accept. */
static int drain_at_once(void *arg)
{
    skua_address at;
    int listener = listen_tcp(&at, NULL);
    skua_task *draining = spawn(drain_now, NULL);
    const int status = accept_in_task(&listener);
    CHECK_INT(status, -ESHUTDOWN);
    CHECK_INT(join(draining), 0);
    skua_close(listener);
    return 0;
}

static void no_accept_misses_the_drain(void **state)
{
    fail_with(NULL);
    for (int i = 0; i < 100 / TEST_SCALE; i++) {
        run_on(1 + i % 4, drain_at_once, NULL);
    }
}

static int accept_shielded(void *arg)
{
    int *listener = arg;
    skua_scope shield = {{0}};
    skua_shield_open(&shield, skua_after(SKUA_SEC(100)));
    int status = accept_in_task(listener);
    CHECK_INT(status, -ESHUTDOWN);
    skua_close(*listener);
    status = skua_scope_close(&shield, 0);
    return status;
}

static int leave_acceptor(void *arg)
{
    static int listener;
    skua_address at;
    listener = listen_tcp(&at, NULL);
    CHECK_INT(skua_spawn(NULL, accept_shielded, &listener, NULL), 0);
    while (!has_waiter(listener, 0)) {
        skua_yield();
    }
    return 0; /* the end of the runtime does the rest */
}

static void the_end_of_the_runtime_ends_shielded_accepts(void **state)
{
    run(leave_acceptor, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_that_failed_are_passed_over),
        TEST(a_shortage_is_told_after_a_pause),
        TEST(a_loop_without_fds_neither_spins_nor_loses),
        TEST(draining_ends_accepts_and_nothing_else),
        TEST(draining_is_no_visitor),
        TEST(no_accept_misses_the_drain),
        TEST(the_end_of_the_runtime_ends_shielded_accepts),
    };
    return TEST_RUN(tests);
}
