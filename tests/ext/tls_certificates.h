/* tests/ext/tls_certificates.h: an authority and what it has signed, made anew for each run, in
   files of a temporary folder. */
#ifndef SKUA_TESTS_EXT_TLS_CERTIFICATES_H
#define SKUA_TESTS_EXT_TLS_CERTIFICATES_H

#include "../io_help.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { A_DAY = 24 * 3600 };

typedef struct authority {
    EVP_PKEY *key;
    X509 *certificate;
} authority;

static char folder[] = "/tmp/skua-tls-XXXXXX";

/* The path of a file there; valid for the next eight calls. */
static const char *in_folder(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* A certificate for `names` ("DNS:a,IP:b"; NULL: of an authority), from `begin` to `end` seconds
   from now. Without an issuer it signs itself. */
static authority make_certificate(const char *name, const char *names, const authority *issuer,
                                  long begin, long end)
{
    static long serial = 1;
    authority made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    CHECK(made.key != NULL && made.certificate != NULL);
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), begin);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), end);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME *subject = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    const authority *signer = issuer != NULL ? issuer : &made;
    X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
    add_extension(made.certificate, signer->certificate, NID_basic_constraints,
                  names == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (names != NULL) {
        add_extension(made.certificate, signer->certificate, NID_subject_alt_name, names);
    }
    CHECK(X509_sign(made.certificate, signer->key, EVP_sha256()) > 0);
    return made;
}

static void free_certificate(authority *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
}

/* To the files NAME.pem (with the key behind it) and NAME.key. */
static void save_certificate(const authority *made, const char *name)
{
    char file_name[64];
    for (int i = 0; i < 2; i++) {
        snprintf(file_name, sizeof file_name, "%s.%s", name, i == 0 ? "pem" : "key");
        FILE *file = fopen(in_folder(file_name), "w");
        CHECK(file != NULL);
        CHECK(i == 1 || PEM_write_X509(file, made->certificate) == 1);
        CHECK(PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL) == 1);
        CHECK_INT(fclose(file), 0);
    }
}

static void save_new(const char *file, const char *name, const char *names, const authority *issuer,
                     long begin, long end)
{
    authority made = make_certificate(name, names, issuer, begin, end);
    save_certificate(&made, file);
    free_certificate(&made);
}

static const char *const certificate_files[] = {"ca",        "other",   "server", "expired",
                                                "elsewhere", "foreign", "client"};

static void make_folder(void)
{
    CHECK(mkdtemp(folder) != NULL);
    authority ca = make_certificate("Skua CA", NULL, NULL, -A_DAY, A_DAY);
    authority other = make_certificate("Other CA", NULL, NULL, -A_DAY, A_DAY);
    const char *names = "DNS:skua.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1";
    save_certificate(&ca, "ca");
    save_certificate(&other, "other");
    save_new("server", "the server", names, &ca, -A_DAY, A_DAY);
    save_new("expired", "too old", names, &ca, -2 * A_DAY, -A_DAY);
    save_new("elsewhere", "elsewhere", "DNS:elsewhere.test", &ca, -A_DAY, A_DAY);
    save_new("foreign", "foreign", names, &other, -A_DAY, A_DAY);
    save_new("client", "the client", "DNS:client.test", &ca, -A_DAY, A_DAY);
    free_certificate(&ca);
    free_certificate(&other);
}

static void remove_folder(void)
{
    char name[64];
    for (size_t i = 0; i < sizeof certificate_files / sizeof certificate_files[0]; i++) {
        snprintf(name, sizeof name, "%s.pem", certificate_files[i]);
        unlink(in_folder(name));
        snprintf(name, sizeof name, "%s.key", certificate_files[i]);
        unlink(in_folder(name));
    }
    rmdir(folder);
}

#endif
