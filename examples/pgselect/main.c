/* pgselect: run many statements on a PostgreSQL at the same time.

       seq 1000 | sed 's/^/select $1::int * 2\t/' | pgselect -c 8 'host=/run/postgresql'

   What it shows: a client library with non-blocking calls is used from tasks by a few plain
   functions (connection.c); a pool (skua/conn_pool.h) lends a few connections to many tasks, opens
   them when they are needed, looks at those that were idle, and replaces the dead; each statement
   has a deadline, at which the server stops it, too.

   main.c has the arguments, the statements and the pool. */
#include "pgselect.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_MAX = 16, COUNT_MAX = 10000, EXIT_USAGE = 2 };

struct statement {
    struct run *run;
    char *text; /* and behind it, each after a tab, its parameters */
    const char *parameters[PARAMETERS_MAX];
    int parameter_count;
    PGresult *result; /* NULL: there is none, see `status` */
    int status;
};

struct run {
    const char *settings;
    size_t connections_max, tasks_max, timeout_ms;
    struct statement *statements;
    size_t count;
    skua_conn_pool *pool;
    skua_conn_pool_counts counts;
};

static const char help[] =
    "Usage: pgselect [OPTION...] [CONNECTION] <STATEMENTS\n"
    "Run statements on a PostgreSQL, many at the same time, and print the rows in order.\n"
    "\n"
    "CONNECTION is like 'host=/run/postgresql dbname=test' or postgresql://user@host/test; what "
    "it\n"
    "does not say is taken from PGHOST, PGUSER and so on. Each line of STATEMENTS is one, with "
    "its\n"
    "parameters $1, $2... behind it, each after a tab. One that has lost its connection is run\n"
    "again, so it should be a SELECT.\n"
    "\n"
    "  -c, --connections N  open N connections at most (default 8)\n"
    "  -j, --jobs N         let N statements run or wait for a connection (default 100)\n"
    "  -t, --timeout N      give each statement N milliseconds, waiting included (default 30000)\n"
    "  -h, --help           print this\n"
    "\n"
    "A row is a line, its values with tabs between them, \\N for NULL. The exit status is 1 if a\n"
    "statement has failed; which, and why, is on standard error, as is a summary.\n";

/* --- connections --- */

static int open_connection(void **out, void *arg)
{
    const struct run *run = arg;
    PGconn *connection;
    int status = database_connect(&connection, run->settings, SKUA_FOREVER);
    if (status < 0) {
        if (status != -ECANCELED) {
            fprintf(stderr, "pgselect: cannot connect: %s", PQerrorMessage(connection));
        }
        PQfinish(connection);
        return status;
    }
    *out = connection;
    return 0;
}

static void close_connection(void *connection, void *arg)
{
    PQfinish(connection);
}

static bool is_healthy(void *connection, void *arg)
{
    return database_is_alive(connection);
}

/* --- statements --- */

/* Once, on a connection of the pool. -ECONNRESET: it may be tried again. */
static int try_statement(struct statement *statement, skua_time deadline)
{
    skua_conn_pool *pool = statement->run->pool;
    void *connection;
    bool is_usable;
    int status = skua_conn_pool_acquire(pool, &connection, deadline);
    if (status < 0) {
        return status;
    }
    status = database_query(connection, statement->text, statement->parameter_count,
                            statement->parameters, &statement->result, &is_usable, deadline);
    if (is_usable) {
        skua_conn_pool_release(pool, connection);
    } else {
        skua_conn_pool_discard(pool, connection);
    }
    return status;
}

/* A task, or a part of one. What ends everything is only that there is no server. */
static int run_statement(void *arg)
{
    struct statement *statement = arg;
    const skua_time deadline = skua_after(SKUA_MS(statement->run->timeout_ms));
    int status = -ECONNRESET;
    /* If all idle connections are dead, and nobody has seen it yet, the last attempt opens one. */
    for (size_t attempt = 0; status == -ECONNRESET && attempt <= statement->run->connections_max;
         attempt++) {
        status = try_statement(statement, deadline);
    }
    statement->status = status;
    return status == -ECONNREFUSED || status == -ECANCELED ? status : 0;
}

/* The first task. */
static int run_all(void *arg)
{
    struct run *run = arg;
    const skua_conn_pool_opts pool = {
        .open = open_connection,
        .close = close_connection,
        .is_healthy = is_healthy,
        .arg = run,
        .open_max = run->connections_max,
        .name = "database",
    };
    int status = skua_conn_pool_create(&run->pool, &pool);
    if (status < 0) {
        return status;
    }
    const skua_map_opts opts = {.limit = run->tasks_max, .name = "statement"};
    status = skua_map(run_statement, run->statements, sizeof *run->statements, run->count, &opts);
    skua_conn_pool_count(run->pool, &run->counts);
    skua_conn_pool_destroy(run->pool);
    return status;
}

