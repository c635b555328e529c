/* Configurations: an SSL_CTX, made by a thread of the blocking pool, since it reads files and
   parses many certificates. From then on it is only read.

   (C1) Each connection holds a reference: OpenSSL calls the functions set here with the
        configuration, also when its owner has destroyed it.
   (C2) Nothing is ever asked on a terminal: a key with a password is refused. */
#include "ext/tls/connection.h"

#include <openssl/err.h>
#include <skua/blocking.h>
#include <skua/task.h>
#include <stdio.h>
#include <string.h>

struct making {
    const skua_tls_opts *opts;
    skua_tls_config *config;
};

static int say(const skua_tls_opts *opts, int status, const char *what, const char *why)
{
    if (opts->error != NULL) {
        snprintf(opts->error, opts->error_bytes, "%s: %s", what, why);
    }
    return status;
}

/* What OpenSSL has against a file. */
static int blame(const skua_tls_opts *opts, const char *what)
{
    char why[SKUA__TLS_TEXT_BYTES];
    int status = skua__tls_explain(NULL, why, sizeof why);
    return say(opts, status == -EPROTO ? -EINVAL : status, what, why);
}

static int no_password(char *buffer, int bytes, int is_writing, void *arg)
{
    (void)buffer;
    (void)bytes;
    (void)is_writing;
    (void)arg;
    return -1; /* (C2) */
}

/* --- protocols on top ------------------------------------------------------------------------- */

static int set_alpn(skua_tls_config *config, const skua_tls_opts *opts)
{
    for (const char *const *name = opts->alpn; name != NULL && *name != NULL; name++) {
        const size_t bytes = strlen(*name);
        if (bytes == 0 || config->alpn_bytes + 1 + bytes > sizeof config->alpn) {
            return say(opts, -EINVAL, "alpn", "an empty name, or too many");
        }
        config->alpn[config->alpn_bytes] = (unsigned char)bytes;
        memcpy(config->alpn + config->alpn_bytes + 1, *name, bytes);
        config->alpn_bytes += 1 + (unsigned)bytes;
    }
    return 0;
}

/* The first of ours that the client offers. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                       const unsigned char *offered, unsigned offered_bytes, void *arg)
{
    const skua_tls_config *config = arg;
    unsigned char *chosen = NULL;
    (void)ssl;
    int result = SSL_select_next_proto(&chosen, out_bytes, config->alpn, config->alpn_bytes,
                                       offered, offered_bytes);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int use_alpn(skua_tls_config *config, const skua_tls_opts *opts)
{
    int status = set_alpn(config, opts);
    if (status < 0 || config->alpn_bytes == 0) {
        return status;
    }
    if (config->is_server) {
        SSL_CTX_set_alpn_select_cb(config->context, select_alpn, config);
        return 0;
    }
    /* The one function of OpenSSL that returns 0 if it worked. */
    return SSL_CTX_set_alpn_protos(config->context, config->alpn, config->alpn_bytes) == 0
               ? 0
               : -ENOMEM;
}

/* --- certificates ----------------------------------------------------------------------------- */

