/* portscan: which TCP ports of this machine accept connections.

       portscan                       all ports of 127.0.0.1
       portscan -p 1-1024 ::1         the low ones, by IPv6
       portscan -j 1000 -t 50         1000 attempts at a time, 50 ms for each

   What it shows: thousands of connects wait at once, each in a task that is a plain function with a
   deadline; skua_map() starts as many as are allowed and keeps what each has found in its place, so
   that the result is sorted without a sort; another task shows how far it is; ^C ends all of them,
   and what was found until then is printed.

   It looks at the machine it runs on, and nowhere else: other addresses are refused. */
#include <skua/skua.h>

#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PORT_MAX = 65535, JOBS_MAX = 20000, FDS_BESIDE = 32, EXIT_USAGE = 2 };

/* What has become of a port. `found` is the outcome of the connect, once there is one. */
struct port {
    struct scan *scan;
    uint16_t number;
    bool is_done;
    int found;
};

struct scan {
    const char *address_text;
    skua_address address;
    size_t first, last, jobs, timeout_ms;
    bool is_quiet;
    struct port *ports;
    size_t count;
    _Atomic size_t done, open;
    skua_event ended;
};

static const char help[] =
    "Usage: portscan [OPTION...] [ADDRESS]\n"
    "Find the TCP ports of this machine that accept connections. ADDRESS is 127.0.0.1, another\n"
    "of 127.0.0.0/8, or ::1; no other is scanned.\n"
    "\n"
    "  -p, --ports A-B   from A to B, or one port (default 1-65535)\n"
    "  -j, --jobs N      try N at the same time (default 500)\n"
    "  -t, --timeout N   give up on a port after N milliseconds (default 1000)\n"
    "  -q, --quiet       no progress, no summary\n"
    "  -h, --help        print this\n"
    "\n"
    "Prints a line for each open port, in order: its number and what usually is there. The exit\n"
    "status is 0, also if none is open, 1 if ports could not be tried, and 130 after ^C.\n";

/* A task, or a part of one: one port. Returns 0, or what ends the whole scan. */
static int try_port(void *arg)
{
    struct port *port = arg;
    struct scan *scan = port->scan;
    skua_address address = scan->address;
    if (address.any.sa_family == AF_INET6) {
        address.ip6.sin6_port = htons(port->number);
    } else {
        address.ip4.sin_port = htons(port->number);
    }
    /* A reset leaves nothing behind, where a proper end would leave a waiting socket for each. */
    const skua_socket_opts opts = {.reset_on_close = true};
    int fd = skua_tcp_connect_to(&address, &opts, skua_after(SKUA_MS(scan->timeout_ms)));
    if (fd == -ECANCELED) {
        return fd;
    }
    if (fd >= 0) {
        /* A connect to a free port of one's own machine may meet itself. */
        skua_address own;
        bool is_self = skua_local_address(fd, &own) == 0 && skua_address_equal(&own, &address);
        skua_close(fd);
        fd = is_self ? -ECONNREFUSED : 0;
    }
    port->found = fd;
    port->is_done = true;
    scan->done++;
    scan->open += fd == 0;
    return 0;
}

static int show_progress(void *arg)
{
    struct scan *scan = arg;
    int status;
    while ((status = skua_event_wait(&scan->ended, skua_after(SKUA_MS(200)))) == -ETIMEDOUT) {
        fprintf(stderr, "\r%zu of %zu ports, %zu open", scan->done, scan->count, scan->open);
    }
    fputs("\r\033[K", stderr);
    return status;
}

