/* Connecting by name, and to whichever address answers first. Who does not answer is a listener
   with a full line: on loopback, and as silent as a dead host. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "net_help.h"

#include <arpa/inet.h>
#include <poll.h>
#include <skua/skua.h>
#include <stdatomic.h>

/* An attempt is given so long that no test ends by it, or hardly any time. */
static const skua_tcp_connect_opts patient = {.attempt_delay_ns = SKUA_SEC(1000)};
static const skua_tcp_connect_opts hasty = {.attempt_delay_ns = SKUA_MS(10)};

/* --- addresses that answer, refuse, and do neither ---------------------------------------------
   */

enum { LINE = 4 };

struct hole {
    int listener, line[LINE];
    skua_address address;
};

/* Plain fds, which nobody accepts from: the line is full as soon as one stands in it. */
static void open_hole(struct hole *hole)
{
    hole->address = address_of("127.0.0.1:0");
    hole->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(hole->listener >= 0);
    CHECK_INT(bind(hole->listener, &hole->address.any, hole->address.bytes), 0);
    CHECK_INT(listen(hole->listener, 0), 0);
    CHECK_INT(getsockname(hole->listener, &hole->address.any, &hole->address.bytes), 0);
    for (int i = 0; i < LINE; i++) {
        hole->line[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(hole->line[i] >= 0);
        CHECK_INT(connect(hole->line[i], &hole->address.any, hole->address.bytes), -1);
        CHECK_INT(errno, EINPROGRESS);
        if (i == 0) {
            struct pollfd first = {.fd = hole->line[0], .events = POLLOUT};
            CHECK_INT(poll(&first, 1, 5000), 1);
        }
    }
}

static void close_hole(struct hole *hole)
{
    for (int i = 0; i < LINE; i++) {
        close(hole->line[i]);
    }
    close(hole->listener);
}

/* A port that is taken, where nobody listens, until forget_refusing(). */
static int refusers[8], refuser_count;

static skua_address refusing(void)
{
    skua_address at = address_of("127.0.0.1:0");
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && refuser_count < 8);
    CHECK_INT(bind(fd, &at.any, at.bytes), 0);
    CHECK_INT(getsockname(fd, &at.any, &at.bytes), 0);
    refusers[refuser_count++] = fd;
    return at;
}

static void forget_refusing(void)
{
    while (refuser_count > 0) {
        close(refusers[--refuser_count]);
    }
}

/* The connection leads there. */
static void expect_peer(int fd, const skua_address *want)
{
    skua_address peer;
    CHECK(fd >= 0);
    CHECK_INT(skua_peer_address(fd, &peer), 0);
    CHECK(skua_address_equal(&peer, want));
    skua_close(fd);
}

/* --- one after the other -----------------------------------------------------------------------
   */

static int connect_past_refusals(void *arg)
{
    skua_address addresses[4] = {refusing(), refusing(), refusing()};
    const int listener = listen_tcp(&addresses[3], NULL);
    const int fd = skua_tcp_connect_any(addresses, 4, &patient, SKUA_FOREVER);
    expect_peer(fd, &addresses[3]);
    skua_close(listener);
    forget_refusing();
    return 0;
}

static void a_refusal_goes_on_to_the_next_at_once(void **state)
{
    run(connect_past_refusals, NULL);
}

static int connect_past_silence(void *arg)
{
    struct hole holes[2];
    skua_address addresses[3];
    open_hole(&holes[0]);
    open_hole(&holes[1]);
    addresses[0] = holes[0].address;
    addresses[1] = holes[1].address;
    const int listener = listen_tcp(&addresses[2], NULL);
    const skua_time start = skua_clock();
    const int fd = skua_tcp_connect_any(addresses, 3, &hasty, SKUA_FOREVER);
    CHECK(skua_elapsed_ns(start) >= 2 * SKUA_MS(10));
    expect_peer(fd, &addresses[2]);
    skua_close(listener);
    close_hole(&holes[0]);
    close_hole(&holes[1]);
    return 0;
}

static void silence_gives_the_next_its_turn(void **state)
{
    run(connect_past_silence, NULL);
}

static int listen_ip6(skua_address *at)
{
    const int listener = skua_tcp_listen("[::1]:0", NULL);
    if (listener >= 0) {
        *at = place_of(listener);
    }
    return listener;
}

