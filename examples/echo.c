/* echo: a server that sends back what it gets.

       echo                              listens at 127.0.0.1:7777
       echo -c 100 -i 30 '[::]:7777'     at most 100 connections, closed after 30 s of silence
       echo /tmp/echo.sock               a Unix socket; '@echo' is one without a file

   Try it with `socat - TCP:127.0.0.1:7777`, and end it with ^C.

   What it shows: a server is a function that reads and writes as if its one client were all there
   is. skua_serve() runs it in a task for each connection, keeps to the limit (whoever comes then
   waits in the line), and ends in good order: on the first SIGINT or SIGTERM nobody is let in any
   more, those who are there may finish for a while, then they are cut off. Deadlines bound
   each wait, not the connection as a whole. */
#include <skua/skua.h>

#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "Usage: echo [OPTION...] [ADDRESS]\n"
    "Send back what comes in at ADDRESS: 127.0.0.1:7777 (the default), *:7777, [::]:7777,\n"
    "/path/of/a/socket, or @name. Port 0 is any free one, which is printed.\n"
    "\n"
    "  -c, --connections N   at most N at once; more wait (default 1000)\n"
    "  -i, --idle SECONDS    close those that are silent for so long (default 0: never)\n"
    "  -g, --grace SECONDS   at the end, connections get so long to finish (default 5)\n"
    "  -h, --help            print this\n"
    "\n"
    "SIGINT and SIGTERM end it in good order, with status 0; a second one cuts it short.\n";

struct settings {
    const char *address;
    size_t connections_max;
    int64_t idle_ns; /* 0: no limit */
    int64_t grace_ns;
};

static atomic_ullong bytes_echoed, idle_count;

/* --- serving ---------------------------------------------------------------------------------- */

static skua_time patience(const struct settings *settings)
{
    return settings->idle_ns > 0 ? skua_after(settings->idle_ns) : SKUA_FOREVER;
}

/* One connection, until its client has nothing more to say. */
static int echo(skua_client *client)
{
    const struct settings *settings = client->arg;
    char buffer[16 * 1024];
    for (;;) {
        ssize_t got = skua_read(client->fd, buffer, sizeof buffer, patience(settings));
        int status =
            got <= 0 ? (int)got
                     : skua_write_all(client->fd, buffer, (size_t)got, NULL, patience(settings));
        if (status == -ETIMEDOUT) {
            atomic_fetch_add(&idle_count, 1);
            return 0; /* which closes it; not a failure */
        }
        if (got <= 0 || status < 0) {
            return status;
        }
        atomic_fetch_add(&bytes_echoed, (unsigned long long)got);
    }
}

static void tell(skua_serve_event event, int status, const skua_address *peer, void *arg)
{
    char text[SKUA_ADDRESS_TEXT_BYTES];
    if (event == SKUA_SERVE_EXHAUSTED) {
        fprintf(stderr,
                "echo: no more connections for now: %s (see `ulimit -n`, or lower --connections)\n",
                skua_error_text(status));
    } else if (event == SKUA_SERVE_FAILED && status != -ECANCELED && status != -ECONNRESET &&
               status != -EPIPE) {
        fprintf(stderr, "echo: %s: %s\n", skua_address_text(peer, text, sizeof text),
                skua_error_text(status));
    }
}

/* Returns 0, EXIT_FAILURE after having said why, or < 0. */
static int program(void *arg)
{
    struct settings *settings = arg;
    char text[SKUA_ADDRESS_TEXT_BYTES];
    skua_address at;
    skua_server server = {{0}};
    const skua_serve_opts opts = {.connections_max = settings->connections_max,
                                  .drain_ns = settings->grace_ns > 0 ? settings->grace_ns : -1,
                                  .on_event = tell,
                                  .name = "echo"};
    int status = skua_address_parse(settings->address, &at);
    if (status < 0) {
        fprintf(stderr, "echo: not an address: %s (such are 127.0.0.1:7777, [::1]:7777, /a/path)\n",
                settings->address);
        return EXIT_FAILURE;
    }
    int listener = skua_listen_at(&at, NULL);
    if (listener < 0 || (status = skua_local_address(listener, &at)) < 0) {
        status = listener < 0 ? listener : status;
        fprintf(stderr, "echo: cannot listen at %s: %s\n", settings->address,
                skua_error_text(status));
        return EXIT_FAILURE;
    }
    printf("listening at %s\n", skua_address_text(&at, text, sizeof text));
    fflush(stdout);
    status = skua_serve(&server, listener, echo, settings, &opts);

    skua_server_counts counts;
    skua_server_count(&server, &counts);
    printf("%llu connections, %llu of them closed for silence; %llu bytes\n",
           (unsigned long long)counts.accepted, atomic_load(&idle_count),
           atomic_load(&bytes_echoed));
    return status;
}

/* --- arguments -------------------------------------------------------------------------------- */

/* The number in `text` times `unit`, if it is one from 0 to a million. */
static bool parse_number(const char *text, double unit, int64_t *out)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= 0 && number <= 1e6)) {
        fprintf(stderr, "echo: not a number from 0 to 1000000: %s\n", text);
        return false;
    }
    *out = (int64_t)(number * unit);
    return true;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"idle", required_argument, NULL, 'i'},
        {"grace", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int64_t connections = 1000;
    bool is_good = true;
    for (int letter; is_good && (letter = getopt_long(argc, argv, "c:i:g:h", names, NULL)) >= 0;) {
        switch (letter) {
        case 'h':
            fputs(help, stdout);
            return 1;
        case 'c':
            is_good = parse_number(optarg, 1, &connections);
            break;
        case 'i':
            is_good = parse_number(optarg, 1e9, &settings->idle_ns);
            break;
        case 'g':
            is_good = parse_number(optarg, 1e9, &settings->grace_ns);
            break;
        default:
            is_good = false;
        }
    }
    settings->connections_max = (size_t)connections;
    if (is_good && optind < argc) {
        settings->address = argv[optind++];
    }
    return is_good && optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct settings settings = {.address = "127.0.0.1:7777", .grace_ns = SKUA_SEC(5)};
    int status = parse_arguments(argc, argv, &settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: echo [-c N] [-i SECONDS] [-g SECONDS] [ADDRESS]; --help tells more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    }
    /* The connections' grace ends before the runtime's, which is for all else. */
    const skua_config config = {.name = "echo", .drain_ns = settings.grace_ns + SKUA_SEC(1)};
    status = skua_run(&config, program, &settings);
    if (status == -EINTR) {
        return 128 + skua_run_signal();
    }
    if (status < 0) {
        fprintf(stderr, "echo: %s\n", skua_error_text(status));
    }
    return status < 0 ? EXIT_FAILURE : status;
}
