/* proxy: passes connections on to backends, which may change while it runs.

       proxy proxy.conf                        listens at 127.0.0.1:7779
       proxy -l '[::]:80' -c 5000 proxy.conf

   The file says where to, and how patiently; '#' begins a comment:

       backend 127.0.0.1:8080      # or a name and a port, [::1]:8080, /path/of/a/socket, @name
       backend localhost:8081      # several take turns; one that cannot be reached is passed over
       idle 60                     # seconds without a byte in either direction; 0: any time
       connect 5                   # seconds to reach a backend

   Try it with `python3 -m http.server 8080` and `curl http://127.0.0.1:7779/`. After a change of
   the file, kill -HUP: new connections follow it, those that are there stay with their backend to
   the end. kill -USR1 prints how it stands. ^C lets nobody in any more, and connections may finish.

   What it shows: a connection is two skua_copy(), one each way, in a group: the end of one way is
   passed on while the other goes on; a failure of one ends both. The group's deadline moves with
   each byte, so that it ends only the silent. The settings of the moment are the value of a
   skua_watch, copied by each connection as it begins; signals are a loop in a task. */
#include "route.h"

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { EXIT_USAGE = 2, FDS_PER_CONNECTION = 6, FDS_BESIDE = 64 };

static const char help[] =
    "Usage: proxy [OPTION...] FILE\n"
    "Pass connections on to the backends that FILE names, one in a line, by turns:\n"
    "\n"
    "  backend ADDRESS       127.0.0.1:8080, name:8080, [::1]:8080, /path/of/a/socket, @name\n"
    "  idle SECONDS          end connections that are silent for so long (default 0: never)\n"
    "  connect SECONDS       so long may it take to reach one (default 5)\n"
    "\n"
    "  -l, --listen ADDRESS  (default 127.0.0.1:7779); port 0 is any free one, which is printed\n"
    "  -c, --connections N   at most N at once; more wait (default 1000)\n"
    "  -g, --grace SECONDS   at the end, connections get so long to finish (default 10)\n"
    "  -h, --help            print this\n"
    "\n"
    "SIGHUP reads FILE anew, for connections to come. SIGUSR1 prints statistics. SIGINT and\n"
    "SIGTERM end it in good order, with status 0; a second one cuts it short.\n";

struct settings {
    const char *path, *address;
    int64_t connections_max, grace_ns;
};

static skua_watch *routes; /* a struct route */
static skua_server server;
static atomic_uint turn;
static atomic_ullong bytes_there, bytes_back, silent, unreached;

/* --- one connection --------------------------------------------------------------------------- */

struct way {
    int from, to;
    uint64_t counted;
    atomic_ullong *total;
    skua_scope *scope; /* of both ways */
    int64_t idle_ns;
};

static void count(uint64_t copied, void *arg)
{
    struct way *way = arg;
    atomic_fetch_add(way->total, copied - way->counted);
    way->counted = copied;
    if (way->idle_ns > 0) {
        skua_scope_deadline(way->scope, skua_after(way->idle_ns));
    }
}

static int go(void *arg)
{
    struct way *way = arg;
    const skua_copy_opts opts = {.half_close = true, .on_progress = count, .arg = way};
    return skua_copy(way->to, way->from, NULL, &opts, SKUA_FOREVER);
}

/* Both ways, until both have ended. */
static int relay(int client, int backend, int64_t idle_ns)
{
    SKUA_GROUP(group);
    skua_scope *scope = skua_group_scope(&group);
    struct way there = {client, backend, 0, &bytes_there, scope, idle_ns};
    struct way back = {backend, client, 0, &bytes_back, scope, idle_ns};
    skua_group_open(&group, SKUA_FAIL_FAST, idle_ns > 0 ? skua_after(idle_ns) : SKUA_FOREVER);
    int status = skua_group_spawn(&group, go, &there);
    if (status == 0) {
        status = skua_group_spawn(&group, go, &back);
    }
    status = skua_group_close(&group, status);
    if (skua_scope_expired(scope)) {
        atomic_fetch_add(&silent, 1);
        return 0;
    }
    return status;
}

static int serve(skua_client *client)
{
    struct route route;
    skua_watch_get(routes, SKUA_ITEM(route));
    int backend = route_connect(&route, atomic_fetch_add(&turn, 1));
    if (backend < 0) {
        atomic_fetch_add(&unreached, 1);
        return backend == -ECANCELED ? backend : 0; /* it has been said */
    }
    int status = relay(client->fd, backend, route.idle_ns);
    skua_close(backend);
    return status;
}

/* --- the program ------------------------------------------------------------------------------ */

