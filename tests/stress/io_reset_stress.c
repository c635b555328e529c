/* Connections that are opened, used and reset, at every moment of an exchange: each call says what
   became of it, no SIGPIPE is raised (its action is the default one here), and afterwards nothing
   is left: no fd, no task, no memory. SKUA_STRESS_SECONDS, shared by 1, 2 and 4 workers. */
#include "../io_help.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

enum { MOMENTS = 8, BLOCK_BYTES = 3000, CLIENTS = 16 };

static struct sockaddr_in server_address;

/* What may come of a call on a connection that the peer has reset. */
static bool is_reset(ssize_t status)
{
    return status == -ECONNRESET || status == -EPIPE;
}

/* --- the server: echoes until the end or a reset ---------------------------------------------- */

static _Atomic uint64_t echoed, ended_well, ended_by_reset;

static int echo(void *arg)
{
    const int fd = (int)(intptr_t)arg;
    char block[BLOCK_BYTES];
    for (;;) {
        const ssize_t got = skua_read(fd, block, sizeof block, SKUA_FOREVER);
        if (got <= 0) {
            CHECK(got == 0 || is_reset(got));
            atomic_fetch_add(got == 0 ? &ended_well : &ended_by_reset, 1);
            break;
        }
        const int put = skua_write_all(fd, block, (size_t)got, NULL, SKUA_FOREVER);
        if (put < 0) {
            CHECK(is_reset(put));
            atomic_fetch_add(&ended_by_reset, 1);
            break;
        }
        atomic_fetch_add(&echoed, (uint64_t)got);
    }
    skua_close(fd);
    return 0;
}

static int serve(void *arg)
{
    const int listener = *(int *)arg;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    int fd;
    while ((fd = skua_accept(listener, NULL, NULL, SKUA_FOREVER)) >= 0) {
        CHECK_INT(skua_group_spawn(&group, echo, (void *)(intptr_t)fd), 0);
    }
    CHECK_INT(fd, -EBADF); /* the listener was closed */
    return skua_group_close(&group, 0);
}

/* --- the clients ------------------------------------------------------------------------------ */

static void reset_and_close(int fd)
{
    const struct linger at_once = {.l_onoff = 1};
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    skua_close(fd);
}

static int connect_once(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(skua_fd_adopt(fd), 0);
    CHECK_INT(
        skua_connect(fd, (struct sockaddr *)&server_address, sizeof server_address, SKUA_FOREVER),
        0);
    return fd;
}

/* An exchange up to its `moment`-th step, then a reset; the last moment is after an orderly end. */
static void exchange(int moment, uint64_t *random)
{
    char block[BLOCK_BYTES] = {0};
    const int fd = connect_once();
    const size_t bytes = 1 + test_random(random) % BLOCK_BYTES;
    size_t have = 0;
    for (int step = 1; step < moment && step < MOMENTS - 1; step++) {
        if (step % 2 == 1) {
            CHECK_INT(skua_write_all(fd, block, bytes, NULL, SKUA_FOREVER), 0);
            have = 0;
        } else if (step == 2 && moment == 3) {
            CHECK(skua_read(fd, block, bytes, SKUA_FOREVER) > 0); /* perhaps a part */
        } else {
            while (have < bytes) {
                const ssize_t got = skua_read(fd, block, bytes - have, SKUA_FOREVER);
                CHECK(got > 0);
                have += (size_t)got;
            }
        }
    }
    if (moment == MOMENTS - 1) {
        skua_close(fd); /* all was read: an orderly end */
    } else {
        reset_and_close(fd);
    }
}

struct client {
    uint64_t random, connections;
    skua_time end;
};

static int exchange_on(void *arg)
{
    struct client *self = arg;
    for (int moment = 0; self->connections < MOMENTS || skua_clock().ns < self->end.ns;
         moment = (moment + 1) % MOMENTS) {
        exchange(moment, &self->random);
        self->connections++;
    }
    return 0;
}

struct stress {
    skua_time end;
    uint64_t seed, connections;
};

static int storm(void *arg)
{
    struct stress *self = arg;
    struct client clients[CLIENTS];
    socklen_t bytes = sizeof server_address;
    server_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&server_address, bytes), 0);
    CHECK_INT(listen(listener, 1024), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&server_address, &bytes), 0);
    CHECK_INT(skua_fd_adopt(listener), 0);
    skua_task *server = spawn(serve, &listener);

    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.random = self->seed + (uint64_t)i, .end = self->end};
        CHECK_INT(skua_group_spawn(&group, exchange_on, &clients[i]), 0);
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    for (int i = 0; i < CLIENTS; i++) {
        self->connections += clients[i].connections;
    }
    while (!has_waiter(listener, 0)) { /* the line is empty */
        skua_yield();
    }
    skua_close(listener);
    return join(server);
}

/* covers: A72 */
static void resets_leave_nothing(void **state)
{
    const int64_t seconds = (int64_t)test_env("SKUA_STRESS_SECONDS", 8);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        struct stress self = {.seed = test_seed(), .end = skua_after(SKUA_SEC(1) * seconds / 3)};
        const int fds = test_fds();
        atomic_store(&skua__alloc_is_counted, true);
        CHECK_INT(skua_run(&config, storm, &self), 0);
        CHECK_INT(skua__alloc_blocks, 0);
        CHECK_INT(skua__alloc_bytes, 0);
        CHECK_INT(test_fds(), fds);
        CHECK_INT(atomic_exchange(&ended_well, 0) + atomic_exchange(&ended_by_reset, 0),
                  self.connections);
        printf("%u workers: %llu connections, %llu bytes echoed\n", workers,
               (unsigned long long)self.connections,
               (unsigned long long)atomic_exchange(&echoed, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(resets_leave_nothing),
    };
    return TEST_RUN(tests);
}
