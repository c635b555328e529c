/* Connections. OpenSSL works on two buffers (bio.c); what moves bytes between these and the
   transport is here.

       transport -> in  -> SSL_read  -> the reader's memory
       transport <- out <- SSL_write <- the writer's memory

   (T1) The lock is held while OpenSSL works, which waits for nothing and never switches, and never
        over a call of the transport. So it is a lock of threads, nobody waits for it longer than a
        record or a step of the handshake takes, and no cancel can come in between. OpenSSL's queue
        of errors, a thing of the thread, is emptied before such a call and read right behind it.
   (T2) Two roles, each of one task at a time: the reader fills `in`, the writer sends `out`. Who
        finds the role taken gets -EBUSY; the handshake has both.
   (T3) A write begins with an empty `out`, so there is room for what is encrypted next: SSL_write
        never has to be repeated, and what it has taken is taken. If that cannot be sent at once,
        the next write, flush or end sends it first.
   (T4) The reader never sends, and the writer never reads. What reading makes OpenSSL want to say
        stays in `out` (a fatal alert), or is said by the next SSL_write (the answer to a key
        update, which RFC 8446 wants before the next data). Nothing makes a writer wait for the
        peer's bytes after the handshake but renegotiation, which is refused.
   (T5) A failure of OpenSSL ends the connection in both directions; its words are written once.
   (T6) A close while others are in a call leaves the freeing to the last of them.

   Rejected: SSL_set_fd() on a non-blocking socket and skua_wait_fd() (sockets only, and each
   waiting task would have to watch both directions); BIO_s_mem (it grows with what a peer makes us
   say); a skua_mutex (locking it can be cancelled, when bytes have been taken already). */
#include "ext/tls/connection.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <skua/io.h>
#include <skua/task.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum role { READER = 1, WRITER = 2 };

/* What a call of OpenSSL says besides codes. */
enum { DONE = 1, WANTS_INPUT = 2, WANTS_ROOM = 3, ENDED = 4 };

/* --- roles ------------------------------------------------------------------------------------ */

static void destroy(skua_tls *tls)
{
    SSL_free(tls->ssl);
    pthread_mutex_destroy(&tls->lock);
    skua_tls_config_destroy(tls->config);
    OPENSSL_free(tls);
}

static int why_not(const skua_tls *tls, int roles, bool is_handshake)
{
    if (tls->is_closed) {
        return -EBADF;
    }
    if (((roles & READER) != 0 && tls->is_reading) || ((roles & WRITER) != 0 && tls->is_writing)) {
        return -EBUSY;
    }
    return tls->failure < 0 ? tls->failure : tls->is_ready || is_handshake ? 0 : -ENOTCONN;
}

/* The beginning of each call. */
static int enter(skua_tls *tls, int roles, bool is_handshake)
{
    int status = skua_checkpoint(); /* in a forked child no lock is touched */
    if (status < 0) {
        return status;
    }
    pthread_mutex_lock(&tls->lock);
    status = why_not(tls, roles, is_handshake);
    if (status == 0) {
        tls->is_reading |= (roles & READER) != 0;
        tls->is_writing |= (roles & WRITER) != 0;
    }
    pthread_mutex_unlock(&tls->lock);
    return status;
}

/* ... and its end. */
static ssize_t leave(skua_tls *tls, int roles, ssize_t result)
{
    pthread_mutex_lock(&tls->lock);
    tls->is_reading &= (roles & READER) == 0;
    tls->is_writing &= (roles & WRITER) == 0;
    const bool is_last = tls->is_closed && !tls->is_reading && !tls->is_writing;
    pthread_mutex_unlock(&tls->lock);
    if (is_last) {
        destroy(tls); /* (T6) */
    }
    return result;
}

/* --- OpenSSL, under the lock ------------------------------------------------------------------ */

static int fail(skua_tls *tls, int status, const char *text)
{
    if (tls->failure_text[0] == '\0') {
        snprintf(tls->failure_text, sizeof tls->failure_text, "%s", text);
    }
    return status;
}

/* What a call has said that returned `result`; right behind it (T1). */
static int judge(skua_tls *tls, int result)
{
    char text[SKUA__TLS_TEXT_BYTES];
    switch (result > 0 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_NONE:
        return DONE;
    case SSL_ERROR_WANT_READ:
        return WANTS_INPUT;
    case SSL_ERROR_WANT_WRITE:
        return WANTS_ROOM;
    case SSL_ERROR_ZERO_RETURN:
        return ENDED;
    default:
        tls->failure = skua__tls_explain(tls->ssl, text, sizeof text); /* (T5) */
        return fail(tls, tls->failure, text);
    }
}

