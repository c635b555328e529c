/* The zygote itself: forks workers for pools, tells when they die, and kills them in time.

       program ---master--->  zygote  <--control-- pool
                                | fork, SIGKILL, waitid
                             workers

   One thread, one loop over poll: the master socket brings new pools, each pool's control socket
   brings requests, a signalfd tells of dead children, a pidfd of the dead program.

   Invariants
   (Y1) It never blocks but in poll: a pool that does not read its messages stops only its own.
   (Y2) A child is reaped by its number, and only after everything in its process group was killed,
        while the number is still its own.
   (Y3) For every FORK exactly one FORKED or REFUSED goes out, and for every FORKED exactly one DIED
        after it. What does not fit into the socket stays noted in the child's record.
   (Y4) A client leaves when its socket ends. Its workers are killed; it is closed when the last one
        has been reported. So the pool reads DIED for all, and then the end.

   (Y5) A worker's control group is removed when the worker has been reaped, that of the pool when
        its client is closed: also when the program was killed.

   (Y6) What jobs have left behind outside of their worker's process group becomes a child of the
        zygote when the worker has ended, and is killed within SWEEP_EVERY_MS, or with the program.

   Nothing that fails here ends the zygote: a request that cannot be served is refused. */
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "pool/cgroup.h"
#include "pool/child.h"
#include "pool/message.h"
#include "pool/place.h"
#include "pool/strays.h"
#include "pool/worker.h"
#include "pool/zygote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    POLL_MASTER,
    POLL_PARENT,
    POLL_SIGNALS,
    POLL_CLIENTS, /* from here on */
    MESSAGES_PER_TURN = 16,
    EXIT_SETUP_FAILED = 70,
    SWEEP_EVERY_MS = 1000,
    SWEEPS_AT_THE_END = 100,
};

/* A pool. */
struct client {
    struct skua__link link;
    struct skua__list children;
    struct skua__settings *settings; /* NULL: SETUP has not come */
    int control;
    int bell;          /* -1: likewise */
    bool leaving;      /* (Y4) */
    bool blocked;      /* something could not be sent; wait for room */
    size_t poll_index; /* 0: not polled in this turn */
};

/* A worker, or the refusal to make it. */
struct child {
    struct skua__link link;
    uint32_t id;
    pid_t pid; /* 0: refused */
    int pidfd; /* until it was sent; else -1 */
    int refusal;
    int status; /* of waitpid */
    bool told;  /* FORKED or REFUSED is out */
    bool ended;
    bool is_oom;
};

static struct {
    struct skua__list clients;
    size_t client_count;
    struct pollfd *polls;
    size_t polls_max;
    int master;
    int parent;
    int signals;
    pid_t pid;
    bool must_sweep;  /* a worker has died since the last look for strays, or there were some */
    int64_t sweep_ns; /* when the next look may be */
} self;

static void child_free(struct child *child)
{
    if (child->pidfd >= 0) {
        close(child->pidfd);
    }
    skua__list_remove(&child->link);
    skua__free(child);
}

/* One message of a child's. True: it is out, or nobody is there to read it. */
static bool tell(struct client *client, const struct skua__message *message, int pidfd)
{
    int error = skua__message_send(client->control, message, &pidfd, 1);
    if (error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM) {
        client->blocked = true;
        return false;
    }
    if (error == -ETOOMANYREFS && pidfd >= 0) {
        return tell(client, message, -1); /* the pool sees that it is missing, and has it killed */
    }
    return true;
}

/* Tell what there is to tell; frees the record when that was all. */
static void report(struct client *client, struct child *child)
{
    if (!child->told) {
        const struct skua__message message = {.kind = child->pid != 0 ? SKUA__MESSAGE_FORKED
                                                                      : SKUA__MESSAGE_REFUSED,
                                              .id = child->id,
                                              .pid = child->pid,
                                              .value = child->refusal};
        if (!tell(client, &message, child->pidfd)) {
            return;
        }
        child->told = true;
        if (child->pidfd >= 0) {
            close(child->pidfd);
            child->pidfd = -1;
        }
    }
    if (child->ended) {
        const struct skua__message message = {.kind = SKUA__MESSAGE_DIED,
                                              .id = child->id,
                                              .pid = child->pid,
                                              .value = child->status,
                                              .flags = child->is_oom ? SKUA__MESSAGE_OOM : 0};
        if (!tell(client, &message, -1)) {
            return;
        }
    }
    if (child->ended || child->pid == 0) {
        child_free(child);
    }
}

