/* Addresses, listeners, connections and their options. */
#include "net_help.h"

#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* --- addresses --- */

static void check_text(const char *given, const char *printed)
{
    char text[SKUA_ADDRESS_TEXT_BYTES];
    const skua_address address = address_of(given);
    CHECK_STR(skua_address_text(&address, text, sizeof text), printed);
    const skua_address again = address_of(printed);
    CHECK(skua_address_equal(&address, &again));
}

/* covers: A72 */
static void addresses_are_read_and_printed(void **state)
{
    check_text("127.0.0.1:80", "127.0.0.1:80");
    check_text("*:0", "0.0.0.0:0");
    check_text("[::1]:65535", "[::1]:65535");
    check_text("[0:0::1]:1", "[::1]:1");
    check_text("[fe80::1%7]:80", "[fe80::1%7]:80");
    check_text("[fe80::1%lo]:80", "[fe80::1%1]:80");
    check_text("/run/x.sock", "/run/x.sock");
    check_text("./x.sock", "./x.sock");
    check_text("@name", "@name");
    static const char *const bad[] = {"",
                                      "80",
                                      ":80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "1.2.3:80",
                                      "host:80",
                                      "::1:80",
                                      "[::1]",
                                      "[::1]80",
                                      "[::1:80",
                                      "[]:80",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:-1",
                                      "1.2.3.4: 1",
                                      "[fe80::1%no-such]:1",
                                      "@",
                                      "/",
                                      "[::1%]:1",
                                      "1.2.3.4:99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        skua_address address;
        CHECK_INT(skua_address_parse(bad[i], &address), -EINVAL);
        CHECK_INT(address.bytes, 0);
    }
    skua_address address;
    CHECK_INT(skua_address_parse(NULL, &address), -EINVAL);
}

static void addresses_are_compared(void **state)
{
    char text[SKUA_ADDRESS_TEXT_BYTES], longest[120];
    static const char *const all[] = {"127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80", "[::1]:80",
                                      "[::1%1]:80",   "/a",           "/ab",          "@a"};
    const int count = sizeof all / sizeof all[0];
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++) {
            const skua_address left = address_of(all[i]), right = address_of(all[k]);
            CHECK_INT(skua_address_equal(&left, &right), i == k);
        }
    }
    skua_address address = address_of("[::1]:8080"), same;
    CHECK_INT(skua_address_port(&address), 8080);
    CHECK_INT(skua_address_of(&address.any, address.bytes, &same), 0);
    CHECK(skua_address_equal(&address, &same));
    CHECK_INT(skua_address_of(&address.any, 4096, &same), -EINVAL);
    CHECK_STR(skua_address_text(&same, text, sizeof text), "(none)");
    CHECK_STR(skua_address_text(&address, text, 5), "[::1"); /* cut short */
    CHECK_INT(skua_address_port(&same), 0);
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[108] = '\0';
    CHECK_INT(skua_address_parse(longest, &address), -ENAMETOOLONG);
    longest[107] = '\0';
    CHECK_INT(skua_address_parse(longest, &address), 0);
    CHECK_STR(skua_address_text(&address, text, sizeof text), longest);
}

/* --- TCP --- */

