/* tests/starve.c: runs a command as a slow and busy machine would run it.

       starve [-h HOGS] [-n ROUNDS] [-s SEED] COMMAND [ARGUMENT]...

   HOGS processes (else as many as there are processors) spin beside the command. Meanwhile random
   threads of it, and of all processes that descend from it, are put to SCHED_IDLE for 1 to 60 ms,
   now and then a whole process for up to 300 ms: next to a hog such a thread hardly runs. So each
   thread is late now and then, in every place, and a test that counts on durations, or on an order
   that nothing enforces, fails within seconds. The same command runs ROUNDS times (else once), each
   time with the next seed, until it fails. The seed is printed first; since the machine has a say
   too, it repeats the choices, not the run.

   Exits as the command does, by the same signal too. What arrives from outside to end starve is
   handed to the command.

   I1  A thread that is late is in `late`, or it was born of one that was; look() puts the latter
       back, so that whoever begins late begins late by at most TURNS_PER_LOOK turns.
   I2  Hogs and command end with starve, whatever ends it (PR_SET_PDEATHSIG). What the command has
       started may then stay late, if that was SIGKILL.
   I3  Whoever loses its parent becomes a child of starve (PR_SET_CHILD_SUBREAPER), so that all that
       descends from the command can be told by its parents.

   Coming back from SCHED_IDLE takes CAP_SYS_NICE, or an RLIMIT_NICE that allows the nice value that
   the thread has. Where neither is there, one thread in four is put to SCHED_IDLE for good, and the
   hogs spin and sleep in turns.

   Rejected: SIGSTOP, which parents see and which stops whole processes only; ptrace, which
   LeakSanitizer needs for itself and which ends epoll_wait() with EINTR; sched_setaffinity() to the
   processor of a hog, since programs ask how many processors they have. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HOGS_MAX = 256, KIN_MAX = 8192, TURNS_PER_LOOK = 16 };

typedef struct starve_process {
    pid_t pid;
    pid_t parent;
    bool is_ours;
} starve_process;

typedef struct starve_thread {
    pid_t tid;
    pid_t pid;
} starve_thread;

static pid_t hogs[HOGS_MAX];
static int hog_count;
static starve_process processes[KIN_MAX]; /* of the whole machine */
static int process_count;
static starve_thread threads[KIN_MAX]; /* of what descends from the command */
static int thread_count;
static pid_t late[KIN_MAX];
static int late_count;
static bool is_for_good; /* who is put to SCHED_IDLE cannot come back */
static uint64_t stream;
static sigset_t watched, before;

/* splitmix64; 0 to `limit` - 1. */
static unsigned chance(unsigned limit)
{
    uint64_t z = (stream += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned)((z ^ (z >> 31)) % limit);
}

static bool has_policy(pid_t tid, int policy)
{
    return sched_getscheduler(tid) == policy;
}

/* Threads end at any time, so nobody asks whether it was done. */
static void set_policy(pid_t tid, int policy)
{
    const struct sched_param none = {0};
    (void)sched_setscheduler(tid, policy, &none);
}

static bool is_hog(pid_t pid)
{
    for (int i = 0; i < hog_count; i++) {
        if (hogs[i] == pid) {
            return true;
        }
    }
    return false;
}

static bool is_late(pid_t tid)
{
    for (int i = 0; i < late_count; i++) {
        if (late[i] == tid) {
            return true;
        }
    }
    return false;
}

/* The numbers that a folder has as names, through fn(). */
static void each_number(const char *path, void (*fn)(pid_t number, pid_t arg), pid_t arg)
{
    DIR *folder = opendir(path);
    if (!folder) {
        return; /* a process that has ended */
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        const pid_t number = (pid_t)atoi(entry->d_name);
        if (number > 0) {
            fn(number, arg);
        }
    }
    closedir(folder);
}

