/* A resource as one function: what stands before the yield takes it, what follows gives it back. */
#include <skua/skua.h>
#include <stdio.h>

struct connection {
    char url[32];
};

static int connect_to(skua_gen *self, void *arg)
{
    struct connection *conn = arg;
    printf("connecting to %s\n", conn->url);
    int status = skua_sleep(skua_after(SKUA_MS(100)));
    if (status < 0) {
        return status;
    }
    status = skua_gen_yield(self, &conn);
    if (status == -EIO) {
        puts("it failed: lost");
    }
    int slept = skua_sleep(skua_after(SKUA_MS(100)));
    printf("closing %s\n", conn->url);
    return status < 0 ? status : slept;
}

static int with_connection(struct connection conn, int (*body)(struct connection *conn))
{
    SKUA_GEN(gen);
    struct connection *open;
    int status = skua_gen_open(&gen, connect_to, &conn, sizeof open);
    if (status == 0) {
        status = skua_gen_next(gen, &open, SKUA_FOREVER);
    }
    return status == 1 ? skua_gen_finish(&gen, body(open)) : status;
}

static int use(struct connection *conn)
{
    printf("using the connection to %s\n", conn->url);
    return 0;
}

static int lose(struct connection *conn)
{
    return -EIO;
}

static int run(void *arg)
{
    int status = with_connection((struct connection){"localhost"}, use);
    if (status == 0) {
        status = with_connection((struct connection){"remote"}, lose);
    }
    if (status == -EIO) {
        puts("and main knows");
        return 0;
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