static int step_handshake(skua_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    tls->may_take = true;
    const int said = judge(tls, SSL_do_handshake(tls->ssl));
    tls->may_take = false;
    pthread_mutex_unlock(&tls->lock);
    return said;
}

static int decrypt(skua_tls *tls, void *buffer, size_t bytes, size_t *got)
{
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    tls->may_take = true;
    const int said = judge(tls, SSL_read_ex(tls->ssl, buffer, bytes, got));
    tls->may_take = false;
    pthread_mutex_unlock(&tls->lock);
    return said;
}

/* As much of one part as there is room for: DONE, WANTS_ROOM, or a failure. */
static int encrypt_part(skua_tls *tls, const struct iovec *part, size_t *taken)
{
    for (size_t done = 0; done < part->iov_len;) {
        const size_t used = tls->out.end - tls->out.start;
        if (used + SKUA__TLS_SLACK_BYTES >= sizeof tls->out.bytes) {
            return WANTS_ROOM;
        }
        const size_t room = sizeof tls->out.bytes - used - SKUA__TLS_SLACK_BYTES;
        size_t bytes = part->iov_len - done < room ? part->iov_len - done : room;
        bytes = bytes < SKUA__TLS_RECORD_BYTES ? bytes : SKUA__TLS_RECORD_BYTES;
        size_t put = 0;
        ERR_clear_error();
        int said =
            judge(tls, SSL_write_ex(tls->ssl, (const char *)part->iov_base + done, bytes, &put));
        if (said != DONE) {
            return said < 0 ? said : fail(tls, tls->failure = -EPROTO, "unexpected renegotiation");
        }
        done += put;
        *taken += put;
    }
    return DONE;
}

static int encrypt(skua_tls *tls, const struct iovec *parts, size_t count, size_t *taken)
{
    int said = DONE;
    pthread_mutex_lock(&tls->lock);
    if (tls->has_sent_end) {
        said = -EPIPE;
    }
    for (size_t i = 0; i < count && said == DONE; i++) {
        said = encrypt_part(tls, &parts[i], taken);
    }
    pthread_mutex_unlock(&tls->lock);
    return said < 0 && *taken == 0 ? said : 0;
}

/* --- the transport, without the lock ---------------------------------------------------------- */

/* The writer: send all of `out`. 0 or an error. */
static int send_out(skua_tls *tls, skua_time deadline)
{
    struct skua__tls_buffer *out = &tls->out;
    ssize_t put = 0;
    for (;;) {
        pthread_mutex_lock(&tls->lock);
        out->start += put > 0 ? (size_t)put : 0;
        if (out->start == out->end) {
            out->start = out->end = 0;
        }
        const struct iovec part = {.iov_base = out->bytes + out->start,
                                   .iov_len = out->end - out->start};
        tls->is_sending = put >= 0 && part.iov_len > 0;
        const bool is_sending = tls->is_sending;
        pthread_mutex_unlock(&tls->lock);
        if (!is_sending) {
            return put < 0 ? (int)put : 0;
        }
        put = skua_transport_write(tls->transport, &part, 1, deadline);
    }
}

/* The reader: get more into `in`, of which OpenSSL has taken all. 0 or an error. */
static int fill_in(skua_tls *tls, skua_time deadline)
{
    struct skua__tls_buffer *in = &tls->in;
    ssize_t got = 0;
    if (!tls->has_ended) {
        in->start = in->end = 0;
        got = skua_transport_read(tls->transport, in->bytes, sizeof in->bytes, deadline);
        in->end = got > 0 ? (size_t)got : 0;
        tls->has_ended = got == 0;
    }
    if (got != 0) {
        return got < 0 ? (int)got : 0;
    }
    pthread_mutex_lock(&tls->lock);
    int status = fail(tls, -ECONNABORTED, "the connection was cut off");
    pthread_mutex_unlock(&tls->lock);
    return status;
}

/* --- the handshake ---------------------------------------------------------------------------- */

static void name_text(const X509_NAME *name, char *text)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) >= 0) {
        const int got = BIO_read(memory, text, SKUA__TLS_TEXT_BYTES - 1);
        text[got > 0 ? got : 0] = '\0';
    }
    BIO_free(memory);
}