static void report_all(struct client *client)
{
    client->blocked = false;
    for (struct skua__link *link = client->children.head.next, *next;
         link != &client->children.head && !client->blocked; link = next) {
        next = link->next;
        report(client, SKUA_CONTAINER(link, struct child, link));
    }
}

static void kill_child(const struct child *child)
{
    if (child->pid != 0 && !child->ended) {
        kill(child->pid, SIGKILL);
    }
}

static void place_child(const struct client *client, const struct child *child, uint32_t place)
{
    const struct skua__settings *settings = client->settings;
    if (settings != NULL && settings->place_count > 0 && child->pid != 0 && !child->ended) {
        skua__place_put(child->pid, &settings->places[place % settings->place_count]);
    }
}

static void leave(struct client *client)
{
    client->leaving = true;
    for (struct skua__link *link = client->children.head.next; link != &client->children.head;
         link = link->next) {
        kill_child(SKUA_CONTAINER(link, struct child, link));
    }
}

static void client_free(struct client *client)
{
    close(client->control);
    if (client->bell >= 0) {
        close(client->bell);
    }
    if (client->settings != NULL) {
        skua__cgroup_close(client->settings);
        skua__free(client->settings);
    }
    skua__list_remove(&client->link);
    self.client_count--;
    skua__free(client);
}

/* In the child: nothing of the zygote is needed any more but the settings, and the fds for it. */
static SKUA_NORETURN void become_worker(const struct client *client, uint32_t id, uint32_t number,
                                        const int fds[2])
{
    const struct skua__worker_setup setup = {.settings = client->settings,
                                             .id = id,
                                             .number = number,
                                             .zygote = self.pid,
                                             .memfd = fds[0],
                                             .bell = client->bell,
                                             .talk = fds[1]};
    skua__worker_process(&setup);
}

/* Returns the process id, or a negative errno. */
static pid_t fork_worker(const struct client *client, uint32_t id, uint32_t number,
                         const int fds[2])
{
    if (client->settings == NULL || fds[0] < 0 || fds[1] < 0) {
        return client->settings == NULL ? -EPROTO : -EMFILE;
    }
    int error = skua__cgroup_make(client->settings, id);
    if (error < 0) {
        return error;
    }
    pid_t pid = skua__zygote_fork();
    if (pid == 0) {
        become_worker(client, id, number, fds);
    }
    if (pid < 0) {
        error = -errno;
        skua__cgroup_remove(client->settings, id);
    }
    return pid < 0 ? error : pid;
}

static void make_worker(struct client *client, uint32_t id, uint32_t number, const int fds[2])
{
    struct child *child = skua__alloc(sizeof *child);
    if (child == NULL) {
        leave(client); /* not even a refusal can be noted: for the pool this is the end */
        return;
    }
    child->id = id;
    child->pidfd = -1;
    const pid_t pid = fork_worker(client, id, number, fds);
    if (pid < 0) {
        child->refusal = pid;
    } else {
        child->pid = pid;
        child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        place_child(client, child, number);
    }
    skua__list_push_back(&client->children, &child->link);
    report(client, child);
}

static void make_workers(struct client *client, const struct skua__message *message,
                         const int fds[])
{
    for (uint32_t i = 0; i < message->count && i < SKUA__MESSAGE_WORKERS && !client->leaving; i++) {
        make_worker(client, message->id + i, message->numbers[i], &fds[2 * i]);
    }
}

/* The pool has said what its workers are like. Keeps the bell. */
static void set_up_client(struct client *client, int fds[])
{
    int error = client->settings != NULL || fds[1] < 0
                    ? -EMFILE
                    : skua__settings_unpack(&client->settings, fds[0]);
    if (error == 0) {
        client->bell = fds[1];
        fds[1] = -1;
        error = skua__cgroup_open(client->settings);
    }
    if (error < 0) {
        const struct skua__message refusal = {.kind = SKUA__MESSAGE_REFUSED, .value = error};
        if (!tell(client, &refusal, -1)) {
            leave(client);
        }
    }
}

static struct child *find_child(struct client *client, uint32_t id)
{
    for (struct skua__link *link = client->children.head.next; link != &client->children.head;
         link = link->next) {
        struct child *child = SKUA_CONTAINER(link, struct child, link);
        if (child->id == id) {
            return child;
        }
    }
    return NULL;
}