static int use_own(skua_tls_config *config, const skua_tls_opts *opts)
{
    const char *key = opts->key_file != NULL ? opts->key_file : opts->chain_file;
    if (opts->chain_file == NULL) {
        return config->is_server || key != NULL
                   ? say(opts, -EINVAL, "chain_file", "no certificate is given")
                   : 0;
    }
    SSL_CTX_set_default_passwd_cb(config->context, no_password);
    if (SSL_CTX_use_certificate_chain_file(config->context, opts->chain_file) != 1) {
        return blame(opts, opts->chain_file);
    }
    if (SSL_CTX_use_PrivateKey_file(config->context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(config->context) != 1) {
        return blame(opts, key);
    }
    return 0;
}

static int trust(skua_tls_config *config, const skua_tls_opts *opts)
{
    if (opts->ca_file == NULL) {
        return SSL_CTX_set_default_verify_paths(config->context) == 1
                   ? 0
                   : blame(opts, "the system's trusted certificates");
    }
    return SSL_CTX_load_verify_file(config->context, opts->ca_file) == 1
               ? 0
               : blame(opts, opts->ca_file);
}

/* Tell clients, too, whose certificates are wanted. */
static int trust_for_clients(skua_tls_config *config, const skua_tls_opts *opts)
{
    if (opts->ca_file == NULL) {
        return say(opts, -EINVAL, "ca_file", "a server that verifies needs it");
    }
    int status = trust(config, opts);
    STACK_OF(X509_NAME) *names = status == 0 ? SSL_load_client_CA_file(opts->ca_file) : NULL;
    if (status == 0 && names == NULL) {
        status = blame(opts, opts->ca_file);
    }
    SSL_CTX_set_client_CA_list(config->context, names);
    return status;
}

static int use_trust(skua_tls_config *config, const skua_tls_opts *opts)
{
    static const unsigned char session_context[] = "skua";
    if (config->is_server && opts->clients == SKUA_TLS_ANONYMOUS) {
        return 0;
    }
    if (config->is_server) {
        const int must = opts->clients == SKUA_TLS_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(config->context, SSL_VERIFY_PEER | must, NULL);
        SSL_CTX_set_session_id_context(config->context, session_context, sizeof session_context);
        return trust_for_clients(config, opts);
    }
    if (opts->is_unverified) {
        return 0;
    }
    config->is_verifying = true;
    SSL_CTX_set_verify(config->context, SSL_VERIFY_PEER, NULL);
    return trust(config, opts);
}

/* --- making and destroying -------------------------------------------------------------------- */

static int begin(skua_tls_config *config, const skua_tls_opts *opts)
{
    config->context = SSL_CTX_new(config->is_server ? TLS_server_method() : TLS_client_method());
    config->method = skua__tls_bio_method();
    if (config->context == NULL || config->method == NULL) {
        return -ENOMEM;
    }
    const int version = opts->min_version == SKUA_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_min_proto_version(config->context, version);
    /* Without renegotiation a write never has to read (connection.c, T4). */
    SSL_CTX_set_options(config->context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(config->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(config->context, SSL_SESS_CACHE_OFF);
    return 0;
}

static int make(void *arg)
{
    struct making *making = arg;
    ERR_clear_error();
    int status = begin(making->config, making->opts);
    status = status < 0 ? status : use_trust(making->config, making->opts);
    status = status < 0 ? status : use_own(making->config, making->opts);
    status = status < 0 ? status : use_alpn(making->config, making->opts);
    ERR_clear_error();
    return status;
}

static void release(skua_tls_config *config)
{
    if (--config->references == 0) {
        SSL_CTX_free(config->context);
        BIO_meth_free(config->method);
        OPENSSL_free(config);
    }
}

static int create(skua_tls_config **out, bool is_server, const skua_tls_opts *opts,
                  skua_time deadline)
{
    static const skua_tls_opts none;
    struct making making = {.opts = opts != NULL ? opts : &none};
    int status = skua_checkpoint();
    if (status < 0) {
        return status;
    }
    making.config = OPENSSL_zalloc(sizeof *making.config);
    if (making.config == NULL) {
        return -ENOMEM;
    }
    making.config->references = 1;
    making.config->is_server = is_server;
    status = skua_blocking(make, &making, deadline);
    if (status < 0) {
        release(making.config);
    } else {
        *out = making.config;
    }
    return status;
}

int skua_tls_client_config(skua_tls_config **out, const skua_tls_opts *opts, skua_time deadline)
{
    return create(out, false, opts, deadline);
}

int skua_tls_server_config(skua_tls_config **out, const skua_tls_opts *opts, skua_time deadline)
{
    return create(out, true, opts, deadline);
}

void skua_tls_config_destroy(skua_tls_config *config)
{
    if (config != NULL) {
        release(config);
    }
}

void skua__tls_config_retain(skua_tls_config *config)
{
    config->references++;
}