/* The second one to be tried is of the other family, though it stands third. */
static int connect_by_turns(void *arg)
{
    skua_address addresses[3];
    const int listener4 = listen_tcp(&addresses[1], NULL);
    const int listener6 = listen_ip6(&addresses[2]);
    if (listener6 < 0) {
        printf("no IPv6 here: the families' turns are not shown\n");
        skua_close(listener4);
        return 0;
    }
    addresses[0] = refusing();
    const int fd = skua_tcp_connect_any(addresses, 3, &patient, SKUA_FOREVER);
    expect_peer(fd, &addresses[2]);
    skua_close(listener4);
    skua_close(listener6);
    forget_refusing();
    return 0;
}

static void the_families_take_turns(void **state)
{
    run(connect_by_turns, NULL);
}

enum { RACES = 100 };

/* Refused ones make the others start at once, so that both stand at about the same time. */
static int race_often(void *arg)
{
    skua_address addresses[6] = {refusing()};
    int listeners[5];
    for (int i = 0; i < 5; i++) {
        listeners[i] = listen_tcp(&addresses[i + 1], NULL);
    }
    for (int i = 0; i < RACES; i++) {
        const skua_tcp_connect_opts opts = {.attempt_delay_ns = 1};
        const int fd = skua_tcp_connect_any(addresses, 6, &opts, SKUA_FOREVER);
        CHECK(fd >= 0);
        skua_close(fd);
    }
    for (int i = 0; i < 5; i++) {
        skua_close(listeners[i]);
    }
    forget_refusing();
    return 0;
}

static void only_one_connection_is_left(void **state)
{
    run(race_often, NULL);
}

/* --- when nobody answers -----------------------------------------------------------------------
   */

struct trial {
    const skua_address *addresses;
    size_t count;
    const skua_tcp_connect_opts *opts;
    skua_time deadline;
};

static int try_all(void *arg)
{
    const struct trial *trial = arg;
    return skua_tcp_connect_any(trial->addresses, trial->count, trial->opts, trial->deadline);
}

static int connect_in_vain(void *arg)
{
    char text[2][SKUA_ADDRESS_TEXT_BYTES];
    skua_address addresses[3] = {address_of("255.255.255.255:9"), refusing(), refusing()};
    const struct trial trial = {.addresses = addresses, .count = 3, .opts = &patient};
    skua_task *task = spawn(try_all, (void *)(uintptr_t)&trial);
    int status = 0;
    CHECK_INT(skua_join(task, &status, SKUA_FOREVER), 0);
    CHECK_INT(status, -ECONNREFUSED); /* that one got furthest */
    const skua_error *error = skua_task_error(task);
    CHECK(error != NULL && error->text != NULL);
    for (int i = 0; i < 2; i++) {
        skua_address_text(&addresses[i + 1], text[i], sizeof text[i]);
        CHECK(strstr(error->text, text[i]) != NULL);
    }
    CHECK(strstr(error->text, "255.255.255.255:9: ") != NULL);
    skua_task_release(task);
    CHECK_INT(skua_tcp_connect_any(&addresses[1], 1, NULL, SKUA_FOREVER), -ECONNREFUSED);
    forget_refusing();
    return 0;
}

static void the_error_of_the_attempt_that_got_furthest_is_told(void **state)
{
    run(connect_in_vain, NULL);
}

/* Each attempt has hardly any time; the third one needs enough to be refused. */
static void try_briefly(const skua_address addresses[], size_t count)
{
    int status = -ETIMEDOUT;
    for (int64_t attempt_ns = SKUA_MS(5); status == -ETIMEDOUT; attempt_ns *= 2) {
        const skua_tcp_connect_opts brief = {.attempt_delay_ns = 1, .attempt_ns = attempt_ns};
        struct trial trial = {addresses, count, &brief, SKUA_FOREVER};
        status = try_all(&trial);
        if (count < 3) {
            CHECK_INT(status, -ETIMEDOUT);
            return;
        }
    }
    CHECK_INT(status, -ECONNREFUSED);
}

static int connect_to_silence(void *arg)
{
    struct hole hole;
    int ends[2];
    open_pair(ends); /* the poller has its fds */
    close_both(ends);
    open_hole(&hole);
    const skua_address addresses[3] = {hole.address, hole.address, refusing()};
    const int fds = test_fds();
    for (size_t count = 1; count <= 3; count++) {
        struct trial trial = {addresses, count, &hasty, skua_after(SKUA_MS(40))};
        CHECK_INT(try_all(&trial), -ETIMEDOUT);
        CHECK_INT(skua_within(skua_after(SKUA_MS(20)), try_all,
                              &(struct trial){addresses, count, &hasty, SKUA_FOREVER}),
                  -ETIMEDOUT);
        trial.deadline = SKUA_NOW;
        CHECK_INT(try_all(&trial), -EAGAIN);
        try_briefly(addresses, count);
        trial = (struct trial){addresses, count, &hasty, SKUA_FOREVER};
        skua_task *task = spawn(try_all, &trial);
        CHECK_INT(skua_sleep(skua_after(SKUA_MS(15))), 0); /* somewhere in the middle */
        skua_task_cancel(task);
        CHECK_INT(join(task), -ECANCELED);
        CHECK_INT(test_fds(), fds);
    }
    close_hole(&hole);
    forget_refusing();
    return 0;
}

