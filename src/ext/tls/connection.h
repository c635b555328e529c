/* ext/tls/connection.h: what the files of skua-tls share. */
#ifndef SKUA_EXT_TLS_CONNECTION_H
#define SKUA_EXT_TLS_CONNECTION_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <skua/tls.h>

enum {
    SKUA__TLS_TEXT_BYTES = 256,
    SKUA__TLS_RECORD_BYTES = 16 * 1024,
    /* What a record may be longer than its content, and a key update in front of it. */
    SKUA__TLS_SLACK_BYTES = 512,
    SKUA__TLS_BUFFER_BYTES = SKUA__TLS_RECORD_BYTES + 2 * SKUA__TLS_SLACK_BYTES,
};

struct skua_tls_config {
    _Atomic uint32_t references; /* its owner's, and one of each connection */
    SSL_CTX *context;
    BIO_METHOD *method;
    bool is_server, is_verifying;
    unsigned char alpn[SKUA__TLS_TEXT_BYTES]; /* as it is sent: length, name, length, name */
    unsigned alpn_bytes;
};

/* What has come from the transport, or has to go there. */
struct skua__tls_buffer {
    size_t start, end;
    unsigned char bytes[SKUA__TLS_BUFFER_BYTES];
};

struct skua_tls {
    skua_tls_config *config; /* constant, like the next three */
    skua_transport transport;
    SSL *ssl; /* the object itself: under the lock */
    pid_t process;
    pthread_mutex_t lock;
    /* Under the lock. */
    bool is_reading, is_writing; /* somebody has this role */
    bool is_ready, is_closed, has_sent_end;
    bool may_take;   /* OpenSSL may take from `in`: the caller has the reader's role */
    bool is_sending; /* `out` must not be moved */
    int failure;
    char failure_text[SKUA__TLS_TEXT_BYTES];
    /* Constant once it is ready. */
    char alpn[SKUA__TLS_TEXT_BYTES];
    char subject[SKUA__TLS_TEXT_BYTES], issuer[SKUA__TLS_TEXT_BYTES];
    bool has_ended;              /* the transport has; the reader's */
    struct skua__tls_buffer in;  /* the reader's */
    struct skua__tls_buffer out; /* bytes are added under the lock, and sent by the writer */
};

void skua__tls_config_retain(skua_tls_config *config);

/* The way of OpenSSL to `in` and `out`. NULL: no memory. */
BIO_METHOD *skua__tls_bio_method(void);

/* What the error queue of this thread has, as a code and in words; then it is empty. Behind the
   failed call, before anything that may switch. `ssl` may be NULL. */
int skua__tls_explain(const SSL *ssl, char *text, size_t text_bytes);

#endif
