/* The kernel has no room for the poller, or for one more fd in it: every call that wants to
   register something says so, gives back what it has, and works again when there is room. The
   kernel's part is played by this program's own epoll_create1(2), eventfd(2) and epoll_ctl(2). */
#include "../io_help.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

/* What the next calls fail with, 0: nothing; and how many registrations succeed before. */
static _Atomic int create_error, bell_error, add_error, adds_before;
static _Atomic int refusals;

static int refuse(int error)
{
    atomic_fetch_add(&refusals, 1);
    errno = error;
    return -1;
}

int epoll_create1(int flags)
{
    const int error = atomic_load(&create_error);
    return error != 0 ? refuse(error) : (int)syscall(SYS_epoll_create1, flags);
}

int eventfd(unsigned count, int flags)
{
    const int error = atomic_load(&bell_error);
    return error != 0 ? refuse(error) : (int)syscall(SYS_eventfd2, count, flags);
}

int epoll_ctl(int queue, int operation, int fd, struct epoll_event *event)
{
    const int error = atomic_load(&add_error);
    if (error != 0 && operation == EPOLL_CTL_ADD && atomic_fetch_sub(&adds_before, 1) <= 0) {
        return refuse(error);
    }
    return (int)syscall(SYS_epoll_ctl, queue, operation, fd, event);
}

static void fail_adds(int error, int after)
{
    atomic_store(&adds_before, after);
    atomic_store(&add_error, error);
}

/* --- the poller itself ------------------------------------------------------------------------ */

struct shortage {
    _Atomic int *error; /* the door that fails */
    int code;
};

static int open_poller(void *arg)
{
    const struct shortage *shortage = arg;
    int ends[2];
    char byte = 0;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    const int fds = test_fds();
    for (int i = 0; i < 3; i++) {
        atomic_store(shortage->error, shortage->code);
        atomic_store(&adds_before, 0);
        CHECK_INT(skua_fd_adopt(ends[0]), -shortage->code);
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), -shortage->code);
        atomic_store(shortage->error, 0);
        CHECK_INT(test_fds(), fds); /* half a poller is none */
    }
    adopt_both(ends); /* there is room again */
    struct one_byte reader = {.fd = ends[0]};
    skua_task *task = park_reader(&reader);
    CHECK_INT(skua_write(ends[1], "x", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(task), 1);
    CHECK_INT(reader.byte, 'x');
    CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EAGAIN);
    close_both(ends);
    return 0;
}

static void a_poller_that_cannot_be_made_is_tried_again(void **state)
{
    const int codes[] = {EMFILE, ENFILE, ENOMEM};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct shortage no_queue = {&create_error, codes[i]}, no_bell = {&bell_error, codes[i]};
        run(open_poller, &no_queue);
        run(open_poller, &no_bell);
    }
    struct shortage no_place = {&add_error, ENOSPC}; /* for the bell */
    run(open_poller, &no_place);
    CHECK(atomic_load(&refusals) > 0);
}

/* --- one more fd ------------------------------------------------------------------------------ */

static int adopt_without_room(void *arg)
{
    const int code = *(int *)arg;
    int first[2], ends[2];
    open_pipe(first); /* the poller is there */
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < 3; i++) {
        fail_adds(code, 0);
        CHECK_INT(skua_fd_adopt(ends[0]), -code);
        CHECK_INT(skua_wait_fd(ends[0], SKUA_READABLE, SKUA_FOREVER), -code);
        fail_adds(0, 0);
        char byte;
        CHECK_INT(skua_read(ends[0], &byte, 1, SKUA_NOW), -EBADF); /* it is not adopted */
        CHECK_INT(skua_wait_fd(ends[1], SKUA_WRITABLE, SKUA_FOREVER), SKUA_WRITABLE);
    }
    struct one_byte reader = {.fd = first[0]}; /* the others are not disturbed */
    skua_task *task = park_reader(&reader);
    fail_adds(code, 0);
    CHECK_INT(skua_write(first[1], "y", 1, SKUA_FOREVER), 1);
    CHECK_INT(join(task), 1);
    fail_adds(0, 0);
    adopt_both(ends);
    CHECK_INT(skua_write(ends[1], "z", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(ends[0], &reader.byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(reader.byte, 'z');
    close_both(ends);
    close_both(first);
    return 0;
}

static void an_fd_without_room_is_refused_and_left_alone(void **state)
{
    int codes[] = {ENOSPC, ENOMEM};
    run(adopt_without_room, &codes[0]);
    run(adopt_without_room, &codes[1]);
}

/* A connection that was taken out of the line and cannot be registered is told of and closed. */
static int accept_without_room(void *arg)
{
    const int code = *(int *)arg;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof at;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&at, bytes), 0);
    CHECK_INT(listen(listener, 8), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
    CHECK_INT(skua_fd_adopt(listener), 0);
    for (int i = 0; i < 3; i++) {
        char byte;
        const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(skua_fd_adopt(client), 0);
        CHECK_INT(skua_connect(client, (struct sockaddr *)&at, bytes, SKUA_FOREVER), 0);
        const int fds = test_fds();
        fail_adds(code, 0);
        CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_FOREVER), -code);
        fail_adds(0, 0);
        CHECK_INT(test_fds(), fds);
        CHECK_INT(skua_read(client, &byte, 1, SKUA_FOREVER), 0); /* the peer hears of it */
        skua_close(client);
    }
    skua_close(listener);
    return 0;
}

static void a_connection_without_room_is_closed(void **state)
{
    int codes[] = {ENOSPC, ENOMEM};
    run(accept_without_room, &codes[0]);
    run(accept_without_room, &codes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_poller_that_cannot_be_made_is_tried_again),
        TEST(an_fd_without_room_is_refused_and_left_alone),
        TEST(a_connection_without_room_is_closed),
    };
    return TEST_RUN(tests);
}
