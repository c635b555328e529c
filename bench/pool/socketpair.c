/* A pool by hand on socket pairs: jobs that are posted together go as one message, so do their
   answers, and poll() tells where there are some. A worker that dies is forked again. */
#define _GNU_SOURCE
#include "raw.h"
#include "rows.h"

#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Longer ones go as several packets: a packet has to fit into the socket's buffer. */
enum { PIECE_BYTES = 64 * 1024 };

/* A job, or its answer. Its payload, if it has one, comes in the next messages, and then it is
   alone in its own. */
typedef struct packet {
    uint32_t kind;
    uint32_t bytes; /* of payload */
} packet;

typedef struct worker {
    int fd;
    pid_t pid;
    packet batch[RAW_WINDOW_MAX]; /* posted and not flushed */
    unsigned batch_count;
    unsigned under_way;
    char answer[RAW_BYTES_MAX];
} worker;

size_t raw_window = RAW_WINDOW_MAX;

static worker workers[RAW_WORKERS_MAX];
static unsigned worker_count;

static int check(ssize_t result)
{
    return result < 0 ? -errno : 0;
}

/* --- what both sides do --- */

static int send_packets(int fd, const packet packets[], size_t count)
{
    return check(send(fd, packets, count * sizeof(packets[0]), MSG_NOSIGNAL));
}

/* As many as came in one message, which is at most RAW_WINDOW_MAX. 0: the other side is gone. */
static int receive_packets(int fd, packet packets[], int flags)
{
    const ssize_t got = recv(fd, packets, RAW_WINDOW_MAX * sizeof(packets[0]), flags);
    return got < 0 ? -errno : (int)((size_t)got / sizeof(packets[0]));
}

static int send_bytes(int fd, const char *data, size_t bytes)
{
    for (size_t sent = 0; sent < bytes; sent += PIECE_BYTES) {
        const size_t left = bytes - sent;
        if (send(fd, data + sent, left < PIECE_BYTES ? left : PIECE_BYTES, MSG_NOSIGNAL) < 0) {
            return -errno;
        }
    }
    return 0;
}

static int receive_bytes(int fd, char *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t got = recv(fd, data + done, bytes - done, 0);
        if (got <= 0) {
            return got < 0 ? -errno : -EPIPE;
        }
        done += (size_t)got;
    }
    return 0;
}

/* --- the worker --- */

static int run_big(int fd, packet job, char *memory)
{
    int error = receive_bytes(fd, memory, job.bytes);
    if (error == 0) {
        error = send_packets(fd, &job, 1);
    }
    return error == 0 ? send_bytes(fd, memory, job.bytes) : error;
}

_Noreturn static void work(int fd)
{
    static char memory[RAW_BYTES_MAX];
    packet jobs[RAW_WINDOW_MAX];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int error = 0;
    while (error == 0) {
        const int got = receive_packets(fd, jobs, 0);
        if (got <= 0 || jobs[0].kind == RAW_END) {
            break;
        }
        if (jobs[0].kind == RAW_CRASH) {
            pool_crash();
        }
        error =
            jobs[0].bytes > 0 ? run_big(fd, jobs[0], memory) : send_packets(fd, jobs, (size_t)got);
    }
    _exit(0);
}

/* --- the program --- */

static int start_worker(worker *one)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    one->fd = ends[0];
    one->batch_count = 0;
    one->under_way = 0;
    one->pid = fork();
    if (one->pid == 0) {
        for (unsigned i = 0; i < worker_count; i++) {
            close(workers[i].fd);
        }
        close(ends[0]);
        work(ends[1]);
    }
    close(ends[1]);
    return check(one->pid);
}

static void bury_worker(worker *one)
{
    close(one->fd);
    one->fd = -1;
    waitpid(one->pid, NULL, 0);
}

int raw_start(unsigned count)
{
    int error = 0;
    for (worker_count = 0; worker_count < count && error == 0; worker_count++) {
        error = start_worker(&workers[worker_count]);
    }
    return error;
}

void raw_stop(void)
{
    for (unsigned i = 0; i < worker_count; i++) {
        if (workers[i].fd >= 0) {
            bury_worker(&workers[i]);
        }
    }
    worker_count = 0;
}

int raw_post(unsigned index, raw_kind kind, const void *in, size_t bytes)
{
    worker *one = &workers[index];
    int error = one->fd < 0 ? start_worker(one) : 0;
    if (error != 0) {
        return error;
    }
    one->under_way++;
    if (bytes == 0) {
        one->batch[one->batch_count++] = (packet){kind, 0};
        return 0;
    }
    packet big = {kind, (uint32_t)bytes};
    error = send_packets(one->fd, &big, 1);
    return error == 0 ? send_bytes(one->fd, in, bytes) : error;
}

int raw_flush(void)
{
    int error = 0;
    for (unsigned i = 0; i < worker_count && error == 0; i++) {
        if (workers[i].batch_count > 0) {
            error = send_packets(workers[i].fd, workers[i].batch, workers[i].batch_count);
            workers[i].batch_count = 0;
        }
    }
    return error;
}

static ssize_t lose_worker(unsigned index, raw_answer answers[])
{
    const unsigned lost = workers[index].under_way;
    bury_worker(&workers[index]);
    for (unsigned i = 0; i < lost; i++) {
        answers[i] = (raw_answer){.worker = index, .is_lost = true};
    }
    return lost;
}

static ssize_t take(unsigned index, raw_answer answers[])
{
    worker *one = &workers[index];
    packet packets[RAW_WINDOW_MAX];
    const int got = receive_packets(one->fd, packets, MSG_DONTWAIT);
    int error = got < 0 && got != -ECONNRESET ? got : 0;
    if (got == 0 || got == -ECONNRESET) {
        return lose_worker(index, answers);
    }
    for (int i = 0; i < got && error == 0; i++) {
        error = receive_bytes(one->fd, one->answer, packets[i].bytes);
        answers[i] = (raw_answer){index, false, one->answer, packets[i].bytes};
    }
    one->under_way -= (unsigned)(error == 0 ? got : 0);
    return error == 0 ? got : error;
}

ssize_t raw_wait(raw_answer answers[], size_t count)
{
    struct pollfd fds[RAW_WORKERS_MAX];
    for (unsigned i = 0; i < worker_count; i++) {
        fds[i] = (struct pollfd){.fd = workers[i].fd, .events = POLLIN};
    }
    if (poll(fds, worker_count, -1) < 0) {
        return -errno;
    }
    size_t got = 0;
    for (unsigned i = 0; i < worker_count && got + workers[i].under_way <= count; i++) {
        const ssize_t some = fds[i].revents != 0 ? take(i, answers + got) : 0;
        if (some < 0) {
            return some;
        }
        got += (size_t)some;
    }
    return (ssize_t)got;
}

void *raw_buffer(unsigned index)
{
    (void)index;
    return NULL;
}

static const bench_case cases[] = {
    POOL_CASE_ASLEEP(raw_run_asleep, raw_enter),   POOL_CASE_CALL(raw_run_call, raw_enter),
    POOL_CASE_CALL_64(raw_run_call_64, raw_enter), POOL_CASE_MAP(raw_run_map, raw_enter),
    POOL_CASE_COPIES(raw_run_copies, raw_enter),   POOL_CASE_CRASH(raw_run_crash, raw_enter),
    POOL_CASE_START(raw_run_start, NULL),          POOL_CASE_IDLE(raw_run_idle, raw_enter),
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "socketpair", cases, BENCH_COUNT(cases));
}
