/* A zygote that is the program executed anew, seen from inside.

       dynamic linker: constructors of the libraries     their jobs are registered
       constructors of the executable, up to a job's
         skua_job_register() --> here: the constructors that are left are called,
                                 then it is the zygote, for good

   Jobs are registered by constructors, so those have to run; main must not, since it would do again
   what the program does. The way out is to never return from a constructor.

   Invariants
   (V1) main is not called: from the executable's first job on nothing returns to the C library. The
        one exception is a linker that has merged the constructors of jobs into one: then the last
        job of it is awaited. A runtime that is started in such a process ends it.
   (V2) It serves only if exactly the expected jobs are there, in the builds that the program has:
        the program compares the digest before it asks for anything.
   (V3) It holds no fd of the program's but the standard ones and the two that it was given, and has
        one thread. A constructor that starts threads makes it refuse.

   Rejected: to look for main and replace it (it is inlined, or not exported); to return from the
   last constructor into an own main (no hook lies between the two); a helper program that loads the
   program as a library (executables cannot be loaded). */
#include "pool/reexec.h"

#include "base/mem.h"
#include "pool/job.h"
#include "pool/message.h"
#include "pool/object.h"
#include "pool/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "SKUA_ZYGOTE"

enum { ARGUMENTS_BYTES = 1 << 20, EXIT_REFUSED = 71 };

extern char **environ;

static struct {
    bool is_known; /* the environment was looked at */
    bool is_wanted;
    bool is_calling; /* the constructors that were left */
    bool has_called;
    struct skua__reexec_orders orders;
} self;

/* --- the program's side ----------------------------------------------------------------------- */

/* The arguments as the kernel has them, each with its final 0. Returns the bytes or a negative
   errno. */
static ssize_t read_arguments(char *text)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && bytes < ARGUMENTS_BYTES - 1) {
        got = read(fd, text + bytes, ARGUMENTS_BYTES - 1 - bytes);
        bytes += got > 0 ? (size_t)got : 0;
    }
    const int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    return got < 0 ? -error : (ssize_t)bytes;
}

static size_t count_strings(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        count += text[i] == '\0';
    }
    return count;
}

static struct skua__reexec_image *build_image(const char *text, size_t text_bytes)
{
    const size_t argument_count = count_strings(text, text_bytes);
    size_t variable_count = 0;
    while (environ != NULL && environ[variable_count] != NULL) {
        variable_count++;
    }
    struct skua__reexec_image *image = skua__alloc(
        sizeof *image + (argument_count + variable_count + 3) * sizeof(char *) + text_bytes + 1);
    if (image == NULL) {
        return NULL;
    }
    image->arguments = (char **)(void *)(image + 1);
    image->environment = image->arguments + argument_count + 1;
    char *at = (char *)(image->environment + variable_count + 2);
    memcpy(at, text, text_bytes);
    for (size_t i = 0; i < argument_count; i++, at += strlen(at) + 1) {
        image->arguments[i] = at;
    }
    image->environment[0] = image->orders;
    for (size_t i = 0; i < variable_count; i++) {
        image->environment[i + 1] = environ[i];
    }
    return image;
}

int skua__reexec_image_create(struct skua__reexec_image **out,
                              const struct skua__reexec_orders *orders)
{
    char *text = skua__alloc_dirty(ARGUMENTS_BYTES);
    if (text == NULL) {
        return -ENOMEM;
    }
    const ssize_t bytes = read_arguments(text);
    struct skua__reexec_image *image = bytes < 0 ? NULL : build_image(text, (size_t)bytes);
    skua__free(text);
    if (image == NULL) {
        return bytes < 0 ? (int)bytes : -ENOMEM;
    }
    snprintf(image->orders, sizeof image->orders, VARIABLE "=%d:%d:%d:%u", orders->master,
             orders->parent, (int)orders->parent_pid, orders->expected);
    *out = image;
    return 0;
}

/* --- inside ----------------------------------------------------------------------------------- */

/* The process that a pidfd is of; -1: it is none. */
static pid_t read_pidfd(int pidfd)
{
    char path[64], line[128];
    int pid = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    FILE *file = fopen(path, "re");
    while (file != NULL && pid == -1 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pid: %d", &pid) != 1) {
            pid = -1;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return pid;
}

bool skua__reexec_is_wanted(void)
{
    if (!self.is_known) {
        const char *text = getenv(VARIABLE);
        struct skua__reexec_orders *orders = &self.orders;
        int parent_pid;
        self.is_known = true;
        self.is_wanted = text != NULL &&
                         sscanf(text, "%d:%d:%d:%u", &orders->master, &orders->parent, &parent_pid,
                                &orders->expected) == 4 &&
                         parent_pid > 0 && parent_pid == (int)read_pidfd(orders->parent);
    }
    return self.is_wanted;
}

/* Say what became of it. */
static void say_hello(int error)
{
    const struct skua__message hello = {.kind = SKUA__MESSAGE_HELLO,
                                        .value = error,
                                        .digest = skua__job_digest(self.orders.expected)};
    if (skua__message_send(self.orders.master, &hello, NULL, 0) < 0 || error < 0) {
        _exit(EXIT_REFUSED);
    }
}

static SKUA_NORETURN void become_zygote(void)
{
    unsetenv(VARIABLE); /* what jobs execute is to be just that */
    say_hello(skua__zygote_is_alone() ? 0 : -EBUSY);
    skua__zygote_serve(self.orders.master, self.orders.parent);
}

/* The constructor that is running, found by where its call returns to: the one that begins last
   before that. Returns its index, or -1. */
static ssize_t find_running(const struct skua__constructors *list, const void *site)
{
    ssize_t found = -1;
    for (size_t i = 0; i < list->count; i++) {
        const uintptr_t start = (uintptr_t)list->functions[i];
        if (start <= (uintptr_t)site && (found < 0 || start > (uintptr_t)list->functions[found])) {
            found = (ssize_t)i;
        }
    }
    return skua__object_is_program(site) ? found : -1;
}

/* As the C library would. */
static void call_constructors_after(const void *site)
{
    const struct skua__constructors list = skua__object_constructors();
    const ssize_t running = find_running(&list, site);
    if (running < 0) {
        say_hello(-ENOTSUP);
    }
    struct skua__reexec_image *image;
    if (skua__reexec_image_create(&image, &self.orders) < 0) {
        _exit(EXIT_REFUSED);
    }
    int argument_count = 0;
    while (image->arguments[argument_count] != NULL) {
        argument_count++;
    }
    self.is_calling = true;
    for (size_t i = (size_t)running + 1; i < list.count; i++) {
        list.functions[i](argument_count, image->arguments, environ);
    }
    self.is_calling = false; /* they may have kept the arguments: those stay */
}

void skua__reexec_registered(const skua_job *job, const void *site)
{
    if (!skua__reexec_is_wanted() || self.is_calling || !skua__object_is_program(job)) {
        return;
    }
    if (!self.has_called) {
        self.has_called = true;
        call_constructors_after(site);
    }
    if (skua__job_count() >= self.orders.expected) {
        become_zygote();
    }
}