static void note_peer(skua_tls *tls)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_bytes = 0;
    pthread_mutex_lock(&tls->lock);
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_bytes);
    memcpy(tls->alpn, alpn_bytes > 0 ? alpn : (const unsigned char *)"", alpn_bytes);
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    if (certificate != NULL) {
        name_text(X509_get_subject_name(certificate), tls->subject);
        name_text(X509_get_issuer_name(certificate), tls->issuer);
    }
    ERR_clear_error();
    tls->is_ready = true;
    pthread_mutex_unlock(&tls->lock);
}

/* In the same order as the messages go: what we have to say goes out before an answer is awaited.
   */
static int shake_hands(skua_tls *tls, skua_time deadline)
{
    for (;;) {
        const int said = step_handshake(tls);
        /* Of a failure the peer is told if that needs no wait. */
        int status = send_out(tls, said < 0 ? SKUA_NOW : deadline);
        if (said < 0 || status < 0) {
            return said < 0 ? said : status;
        }
        if (said == DONE) {
            note_peer(tls);
            return 0;
        }
        if (said == WANTS_INPUT) {
            status = fill_in(tls, deadline);
        } else if (said != WANTS_ROOM) {
            return -EPROTO;
        }
        if (status < 0) {
            return status;
        }
    }
}

int skua_tls_handshake(skua_tls *tls, skua_time deadline)
{
    int status = enter(tls, READER | WRITER, true);
    if (status < 0) {
        return status;
    }
    if (!tls->is_ready) {
        status = shake_hands(tls, deadline);
    }
    return (int)leave(tls, READER | WRITER, status);
}

/* --- reading and writing ---------------------------------------------------------------------- */

ssize_t skua_tls_read(skua_tls *tls, void *buffer, size_t bytes, skua_time deadline)
{
    int status = enter(tls, READER, false);
    if (status < 0) {
        return status;
    }
    size_t got = 0;
    while (status == 0 && bytes > 0) {
        const int said = decrypt(tls, buffer, bytes, &got);
        if (said == DONE || said == ENDED) {
            break;
        }
        /* Room: a peer that makes us answer without end, while nobody writes. */
        status = said == WANTS_INPUT ? fill_in(tls, deadline) : said < 0 ? said : -EPROTO;
    }
    return leave(tls, READER, status < 0 ? status : (ssize_t)got);
}

static ssize_t write_parts(skua_tls *tls, const struct iovec *parts, size_t count,
                           skua_time deadline)
{
    size_t taken = 0;
    int status = enter(tls, WRITER, false);
    if (status < 0) {
        return status;
    }
    status = send_out(tls, deadline); /* (T3) */
    if (status == 0) {
        status = encrypt(tls, parts, count, &taken);
    }
    if (taken > 0) {
        status = send_out(tls, deadline); /* if that fails, the next call finds it and says so */
    }
    return leave(tls, WRITER, taken > 0 ? (ssize_t)taken : status);
}

ssize_t skua_tls_write(skua_tls *tls, const void *buffer, size_t bytes, skua_time deadline)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    return write_parts(tls, &part, 1, deadline);
}

int skua_tls_flush(skua_tls *tls, skua_time deadline)
{
    int status = enter(tls, WRITER, false);
    return status < 0 ? status : (int)leave(tls, WRITER, send_out(tls, deadline));
}

/* Once; the answer comes with what the reader reads. */
static int say_end(skua_tls *tls)
{
    int said = DONE;
    pthread_mutex_lock(&tls->lock);
    if (!tls->has_sent_end) {
        ERR_clear_error();
        const int result = SSL_shutdown(tls->ssl);
        said = result >= 0 ? DONE : judge(tls, result);
        tls->has_sent_end = said == DONE;
    }
    pthread_mutex_unlock(&tls->lock);
    return said < 0 ? said : 0;
}

int skua_tls_close_write(skua_tls *tls, skua_time deadline)
{
    int status = enter(tls, WRITER, false);
    if (status < 0) {
        return status;
    }
    status = send_out(tls, deadline);
    if (status == 0) {
        status = say_end(tls);
    }
    if (status == 0) {
        status = send_out(tls, deadline);
    }
    return (int)leave(tls, WRITER, status);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static int set_host(const skua_tls *tls, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    const bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -ENOMEM;
    }
    const bool is_set =
        SSL_set_tlsext_host_name(tls->ssl, host) == 1 && SSL_set1_host(tls->ssl, host) == 1;
    return is_set ? 0 : -EINVAL; /* longer than any name */
}