static void late_or_cancelled_it_leaves_nothing_open(void **state)
{
    run(connect_to_silence, NULL);
}

/* --- by name -----------------------------------------------------------------------------------
   */

/* "two.test" is a hole and a listener, both at the port that is asked for. */
static int lookup(const skua_question *question, skua_address addresses[], size_t capacity,
                  void *arg)
{
    if (strcmp(question->host, "two.test") != 0) {
        return -ENOENT;
    }
    CHECK_INT(question->family, 0);
    CHECK_INT(question->type, SOCK_STREAM);
    addresses[0] = address_of("127.0.0.7:1");
    addresses[1] = address_of("127.0.0.1:1");
    return 2;
}

static int connect_by_name(void *arg)
{
    static const skua_resolver_opts opts = {.lookup = lookup, .hosts_path = ""};
    static const skua_tcp_connect_opts ip4 = {.family = AF_INET};
    char service[16];
    skua_address at;
    const int listener = listen_tcp(&at, NULL);
    CHECK_INT(skua_resolver_setup(&opts), 0);
    snprintf(service, sizeof service, "%d", skua_address_port(&at));
    expect_peer(skua_tcp_connect("two.test", service, &patient, SKUA_FOREVER), &at);
    expect_peer(skua_tcp_connect("127.0.0.1", service, NULL, SKUA_FOREVER), &at);
    expect_peer(skua_tcp_connect("localhost", service, NULL, SKUA_FOREVER), &at);
    expect_peer(skua_tcp_connect(NULL, service, &ip4, SKUA_FOREVER), &at);
    CHECK_INT(skua_tcp_connect("none.test", service, NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_tcp_connect("two.test", "", NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_tcp_connect("127.0.0.1", service, NULL, SKUA_NOW), -EAGAIN);
    skua_close(listener);
    return 0;
}

/* covers: A72 */
static void a_host_is_reached_by_its_name(void **state)
{
    run(connect_by_name, NULL);
}

static int refuse_bad_input(void *arg)
{
    const skua_tcp_connect_opts negative = {.attempt_ns = -1};
    const skua_address address = address_of("127.0.0.1:9");
    CHECK_INT(skua_tcp_connect_any(&address, 0, NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_tcp_connect_any(&address, 1, &negative, SKUA_FOREVER), -EINVAL);
    return 0;
}

static void bad_input_is_refused(void **state)
{
    const skua_address address = address_of("127.0.0.1:9");
    run(refuse_bad_input, NULL);
    CHECK_INT(skua_tcp_connect_any(&address, 1, NULL, SKUA_FOREVER), -EPERM);
    CHECK_INT(skua_tcp_connect("127.0.0.1", "9", NULL, SKUA_FOREVER), -EPERM);
}

static int connect_without_memory(void *arg)
{
    char service[16];
    skua_address at;
    int failures = 0;
    const int listener = listen_tcp(&at, NULL);
    const int fds = test_fds();
    snprintf(service, sizeof service, "%d", skua_address_port(&at));
    for (int64_t budget = 0, fd = -ENOMEM; fd < 0; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        fd = skua_tcp_connect("localhost", service, &patient, SKUA_FOREVER);
        atomic_store(&skua__alloc_budget, -1);
        CHECK(fd >= 0 || fd == -ENOMEM || fd == -ECONNREFUSED);
        if (fd >= 0) {
            skua_close((int)fd);
        }
        CHECK_INT(test_fds(), fds);
        failures += fd < 0;
    }
    CHECK(failures > 0);
    skua_close(listener);
    return 0;
}

static void without_memory_nothing_stays_open(void **state)
{
    const skua_config config = {.workers = 1};
    CHECK_INT(skua_run(&config, connect_without_memory, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refusal_goes_on_to_the_next_at_once),
        TEST(silence_gives_the_next_its_turn),
        TEST(the_families_take_turns),
        TEST(only_one_connection_is_left),
        TEST(the_error_of_the_attempt_that_got_furthest_is_told),
        TEST(late_or_cancelled_it_leaves_nothing_open),
        TEST(a_host_is_reached_by_its_name),
        TEST(bad_input_is_refused),
        TEST(without_memory_nothing_stays_open),
    };
    return TEST_RUN(tests);
}
