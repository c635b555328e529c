/* The program of docs/guide/blocking.md. */
#include <pwd.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>

struct lookup {
    uid_t user;
    char name[64];
};

/* Runs on a thread of the pool: blocks as long as it likes, perhaps for a server that knows. */
static int look_up(void *arg)
{
    struct lookup *lookup = arg;
    struct passwd entry, *found;
    char text[4096];
    int error = getpwuid_r(lookup->user, &entry, text, sizeof text, &found);
    if (error != 0 || found == NULL) {
        return error != 0 ? -error : -ENOENT;
    }
    snprintf(lookup->name, sizeof lookup->name, "%s", found->pw_name);
    return 0;
}

static int program(void *arg)
{
    struct lookup lookup = {.user = 0};
    int status = skua_blocking(look_up, &lookup, skua_after(SKUA_SEC(60)));
    if (status == 0) {
        printf("user 0 is %s\n", lookup.name);
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
