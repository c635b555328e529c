/* What mpi_test.sh runs under mpirun: what the arguments name, each with a pool of its own. It
   prints a line that begins with "ok" for each if all was as it should be, and says what was not.
   The last one may be "code": then the exit code is 23.

   Ranks may stand still for seconds on a machine that is busy: nothing here depends on who is how
   fast, but that a rank which is stopped is given up before one that is not. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <skua/cluster.h>
#include <skua/pool_watch.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition);               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* --- jobs --- */

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    const char *behind = bytes > 0 ? strrchr(text, ')') : NULL;
    return behind != NULL ? (pid_t)atoi(behind + 4) : 0;
}

struct place {
    uint32_t rank;
    pid_t process; /* of the rank */
    uint32_t number;
};

/* Where it runs: the rank's process is the parent of its zygote. */
static int where(skua_bytes in, skua_reply *reply)
{
    struct place *place = skua_job_reserve(reply, sizeof *place);
    *place = (struct place){skua_cluster_rank(), parent_of(getppid()), 0};
    memcpy(&place->number, in.data, in.bytes < sizeof place->number ? in.bytes : 4);
    skua_job_commit(reply, sizeof *place);
    usleep(2000);
    return 0;
}
SKUA_JOB(where);

static int echo(skua_bytes in, skua_reply *reply)
{
    void *memory = skua_job_reserve(reply, in.bytes);
    if (memory == NULL) {
        return -EMSGSIZE;
    }
    memcpy(memory, in.data, in.bytes);
    skua_job_commit(reply, in.bytes);
    usleep(in.bytes > 0 ? 1000 : 0); /* long enough for all to have some */
    return 0;
}
SKUA_JOB(echo);

static int hang(skua_bytes in, skua_reply *reply)
{
    (void)in;
    (void)reply;
    while (pause() < 0) {}
    return 0;
}
SKUA_JOB(hang);

/* Crashes on every rank but 0, or everywhere if the input is empty. */
static int crash(skua_bytes in, skua_reply *reply)
{
    (void)reply;
    usleep(2000);
    if (in.bytes == 0 || skua_cluster_rank() != 0) {
        raise(SIGSEGV);
    }
    return 0;
}
SKUA_JOB(crash);

static int complain(skua_bytes in, skua_reply *reply)
{
    usleep(2000);
    return skua_job_fail(reply, -ENOTDIR, "no %.*s on rank %u", (int)in.bytes,
                         (const char *)in.data, skua_cluster_rank());
}
SKUA_JOB(complain);

static int prepare(skua_bytes in, skua_reply *reply)
{
    *skua_job_state(reply) = in.bytes == 5 && memcmp(in.data, "ready", 5) == 0 ? (void *)1 : NULL;
    return *skua_job_state(reply) != NULL ? 0 : -EINVAL;
}
SKUA_JOB(prepare);

static int prepared(skua_bytes in, skua_reply *reply)
{
    (void)in;
    usleep(1000);
    return *skua_job_state(reply) != NULL ? 0 : -ENODATA;
}
SKUA_JOB(prepared);

/* --- what is asked --- */

enum { MANY = 600, WORKERS = 2 }; /* of each rank, so that many jobs at once are for all */

static skua_cluster_stats stats_of(skua_pool *pool, uint32_t rank)
{
    skua_cluster_stats stats;
    CHECK(skua_cluster_stats_get(pool, rank, &stats) == 0);
    return stats;
}

/* Until all ranks have their processes. */
static void await_workers(skua_pool *pool)
{
    for (uint32_t rank = 1; rank < skua_cluster_size(); rank++) {
        while (stats_of(pool, rank).workers == 0) {
            CHECK(skua_sleep(skua_after(SKUA_MS(1))) == 0);
        }
    }
}

/* Jobs of some length until each rank has answered one: which process it is. */
static void meet_all(skua_pool *pool, pid_t processes[])
{
    uint32_t size = skua_cluster_size(), met = 0;
    await_workers(pool);
    while (met < size) {
        static skua_pool_item items[16];
        memset(items, 0, sizeof items);
        uint32_t number = 0;
        for (size_t i = 0; i < 16; i++) {
            items[i].in = (skua_bytes){&number, sizeof number};
        }
        CHECK(skua_pool_map(pool, &where_job, items, 16, SKUA_FOREVER) == 0);
        for (size_t i = 0; i < 16; i++) {
            const struct place *place = items[i].out.data;
            if (processes[place->rank] == 0) {
                processes[place->rank] = place->process;
                met++;
            }
            skua_buf_release(&items[i].out);
        }
    }
}