static void check_talk(int left, int right)
{
    char byte;
    CHECK_INT(skua_write(left, "l", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(right, &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'l');
    CHECK_INT(skua_write(right, "r", 1, SKUA_FOREVER), 1);
    CHECK_INT(skua_read(left, &byte, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'r');
}

static void talk_over(int listener, const skua_address *at)
{
    skua_address peer, own, from;
    const int client = connect_to(at);
    from.bytes = sizeof from.storage;
    const int server = skua_accept(listener, &from.any, &from.bytes, SKUA_FOREVER);
    CHECK(server >= 0);
    check_talk(client, server);
    CHECK_INT(skua_peer_address(client, &peer), 0);
    own = place_of(client);
    CHECK(skua_address_equal(&peer, at));
    CHECK_INT(skua_peer_address(server, &peer), 0);
    CHECK(skua_address_equal(&peer, &own));
    CHECK(skua_address_equal(&from, &own));
    CHECK_INT(option_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_INT(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1); /* the listener's */
    skua_close(client);
    skua_close(server);
    CHECK_INT(skua_peer_address(listener, &peer), -ENOTCONN);
    CHECK_INT(peer.bytes, 0);
}

static int talk_tcp(void *arg)
{
    skua_address at;
    const int listener = listen_tcp(&at, NULL);
    CHECK(skua_address_port(&at) != 0);
    talk_over(listener, &at);
    skua_close(listener);
    CHECK_INT(skua_tcp_connect_to(&at, NULL, SKUA_FOREVER), -ECONNREFUSED);
    CHECK_INT(skua_tcp_listen("@name", NULL), -EINVAL);
    CHECK_INT(skua_tcp_listen("localhost:80", NULL), -EINVAL);
    CHECK_INT(skua_tcp_listen("127.0.0.1:0", &(skua_socket_opts){.backlog = -1}), -EINVAL);
    CHECK_INT(skua_tcp_listen("192.0.2.1:0", NULL), -EADDRNOTAVAIL);
    CHECK_INT(skua_tcp_connect_to(&(skua_address){0}, NULL, SKUA_FOREVER), -EAFNOSUPPORT);
    return 0;
}

/* covers: A72 */
static void tcp_connects_and_talks(void **state)
{
    run(talk_tcp, NULL);
}

static int talk_tcp6(void *arg)
{
    const int listener = skua_tcp_listen("[::1]:0", NULL);
    if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL) {
        return -EAFNOSUPPORT;
    }
    CHECK(listener >= 0);
    skua_address at = place_of(listener);
    CHECK_INT(at.any.sa_family, AF_INET6);
    talk_over(listener, &at);
    skua_close(listener);
    for (int only = 0; only < 2; only++) {
        const skua_socket_opts opts = {.only_ip6 = only == 1};
        const int all = skua_tcp_listen("[::]:0", &opts);
        CHECK(all >= 0);
        char text[32];
        at = place_of(all);
        snprintf(text, sizeof text, "127.0.0.1:%d", skua_address_port(&at));
        at = address_of(text);
        const int client = skua_tcp_connect_to(&at, NULL, SKUA_FOREVER);
        CHECK(only == 1 ? client == -ECONNREFUSED : client >= 0);
        if (client >= 0) {
            skua_close(client);
        }
        skua_close(all);
    }
    return 0;
}

/* covers: A72 */
static void ip6_connects_and_talks(void **state)
{
    const skua_config config = {.workers = 2};
    const int status = skua_run(&config, talk_tcp6, NULL);
    if (status == -EAFNOSUPPORT) {
        print_message("no IPv6 here\n");
        skip();
    }
    CHECK_INT(status, 0);
}

static int use_options(void *arg)
{
    skua_address at;
    const skua_socket_opts opts = {.nagle = true,
                                   .keepalive = true,
                                   .keepalive_idle_s = 11,
                                   .keepalive_interval_s = 12,
                                   .keepalive_count = 13,
                                   .send_buffer_bytes = 20000,
                                   .receive_buffer_bytes = 30000,
                                   .reuse_port = true};
    const int listener = listen_tcp(&at, &opts);
    const int second = skua_listen_at(&at, &opts); /* they share the port */
    CHECK(second >= 0);
    CHECK_INT(skua_listen_at(&at, NULL), -EADDRINUSE);
    skua_close(second);
    const int client = skua_tcp_connect_to(&at, &opts, SKUA_FOREVER);
    CHECK(client >= 0);
    const int server = accept_one(listener);
    const int both[] = {client, server};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(option_of(both[i], IPPROTO_TCP, TCP_NODELAY), 0);
        CHECK_INT(option_of(both[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        CHECK_INT(option_of(both[i], IPPROTO_TCP, TCP_KEEPIDLE), 11);
        CHECK_INT(option_of(both[i], IPPROTO_TCP, TCP_KEEPINTVL), 12);
        CHECK_INT(option_of(both[i], IPPROTO_TCP, TCP_KEEPCNT), 13);
        CHECK_INT(option_of(both[i], SOL_SOCKET, SO_SNDBUF), 40000);
        CHECK_INT(option_of(both[i], SOL_SOCKET, SO_RCVBUF), 60000);
    }
    CHECK_INT(skua_socket_set(server, &(skua_socket_opts){0}), 0);
    CHECK_INT(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_INT(option_of(server, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_INT(skua_socket_set(server, &(skua_socket_opts){.keepalive_idle_s = -1}), -EINVAL);
    skua_close(client);
    skua_close(server);
    CHECK_INT(skua_socket_set(server, &opts), -EBADF);
    skua_close(listener);
    int ends[2];
    skua_address address;
    open_pipe(ends);
    CHECK_INT(skua_socket_set(ends[0], &opts), -ENOTSOCK);
    CHECK_INT(skua_local_address(ends[0], &address), -ENOTSOCK);
    close_both(ends);
    return 0;
}

static void options_are_set_and_handed_on(void **state)
{
    run(use_options, NULL);
}

/* A port whose last connection was closed by the server is in TIME_WAIT. */
static int listen_again(void *arg)
{
    skua_address at;
    char byte;
    int listener = listen_tcp(&at, NULL);
    const int client = connect_to(&at), server = accept_one(listener);
    skua_close(server);
    CHECK_INT(skua_read(client, &byte, 1, SKUA_FOREVER), 0);
    skua_close(client);
    skua_close(listener);
    CHECK_INT(skua_listen_at(&at, &(skua_socket_opts){.exclusive = true}), -EADDRINUSE);
    listener = skua_listen_at(&at, NULL);
    CHECK(listener >= 0);
    skua_close(listener);
    return 0;
}

static void a_restarted_server_gets_its_port(void **state)
{
    run(listen_again, NULL);
}

/* --- what peers do --- */

enum { MUCH = 1 << 20 };

struct writing {
    int fd;
    size_t written;
};

static int write_much(void *arg)
{
    struct writing *writing = arg;
    char *much = calloc(1, MUCH);
    int status = 0;
    while (status == 0) {
        size_t written;
        status = skua_write_all(writing->fd, much, MUCH, &written, SKUA_FOREVER);
        writing->written += written;
    }
    free(much);
    return status;
}

/* The peer resets after `bytes` have come, a bit later each time; or closes with data unread, which
   is a reset too. */
static int reset_in_mid_write(void *arg)
{
    const bool is_reset = arg != NULL;
    static char buffer[65536];
    for (int i = 0; i < 40; i += TEST_SCALE) { /* also odd ones */
        int ends[2];
        open_tcp(ends);
        struct writing writing = {.fd = ends[0]};
        skua_task *writer = spawn(write_much, &writing);
        for (int k = 0; k < i; k++) {
            CHECK(skua_read(ends[1], buffer, sizeof buffer, SKUA_FOREVER) > 0);
        }
        if (i % 2 == 0) {
            while (!has_waiter(ends[0], 1)) {
                skua_yield();
            }
        }
        if (is_reset) {
            CHECK_INT(skua_socket_set(ends[1], &(skua_socket_opts){.reset_on_close = true}), 0);
        }
        skua_close(ends[1]);
        const int status = join(writer);
        CHECK(status == -ECONNRESET || status == -EPIPE);
        CHECK_INT(skua_write(ends[0], "x", 1, SKUA_FOREVER), -EPIPE);
        skua_close(ends[0]);
    }
    return 0;
}

/* covers: A72 */
static void a_reset_in_mid_write_is_an_error_and_no_signal(void **state)
{
    run(reset_in_mid_write, NULL);
    run(reset_in_mid_write, (void *)1);
}

/* Resets at every moment of a connection: before it is accepted, before and after each byte. */
static int reset_always(void *arg)
{
    char byte;
    const skua_socket_opts resetting = {.reset_on_close = true};
    skua_address at;
    const int listener = listen_tcp(&at, NULL);
    for (int i = 0; i < 200; i++) {
        const int moment = i % 4;
        const int client = skua_tcp_connect_to(&at, &resetting, SKUA_FOREVER);
        CHECK(client >= 0);
        if (moment == 0) {
            skua_close(client);
        }
        const int server = accept_one(listener);
        if (moment == 1) {
            skua_close(client);
        }
        struct one_byte reader = {.fd = server};
        skua_task *task = moment >= 2 ? park_reader(&reader) : spawn(read_byte, &reader);
        if (moment == 3) {
            CHECK_INT(skua_write(client, "a", 1, SKUA_FOREVER), 1);
            CHECK_INT(join(task), 1);
            task = park_reader(&reader);
        }
        if (moment >= 2) {
            skua_close(client);
        }
        CHECK_INT(join(task), -ECONNRESET);
        CHECK_INT(skua_read(server, &byte, 1, SKUA_FOREVER), 0);
        skua_close(server);
    }
    skua_close(listener);
    return 0;
}

static void a_reset_at_any_moment_is_noticed(void **state)
{
    run(reset_always, NULL);
}

/* Two tasks on each side, both directions full of data. */
struct half {
    int fd;
    uint64_t seed;
};

enum { DUPLEX_BYTES = 600000 };

static int send_half(void *arg)
{
    const struct half *half = arg;
    unsigned char piece[1000];
    uint64_t values = half->seed, sizes = test_seed();
    for (size_t at = 0; at < DUPLEX_BYTES;) {
        size_t bytes = 1 + test_random(&sizes) % sizeof piece;
        bytes = bytes < DUPLEX_BYTES - at ? bytes : DUPLEX_BYTES - at;
        for (size_t i = 0; i < bytes; i++) {
            piece[i] = (unsigned char)test_random(&values);
        }
        CHECK_INT(skua_write_all(half->fd, piece, bytes, NULL, SKUA_FOREVER), 0);
        at += bytes;
    }
    CHECK_INT(skua_shutdown(half->fd, SHUT_WR), 0);
    return 0;
}

static int receive_half(void *arg)
{
    const struct half *half = arg;
    unsigned char piece[1500];
    uint64_t values = half->seed, sizes = ~test_seed();
    size_t at = 0;
    ssize_t got = 1;
    while (got > 0) {
        got = skua_read(half->fd, piece, 1 + test_random(&sizes) % sizeof piece, SKUA_FOREVER);
        CHECK(got >= 0);
        for (ssize_t i = 0; i < got; i++) {
            CHECK_INT(piece[i], (unsigned char)test_random(&values));
        }
        at += (size_t)got;
    }
    CHECK_INT(at, DUPLEX_BYTES);
    return 0;
}

static int talk_at_once(void *arg)
{
    int ends[2];
    open_tcp(ends);
    struct half there[] = {{ends[0], 1}, {ends[1], 1}}, back[] = {{ends[1], 2}, {ends[0], 2}};
    skua_task *tasks[] = {spawn(send_half, &there[0]), spawn(receive_half, &there[1]),
                          spawn(send_half, &back[0]), spawn(receive_half, &back[1])};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(join(tasks[i]), 0);
    }
    close_both(ends);
    return 0;
}

/* covers: D81 */
static void both_directions_flow_at_once(void **state)
{
    run(talk_at_once, NULL);
}

static int connect_late(void *arg)
{
    skua_address at;
    int fds[16], count = 0, status = 0;
    const int listener = listen_tcp(&at, &(skua_socket_opts){.backlog = 1});
    while (status >= 0 && count < 16) { /* the line is soon full, then nobody answers */
        status = skua_tcp_connect_to(&at, NULL, skua_after(SKUA_MS(20)));
        if (status >= 0) {
            fds[count++] = status;
        }
    }
    CHECK_INT(status, -ETIMEDOUT);
    while (count > 0) {
        skua_close(fds[--count]);
    }
    skua_close(listener);
    return 0; /* run() looks for fds left behind */
}

static void a_connect_that_fails_leaves_nothing(void **state)
{
    run(connect_late, NULL);
}

/* Half-closes of a connection over which messages have gone already: parked readers see both. */
static int close_halves(void *arg)
{
    for (int own = 0; own < 2; own++) {
        int ends[2];
        char byte;
        open_tcp(ends);
        check_talk(ends[0], ends[1]);
        struct one_byte reader = {.fd = ends[0]};
        skua_task *task = park_reader(&reader);
        CHECK_INT(skua_shutdown(ends[own == 1 ? 0 : 1], own == 1 ? SHUT_RD : SHUT_WR), 0);
        CHECK_INT(join(task), 0);
        CHECK_INT(skua_write(ends[0], "x", 1, SKUA_FOREVER), 1);
        CHECK_INT(skua_read(ends[1], &byte, 1, SKUA_FOREVER), 1);
        close_both(ends);
    }
    return 0;
}

static void half_closes_reach_parked_readers(void **state)
{
    run(close_halves, NULL);
}

/* --- Unix sockets --- */

static int talk_unix(void *arg)
{
    const bool is_path = arg != NULL;
    char name[64], text[SKUA_ADDRESS_TEXT_BYTES];
    is_path ? socket_path(name, "talk") : abstract_name(name, "talk");
    const int listener = skua_unix_listen(name, NULL);
    CHECK(listener >= 0);
    CHECK_INT(skua_unix_listen(name, NULL), -EADDRINUSE); /* somebody listens */
    if (is_path) {
        skua_close(accept_one(listener)); /* that was the look */
    }
    const int client = skua_unix_connect(name, NULL, SKUA_FOREVER);
    CHECK(client >= 0);
    const int server = accept_one(listener);
    check_talk(client, server);
    skua_address peer, own = place_of(client);
    CHECK_INT(skua_peer_address(client, &peer), 0);
    CHECK_STR(skua_address_text(&peer, text, sizeof text), name);
    CHECK_STR(skua_address_text(&own, text, sizeof text), "(unnamed)");
    skua_credentials other;
    CHECK_INT(skua_peer_credentials(server, &other), 0);
    CHECK_INT(other.pid, getpid());
    CHECK_INT(other.uid, getuid());
    CHECK_INT(other.gid, getgid());
    skua_close(client);
    skua_close(server);
    skua_close(listener);
    CHECK_INT(skua_unix_connect(name, NULL, SKUA_FOREVER), -ECONNREFUSED);
    CHECK_INT(skua_unix_listen("127.0.0.1:0", NULL), -EINVAL);
    CHECK_INT(skua_unix_connect("127.0.0.1:0", NULL, SKUA_FOREVER), -EINVAL);
    if (is_path) {
        const int successor = skua_unix_listen(name, NULL); /* the file was left behind */
        CHECK(successor >= 0);
        skua_close(successor);
        CHECK_INT(unlink(name), 0);
        CHECK_INT(skua_unix_connect(name, NULL, SKUA_FOREVER), -ENOENT);
    }
    return 0;
}

/* covers: A72 */
static void unix_sockets_have_paths_or_names(void **state)
{
    run(talk_unix, NULL);
    run(talk_unix, (void *)1);
}

static int replace_only_sockets(void *arg)
{
    char path[64];
    struct stat status;
    socket_path(path, "file");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_INT(fclose(file), 0);
    CHECK_INT(skua_unix_listen(path, NULL), -EADDRINUSE);
    CHECK_INT(stat(path, &status), 0); /* still there */
    CHECK(S_ISREG(status.st_mode));
    CHECK_INT(unlink(path), 0);
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK_INT(skua_unix_listen(path, NULL), -EADDRINUSE);
    CHECK_INT(rmdir(path), 0);
    CHECK_INT(skua_unix_listen("/no/such/place", NULL), -ENOENT);
    const int listener = skua_unix_listen(path, &(skua_socket_opts){.records = true});
    CHECK(listener >= 0);
    CHECK_INT(skua_unix_listen(path, NULL), -EADDRINUSE); /* alive, though of another kind */
    skua_close(listener);
    CHECK_INT(unlink(path), 0);
    return 0;
}

static void only_stale_socket_files_are_replaced(void **state)
{
    run(replace_only_sockets, NULL);
}

static int send_records(void *arg)
{
    char name[64], buffer[64];
    const skua_socket_opts opts = {.records = true};
    abstract_name(name, "records");
    const int listener = skua_unix_listen(name, &opts);
    CHECK(listener >= 0);
    CHECK_INT(skua_unix_connect(name, NULL, SKUA_FOREVER), -ECONNREFUSED);
    const int client = skua_unix_connect(name, &opts, SKUA_FOREVER);
    CHECK(client >= 0);
    const int server = accept_one(listener);
    for (size_t bytes = 1; bytes < sizeof buffer; bytes++) {
        CHECK_INT(skua_write(client, buffer, bytes, SKUA_FOREVER), bytes);
    }
    for (size_t bytes = 1; bytes < sizeof buffer; bytes++) {
        CHECK_INT(skua_read(server, buffer, sizeof buffer, SKUA_FOREVER), bytes);
    }
    CHECK_INT(skua_send_to(client, buffer, 20, NULL, SKUA_FOREVER), 20);
    CHECK_INT(skua_recv_from(server, buffer, 10, NULL, SKUA_FOREVER), -EMSGSIZE);
    skua_close(client);
    CHECK_INT(skua_read(server, buffer, sizeof buffer, SKUA_FOREVER), 0);
    skua_close(server);
    skua_close(listener);
    return 0;
}

/* covers: A72 */
static void records_keep_their_bounds(void **state)
{
    run(send_records, NULL);
}

static int use_pairs(void *arg)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    int ends[2];
    for (int i = 0; i < 3; i++) {
        CHECK_INT(skua_socket_pair(ends, types[i]), 0);
        check_talk(ends[0], ends[1]);
        close_both(ends);
    }
    CHECK(skua_socket_pair(ends, 999) < 0);
    return 0;
}

static void pairs_talk(void **state)
{
    run(use_pairs, NULL);
}

/* --- elsewhere --- */

static void *talk_on_thread(void *arg)
{
    char byte;
    skua_address at;
    (void)arg;
    const int listener = listen_tcp(&at, NULL);
    CHECK_INT(skua_accept(listener, NULL, NULL, SKUA_NOW), -EAGAIN);
    const int client = connect_to(&at);
    const int server = accept_one(listener);
    check_talk(client, server);
    CHECK_INT(skua_shutdown(client, SHUT_WR), 0);
    CHECK_INT(skua_read(server, &byte, 1, SKUA_FOREVER), 0);
    skua_close(client);
    skua_close(server);
    skua_close(listener);
    CHECK_INT(skua_tcp_connect_to(&at, NULL, SKUA_FOREVER), -ECONNREFUSED);
    return NULL;
}

/* covers: A70 */
static void foreign_threads_have_sockets_too(void **state)
{
    pthread_t thread;
    const int fds = test_fds();
    CHECK_INT(pthread_create(&thread, NULL, talk_on_thread, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(test_fds(), fds);
}

static void use_in_child(const int ends[2])
{
    const struct iovec part = {.iov_base = NULL};
    skua_address at = address_of("127.0.0.1:1");
    skua_credentials peer;
    int fds[2], count = 2;
    CHECK_INT(skua_tcp_listen("127.0.0.1:0", NULL), -ESHUTDOWN);
    CHECK_INT(skua_unix_listen("@skua-test-child", NULL), -ESHUTDOWN);
    CHECK_INT(skua_datagram_open(&at, NULL, NULL), -ESHUTDOWN);
    CHECK_INT(skua_socket_pair(fds, SOCK_STREAM), -ESHUTDOWN);
    CHECK_INT(skua_tcp_connect_to(&at, NULL, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_local_address(ends[0], &at), -ESHUTDOWN);
    CHECK_INT(skua_peer_credentials(ends[0], &peer), -ESHUTDOWN);
    CHECK_INT(skua_socket_set(ends[0], &(skua_socket_opts){0}), -ESHUTDOWN);
    CHECK_INT(skua_shutdown(ends[0], SHUT_WR), -ESHUTDOWN);
    CHECK_INT(skua_readv(ends[0], &part, 1, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_send(ends[0], "x", 1, 0, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_send_to(ends[0], "x", 1, NULL, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_recv_fds(ends[0], fds, 1, fds, &count, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_splice(ends[0], ends[1], 1, SKUA_FOREVER), -ESHUTDOWN);
    CHECK_INT(skua_copy(ends[0], ends[1], NULL, NULL, SKUA_FOREVER), -ESHUTDOWN);
}

static int fork_beside(void *arg)
{
    int ends[2], status = -1;
    open_pair(ends);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        use_in_child(ends);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    close_both(ends);
    return 0;
}

static void a_forked_child_has_no_sockets(void **state)
{
    run(fork_beside, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_read_and_printed),
        TEST(addresses_are_compared),
        TEST(tcp_connects_and_talks),
        TEST(ip6_connects_and_talks),
        TEST(options_are_set_and_handed_on),
        TEST(a_restarted_server_gets_its_port),
        TEST(a_reset_in_mid_write_is_an_error_and_no_signal),
        TEST(a_reset_at_any_moment_is_noticed),
        TEST(both_directions_flow_at_once),
        TEST(half_closes_reach_parked_readers),
        TEST(a_connect_that_fails_leaves_nothing),
        TEST(unix_sockets_have_paths_or_names),
        TEST(only_stale_socket_files_are_replaced),
        TEST(records_keep_their_bounds),
        TEST(pairs_talk),
        TEST(foreign_threads_have_sockets_too),
        TEST(a_forked_child_has_no_sockets),
    };
    return TEST_RUN(tests);
}