static void obey(struct client *client, const struct skua__message *message, int fds[])
{
    struct child *child = find_child(client, message->id);
    switch (message->kind) {
    case SKUA__MESSAGE_SETUP:
        set_up_client(client, fds);
        break;
    case SKUA__MESSAGE_FORK:
        make_workers(client, message, fds);
        break;
    case SKUA__MESSAGE_KILL:
        if (child != NULL) {
            kill_child(child);
        }
        break;
    case SKUA__MESSAGE_PLACE:
        if (child != NULL) {
            place_child(client, child, (uint32_t)message->value);
        }
        break;
    case SKUA__MESSAGE_NUDGE:
        tell(client, message, -1); /* if there is no room it will look anyway */
        break;
    default:
        break;
    }
}

/* Obey a pool, for some messages at a time. */
static void serve(struct client *client)
{
    for (int i = 0; i < MESSAGES_PER_TURN && !client->leaving; i++) {
        struct skua__message message;
        int fds[SKUA__MESSAGE_FDS];
        int result = skua__message_receive(client->control, &message, fds);
        if (result == -EAGAIN) {
            return;
        }
        if (result <= 0) {
            leave(client);
            return;
        }
        obey(client, &message, fds);
        for (size_t fd = 0; fd < SKUA__MESSAGE_FDS; fd++) {
            if (fds[fd] >= 0) {
                close(fds[fd]);
            }
        }
    }
}

static void welcome(int control)
{
    struct client *client = skua__alloc(sizeof *client);
    if (client == NULL) {
        close(control); /* the pool sees the end at once */
        return;
    }
    client->control = control;
    client->bell = -1;
    skua__list_init(&client->children);
    skua__list_push_back(&self.clients, &client->link);
    self.client_count++;
}

/* True when the child has ended. */
static bool reap(const struct client *client, struct child *child)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0) {
        return false;
    }
    kill(-child->pid, SIGKILL); /* what it has left behind (Y2) */
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR) {}
    child->ended = true;
    self.must_sweep = true;
    child->is_oom = skua__cgroup_remove(client->settings, child->id);
    return true;
}

static void reap_all(struct client *client)
{
    for (struct skua__link *link = client->children.head.next, *next;
         link != &client->children.head; link = next) {
        next = link->next;
        struct child *child = SKUA_CONTAINER(link, struct child, link);
        if (child->pid != 0 && !child->ended && reap(client, child) && !client->blocked) {
            report(client, child);
        }
    }
}

/* --- what jobs have left behind (Y6) ---------------------------------------------------------- */

static bool is_known(pid_t pid)
{
    for (struct skua__link *link = self.clients.head.next; link != &self.clients.head;
         link = link->next) {
        struct client *client = SKUA_CONTAINER(link, struct client, link);
        for (struct skua__link *at = client->children.head.next; at != &client->children.head;
             at = at->next) {
            struct child *child = SKUA_CONTAINER(at, struct child, link);
            if (child->pid == pid && !child->ended) {
                return true;
            }
        }
    }
    return false;
}

/* Kill the strays, if it is time. */
static void sweep_strays(void)
{
    const int64_t now_ns = skua__clock_real_ns();
    if (self.must_sweep && now_ns >= self.sweep_ns) {
        self.must_sweep = skua__strays_kill(is_known) > 0; /* they may have children */
        self.sweep_ns = skua__clock_real_ns() + (int64_t)SWEEP_EVERY_MS * 1000 * 1000;
    }
}

static int until_sweep_ms(void)
{
    const int64_t left_ns = self.sweep_ns - skua__clock_real_ns();
    if (!self.must_sweep) {
        return -1;
    }
    return left_ns <= 0 ? 0 : (int)(left_ns / 1000 / 1000) + 1;
}

/* The program has ended: so does everything here. */
static SKUA_NORETURN void end(void)
{
    for (struct skua__link *link = self.clients.head.next; link != &self.clients.head;
         link = link->next) {
        leave(SKUA_CONTAINER(link, struct client, link));
    }
    for (struct skua__link *link = self.clients.head.next; link != &self.clients.head;
         link = link->next) {
        struct client *client = SKUA_CONTAINER(link, struct client, link);
        for (struct skua__link *at = client->children.head.next; at != &client->children.head;
             at = at->next) {
            struct child *child = SKUA_CONTAINER(at, struct child, link);
            if (child->pid != 0 && !child->ended) {
                kill(-child->pid, SIGKILL);
                waitpid(child->pid, NULL, 0);
                skua__cgroup_remove(client->settings, child->id);
            }
        }
        if (client->settings != NULL) {
            skua__cgroup_close(client->settings);
        }
    }
    skua__list_init(&self.clients); /* all are strays by now */
    for (int i = 0; i < SWEEPS_AT_THE_END && skua__strays_kill(is_known) > 0; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        poll(NULL, 0, 1);
    }
    _exit(0);
}

