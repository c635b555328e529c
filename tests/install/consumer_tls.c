/* A user of libskua-tls: see install.sh. */
#include <skua/skua.h>
#include <skua/tls.h>

static int program(void *arg)
{
    (void)arg;
    skua_tls_config *config;
    const skua_tls_opts opts = {.chain_file = "/nowhere/chain.pem"};
    return skua_tls_server_config(&config, &opts, SKUA_FOREVER) == -ENOENT ? 0 : -EPROTO;
}

int main(void)
{
    return skua_run(NULL, program, NULL) == 0 ? 0 : 1;
}
