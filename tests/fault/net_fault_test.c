/* Sockets without memory: whatever is opened, the n-th allocation fails, and nothing is left
   open. */
#include "../net_help.h"
#include "base/mem.h"

#include <stdatomic.h>

static skua_address place;
static int outside; /* a listener that is no task's */

/* Each opens something, closes it again, and returns what opening said. */
static int close_it(int fd)
{
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd < 0 ? fd : 0;
}

static int listen_somewhere(void)
{
    return close_it(skua_tcp_listen("127.0.0.1:0", NULL));
}

static int connect_somewhere(void)
{
    return close_it(skua_tcp_connect_to(&place, NULL, SKUA_FOREVER));
}

static int open_datagrams(void)
{
    return close_it(skua_datagram_open(&place, NULL, NULL));
}

static int open_ends(void)
{
    int ends[2];
    const int status = skua_socket_pair(ends, SOCK_STREAM);
    if (status == 0) {
        close_both(ends);
    }
    return status;
}

struct attempt {
    int (*open)(void);
    int64_t budget;
    int status;
};

static int open_one(void *arg)
{
    struct attempt *attempt = arg;
    atomic_store(&skua__alloc_budget, attempt->budget);
    attempt->status = attempt->open();
    atomic_store(&skua__alloc_budget, -1);
    return 0;
}

/* In runtimes of their own, which have no I/O yet. Returns how many allocations it took. */
static int fail_each(int (*open)(void))
{
    const skua_config config = {.workers = 1};
    for (int64_t budget = 0;; budget++) {
        struct attempt attempt = {.open = open, .budget = budget};
        const int fds = test_fds();
        CHECK_INT(skua_run(&config, open_one, &attempt), 0);
        CHECK_INT(test_fds(), fds);
        if (attempt.status == 0) {
            return (int)budget;
        }
        CHECK_INT(attempt.status, -ENOMEM);
        CHECK(budget < 20);
    }
}

static void nothing_is_open_where_memory_ends(void **state)
{
    skua_address any = address_of("127.0.0.1:0");
    outside = skua_listen_at(&any, NULL); /* by a foreign thread: a plain fd */
    CHECK(outside >= 0);
    place = place_of(outside);
    CHECK(fail_each(listen_somewhere) > 0);
    CHECK(fail_each(connect_somewhere) > 0);
    CHECK(fail_each(open_datagrams) > 0);
    CHECK(fail_each(open_ends) > 0);
    skua_close(outside);
}

/* The records of fds come in chunks of 256 numbers: the pair stands on both sides of that. */
static int open_across(void *arg)
{
    int filler[300], count = 0, ends[2];
    open_pair(ends); /* the poller has its fds */
    close_both(ends);
    do {
        filler[count] = dup(0);
        CHECK(filler[count] >= 0);
    } while (filler[count++] < 254);
    CHECK_INT(skua_fd_adopt(filler[0]), 0); /* the first chunk is there */
    const int fds = test_fds();
    atomic_store(&skua__alloc_budget, 0);
    const int status = skua_socket_pair(ends, SOCK_STREAM);
    atomic_store(&skua__alloc_budget, -1);
    CHECK_INT(status, -ENOMEM);
    CHECK_INT(test_fds(), fds);
    skua_close(filler[0]);
    for (int i = 1; i < count; i++) {
        close(filler[i]);
    }
    return 0;
}

static void a_pair_is_whole_or_not_there(void **state)
{
    run(open_across, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_open_where_memory_ends),
        TEST(a_pair_is_whole_or_not_there),
    };
    return TEST_RUN(tests);
}
