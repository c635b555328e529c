/* Signals as events. */
#include <signal.h>
#include <skua/skua.h>
#include <stdio.h>
#include <unistd.h>

static int run(void *arg)
{
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGHUP};
    skua_signal *listener = NULL;
    skua_signal_info info;
    int status = skua_signal_open(&listener, SKUA_SIGNALS(SIGHUP, SIGUSR1));
    for (int i = 0; i < 3 && status >= 0; i++) {
        kill(getpid(), numbers[i]);
        status = skua_signal_wait(listener, &info, SKUA_FOREVER);
        if (status == 1) {
            printf("heard %s\n", info.number == SIGHUP ? "SIGHUP" : "SIGUSR1");
        }
    }
    skua_signal_close(listener);
    return status < 0 ? status : 0;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
