/* Tasks without a limit: a runtime with max_tasks refuses them, which the loop has to look at.
   Says: no room for task 100 */
#include <skua/skua.h>
#include <stdio.h>

static int wait_for_ever(void *arg)
{
    return skua_sleep(SKUA_FOREVER);
}

static int run(void *arg)
{
    for (int i = 1;; i++) {
        int status = skua_spawn(NULL, wait_for_ever, NULL, NULL);
        if (status == -EAGAIN) {
            fprintf(stderr, "no room for task %d\n", i);
            return 0;
        }
    }
}

int main(void)
{
    const skua_config config = {.max_tasks = 100};
    return skua_run(&config, run, NULL) < 0;
}