/* The fourth field of its stat; the second one, its name, may contain anything. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) {
        return 0;
    }
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    int parent = 0;
    return rest && sscanf(rest, ") %*c %d", &parent) == 1 ? parent : 0;
}

static void note_process(pid_t pid, pid_t unused)
{
    (void)unused;
    if (process_count < KIN_MAX) {
        processes[process_count++] = (starve_process){.pid = pid, .parent = parent_of(pid)};
    }
}

/* Also puts back who was born late (I1). */
static void note_thread(pid_t tid, pid_t pid)
{
    if (thread_count == KIN_MAX) {
        return;
    }
    threads[thread_count++] = (starve_thread){.tid = tid, .pid = pid};
    if (!is_for_good && has_policy(tid, SCHED_IDLE) && !is_late(tid)) {
        set_policy(tid, SCHED_OTHER);
    }
}

static bool is_kin(pid_t parent)
{
    if (parent == getpid()) {
        return true;
    }
    for (int i = 0; i < process_count; i++) {
        if (processes[i].pid == parent) {
            return processes[i].is_ours;
        }
    }
    return false;
}

/* Finds the threads of all that descends from the command: children of starve that are no hogs,
   children of those, and so on until a pass finds nobody new. */
static void look(void)
{
    process_count = thread_count = 0;
    each_number("/proc", note_process, 0);
    for (bool is_new = true; is_new;) {
        is_new = false;
        for (int i = 0; i < process_count; i++) {
            starve_process *process = &processes[i];
            char path[64];
            if (process->is_ours || is_hog(process->pid) || !is_kin(process->parent)) {
                continue;
            }
            process->is_ours = is_new = true;
            snprintf(path, sizeof path, "/proc/%d/task", process->pid);
            each_number(path, note_thread, process->pid);
        }
    }
}

/* Whoever has a policy of its own keeps it. */
static void delay(pid_t tid)
{
    if (late_count < KIN_MAX && has_policy(tid, SCHED_OTHER)) {
        set_policy(tid, SCHED_IDLE);
        late[late_count++] = tid;
    }
}

/* Makes some threads late. Returns for how many ms they shall be. */
static unsigned delay_some(void)
{
    if (thread_count == 0) {
        return 1;
    }
    if (chance(16) == 0) {
        const pid_t pid = threads[chance((unsigned)thread_count)].pid;
        for (int i = 0; i < thread_count; i++) {
            if (threads[i].pid == pid) {
                delay(threads[i].tid);
            }
        }
        return 20 + chance(280);
    }
    for (unsigned left = 1 + chance(3); left > 0; left--) {
        delay(threads[chance((unsigned)thread_count)].tid);
    }
    return 1 + chance(chance(8) == 0 ? 60 : 8);
}

static void restore(void)
{
    for (; late_count > 0; late_count--) {
        if (has_policy(late[late_count - 1], SCHED_IDLE)) {
            set_policy(late[late_count - 1], SCHED_OTHER);
        }
    }
}

/* Where nobody comes back, a thread's number decides. */
static unsigned delay_for_good(void)
{
    for (int i = 0; i < thread_count; i++) {
        if (((uint64_t)threads[i].tid * 0x9e3779b97f4a7c15u ^ stream) >> 62 == 0) {
            set_policy(threads[i].tid, SCHED_IDLE);
        }
    }
    return 10;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Collects whoever has ended. Returns whether the command has. */
static bool has_ended(pid_t command, int *status)
{
    int other;
    for (pid_t pid = waitpid(-1, &other, WNOHANG); pid > 0; pid = waitpid(-1, &other, WNOHANG)) {
        if (pid == command) {
            *status = other;
            return true;
        }
    }
    return false;
}

/* Waits for the command, but `wait_ms` at most, and hands on signals from outside. */
static bool ends_within(pid_t command, unsigned wait_ms, int *status, int *told)
{
    for (const uint64_t until = now_ms() + wait_ms;;) {
        if (has_ended(command, status)) {
            return true;
        }
        const uint64_t now = now_ms();
        if (now >= until) {
            return false;
        }
        const struct timespec left = {.tv_nsec = (long)(until - now) * 1000000};
        const int number = sigtimedwait(&watched, NULL, &left);
        if (number > 0 && number != SIGCHLD) {
            *told = number;
            kill(command, number);
        }
    }
}

/* A child that ends with starve (I2). */
static pid_t begin_child(void)
{
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
        perror("starve: fork");
        exit(125);
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(125); /* it ended before */
        }
        sigprocmask(SIG_SETMASK, &before, NULL);
    }
    return child;
}

