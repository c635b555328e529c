/* Programs: talked to in one call, waited for, ended. */
#include <skua/skua.h>
#include <stdio.h>

static int communicate(void)
{
    skua_process_run run = {.input = "pear\napple\n", .input_bytes = 11};
    int status = skua_process_run_all(&run, SKUA_ARGV("sort"), NULL, SKUA_FOREVER);
    if (status == 0) {
        printf("%sended with %d\n", run.output, run.status.code);
    }
    skua_process_run_free(&run);
    return status;
}

static int wait_for(const char *const argv[], bool is_ended)
{
    skua_process *process = NULL;
    skua_process_status how = {0};
    int status = skua_process_start(&process, argv, NULL, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    status = is_ended ? skua_process_end(process, &how, SKUA_FOREVER)
                      : skua_process_wait(process, &how, SKUA_FOREVER);
    if (how.signal != 0) {
        printf("ended by signal %d\n", how.signal);
    } else {
        printf("ended with %d\n", how.code);
    }
    skua_process_close(process);
    return status;
}

static int run(void *arg)
{
    int status = communicate();
    status = status < 0 ? status : wait_for(SKUA_ARGV("sh", "-c", "exit 3"), false);
    status = status < 0 ? status : wait_for(SKUA_ARGV("sleep", "1000"), true);
    if (status == 0 && wait_for(SKUA_ARGV("/nowhere/at/all"), false) == -ENOENT) {
        puts("no such program");
    }
    return status;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
