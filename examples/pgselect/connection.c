/* connection.c: a client library with non-blocking calls, plugged into tasks. The library says what
   it waits for, and skua_wait_fd() waits for it: its fds are its own, are not adopted, and may
   change from one call to the next. What the library cannot do without blocking goes to
   skua_blocking(). A connection is used by one task at a time, on whichever thread that runs; libpq
   allows it. */
#include "pgselect.h"

#include <string.h>

enum { CANCEL_MS = 2000, REASON_BYTES = 256 };

static int wait_for(PGconn *connection, int events, skua_time deadline)
{
    int fd = PQsocket(connection);
    return fd < 0 ? -ECONNRESET : skua_wait_fd(fd, events, deadline);
}

/* --- connecting --- */

struct start {
    const char *settings;
    PGconn *connection;
};

/* Looks up the name of the host, which blocks. */
static int start_connecting(void *arg)
{
    struct start *start = arg;
    start->connection = PQconnectStart(start->settings);
    return 0;
}

int database_connect(PGconn **connection, const char *settings, skua_time deadline)
{
    struct start start = {.settings = settings};
    int status = skua_blocking(start_connecting, &start, deadline);
    *connection = start.connection;
    if (status < 0 || *connection == NULL || PQstatus(*connection) == CONNECTION_BAD) {
        return status < 0 ? status : -ECONNREFUSED;
    }
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        status = wait_for(*connection,
                          next == PGRES_POLLING_READING ? SKUA_READABLE : SKUA_WRITABLE, deadline);
        if (status < 0) {
            return status;
        }
        next = PQconnectPoll(*connection);
    }
    return next == PGRES_POLLING_OK && PQsetnonblocking(*connection, 1) == 0 ? 0 : -ECONNREFUSED;
}

/* A server that ends a connection says so first: all is read, up to the end if there is one. */
bool database_is_alive(PGconn *connection)
{
    while (wait_for(connection, SKUA_READABLE, SKUA_NOW) > 0) {
        if (PQconsumeInput(connection) == 0) {
            return false;
        }
    }
    return PQstatus(connection) == CONNECTION_OK && PQtransactionStatus(connection) == PQTRANS_IDLE;
}

/* --- asking --- */

/* All that was asked goes out. The server may answer before, and wait for us to read that. */
static int send_all(PGconn *connection, skua_time deadline)
{
    int left;
    while ((left = PQflush(connection)) == 1) {
        int ready = wait_for(connection, SKUA_READABLE | SKUA_WRITABLE, deadline);
        if (ready < 0) {
            return ready;
        }
        if ((ready & SKUA_READABLE) != 0 && PQconsumeInput(connection) == 0) {
            return -ECONNRESET;
        }
    }
    return left == 0 ? 0 : -ECONNRESET;
}

/* All that the server answers. The first result counts: an error comes before the end of the
   connection that it is about. */
static int receive_all(PGconn *connection, PGresult **result, skua_time deadline)
{
    for (;;) {
        while (PQisBusy(connection) == 1) {
            int ready = wait_for(connection, SKUA_READABLE, deadline);
            if (ready < 0) {
                return ready;
            }
            if (PQconsumeInput(connection) == 0) {
                return -ECONNRESET;
            }
        }
        PGresult *next = PQgetResult(connection);
        if (next == NULL) {
            return PQstatus(connection) == CONNECTION_OK ? 0 : -ECONNRESET;
        }
        if (*result == NULL) {
            *result = next;
        } else {
            PQclear(next);
        }
    }
}

/* --- giving up --- */

static int ask_to_stop(void *arg)
{
    char reason[REASON_BYTES];
    return PQcancel(arg, reason, sizeof reason) == 1 ? 0 : -EIO;
}

/* Make the server stop, and read what it has to say about that, so that the connection can be used
   again. PQcancel() connects once more, and blocks until it has. */
static bool stop_query(PGconn *connection)
{
    SKUA_SCOPE(shield);
    const skua_time deadline = skua_after(SKUA_MS(CANCEL_MS));
    skua_shield_open(&shield, deadline);
    PGcancel *cancel = PQgetCancel(connection);
    PGresult *result = NULL;
    int status = cancel == NULL ? -ENOMEM : skua_blocking(ask_to_stop, cancel, deadline);
    PQfreeCancel(cancel);
    status = status < 0 ? status : send_all(connection, deadline);
    status = status < 0 ? status : receive_all(connection, &result, deadline);
    PQclear(result);
    return status == 0;
}

int database_query(PGconn *connection, const char *text, int count, const char *const *parameters,
                   PGresult **result, bool *is_usable, skua_time deadline)
{
    *result = NULL;
    int status = -ECONNRESET;
    if (PQsendQueryParams(connection, text, count, NULL, parameters, NULL, NULL, 0) == 1) {
        status = send_all(connection, deadline);
        status = status < 0 ? status : receive_all(connection, result, deadline);
    }
    *is_usable = status == 0;
    if (status < 0) {
        PQclear(*result);
        *result = NULL;
    }
    if (status == -ETIMEDOUT || status == -ECANCELED) {
        *is_usable = stop_query(connection);
    }
    return status;
}
