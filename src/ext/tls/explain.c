/* Errors of OpenSSL as codes and words. Its queue belongs to the thread, so it is read right behind
   the call that has failed. */
#include "ext/tls/connection.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>

/* Alerts are told as reasons from here on. */
enum { ALERTS = 1000 };

static bool is_about_certificate(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

static int explain_ssl(const SSL *ssl, unsigned long error, char *text, size_t text_bytes)
{
    const int reason = ERR_GET_REASON(error);
    const char *words = ERR_reason_error_string(error);
    words = words != NULL ? words : "unknown";
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && ssl != NULL) {
        const long result = SSL_get_verify_result(ssl);
        snprintf(text, text_bytes, "the peer's certificate: %s",
                 X509_verify_cert_error_string(result));
        return -EKEYREJECTED;
    }
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        snprintf(text, text_bytes, "%s", words);
        return -EKEYREJECTED;
    }
    if (reason >= ALERTS) {
        snprintf(text, text_bytes, "the peer says: %s", words);
        return is_about_certificate(reason - ALERTS) ? -EKEYREJECTED : -EPROTO;
    }
    snprintf(text, text_bytes, "%s", words);
    return reason == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;
}

int skua__tls_explain(const SSL *ssl, char *text, size_t text_bytes)
{
    int status = -EPROTO;
    const unsigned long first = ERR_peek_error();
    if (first == 0) {
        snprintf(text, text_bytes, "unknown");
    } else if (ERR_SYSTEM_ERROR(first)) {
        status = -ERR_GET_REASON(first);
        snprintf(text, text_bytes, "%s", skua_error_text(status));
    } else if (ERR_GET_LIB(first) == ERR_LIB_SSL) {
        status = explain_ssl(ssl, first, text, text_bytes);
    } else {
        const char *words = ERR_reason_error_string(first);
        snprintf(text, text_bytes, "%s", words != NULL ? words : "unknown");
        status = ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;
    }
    ERR_clear_error();
    return status;
}
