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

   Nothing that fails here ends the zygote: a request that cannot be served is refused. */
#include "base/list.h"
#include "base/mem.h"
#include "pool/child.h"
#include "pool/message.h"
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
};

/* A pool. */
struct client {
    struct skua__link link;
    struct skua__list children;
    int control;
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
    int error = skua__message_send(client->control, message, (const int[]){pidfd, -1});
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
        const struct skua__message message = {
            .kind = SKUA__MESSAGE_DIED, .id = child->id, .pid = child->pid, .value = child->status};
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
    skua__list_remove(&client->link);
    self.client_count--;
    skua__free(client);
}

/* In the child: nothing of the zygote is needed any more but the fds that were sent for it. */
static SKUA_NORETURN void become_worker(const struct skua__message *message, const int fds[])
{
    struct skua__worker_setup setup = {.name = message->name,
                                       .payload_max = message->payload_max,
                                       .memory_max_bytes = message->memory_max_bytes,
                                       .zygote = self.pid,
                                       .memfd = fds[0],
                                       .bell = fds[1]};
    skua__worker_process(&setup);
}

static void make_worker(struct client *client, const struct skua__message *message, const int fds[])
{
    struct child *child = skua__alloc(sizeof *child);
    if (child == NULL) {
        leave(client); /* not even a refusal can be noted: for the pool this is the end */
        return;
    }
    child->id = message->id;
    child->pidfd = -1;
    pid_t pid = fds[0] >= 0 && fds[1] >= 0 ? skua__zygote_fork() : -1;
    if (pid == 0) {
        become_worker(message, fds);
    }
    if (pid < 0) {
        child->refusal = fds[1] < 0 ? -EMFILE : -errno;
    } else {
        child->pid = pid;
        child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    }
    skua__list_push_back(&client->children, &child->link);
    report(client, child);
}

static void kill_worker(struct client *client, uint32_t id)
{
    for (struct skua__link *link = client->children.head.next; link != &client->children.head;
         link = link->next) {
        struct child *child = SKUA_CONTAINER(link, struct child, link);
        if (child->id == id) {
            kill_child(child);
        }
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
        if (message.kind == SKUA__MESSAGE_FORK) {
            make_worker(client, &message, fds);
        } else if (message.kind == SKUA__MESSAGE_KILL) {
            kill_worker(client, message.id);
        }
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
    skua__list_init(&client->children);
    skua__list_push_back(&self.clients, &client->link);
    self.client_count++;
}

/* True when the child has ended. */
static bool reap(struct child *child)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0) {
        return false;
    }
    kill(-child->pid, SIGKILL); /* what it has left behind (Y2) */
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR) {}
    child->ended = true;
    return true;
}

static void reap_all(struct client *client)
{
    for (struct skua__link *link = client->children.head.next, *next;
         link != &client->children.head; link = next) {
        next = link->next;
        struct child *child = SKUA_CONTAINER(link, struct child, link);
        if (child->pid != 0 && !child->ended && reap(child) && !client->blocked) {
            report(client, child);
        }
    }
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
            }
        }
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

static void turn(void)
{
    const int timeout_ms = grow_polls() ? -1 : 100;
    const size_t count = fill_polls();
    if (poll(self.polls, count, timeout_ms) < 0) {
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
    if (self.polls[POLL_MASTER].revents != 0) {
        serve_master();
    }
}

static bool set_up(int master, int parent)
{
    skua__child_set_name("skua-zygote");
    setpgid(0, 0); /* ctrl-C is for the program */
    self.pid = getpid();
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
