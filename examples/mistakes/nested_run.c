/* A runtime inside a task: there is one already.
   Says: Resource deadlock avoided */
#include <skua/skua.h>
#include <stdio.h>

static int inner(void *arg)
{
    return 0;
}

static int run(void *arg)
{
    int status = skua_run(NULL, inner, NULL);
    fprintf(stderr, "%s\n", skua_error_text(status));
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