/* The first task. */
static int run_scan(void *arg)
{
    struct scan *scan = arg;
    SKUA_GROUP(watchers);
    skua_group_open(&watchers, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = 0;
    if (!scan->is_quiet && isatty(STDERR_FILENO)) {
        status = skua_group_spawn(&watchers, show_progress, scan);
    }
    if (status == 0) {
        const skua_map_opts opts = {.limit = scan->jobs, .name = "port"};
        status = skua_map(try_port, scan->ports, sizeof *scan->ports, scan->count, &opts);
    }
    skua_event_set(&scan->ended);
    return skua_group_close(&watchers, status);
}

/* Returns how many ports could not be tried. */
static size_t print_ports(const struct scan *scan)
{
    size_t failures = 0;
    for (size_t i = 0; i < scan->count; i++) {
        const struct port *port = &scan->ports[i];
        if (!port->is_done || port->found == -ECONNREFUSED || port->found == -ETIMEDOUT) {
            continue;
        }
        if (port->found < 0) {
            if (failures++ == 0) {
                fprintf(stderr, "portscan: port %u: %s%s\n", port->number,
                        skua_error_text(port->found),
                        port->found == -EMFILE ? "; raise `ulimit -n`, or use fewer --jobs" : "");
            }
            continue;
        }
        const struct servent *service = getservbyport(htons(port->number), "tcp");
        printf("%u\t%s\n", port->number, service != NULL ? service->s_name : "-");
    }
    return failures;
}

/* --- arguments --- */

/* Of this machine only. An address without a port cannot be parsed, so it gets one. */
static bool parse_address(struct scan *scan)
{
    char text[SKUA_ADDRESS_TEXT_BYTES];
    const bool is_ip6 = strchr(scan->address_text, ':') != NULL;
    int length = snprintf(text, sizeof text, is_ip6 ? "[%s]:1" : "%s:1", scan->address_text);
    if (length < 0 || (size_t)length >= sizeof text ||
        skua_address_parse(text, &scan->address) < 0) {
        fprintf(stderr, "portscan: %s is no address; try 127.0.0.1 or ::1\n", scan->address_text);
        return false;
    }
    const skua_address *address = &scan->address;
    const bool is_own = address->any.sa_family == AF_INET6
                            ? IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr)
                            : address->any.sa_family == AF_INET &&
                                  ntohl(address->ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (!is_own) {
        fprintf(stderr, "portscan: %s is not this machine: only 127.0.0.0/8 and ::1 are scanned\n",
                scan->address_text);
    }
    return is_own;
}

static bool parse_number(const char *text, const char **end, size_t most, size_t *number)
{
    char *stop = NULL;
    unsigned long value = strtoul(text, &stop, 10);
    *number = value;
    *end = stop;
    return text[0] >= '0' && text[0] <= '9' && value >= 1 && value <= most;
}

static bool parse_option(int letter, const char *text, struct scan *scan)
{
    const char *end = text;
    bool is_good = true;
    switch (letter) {
    case 'p':
        is_good = parse_number(text, &end, PORT_MAX, &scan->first);
        scan->last = scan->first;
        if (is_good && *end == '-') {
            is_good = parse_number(end + 1, &end, PORT_MAX, &scan->last);
        }
        is_good = is_good && scan->first <= scan->last;
        break;
    case 'j':
        is_good = parse_number(text, &end, JOBS_MAX, &scan->jobs);
        break;
    case 't':
        is_good = parse_number(text, &end, 1000000, &scan->timeout_ms);
        break;
    case 'q':
        scan->is_quiet = true;
        return true;
    default:
        return false;
    }
    if (!is_good || *end != '\0') {
        fprintf(stderr, "portscan: -%c: not what it takes: %s\n", letter, text);
    }
    return is_good && *end == '\0';
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct scan *scan)
{
    static const struct option names[] = {
        {"ports", required_argument, NULL, 'p'},   {"jobs", required_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'}, {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    for (int letter; (letter = getopt_long(argc, argv, "p:j:t:qh", names, NULL)) >= 0;) {
        if (letter == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (!parse_option(letter, optarg, scan)) {
            return -EINVAL;
        }
    }
    if (optind < argc) {
        scan->address_text = argv[optind++];
    }
    return optind == argc && parse_address(scan) ? 0 : -EINVAL;
}

/* No more at a time than may be open. */
static void respect_limit(struct scan *scan)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        size_t room = limit.rlim_cur > FDS_BESIDE ? limit.rlim_cur - FDS_BESIDE : 1;
        scan->jobs = scan->jobs < room ? scan->jobs : room;
    }
}

static int prepare(struct scan *scan)
{
    scan->count = scan->last - scan->first + 1;
    scan->ports = calloc(scan->count, sizeof *scan->ports);
    for (size_t i = 0; scan->ports != NULL && i < scan->count; i++) {
        scan->ports[i].scan = scan;
        scan->ports[i].number = (uint16_t)(scan->first + i);
    }
    return scan->ports != NULL ? 0 : -ENOMEM;
}

int main(int argc, char **argv)
{
    static struct scan scan = {
        .address_text = "127.0.0.1", .first = 1, .last = PORT_MAX, .jobs = 500, .timeout_ms = 1000};
    const skua_time start = skua_clock();
    int status = parse_arguments(argc, argv, &scan);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: portscan [-p A-B] [-j N] [-t MS] [-q] [ADDRESS]; --help tells more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    respect_limit(&scan);
    const skua_config config = {.name = "portscan", .drain_ns = -1};
    status = prepare(&scan);
    if (status == 0) {
        status = skua_run(&config, run_scan, &scan);
    }
    const size_t failures = scan.ports != NULL ? print_ports(&scan) : 0;
    if (status < 0) {
        fprintf(stderr, "portscan: %s\n", skua_error_text(status));
    }
    if (!scan.is_quiet) {
        fprintf(stderr, "%zu of %zu ports tried in %.2f s, %zu open, %zu could not be tried\n",
                scan.done, scan.count, (double)skua_elapsed_ns(start) / 1e9, scan.open, failures);
    }
    free(scan.ports);
    return status == -EINTR ? 128 + skua_run_signal() : status < 0 || failures > 0;
}