/* --- what came out --- */

static void print_rows(const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result); column++) {
            fputs(column > 0 ? "\t" : "", stdout);
            fputs(PQgetisnull(result, row, column) ? "\\N" : PQgetvalue(result, row, column),
                  stdout);
        }
        fputs("\n", stdout);
    }
}

/* Returns whether it was well. */
static bool print_statement(const struct statement *statement, size_t line)
{
    const ExecStatusType kind = PQresultStatus(statement->result);
    if (statement->status == 0 && (kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK)) {
        print_rows(statement->result);
        return true;
    }
    if (statement->status == 0) {
        fprintf(stderr, "pgselect: line %zu: %s", line, PQresultErrorMessage(statement->result));
    } else if (statement->status != -ECANCELED && statement->status != -ECONNREFUSED) {
        fprintf(stderr, "pgselect: line %zu: %s\n", line, skua_error_text(statement->status));
    }
    return false;
}

static size_t print_all(const struct run *run)
{
    size_t failures = 0;
    for (size_t i = 0; i < run->count; i++) {
        failures += !print_statement(&run->statements[i], i + 1);
    }
    fprintf(stderr, "%zu statements, %zu failed; %llu connections opened, %llu given up\n",
            run->count, failures, (unsigned long long)run->counts.opened,
            (unsigned long long)(run->counts.closed));
    return failures;
}

/* --- what goes in --- */

/* Cut a line into the statement and its parameters. */
static int split(struct statement *statement)
{
    statement->text[strcspn(statement->text, "\n")] = '\0';
    for (char *tab = statement->text; (tab = strchr(tab, '\t')) != NULL;) {
        if (statement->parameter_count == PARAMETERS_MAX) {
            return -E2BIG;
        }
        *tab++ = '\0';
        statement->parameters[statement->parameter_count++] = tab;
    }
    return 0;
}

static int read_statements(struct run *run)
{
    size_t room = 0, bytes = 0;
    char *text = NULL;
    int status = 0;
    while (status == 0 && getline(&text, &bytes, stdin) >= 0) {
        if (run->count == room) {
            room = room > 0 ? 2 * room : 64;
            struct statement *more = realloc(run->statements, room * sizeof *more);
            if (more == NULL) {
                status = -ENOMEM;
                break;
            }
            run->statements = more;
        }
        struct statement *statement = &run->statements[run->count++];
        *statement = (struct statement){.run = run, .text = text, .status = -ECANCELED};
        status = split(statement);
        text = NULL;
        bytes = 0;
    }
    free(text);
    if (status < 0) {
        fprintf(stderr, "pgselect: line %zu: %s\n", run->count, skua_error_text(status));
    }
    return status;
}

static bool parse_count(const char *text, size_t most, size_t *count)
{
    char *end = NULL;
    *count = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || *count < 1 || *count > most) {
        fprintf(stderr, "pgselect: not a number from 1 to %zu: %s\n", most, text);
        return false;
    }
    return true;
}

/* Returns 0, 1 (help was printed) or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct run *run)
{
    static const struct option names[] = {
        {"connections", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool is_good = true;
    for (int letter; is_good && (letter = getopt_long(argc, argv, "c:j:t:h", names, NULL)) >= 0;) {
        switch (letter) {
        case 'c':
            is_good = parse_count(optarg, COUNT_MAX, &run->connections_max);
            break;
        case 'j':
            is_good = parse_count(optarg, COUNT_MAX, &run->tasks_max);
            break;
        case 't':
            is_good = parse_count(optarg, 1000000000, &run->timeout_ms);
            break;
        case 'h':
            fputs(help, stdout);
            return 1;
        default:
            is_good = false;
        }
    }
    if (is_good && optind < argc) {
        run->settings = argv[optind++];
    }
    return is_good && optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct run run = {.settings = "", .connections_max = 8, .tasks_max = 100, .timeout_ms = 30000};
    int status = parse_arguments(argc, argv, &run);
    if (status != 0) {
        if (status < 0) {
            fputs("Usage: pgselect [-c N] [-j N] [-t MS] [CONNECTION] <STATEMENTS; --help tells "
                  "more\n",
                  stderr);
        }
        return status < 0 ? EXIT_USAGE : 0;
    }
    const skua_config config = {.name = "pgselect", .drain_ns = -1};
    size_t failures = 1;
    if (read_statements(&run) == 0) {
        status = skua_run(&config, run_all, &run);
        failures = print_all(&run);
    }
    for (size_t i = 0; i < run.count; i++) {
        PQclear(run.statements[i].result);
        free(run.statements[i].text);
    }
    free(run.statements);
    return status == -EINTR ? 128 + skua_run_signal() : status < 0 || failures > 0;
}
