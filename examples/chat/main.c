/* chat: a server for talk in rooms, one line at a time.

       chat                        listens at 127.0.0.1:7778; any client that sends lines will do:
       socat READLINE TCP:127.0.0.1:7778        or  nc 127.0.0.1 7778

   A line is said to all in the room; one that begins with '/' is a command: /join ROOM, /nick NAME,
   /who, /rooms, /help, /quit.

   What it shows: each client is two tasks in a group, one that reads its lines and one that writes
   its mail; when either ends, so does the other, and the room is left in any case (skua_with()).
   Nobody waits for a slow reader: mail is a queue with a limit that drops its oldest line, the
   reader is told how many it has missed, and who takes nothing for a while is disconnected. When
   the server is stopped, a shield gives each writer the moment for its last words. */
#include "chat.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static const char help[] =
    "Usage: chat [OPTION...] [ADDRESS]\n"
    "Let people talk at ADDRESS: 127.0.0.1:7778 (the default), *:7778, [::]:7778,\n"
    "/path/of/a/socket, or @name. Port 0 is any free one, which is printed.\n"
    "\n"
    "  -c, --connections N   at most N at once; more wait (default 1000)\n"
    "  -m, --mail N          keep N lines for who reads slowly, then drop the oldest (default "
    "200)\n"
    "  -p, --patience SECONDS  disconnect who takes nothing for so long (default 30)\n"
    "  -h, --help            print this\n"
    "\n"
    "SIGINT and SIGTERM say good-bye to all and end it, with status 0.\n";

static int program(void *arg)
{
    struct settings *settings = arg;
    char text[SKUA_ADDRESS_TEXT_BYTES];
    skua_address at;
    const skua_socket_opts socket_opts = {.keepalive = true}; /* who vanishes leaves the room */
    const skua_serve_opts opts = {.connections_max = settings->connections_max,
                                  .drain_ns = -1, /* talk has no end to wait for */
                                  .name = "chat"};
    int status = skua_address_parse(settings->address, &at);
    if (status < 0) {
        fprintf(stderr, "chat: not an address: %s (such are 127.0.0.1:7778, [::1]:7778, /a/path)\n",
                settings->address);
        return status;
    }
    int listener = skua_listen_at(&at, &socket_opts);
    if (listener < 0 || (status = skua_local_address(listener, &at)) < 0) {
        status = listener < 0 ? listener : status;
        fprintf(stderr, "chat: cannot listen at %s: %s\n", settings->address,
                skua_error_text(status));
        return status;
    }
    printf("listening at %s\n", skua_address_text(&at, text, sizeof text));
    fflush(stdout);
    return skua_serve(NULL, listener, serve_client, settings, &opts);
}

/* The number in `text`, if it is above 0 and at most a million. */
static bool parse_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out > 0 && *out <= 1e6)) {
        fprintf(stderr, "chat: not a number above 0, up to 1000000: %s\n", text);
        return false;
    }
    return true;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"mail", required_argument, NULL, 'm'},
        {"patience", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    double number = 0;
    bool is_good = true;
    for (int letter; is_good && (letter = getopt_long(argc, argv, "c:m:p:h", names, NULL)) >= 0;) {
        switch (letter) {
        case 'h':
            fputs(help, stdout);
            return 1;
        case 'c':
            is_good = parse_number(optarg, &number);
            settings->connections_max = number < 1 ? 1 : (size_t)number;
            break;
        case 'm':
            is_good = parse_number(optarg, &number);
            settings->mail_max = number < 1 ? 1 : (size_t)number;
            break;
        case 'p':
            is_good = parse_number(optarg, &number);
            settings->patience_ns = (int64_t)(number * 1e9);
            break;
        default:
            is_good = false;
        }
    }
    if (is_good && optind < argc) {
        settings->address = argv[optind++];
    }
    return is_good && optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct settings settings = {"127.0.0.1:7778", 1000, 200, SKUA_SEC(30)};
    int status = parse_arguments(argc, argv, &settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: chat [-c N] [-m N] [-p SECONDS] [ADDRESS]; --help tells more\n", stderr);
        }
        return status < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    }
    const skua_config config = {.name = "chat", .drain_ns = SKUA_SEC(5)};
    status = skua_run(&config, program, &settings);
    if (status == -EINTR) {
        return 128 + skua_run_signal();
    }
    return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
