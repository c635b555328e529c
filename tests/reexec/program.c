/* A program whose zygote cannot be a fork of it; see pool_reexec_test.sh. It prints a line for each
   thing that is to be seen, the first of which comes from main. */
#include "library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int main_runs;

#ifndef WITHOUT_JOBS

static int argument_count, constructors[3];

__attribute__((constructor)) static void before(int argc, char **argv)
{
    constructors[0]++;
    argument_count = argc > 1 ? (int)strlen(argv[1]) : argc;
}

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* the folder itself, . and .. */
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/* What the zygote has been through. */
static int tell(skua_bytes in, skua_reply *reply)
{
    char cwd[512];
    char *text = skua_job_reserve(reply, 1024);
    if (text == NULL || getcwd(cwd, sizeof cwd) == NULL) {
        return -ENOMEM;
    }
    const int length = snprintf(
        text, 1024, "constructors %d%d%d, main %d, variable %d, argument %d, %s in %s",
        constructors[0], constructors[1], constructors[2], main_runs, getenv("SKUA_ZYGOTE") != NULL,
        argument_count, count_fds() <= 6 ? "few fds" : "many fds", strrchr(cwd, '/'));
    skua_job_commit(reply, (size_t)length + 1);
    return 0;
}
SKUA_JOB(tell);

__attribute__((constructor)) static void between(void)
{
    constructors[1]++;
}

static int add(skua_bytes in, skua_reply *reply)
{
    const unsigned char *bytes = in.data;
    (void)reply;
    return bytes[0] + bytes[1];
}
SKUA_JOB(add);

static int zygote(skua_bytes in, skua_reply *reply)
{
    (void)in;
    (void)reply;
    return getppid();
}
SKUA_JOB(zygote);

__attribute__((constructor)) static void after(void)
{
    constructors[2]++;
}

#endif

static void *idle(void *arg)
{
    for (;;) {
        pause();
    }
    return arg;
}

struct use {
    skua_pool *pool;
    const skua_job *job;
    skua_buf out;
};

static int create(void *arg)
{
    struct use *use = arg;
    const skua_pool_opts opts = {.workers = 2};
    return skua_pool_create(&use->pool, &opts);
}

static int call(void *arg)
{
    struct use *use = arg;
    const skua_bytes in = {"\3\4", 2};
    return skua_pool_call(use->pool, use->job, in, &use->out, skua_after(SKUA_SEC(20)));
}

/* In a task, so that there is an error to look at. */
static int attempt(const char *name, skua_fn fn, struct use *use)
{
    skua_task *task;
    int result;
    if (skua_spawn(&task, fn, use, NULL) < 0 || skua_join(task, &result, SKUA_FOREVER) < 0) {
        exit(5);
    }
    const skua_error *error = skua_task_error(task);
    if (fn == call || result < 0) {
        printf("%s: %d%s%s%s%s\n", name, result, use->out.bytes > 0 ? ": " : "",
               use->out.bytes > 0 ? (const char *)use->out.data : "", error != NULL ? ": " : "",
               error != NULL ? error->text : "");
    }
    skua_task_release(task);
    return result;
}

static void show(skua_pool *pool, const skua_job *job)
{
    struct use use = {.pool = pool, .job = job};
    attempt(job->name, call, &use);
    skua_buf_release(&use.out);
}

#ifndef WITHOUT_JOBS
/* Say who is there, and wait to be killed. */
static int wait_for_death(skua_pool *pool)
{
    pid_t pids[8];
    const size_t count = skua_pool_pids(pool, pids, 8);
    printf("pids: %d", skua_pool_call(pool, &zygote_job, (skua_bytes){"", 0}, NULL, SKUA_FOREVER));
    for (size_t i = 0; i < count && i < 8; i++) {
        printf(" %d", (int)pids[i]);
    }
    printf("\n");
    return skua_sleep(SKUA_FOREVER);
}
#endif

/* The job of a library that is loaded now. */
static const skua_job *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    const skua_job *(*find)(void) = NULL;
    if (library == NULL) {
        printf("%s\n", dlerror());
        exit(1);
    }
    void *symbol = dlsym(library, "late_job_of");
    memcpy(&find, &symbol, sizeof find);
    return find();
}

static int use(void *arg)
{
    char **argv = arg;
    struct use creation = {NULL, NULL, {NULL, 0, NULL}};
    const skua_job *late = NULL;
    if (strcmp(argv[1], "twice") == 0) {
        late = load(argv[2]);
    }
    if (attempt("create", create, &creation) < 0) {
        return 0;
    }
    skua_pool *pool = creation.pool;
#ifndef WITHOUT_JOBS
    if (strcmp(argv[1], "die") == 0) {
        return wait_for_death(pool);
    }
    show(pool, &tell_job);
    show(pool, &add_job);
#endif
    show(pool, library_job());
    if (strncmp(argv[1], "late", 4) == 0) {
        late = load(argv[2]);
        if (argv[3] != NULL) {
            printf("rename: %d\n", rename(argv[3], argv[2]));
        }
        show(pool, late);
        show(pool, late);
    }
    skua_pool_destroy(pool);
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("main\n");
    main_runs++;
    if (argc < 2) {
        return 2;
    }
    if (strstr(argv[1], "prepared") != NULL && skua_pool_prepare() != 0) {
        return 3;
    }
    if (pthread_create(&thread, NULL, idle, NULL) != 0) {
        return 4;
    }
    return skua_run(NULL, use, argv);
}