static void print_statistics(void)
{
    skua_server_counts counts;
    skua_server_count(&server, &counts);
    printf(
        "%zu connections, %llu so far, %llu ended by silence, %llu without a backend; %llu bytes "
        "there, %llu back\n",
        counts.connections, (unsigned long long)counts.accepted, atomic_load(&silent),
        atomic_load(&unreached), atomic_load(&bytes_there), atomic_load(&bytes_back));
    fflush(stdout);
}

/* What signals ask for. */
static int obey(void *arg)
{
    const struct settings *settings = arg;
    struct route route;
    skua_signal_info info;
    skua_signal *signals;
    int status = skua_signal_open(&signals, SKUA_SIGNALS(SIGHUP, SIGUSR1));
    if (status < 0) {
        return status;
    }
    skua_started(NULL);
    while ((status = skua_signal_wait(signals, &info, SKUA_FOREVER)) == 1) {
        if (info.number == SIGUSR1) {
            print_statistics();
        } else if (route_load(settings->path, &route) == 0) {
            status = skua_watch_set(routes, SKUA_ITEM(route));
            printf("%s is read: %u backends\n", settings->path, route.count);
            fflush(stdout);
        } else {
            fputs("proxy: all stays as it was\n", stderr);
        }
    }
    skua_signal_close(signals);
    return status;
}

static int listen_at(const char *text)
{
    char buffer[SKUA_ADDRESS_TEXT_BYTES];
    skua_address at;
    int status = skua_address_parse(text, &at);
    int listener = status < 0 ? status : skua_listen_at(&at, NULL);
    if (listener < 0 || (status = skua_local_address(listener, &at)) < 0) {
        status = listener < 0 ? listener : status;
        fprintf(stderr, "proxy: cannot listen at %s: %s\n", text,
                status == -EINVAL ? "not an address (such are 127.0.0.1:80, [::]:80, /a/path)"
                                  : skua_error_text(status));
        return status;
    }
    printf("listening at %s\n", skua_address_text(&at, buffer, sizeof buffer));
    fflush(stdout);
    return listener;
}

static int program(void *arg)
{
    struct settings *settings = arg;
    struct route route;
    const skua_serve_opts opts = {.connections_max = (size_t)settings->connections_max,
                                  .drain_ns = settings->grace_ns > 0 ? settings->grace_ns : -1,
                                  .name = "proxied"};
    int status = route_load(settings->path, &route);
    if (status < 0 || (status = skua_watch_create(&routes, SKUA_ITEM(route))) < 0) {
        return status;
    }
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    status = skua_group_start(&group, obey, settings, NULL, SKUA_FOREVER);
    if (status == 0 && (status = listen_at(settings->address)) >= 0) {
        status = skua_serve(&server, status, serve, NULL, &opts);
        print_statistics();
    }
    skua_group_cancel(&group);
    status = skua_group_close(&group, status);
    skua_watch_destroy(routes);
    return status;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"listen", required_argument, NULL, 'l'},
        {"connections", required_argument, NULL, 'c'},
        {"grace", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool is_good = true;
    for (int letter; is_good && (letter = getopt_long(argc, argv, "l:c:g:h", names, NULL)) >= 0;) {
        switch (letter) {
        case 'h':
            fputs(help, stdout);
            return 1;
        case 'l':
            settings->address = optarg;
            break;
        case 'c':
            is_good = parse_number(optarg, 1, &settings->connections_max);
            break;
        case 'g':
            is_good = parse_number(optarg, 1e9, &settings->grace_ns);
            break;
        default:
            is_good = false;
        }
    }
    settings->path = argv[optind];
    return is_good && optind == argc - 1 ? 0 : -EINVAL;
}

/* No more connections than there are fds for: two sockets each, and pipes while they are busy. */
static void respect_limit(struct settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return;
    }
    const int64_t room = ((int64_t)limit.rlim_cur - FDS_BESIDE) / FDS_PER_CONNECTION;
    if (room < settings->connections_max || settings->connections_max == 0) {
        settings->connections_max = room > 1 ? room : 1;
        fprintf(stderr, "proxy: at most %lld connections at once, see `ulimit -Hn`\n",
                (long long)settings->connections_max);
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {NULL, "127.0.0.1:7779", 1000, SKUA_SEC(10)};
    int status = parse_arguments(argc, argv, &settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: proxy [-l ADDRESS] [-c N] [-g SECONDS] FILE; --help tells more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    }
    respect_limit(&settings);
    /* The connections' grace ends before the runtime's, which is for all else. */
    const skua_config config = {.name = "proxy", .drain_ns = settings.grace_ns + SKUA_SEC(1)};
    status = skua_run(&config, program, &settings);
    if (status == -EINTR) {
        return 128 + skua_run_signal();
    }
    return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