static void spin(void)
{
    for (;;) {
        const uint64_t until = is_for_good ? now_ms() + 1 + chance(60) : UINT64_MAX;
        while (now_ms() < until) {}
        usleep((1 + chance(60)) * 1000);
    }
}

static void begin_hogs(int count)
{
    for (; hog_count < count; hog_count++) {
        stream++; /* each spins to its own times */
        hogs[hog_count] = begin_child();
        if (hogs[hog_count] == 0) {
            spin();
        }
    }
}

/* Whether a process of ours may come back from SCHED_IDLE, is tried out. */
static bool may_come_back(void)
{
    const pid_t child = begin_child();
    if (child == 0) {
        set_policy(0, SCHED_IDLE);
        set_policy(0, SCHED_OTHER);
        _exit(has_policy(0, SCHED_OTHER) ? 0 : 1);
    }
    int status;
    return waitpid(child, &status, 0) == child && status == 0;
}

/* Runs the command once. Returns its status; a signal that came from outside is in *told. */
static int run(char **command, int *told)
{
    const pid_t pid = begin_child();
    if (pid == 0) {
        execvp(command[0], command);
        perror(command[0]);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status = 0;
    bool is_over = false;
    for (unsigned turn = 0; !is_over; turn++) {
        if (turn % TURNS_PER_LOOK == 0) {
            look();
        }
        const unsigned wait_ms = is_for_good ? delay_for_good() : delay_some();
        is_over = ends_within(pid, wait_ms, &status, told);
        restore();
        /* Else a command of one thread would be late all of its time. */
        is_over = is_over || ends_within(pid, chance(2 * wait_ms), &status, told);
    }
    return status;
}

static void end_hogs(void)
{
    for (; hog_count > 0; hog_count--) {
        kill(hogs[hog_count - 1], SIGKILL);
        waitpid(hogs[hog_count - 1], NULL, 0);
    }
}

/* As the command has ended, without a second dump of core. */
static int end_like(int status)
{
    if (WIFSIGNALED(status)) {
        const struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        raise(WTERMSIG(status));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int usage(void)
{
    fputs("usage: starve [-h HOGS] [-n ROUNDS] [-s SEED] COMMAND [ARGUMENT]...\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    long hogs_wanted = sysconf(_SC_NPROCESSORS_ONLN), rounds = 1;
    uint64_t seed = ((uint64_t)time(NULL) << 16 ^ (uint64_t)getpid()) & UINT32_MAX;
    for (int option = getopt(argc, argv, "+h:n:s:"); option != -1;
         option = getopt(argc, argv, "+h:n:s:")) {
        switch (option) {
        case 'h':
            hogs_wanted = strtol(optarg, NULL, 10);
            break;
        case 'n':
            rounds = strtol(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 0);
            break;
        default:
            return usage();
        }
    }
    if (optind == argc || hogs_wanted < 0 || hogs_wanted > HOGS_MAX || rounds < 1) {
        return usage();
    }
    sigemptyset(&watched);
    const int numbers[] = {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&watched, numbers[i]);
    }
    sigprocmask(SIG_BLOCK, &watched, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    is_for_good = !may_come_back();
    if (is_for_good) {
        fputs("starve: may not put threads back from SCHED_IDLE; one in four stays late\n", stderr);
    }
    begin_hogs((int)hogs_wanted);
    int status = 0, told = 0;
    for (; rounds > 0 && status == 0 && told == 0; rounds--, seed++) {
        fprintf(stderr, "starve: seed %llu\n", (unsigned long long)seed);
        stream = seed;
        status = run(argv + optind, &told);
    }
    end_hogs();
    return end_like(status);
}