static void spread(skua_pool *pool, pid_t processes[])
{
    static skua_pool_item items[MANY];
    static uint32_t numbers[MANY];
    (void)processes;
    for (uint32_t i = 0; i < MANY; i++) {
        numbers[i] = i;
        items[i].in = (skua_bytes){&numbers[i], sizeof numbers[i]};
    }
    CHECK(skua_pool_map(pool, &where_job, items, MANY, SKUA_FOREVER) == 0);
    uint32_t counts[64] = {0};
    for (uint32_t i = 0; i < MANY; i++) {
        const struct place *place = items[i].out.data;
        CHECK(items[i].out.bytes == sizeof *place && place->number == i);
        counts[place->rank]++;
        skua_buf_release(&items[i].out);
    }
    uint64_t answered = 0;
    for (uint32_t rank = 0; rank < skua_cluster_size(); rank++) {
        skua_cluster_stats stats = stats_of(pool, rank);
        CHECK(counts[rank] > 0);
        CHECK(stats.answered >= counts[rank] && stats.lost == 0);
        CHECK(stats.sent >= stats.answered && stats.workers > 0 && stats.host[0] != '\0');
        CHECK(stats.busy_ns > (int64_t)counts[rank] * SKUA_MS(2));
        answered += stats.answered;
    }
    skua_pool_stats all;
    skua_pool_stats_get(pool, &all);
    CHECK(answered <= all.answered); /* less what was ended here, by deadlines and cancels */
    skua_cluster_stats stats;
    CHECK(skua_cluster_stats_get(pool, skua_cluster_size(), &stats) == -EINVAL);
}

static void sizes(skua_pool *pool, pid_t processes[])
{
    enum { EACH = 16, MAX = 5 << 20 };
    static const size_t all[] = {
        0, 1, 192, 4096, 4097, 1 << 16, (1 << 16) + 1, 1 << 20, (1 << 20) + 1, MAX};
    static skua_pool_item items[EACH];
    (void)processes;
    unsigned char *bytes = malloc(MAX + 1);
    for (size_t i = 0; i <= MAX; i++) {
        bytes[i] = (unsigned char)(i * 31 + i / 997);
    }
    for (size_t size = 0; size < sizeof all / sizeof all[0]; size++) {
        for (size_t i = 0; i < EACH; i++) {
            items[i] = (skua_pool_item){.in = {bytes, all[size]}};
        }
        CHECK(skua_pool_map(pool, &echo_job, items, EACH, SKUA_FOREVER) == 0);
        for (size_t i = 0; i < EACH; i++) {
            CHECK(items[i].out.bytes == all[size]);
            CHECK(all[size] == 0 || memcmp(items[i].out.data, bytes, all[size]) == 0);
            skua_buf_release(&items[i].out);
        }
    }
    skua_buf out;
    CHECK(skua_pool_call(pool, &echo_job, (skua_bytes){bytes, MAX + 1}, &out, SKUA_FOREVER) ==
          -EMSGSIZE);
    for (uint32_t rank = 1; rank < skua_cluster_size(); rank++) {
        skua_cluster_stats stats = stats_of(pool, rank);
        CHECK(stats.bytes_in > MAX && stats.bytes_out > MAX);
    }
    free(bytes);
}

struct asked {
    skua_pool *pool;
    const skua_job *job;
    skua_bytes in;
    uint32_t attempts;
    skua_time deadline;
    int status;
    char text[300];
};

static int ask(void *arg)
{
    struct asked *asked = arg;
    const skua_call_opts opts = {.attempts = asked->attempts};
    return skua_pool_call_with(asked->pool, asked->job, asked->in, &opts, NULL, asked->deadline);
}

/* As many as there are processes, at a time, so that each rank has some; with what they say. */
static void ask_all(struct asked asked[], size_t count, int cancel_after_ms)
{
    skua_task *tasks[64];
    for (size_t i = 0; i < count; i++) {
        CHECK(skua_spawn(&tasks[i], ask, &asked[i], NULL) == 0);
    }
    if (cancel_after_ms > 0) {
        CHECK(skua_sleep(skua_after(SKUA_MS(cancel_after_ms))) == 0);
        skua_task_cancel_all(tasks, count);
    }
    for (size_t i = 0; i < count; i++) {
        int error_code = skua_join(tasks[i], &asked[i].status, SKUA_FOREVER);
        CHECK(error_code == 0);
        const skua_error *error = skua_task_error(tasks[i]);
        snprintf(asked[i].text, sizeof asked[i].text, "%s", error != NULL ? error->text : "");
        skua_task_release(tasks[i]);
    }
}

