/* keyvalue: a server of keys and values in memory, for the clients of Redis.

       keyvalue 127.0.0.1:6380 &
       redis-cli -p 6380 set name Skua
       redis-benchmark -p 6380 -t ping,set,get -P 16 -q

   What it shows: a server is a function for one connection that reads, answers and returns
   (skua/serve.h); commands that came together are answered together, since the writer is flushed
   only when the reader would wait (skua/reader.h); tasks share a table under locks (skua/sync.h).

   main.c has the arguments and the server, protocol.c takes commands apart, commands.c does what
   they say, table.c keeps the keys. */
#include "keyvalue.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, WRITER_BYTES = 16 << 10 };

struct settings {
    const char *address;
    size_t connections_max, command_bytes_max, memory_bytes_max, idle_s, workers;
    struct table *table;
};

static const char help[] =
    "Usage: keyvalue [OPTION...] [ADDRESS]\n"
    "Keep keys and values in memory for clients that speak the protocol of Redis.\n"
    "\n"
    "ADDRESS is like 127.0.0.1:6380, which is the default, [::1]:6380, or /path/of/a/socket.\n"
    "Port 0 takes a free one; the first line of output tells it. There is no password: listen\n"
    "only where everybody who can connect may read and write.\n"
    "\n"
    "  -c, --connections N  serve N clients at once, let more wait (default 10000)\n"
    "  -b, --command N      the longest command, in bytes (default 65536)\n"
    "  -m, --memory N       refuse new values beyond N megabytes (default 256)\n"
    "  -i, --idle N         drop clients that are silent for N seconds (default 0: never)\n"
    "  -w, --workers N      use N threads (default 0: one for each core)\n"
    "  -h, --help           print this\n"
    "\n"
    "Commands: PING ECHO GET SET DEL EXISTS INCR DECR DBSIZE FLUSHALL INFO QUIT. ^C or SIGTERM\n"
    "ends it, when it has answered what has arrived.\n";

/* A client: commands are done one after the other, as they come. */
static int serve_connection(struct connection *connection)
{
    struct command command;
    ssize_t length;
    while ((length = next_command(connection, &command)) > 0) {
        if (command.count > 0) {
            int status = run_command(connection, &command);
            if (status < 0) {
                return status;
            }
        }
        skua_reader_take(&connection->reader, (size_t)length);
        if (connection->quits) {
            return skua_writer_flush(&connection->writer, connection->deadline);
        }
    }
    return (int)length;
}

static int serve_client(skua_client *client)
{
    const struct settings *settings = client->arg;
    const skua_transport transport = skua_fd_transport(client->fd);
    struct connection connection = {
        .table = settings->table,
        .idle_ns = SKUA_SEC(settings->idle_s),
    };
    int status = skua_reader_open(&connection.reader, transport,
                                  &(skua_reader_opts){.buffer_bytes = settings->command_bytes_max});
    if (status == 0) {
        status = skua_writer_open(&connection.writer, transport,
                                  &(skua_writer_opts){.buffer_bytes = WRITER_BYTES});
    }
    if (status == 0) {
        status = serve_connection(&connection);
    }
    skua_writer_discard(&connection.writer);
    skua_reader_close(&connection.reader);
    return status == -EPROTO || status == -ETIMEDOUT ? 0 : status; /* it was told, or is silent */
}

static int serve(void *arg)
{
    struct settings *settings = arg;
    skua_address address;
    char text[SKUA_ADDRESS_TEXT_BYTES];
    int status = skua_address_parse(settings->address, &address);
    if (status < 0) {
        fprintf(stderr,
                "keyvalue: %s is not an address: give a number and a port, like 127.0.0.1:6380\n",
                settings->address);
        return status;
    }
    int listener = skua_listen_at(&address, NULL);
    if (listener < 0) {
        fprintf(stderr, "keyvalue: cannot listen at %s: %s%s\n", settings->address,
                skua_error_text(listener),
                listener == -EADDRINUSE ? "; port 0 takes a free one" : "");
        return listener;
    }
    status = skua_local_address(listener, &address);
    printf("keyvalue: listening at %s\n", skua_address_text(&address, text, sizeof text));
    fflush(stdout);
    const skua_serve_opts opts = {
        .connections_max = settings->connections_max,
        .name = "client",
        .drain_ns = SKUA_MS(200),
    };
    status = status < 0 ? status : skua_serve(NULL, listener, serve_client, settings, &opts);
    if (address.any.sa_family == AF_UNIX && address.local.sun_path[0] == '/') {
        unlink(address.local.sun_path);
    }
    return status;
}

static bool parse_count(const char *text, size_t least, size_t most, size_t *count)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    *count = (size_t)number;
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < least || number > most) {
        fprintf(stderr, "keyvalue: not a number from %zu to %zu: %s\n", least, most, text);
        return false;
    }
    return true;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"command", required_argument, NULL, 'b'},
        {"memory", required_argument, NULL, 'm'},
        {"idle", required_argument, NULL, 'i'},
        {"workers", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool is_good = true;
    for (int letter;
         is_good && (letter = getopt_long(argc, argv, "c:b:m:i:w:h", names, NULL)) >= 0;) {
        switch (letter) {
        case 'c':
            is_good = parse_count(optarg, 1, 1000000, &settings->connections_max);
            break;
        case 'b':
            is_good = parse_count(optarg, 64, 512 << 20, &settings->command_bytes_max);
            break;
        case 'm':
            is_good = parse_count(optarg, 1, 1 << 20, &settings->memory_bytes_max);
            break;
        case 'i':
            is_good = parse_count(optarg, 0, 1000000, &settings->idle_s);
            break;
        case 'w':
            is_good = parse_count(optarg, 0, 1024, &settings->workers);
            break;
        case 'h':
            fputs(help, stdout);
            return 1;
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
    struct settings settings = {
        .address = "127.0.0.1:6380",
        .connections_max = 10000,
        .command_bytes_max = 64 << 10,
        .memory_bytes_max = 256,
    };
    int status = parse_arguments(argc, argv, &settings);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: keyvalue [OPTION...] [ADDRESS]; --help tells more\n", stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    settings.table = table_create(settings.memory_bytes_max << 20);
    if (settings.table == NULL) {
        fputs("keyvalue: no memory for the table\n", stderr);
        return 1;
    }
    const skua_config config = {.name = "keyvalue", .workers = (uint32_t)settings.workers};
    status = skua_run(&config, serve, &settings);
    table_destroy(settings.table);
    if (status < 0) {
        fprintf(stderr, "keyvalue: %s\n", skua_error_text(status));
    }
    return status < 0;
}
