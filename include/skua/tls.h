/* skua/tls.h: TLS over any transport (skua/reader.h), by OpenSSL.

   A library of its own, which is built where OpenSSL 3 is found: link with -lskua-tls (pkg-config
   skua-tls, CMake skua::tls). <skua/skua.h> does not include this header.

   A connection is made over a transport, usually an fd, shakes hands, and is a transport itself:
   readers and writers work over it. One task may read while another one writes; a second reader or
   writer gets -EBUSY. TLS 1.2 and 1.3; certificates are verified unless you say otherwise.

   Besides the common results (-ECANCELED, -ETIMEDOUT, -EAGAIN, -EBUSY, -ESHUTDOWN, and what the
   transport says) calls fail with
       -EKEYREJECTED   the peer's certificate is not to be trusted, or it did not trust ours
       -EPROTO         the peer speaks no TLS, or breaks its rules, or nothing is supported by both
       -ECONNABORTED   the connection ended without the peer having said so: data may be missing
       -ENOMEM
   and skua_tls_error() says what it was, in words. */
#ifndef SKUA_TLS_H
#define SKUA_TLS_H

#include <skua/reader.h>

SKUA_BEGIN_DECLS

/* --- configuration: made once, used by any number of connections --- */

typedef struct skua_tls_config skua_tls_config;

enum skua_tls_version { SKUA_TLS_ANY, SKUA_TLS_1_2, SKUA_TLS_1_3 };

/* What a server does about certificates of clients. */
enum skua_tls_clients { SKUA_TLS_ANONYMOUS, SKUA_TLS_ASK, SKUA_TLS_REQUIRE };

/* Zero everywhere is the default, and so is NULL; a server needs a certificate. */
typedef struct skua_tls_opts {
    /* Who is trusted: a file of certificates (PEM). NULL: a client trusts whom the system trusts. A
       server needs it only to verify its clients. */
    const char *ca_file;
    /* Own certificate, with those that lead to the trusted one behind it, and its key (PEM, without
       a password; NULL: it stands in the same file). A server needs them. */
    const char *chain_file, *key_file;
    /* Names of protocols on top ("h2", "http/1.1"), the preferred ones first; NULL behind the last.
       A client offers them. A server takes its own first one that is offered; if there is none, the
       handshake fails; a client that offers nothing is served. NULL: none. */
    const char *const *alpn;
    enum skua_tls_version min_version; /* SKUA_TLS_ANY: 1.2 */
    enum skua_tls_clients clients;     /* servers only */
    bool is_unverified;                /* clients: trust everybody, which protects against nobody */
    /* If this cannot be used: what was wrong, in words, cut off to fit. NULL: not told. */
    char *error;
    size_t error_bytes;
} skua_tls_opts;

/* Read the files and make a configuration. Returns 0, -ENOENT and what else opening a file says,
   -EINVAL (not PEM, the key is of another certificate, a bad list of protocols, a missing file
   name), -ENOMEM, -ESHUTDOWN. `deadline` bounds the wait for a thread of the blocking pool, which
   does the work.
   Call from: a task or a foreign thread. May switch. Cost: tens of milliseconds for the system's
   trusted certificates. */
int skua_tls_client_config(skua_tls_config **out, const skua_tls_opts *opts, skua_time deadline)
    SKUA_MUST_CHECK;
int skua_tls_server_config(skua_tls_config **out, const skua_tls_opts *opts, skua_time deadline)
    SKUA_MUST_CHECK;

/* Give it back; connections that use it keep what they need. NULL is allowed. Never switches. */
void skua_tls_config_destroy(skua_tls_config *config);

/* --- connections --- */

typedef struct skua_tls skua_tls;

/* A connection over the transport, which it owns from now on if this succeeds. Nothing is sent
   before the handshake. `host` is whom the client wants to talk to, a name or an address: the
   certificate must be for it (NULL only if unverified). Returns 0, -EINVAL (no host; a
   configuration of the other kind), -ENOMEM, -ESHUTDOWN.
   Call from: a task or a foreign thread. Never switches. */
int skua_tls_client(skua_tls **out, skua_tls_config *config, skua_transport transport,
                    const char *host) SKUA_MUST_CHECK;
int skua_tls_server(skua_tls **out, skua_tls_config *config, skua_transport transport)
    SKUA_MUST_CHECK;

/* Agree with the peer, and verify it. To be done before all that follows. Returns 0 or an error;
   after -ECANCELED, -ETIMEDOUT or -EAGAIN it can be repeated and goes on where it was.
   Call from: a task (or where the transport allows it, like the others). May switch. */
int skua_tls_handshake(skua_tls *tls, skua_time deadline) SKUA_MUST_CHECK;

/* Up to `bytes` bytes, waiting until there is one. Returns the number; 0: the peer has said that it
   was all (close_notify); -ECONNABORTED: the connection ended without that; -ENOTCONN: no handshake
   yet; or another error. May switch. Cancel: loses nothing. */
ssize_t skua_tls_read(skua_tls *tls, void *buffer, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* At least one byte (of `bytes` > 0). Returns the number of bytes that were taken, or an error;
   then none was. What was taken is sent before the call returns, unless a deadline or cancel ends
   that: then the rest of it goes out first with the next write, flush or close_write. May switch.
   */
ssize_t skua_tls_write(skua_tls *tls, const void *buffer, size_t bytes, skua_time deadline)
    SKUA_MUST_CHECK;

/* Send what was taken and is not yet out. Returns 0 or an error; can be repeated. May switch. */
int skua_tls_flush(skua_tls *tls, skua_time deadline) SKUA_MUST_CHECK;

/* Tell the peer that it was all (close_notify), and flush. Reading goes on; later writes get
   -EPIPE. The transport below stays open in both directions. Returns 0 or an error; can be
   repeated. May switch. */
int skua_tls_close_write(skua_tls *tls, skua_time deadline) SKUA_MUST_CHECK;

/* Close the transport and give all back. Nothing more is sent: who has not called
   skua_tls_close_write() is taken for cut off. Tasks that wait in it get -EBADF. NULL is allowed.
   Never switches. */
void skua_tls_close(skua_tls *tls);

/* It as a transport: closing that closes it. Call from anywhere. */
skua_transport skua_tls_transport(skua_tls *tls);

/* --- what has become of it; each text lives as long as the connection --- */

/* What was wrong with the certificate, the protocol or the peer, in words ("the peer's certificate:
   certificate has expired"); "" if nothing was. */
const char *skua_tls_error(skua_tls *tls);

/* The protocol that was agreed upon (ALPN), or "". */
const char *skua_tls_alpn(const skua_tls *tls);

/* "TLSv1.2" or "TLSv1.3"; "" before the handshake. */
const char *skua_tls_version(const skua_tls *tls);

/* Whose certificate the peer has shown, and who has signed it ("CN=example.org, O=..."); "" if it
   has shown none. */
const char *skua_tls_peer_subject(const skua_tls *tls);
const char *skua_tls_peer_issuer(const skua_tls *tls);

SKUA_END_DECLS
#endif