static void fill(struct asked asked[], size_t count, struct asked with)
{
    for (size_t i = 0; i < count; i++) {
        asked[i] = with;
    }
}

enum { COUNT = 12 };

/* Again until it has happened on another rank: the processes here may have been the first for
   all. */
static void crash_elsewhere(skua_pool *pool)
{
    static struct asked asked[COUNT];
    size_t dead = 0;
    while (dead == 0) {
        fill(asked, COUNT,
             (struct asked){.pool = pool, .job = &crash_job, .attempts = 1, .in = {"here", 4}});
        ask_all(asked, COUNT, 0);
        for (size_t i = 0; i < COUNT; i++) {
            CHECK(asked[i].status == 0 || asked[i].status == -EOWNERDEAD);
            dead += asked[i].status < 0;
        }
    }
}

static void complain_elsewhere(skua_pool *pool)
{
    static struct asked asked[COUNT];
    size_t elsewhere = 0;
    while (elsewhere == 0) {
        fill(asked, COUNT, (struct asked){.pool = pool, .job = &complain_job, .in = {"luck", 4}});
        ask_all(asked, COUNT, 0);
        for (size_t i = 0; i < COUNT; i++) {
            CHECK(asked[i].status == -ENOTDIR && strstr(asked[i].text, "no luck on rank ") != NULL);
            elsewhere += strstr(asked[i].text, "rank 0") == NULL;
        }
    }
}

static void faults(skua_pool *pool, pid_t processes[])
{
    static struct asked asked[COUNT];
    fill(asked, COUNT, (struct asked){.pool = pool, .job = &crash_job});
    ask_all(asked, COUNT, 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(asked[i].status == -EOWNERDEAD);
        CHECK(strstr(asked[i].text, "crash") != NULL); /* the message names the job */
    }
    crash_elsewhere(pool);
    complain_elsewhere(pool);
    fill(asked, COUNT,
         (struct asked){.pool = pool, .job = &hang_job, .deadline = skua_after(SKUA_MS(200))});
    ask_all(asked, COUNT, 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(asked[i].status == -ETIMEDOUT);
    }
    fill(asked, COUNT, (struct asked){.pool = pool, .job = &hang_job});
    ask_all(asked, COUNT, 100);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(asked[i].status == -ECANCELED);
    }
    spread(pool, processes); /* all is well again */
}

static void init(skua_pool *pool, pid_t processes[])
{
    static skua_pool_item items[MANY];
    (void)processes;
    (void)pool;
    skua_pool *other;
    const skua_pool_opts opts = {
        .workers = WORKERS, .init = &prepare_job, .init_in = {"ready", 5}, .name = "other"};
    CHECK(skua_pool_create(&other, &opts) == 0);
    await_workers(other);
    CHECK(skua_pool_map(other, &prepared_job, items, MANY, SKUA_FOREVER) == 0);
    uint64_t elsewhere = 0;
    for (uint32_t rank = 1; rank < skua_cluster_size(); rank++) {
        elsewhere += stats_of(other, rank).answered;
    }
    CHECK(elsewhere > 0);
    skua_pool_destroy(other);
    const skua_pool_opts local = {.workers = WORKERS, .local = true};
    CHECK(skua_pool_create(&other, &local) == 0);
    CHECK(skua_pool_map(other, &echo_job, items, MANY, SKUA_FOREVER) == 0);
    CHECK(stats_of(other, 1).sent == 0);
    skua_pool_destroy(other);
}

/* The launcher ends the program before the jobs end. */
static void kill_rank(skua_pool *pool, pid_t processes[])
{
    static struct asked asked[COUNT];
    fill(asked, COUNT,
         (struct asked){.pool = pool, .job = &hang_job, .deadline = skua_after(SKUA_SEC(60))});
    CHECK(kill(processes[2], SIGKILL) == 0);
    ask_all(asked, COUNT, 0);
}