static void turn_client(struct client *client, bool children_died)
{
    const short events = client->poll_index != 0 ? self.polls[client->poll_index].revents : 0;
    if (children_died) {
        reap_all(client);
    }
    if (events != 0 && client->blocked) {
        report_all(client);
    }
    if (events != 0 && !client->leaving) {
        serve(client);
    }
    if (client->leaving && skua__list_is_empty(&client->children)) {
        client_free(client);
    }
}

/* Room in the table for every client. False: keep what there is, and look again later. */
static bool grow_polls(void)
{
    const size_t wanted = POLL_CLIENTS + self.client_count;
    if (wanted <= self.polls_max) {
        return true;
    }
    struct pollfd *polls = skua__alloc(2 * wanted * sizeof *polls);
    if (polls == NULL) {
        return false;
    }
    skua__free(self.polls);
    self.polls = polls;
    self.polls_max = 2 * wanted;
    return true;
}

static size_t fill_polls(void)
{
    self.polls[POLL_MASTER] = (struct pollfd){.fd = self.master, .events = POLLIN};
    self.polls[POLL_PARENT] = (struct pollfd){.fd = self.parent, .events = POLLIN};
    self.polls[POLL_SIGNALS] = (struct pollfd){.fd = self.signals, .events = POLLIN};
    size_t count = POLL_CLIENTS;
    for (struct skua__link *link = self.clients.head.next; link != &self.clients.head;
         link = link->next) {
        struct client *client = SKUA_CONTAINER(link, struct client, link);
        client->poll_index = 0;
        const short events =
            (short)((client->leaving ? 0 : POLLIN) | (client->blocked ? POLLOUT : 0));
        /* A leaving client would be reported for its hang-up, over and over. */
        if (events != 0 && count < self.polls_max) {
            client->poll_index = count;
            self.polls[count++] = (struct pollfd){.fd = client->control, .events = events};
        }
    }
    return count;
}

/* Signals merge, so one note may stand for many children. */
static bool take_signals(void)
{
    struct signalfd_siginfo notes[8];
    return read(self.signals, notes, sizeof notes) > 0;
}

/* New pools, or the end. */
static void serve_master(void)
{
    struct skua__message message;
    int fds[SKUA__MESSAGE_FDS];
    int result;
    while ((result = skua__message_receive(self.master, &message, fds)) == 1) {
        if (fds[0] >= 0) {
            welcome(fds[0]);
        }
    }
    if (result == 0) {
        end();
    }
}

/* It cannot poll: memory is short, or its limit of fds is below the number that it has. Then it
   looks now and then whether the program is there. */
static void end_if_alone(void)
{
    struct pollfd parent = {.fd = self.parent, .events = POLLIN};
    poll(NULL, 0, 10);
    if (poll(&parent, 1, 0) > 0) {
        end();
    }
}

static void turn(void)
{
    const int timeout_ms = grow_polls() ? until_sweep_ms() : 100;
    const size_t count = fill_polls();
    if (poll(self.polls, count, timeout_ms) < 0) {
        end_if_alone();
        return;
    }
    if (self.polls[POLL_PARENT].revents != 0) {
        end();
    }
    const bool children_died = self.polls[POLL_SIGNALS].revents != 0 && take_signals();
    for (struct skua__link *link = self.clients.head.next, *next; link != &self.clients.head;
         link = next) {
        next = link->next;
        turn_client(SKUA_CONTAINER(link, struct client, link), children_died);
    }
    if (children_died) {
        skua__strays_reap(is_known);
    }
    if (self.polls[POLL_MASTER].revents != 0) {
        serve_master();
    }
    sweep_strays();
}

static bool set_up(int master, int parent)
{
    skua__child_set_name("skua-zygote");
    setpgid(0, 0); /* ctrl-C is for the program */
    self.pid = getpid();
    skua__strays_adopt();
    self.master = skua__child_lift_fd(master);
    self.parent = skua__child_lift_fd(parent);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    skua__child_reset_signals();
    self.signals = skua__child_lift_fd(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (self.master < 0 || self.parent < 0 || self.signals < 0) {
        return false;
    }
    skua__child_close_others((const int[]){self.master, self.parent, self.signals}, 3);
    skua__child_fill_standard_fds();
    skua__list_init(&self.clients);
    return grow_polls();
}

/* All signals are blocked, and stay so. */
void skua__zygote_main(int master, int parent)
{
    if (!set_up(master, parent)) {
        _exit(EXIT_SETUP_FAILED);
    }
    for (;;) {
        turn();
    }
}
