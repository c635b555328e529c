/* The programs of docs/guide/client_libraries.md. */
#define _GNU_SOURCE 1
#include <skua/skua.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- two libraries that know nothing of Skua --- */

/* One with calls that never wait: it does what can be done now, and says what it waits for. */
enum { LINK_READY, LINK_READS, LINK_WRITES };

struct link {
    int fd;
    char question[64], answer[64];
    size_t sent, received;
};

static void link_ask(struct link *link, const char *question)
{
    snprintf(link->question, sizeof link->question, "%s\n", question);
    link->sent = link->received = 0;
}

/* A library in a file of its own is not inlined either: errno must not be looked at by functions
   that go on on another thread. */
static __attribute__((noinline)) int link_step(struct link *link)
{
    while (link->sent < strlen(link->question)) {
        const char *rest = link->question + link->sent;
        ssize_t sent = send(link->fd, rest, strlen(rest), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN ? LINK_WRITES : -errno;
        }
        link->sent += (size_t)sent;
    }
    while (link->received == 0 || link->answer[link->received - 1] != '\n') {
        char *end = link->answer + link->received;
        ssize_t got = recv(link->fd, end, sizeof link->answer - link->received, MSG_DONTWAIT);
        if (got <= 0) {
            return got == 0 ? -ECONNRESET : errno == EAGAIN ? LINK_READS : -errno;
        }
        link->received += (size_t)got;
    }
    link->answer[link->received - 1] = '\0';
    return LINK_READY;
}

/* One that has threads of its own, on which it calls back. */
struct measuring {
    const char *word;
    void (*callback)(void *arg, int length);
    void *arg;
};

static void *measure_thread(void *arg)
{
    struct measuring measuring = *(struct measuring *)arg;
    free(arg);
    measuring.callback(measuring.arg, (int)strlen(measuring.word));
    return NULL;
}

static pthread_t measure(const char *word, void (*callback)(void *arg, int length), void *arg)
{
    pthread_t thread;
    struct measuring *measuring = malloc(sizeof *measuring);
    *measuring = (struct measuring){.word = word, .callback = callback, .arg = arg};
    pthread_create(&thread, NULL, measure_thread, measuring);
    return thread;
}

/* --- an fd --- */

/* The library's calls, as one that waits: only the task does. */
static int ask(struct link *link, const char *question, skua_time deadline)
{
    link_ask(link, question);
    int wants;
    while ((wants = link_step(link)) > 0) {
        int events = wants == LINK_READS ? SKUA_READABLE : SKUA_WRITABLE;
        int status = skua_wait_fd(link->fd, events, deadline);
        if (status < 0) {
            return status;
        }
    }
    return wants;
}

/* --- several fds --- */

/* Ask two servers, and take the answer that comes first. */
static int ask_both(struct link links[2], const char *question, skua_time deadline)
{
    link_ask(&links[0], question);
    link_ask(&links[1], question);
    for (;;) {
        skua_case cases[2];
        for (int i = 0; i < 2; i++) {
            int wants = link_step(&links[i]);
            if (wants <= 0) {
                return wants < 0 ? wants : i;
            }
            int events = wants == LINK_READS ? SKUA_READABLE : SKUA_WRITABLE;
            cases[i] = (skua_case)SKUA_READY(links[i].fd, events);
        }
        int status = skua_select(cases, 2, 0, deadline);
        if (status < 0) {
            return status;
        }
    }
}

/* --- callbacks on threads of theirs --- */

/* On the library's thread. Nobody may be waiting any more: then the value goes away. */
static void told(void *arg, int length)
{
    skua_oneshot *answer = arg;
    if (skua_oneshot_send(answer, &length, sizeof length) == -EPIPE) {
        printf("it is %d, but nobody wants to know\n", length);
    }
}

static int measured(const char *word, skua_time deadline)
{
    skua_oneshot *answer;
    int length = 0;
    int status = skua_oneshot_create(&answer, sizeof length);
    if (status < 0) {
        return status;
    }
    pthread_t thread = measure(word, told, answer);
    status = skua_oneshot_recv(answer, &length, sizeof length, deadline);
    skua_oneshot_release(answer, SKUA_RECEIVER);
    pthread_detach(thread);
    return status == 1 ? length : status;
}

/* --- callbacks that have to wait --- */

static int look_it_up(void *arg)
{
    int status = skua_sleep(skua_after(SKUA_MS(1))); /* whatever waits, in a task */
    return status < 0 ? status : *(int *)arg * 2;
}

struct request {
    skua_runtime *runtime;
    int answer;
};

/* On the library's thread, which waits until the task that it has started has ended. */
static void asked(void *arg, int length)
{
    struct request *request = arg;
    request->answer = skua_call(request->runtime, look_it_up, &length, skua_after(SKUA_SEC(5)));
}

static int join(void *arg)
{
    return pthread_join(*(pthread_t *)arg, NULL);
}

static int serve_callback(const char *word)
{
    struct request request = {.runtime = skua_runtime_current()};
    pthread_t thread = measure(word, asked, &request);
    int status = skua_blocking(join, &thread, SKUA_FOREVER);
    return status < 0 ? status : request.answer;
}

/* --- the server behind the links, and the program --- */

static int answer_lines(void *arg)
{
    const int fd = *(int *)arg;
    skua_reader reader = {{0}};
    skua_view line;
    char answer[32];
    int status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    while (status >= 0 && (status = skua_reader_line(&reader, &line, SKUA_FOREVER)) == 1) {
        int bytes = snprintf(answer, sizeof answer, "%zu letters\n", line.bytes);
        status = skua_write_all(fd, answer, (size_t)bytes, NULL, SKUA_FOREVER);
    }
    skua_reader_close(&reader);
    skua_close(fd);
    return status;
}

static int start_server(int fd, skua_group *servers)
{
    int status = skua_fd_adopt(fd);
    const skua_spawn_opts opts = {.arg_bytes = sizeof fd, .group = servers};
    return status < 0 ? status : skua_spawn(NULL, answer_lines, &fd, &opts);
}

/* A link to a server, which may be one that says nothing. */
static int connect_link(struct link *link, int *other_end, skua_group *servers)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    link->fd = ends[0];
    *other_end = ends[1];
    return servers == NULL ? 0 : start_server(ends[1], servers);
}

static int show(struct link links[2])
{
    int status = ask(&links[1], "albatross", skua_after(SKUA_SEC(5)));
    if (status < 0) {
        return status;
    }
    printf("the server says: %s\n", links[1].answer);
    status = ask_both(links, "petrel", skua_after(SKUA_SEC(5)));
    if (status >= 0) {
        printf("server %d is the first: %s\n", status, links[status].answer);
    }
    return status;
}

static int program(void *arg)
{
    struct link links[2];
    int mute = -1, served = -1;
    SKUA_GROUP(servers);
    skua_group_open(&servers, SKUA_FAIL_FAST, SKUA_FOREVER);
    int status = connect_link(&links[0], &mute, NULL);
    if (status >= 0) {
        status = connect_link(&links[1], &served, &servers);
    }
    if (status >= 0) {
        status = show(links);
        close(links[0].fd);
        close(links[1].fd);
        close(mute);
    }
    status = skua_group_close(&servers, status < 0 ? status : 0);
    printf("skua has %d letters\n", measured("skua", skua_after(SKUA_SEC(5))));
    printf("twice that is %d\n", serve_callback("skua"));
    return status;
}

int main(void)
{
    return skua_run(NULL, program, NULL) < 0;
}