/* Ask for jobs that never end until rank 1 has some of them as well. Returns how many. */
static size_t occupy(skua_pool *pool, skua_task *tasks[], size_t count_max)
{
    static struct asked hanging;
    hanging = (struct asked){.pool = pool, .job = &hang_job, .deadline = SKUA_FOREVER};
    const uint64_t before = stats_of(pool, 1).sent;
    size_t count = 0;
    while (stats_of(pool, 1).sent == before) {
        CHECK(count < count_max);
        CHECK(skua_spawn(&tasks[count++], ask, &hanging, NULL) == 0);
        CHECK(skua_sleep(skua_after(SKUA_MS(5))) == 0);
    }
    return count;
}

/* Its jobs end by their deadlines; those that have none when it has been silent for long. */
static void stop_rank(skua_pool *pool, pid_t processes[])
{
    enum { HANGING_MAX = 2000 };
    static struct asked asked[COUNT];
    static skua_task *hanging[HANGING_MAX];
    CHECK(kill(processes[1], SIGSTOP) == 0);
    fill(asked, COUNT,
         (struct asked){.pool = pool, .job = &hang_job, .deadline = skua_after(SKUA_MS(300))});
    ask_all(asked, COUNT, 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(asked[i].status == -ETIMEDOUT);
    }
    const size_t count = occupy(pool, hanging, HANGING_MAX);
    while (stats_of(pool, 1).workers != 0) {
        CHECK(skua_sleep(skua_after(SKUA_MS(5))) == 0);
    }
    skua_task_cancel_all(hanging, count);
    size_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        int status = 0;
        CHECK(skua_join(hanging[i], &status, SKUA_FOREVER) == 0);
        const skua_error *error = skua_task_error(hanging[i]);
        CHECK(status == -ECANCELED || status == -EOWNERDEAD);
        lost += status == -EOWNERDEAD;
        CHECK(status == -ECANCELED || strstr(error->text, "rank 1 ") != NULL);
        skua_task_release(hanging[i]);
    }
    CHECK(lost > 0 && stats_of(pool, 1).lost == lost);
    fill(asked, COUNT, (struct asked){.pool = pool, .job = &where_job, .in = {"1234", 4}});
    ask_all(asked, COUNT, 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(asked[i].status == 0); /* the others do it */
    }
}

/* Those that may be begun again are. */
static void retry(skua_pool *pool, pid_t processes[])
{
    static struct asked asked[COUNT];
    CHECK(kill(processes[1], SIGSTOP) == 0);
    while (stats_of(pool, 1).lost == 0) {
        fill(asked, COUNT,
             (struct asked){.pool = pool, .job = &where_job, .in = {"1234", 4}, .attempts = 3});
        ask_all(asked, COUNT, 0);
        for (size_t i = 0; i < COUNT; i++) {
            CHECK(asked[i].status == 0);
        }
    }
}

/* Nothing is left of the pool's calls when it is destroyed under them. */
static void leave(skua_pool *pool, pid_t processes[])
{
    (void)processes;
    for (size_t i = 0; i < 12; i++) {
        CHECK(skua_pool_submit(pool, NULL, &hang_job, (skua_bytes){NULL, 0}, NULL, NULL,
                               SKUA_FOREVER) == 0);
    }
    CHECK(skua_sleep(skua_after(SKUA_MS(50))) == 0);
}

static const struct {
    const char *name;
    void (*run)(skua_pool *pool, pid_t processes[]);
} tests[] = {
    {"spread", spread},  {"sizes", sizes},    {"faults", faults}, {"init", init},
    {"kill", kill_rank}, {"stop", stop_rank}, {"retry", retry},   {"leave", leave},
};

static void run_test(const char *name)
{
    pid_t processes[64] = {0};
    skua_pool *pool;
    const skua_pool_opts opts = {.workers = WORKERS, .payload_max = 5 << 20};
    CHECK(skua_pool_create(&pool, &opts) == 0);
    CHECK(skua_cluster_rank() == 0);
    meet_all(pool, processes);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (strcmp(tests[i].name, name) == 0) {
            tests[i].run(pool, processes);
        }
    }
    skua_pool_destroy(pool);
    printf("ok %s on %u ranks\n", name, skua_cluster_size());
    fflush(stdout);
}

static int main_task(void *arg)
{
    for (char **names = arg; *names != NULL; names++) {
        run_test(*names);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int status = skua_run(NULL, main_task, argv + 1);
    return status < 0 ? 1 : strcmp(argv[argc - 1], "code") == 0 ? 23 : 0;
}
