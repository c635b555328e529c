/* Where io_uring is forbidden, as in many containers, everything on files works all the same and
   the back end says so. A seccomp filter forbids it here, for good, in the way that is asked for
   (none of them kills), or the kernel's own switch would. */
#define _GNU_SOURCE 1
#include "io_help.h"

#include "io/ring.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FILE_BYTES = 100000 };

static bool forbid_rings(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void write_and_read_back(const char *path)
{
    static char data[FILE_BYTES], back[FILE_BYTES];
    memset(data, 'd', sizeof data);
    int fd = skua_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(skua_write_all(fd, data, sizeof data, NULL, SKUA_FOREVER), 0);
    CHECK_INT(fsync(fd), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    size_t at = 0;
    ssize_t got = 1;
    while (got > 0) {
        got = skua_read(fd, back + at, sizeof back - at, SKUA_FOREVER);
        CHECK(got >= 0);
        at += (size_t)got;
    }
    CHECK_INT(at, FILE_BYTES);
    CHECK_INT(memcmp(data, back, sizeof data), 0);
    skua_close(fd);
}

static int use_files(void *arg)
{
    char path[] = "/tmp/skua-seccomp-XXXXXX";
    const int made = mkostemp(path, O_CLOEXEC);
    CHECK(made >= 0);
    CHECK_INT(close(made), 0);
    write_and_read_back(path);

    struct statx status;
    const struct skua__file_op op = {
        .code = SKUA__OP_STATX, .fd = AT_FDCWD, .path = path, .mask = STATX_SIZE, .statx = &status};
    CHECK_INT(skua__op_do(&op, SKUA_FOREVER), 0);
    CHECK_INT(status.stx_size, FILE_BYTES);
    CHECK_STR(skua_io_backend(), "epoll");
    CHECK_INT(unlink(path), 0);
    return 0;
}

/* In a program of its own: a filter stays, and a forked child is refused everything. */
static int try_with(const char *error)
{
    const pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "seccomp_uring_test", error, (char *)NULL);
        _exit(1);
    }
    int status = 0;
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void files_work_without_rings(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EACCES, ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", errors[i]);
        const int exit_status = try_with(text);
        CHECK(exit_status == 0 || exit_status == TEST_SKIPPED);
    }
}

static int be_the_program(int error)
{
    if (!forbid_rings(error)) {
        return TEST_SKIPPED;
    }
    CHECK_INT(setenv("SKUA_IO", "uring", 1), 0);
    run(use_files, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(files_work_without_rings)};
    return argc > 1 ? be_the_program(atoi(argv[1])) : TEST_RUN(tests);
}