static int attach(skua_tls *tls)
{
    tls->ssl = SSL_new(tls->config->context);
    BIO *bio = tls->ssl != NULL ? BIO_new(tls->config->method) : NULL;
    if (bio == NULL) {
        return -ENOMEM;
    }
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    if (tls->config->is_server) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
    }
    return 0;
}

static int open_connection(skua_tls **out, skua_tls_config *config, skua_transport transport,
                           const char *host)
{
    skua_tls *tls = OPENSSL_malloc(sizeof *tls);
    if (tls == NULL) {
        return -ENOMEM;
    }
    /* All but the buffers, most of which is never touched if messages are short. */
    memset(tls, 0, offsetof(skua_tls, in));
    tls->in.start = tls->in.end = tls->out.start = tls->out.end = 0;
    tls->config = config;
    tls->transport = transport;
    tls->process = getpid();
    skua__tls_config_retain(config);
    pthread_mutex_init(&tls->lock, NULL);
    ERR_clear_error();
    int status = attach(tls);
    if (status == 0 && host != NULL) {
        status = set_host(tls, host);
    }
    ERR_clear_error();
    if (status < 0) {
        destroy(tls);
    } else {
        *out = tls;
    }
    return status;
}

/* A forked child is told so by every call, before all else; by this one without a wait. */
static bool is_forked(void)
{
    return skua_fd_adopt(-1) == -ESHUTDOWN;
}

int skua_tls_client(skua_tls **out, skua_tls_config *config, skua_transport transport,
                    const char *host)
{
    if (is_forked()) {
        return -ESHUTDOWN;
    }
    if (config->is_server || (host == NULL && config->is_verifying)) {
        return -EINVAL;
    }
    return open_connection(out, config, transport, host);
}

int skua_tls_server(skua_tls **out, skua_tls_config *config, skua_transport transport)
{
    if (is_forked()) {
        return -ESHUTDOWN;
    }
    return config->is_server ? open_connection(out, config, transport, NULL) : -EINVAL;
}

void skua_tls_close(skua_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    const skua_transport transport = tls->transport;
    if (tls->process != getpid()) {
        skua_transport_close(transport); /* the lock may be anybody's here */
        return;
    }
    pthread_mutex_lock(&tls->lock);
    tls->is_closed = true;
    const bool is_last = !tls->is_reading && !tls->is_writing;
    pthread_mutex_unlock(&tls->lock);
    /* Behind the mark, so that nobody begins anew; and wakes those who are in it. */
    skua_transport_close(transport);
    if (is_last) {
        destroy(tls);
    }
}

/* --- as a transport --------------------------------------------------------------------------- */

static ssize_t transport_read(void *object, void *buffer, size_t bytes, skua_time deadline)
{
    return skua_tls_read(object, buffer, bytes, deadline);
}

static ssize_t transport_write(void *object, const struct iovec *parts, size_t count,
                               skua_time deadline)
{
    return write_parts(object, parts, count, deadline);
}

static int transport_flush(void *object, skua_time deadline)
{
    return skua_tls_flush(object, deadline);
}

static int transport_close_write(void *object, skua_time deadline)
{
    return skua_tls_close_write(object, deadline);
}

static void transport_close(void *object)
{
    skua_tls_close(object);
}

static const skua_transport_ops tls_ops = {.read = transport_read,
                                           .write = transport_write,
                                           .flush = transport_flush,
                                           .close_write = transport_close_write,
                                           .close = transport_close};

skua_transport skua_tls_transport(skua_tls *tls)
{
    return (skua_transport){.ops = &tls_ops, .object = tls};
}

/* --- what has become of it -------------------------------------------------------------------- */

const char *skua_tls_error(skua_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    const bool has_failed = tls->failure_text[0] != '\0'; /* written once, so it stays */
    pthread_mutex_unlock(&tls->lock);
    return has_failed ? tls->failure_text : "";
}

const char *skua_tls_alpn(const skua_tls *tls)
{
    return tls->alpn;
}

const char *skua_tls_version(const skua_tls *tls)
{
    return tls->is_ready ? SSL_get_version(tls->ssl) : "";
}

const char *skua_tls_peer_subject(const skua_tls *tls)
{
    return tls->subject;
}

const char *skua_tls_peer_issuer(const skua_tls *tls)
{
    return tls->issuer;
}
