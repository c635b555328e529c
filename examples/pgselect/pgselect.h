/* pgselect.h: what the parts of pgselect share. */
#ifndef PGSELECT_H
#define PGSELECT_H

#include <libpq-fe.h>
#include <skua/skua.h>

/* --- connection.c: libpq's non-blocking calls as blocking ones, for tasks --- */

/* Connect. Returns 0, or -ECONNREFUSED (*connection tells why, and has to be finished all the same;
   it may be NULL: no memory), -ETIMEDOUT, -ECANCELED. */
int database_connect(PGconn **connection, const char *settings, skua_time deadline);

/* Is an idle connection still of use? Asks nobody, and sees what the server has sent or closed. */
bool database_is_alive(PGconn *connection);

/* Run one statement. Returns 0 with the *result, which may be an error of the statement, and is to
   be cleared; -ECONNRESET (the connection is lost: its own message tells more), -ETIMEDOUT,
   -ECANCELED: then the server was asked to stop, too. After any of these, *is_usable tells whether
   the connection is. */
int database_query(PGconn *connection, const char *text, int count, const char *const *parameters,
                   PGresult **result, bool *is_usable, skua_time deadline);

#endif
