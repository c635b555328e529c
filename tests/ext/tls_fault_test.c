/* Memory runs out while configurations and connections are made and while both sides shake hands:
   the n-th allocation of OpenSSL and all after it fail, for every n at the beginning and some later
   on. Every call says so, or works; nothing is left behind (the address sanitizer looks). */
#define _GNU_SOURCE 1
#include "tls_certificates.h"

#include <openssl/crypto.h>
#include <skua/tls.h>
#include <stdatomic.h>

#define SOON skua_after(SKUA_SEC(30))

static const int64_t PLENTY = INT64_MAX / 2;
static _Atomic int64_t budget = INT64_MAX / 2; /* what is still allowed */

static bool is_allowed(void)
{
    return atomic_fetch_sub(&budget, 1) > 0;
}

static void *allocate(size_t bytes, const char *file, int line)
{
    return is_allowed() ? malloc(bytes) : NULL;
}

static void *reallocate(void *memory, size_t bytes, const char *file, int line)
{
    return is_allowed() ? realloc(memory, bytes) : NULL;
}

static void give_back(void *memory, const char *file, int line)
{
    free(memory);
}

struct side {
    skua_tls *tls;
    int fd;
};

static int shake(void *arg)
{
    struct side *side = arg;
    int status = skua_tls_handshake(side->tls, SOON);
    if (status < 0) {
        shutdown(side->fd, SHUT_RDWR);
    }
    return status;
}

static void check(int status)
{
    if (status < 0 && status != -ENOMEM && status != -EINVAL && status != -EPROTO &&
        status != -ECONNABORTED && status != -EKEYREJECTED && status != -EPIPE &&
        status != -ECONNRESET) {
        CHECK_INT(status, -ENOMEM);
    }
}

static int make_configs(skua_tls_config **client, skua_tls_config **server)
{
    int status =
        skua_tls_client_config(client, &(skua_tls_opts){.ca_file = in_folder("ca.pem")}, SOON);
    return status < 0 ? status
                      : skua_tls_server_config(
                            server, &(skua_tls_opts){.chain_file = in_folder("server.pem")}, SOON);
}

/* With so many allocations, then without any. */
static int attempt(int64_t allowed)
{
    int ends[2];
    skua_tls_config *client_config = NULL, *server_config = NULL;
    struct side client = {0}, server = {0};
    open_pair(ends);
    client.fd = ends[0];
    server.fd = ends[1];
    atomic_store(&budget, allowed);
    int status = make_configs(&client_config, &server_config);
    if (status == 0) {
        status =
            skua_tls_client(&client.tls, client_config, skua_fd_transport(ends[0]), "skua.test");
    }
    if (status == 0) {
        status = skua_tls_server(&server.tls, server_config, skua_fd_transport(ends[1]));
    }
    if (status == 0) {
        skua_task *task = spawn(shake, &server);
        status = shake(&client);
        const int served = join(task);
        status = status < 0 ? status : served;
    }
    if (status == 0) {
        const ssize_t put = skua_tls_write(client.tls, "hello", 5, SOON);
        status = put < 0 ? (int)put : 0;
    }
    atomic_store(&budget, PLENTY);
    check(status);
    if (client.tls != NULL) {
        skua_tls_close(client.tls);
    } else {
        skua_close(ends[0]);
    }
    if (server.tls != NULL) {
        skua_tls_close(server.tls);
    } else {
        skua_close(ends[1]);
    }
    skua_tls_config_destroy(client_config);
    skua_tls_config_destroy(server_config);
    return status;
}

static int run_out(void *arg)
{
    int status = -1, made = 0;
    CHECK_INT(attempt(PLENTY), 0);
    for (int64_t allowed = 0; status < 0 && allowed < 100000; allowed += 1 + allowed / 16) {
        status = attempt(allowed);
        made++;
    }
    CHECK_INT(status, 0);
    CHECK(made > 30);
    return 0;
}

static void every_call_survives_without_memory(void **state)
{
    run(run_out, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_call_survives_without_memory)};
    CHECK_INT(CRYPTO_set_mem_functions(allocate, reallocate, give_back), 1);
    make_folder();
    int failed = TEST_RUN(tests);
    remove_folder();
    return failed;
}
