/* Numbers that are closed under those who wait and given to the next pipe at once: a waiter gets
   -EBADF or what came before the close, never a stranger's byte, and the stranger's reader misses
   nothing. The rounds go on for SKUA_STRESS_SECONDS, shared by 1, 2 and 4 workers; the first one
   prints its seed when it fails. */
#include "../io_help.h"

#include <errno.h>
#include <signal.h>

struct round {
    int old[2], next[2];
    bool writes_before; /* a byte comes together with the close */
    _Atomic bool may_close;
};

static int write_old(void *arg)
{
    struct round *round = arg;
    atomic_store(&round->may_close, true);
    return (int)skua_write(round->old[1], "o", 1, SKUA_FOREVER);
}

/* One pipe is closed at its reading end while a task waits there; another one takes the number. */
static void play(uint64_t *random, uint64_t *reused)
{
    struct round round = {.writes_before = test_random(random) % 2 == 0};
    open_pipe(round.old);
    struct one_byte stale = {.fd = round.old[0], .byte = '-'};
    skua_task *reader = park_reader(&stale), *writer = NULL;
    if (round.writes_before) {
        writer = spawn(write_old, &round);
        while (test_random(random) % 4 != 0 && !atomic_load(&round.may_close)) {
            skua_yield();
        }
    }
    skua_close(round.old[0]);
    open_pipe(round.next);
    *reused += round.next[0] == round.old[0];
    struct one_byte fresh = {.fd = round.next[0], .byte = '-'};
    skua_task *next_reader = test_random(random) % 2 == 0 ? park_reader(&fresh) : NULL;
    CHECK_INT(skua_write(round.next[1], "n", 1, SKUA_FOREVER), 1);

    const int got = join(reader);
    CHECK(got == -EBADF || (got == 1 && round.writes_before && stale.byte == 'o'));
    CHECK_INT(next_reader != NULL ? join(next_reader) : read_byte(&fresh), 1);
    CHECK_INT(fresh.byte, 'n');
    if (writer != NULL) {
        const int put = join(writer);
        CHECK(put == 1 || put == -EPIPE);
    }
    skua_close(round.old[1]);
    close_both(round.next);
}

struct stress {
    uint64_t rounds, reused, random;
    skua_time end;
};

static int play_on(void *arg)
{
    struct stress *self = arg;
    while (self->rounds < 20 || skua_clock().ns < self->end.ns) {
        play(&self->random, &self->reused);
        self->rounds++;
    }
    return 0;
}

static void no_stranger_is_woken(void **state)
{
    const int64_t seconds = (int64_t)test_env("SKUA_STRESS_SECONDS", 8);
    signal(SIGPIPE, SIG_IGN); /* pipes raise it, and the reading end goes away */
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        const skua_config config = {.workers = workers};
        struct stress self = {.random = test_seed() + workers,
                              .end = skua_after(SKUA_SEC(1) * seconds / 3)};
        const int fds = test_fds();
        CHECK_INT(skua_run(&config, play_on, &self), 0);
        CHECK_INT(test_fds(), fds);
        CHECK(self.reused > 0);
        printf("%u workers: %llu rounds, %llu numbers reused\n", workers,
               (unsigned long long)self.rounds, (unsigned long long)self.reused);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_stranger_is_woken),
    };
    return TEST_RUN(tests);
}
