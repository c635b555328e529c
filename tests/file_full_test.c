/* Files where no more will go in: a limit on their size, and a disk that is full. What was there
   stays as it was. */
#define _GNU_SOURCE 1
#include "file_help.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void remove_here(const char *name)
{
    CHECK_INT(skua_unlink(folder_fd, name, SKUA_FOREVER), 0);
}

/* A limit on the size of files. The signal that comes with it is the program's to ignore where a
   task writes; whole operations are made where it hits nobody. */
static int save_too_large(void *arg)
{
    static char much[100000];
    struct rlimit before, small;
    CHECK_INT(skua_file_save(folder_fd, "s", "old", 3, NULL, SKUA_FOREVER), 0);
    const int fd = open_here("w", O_RDWR | O_CREAT);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 8192;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_INT(skua_file_save(folder_fd, "s", much, sizeof much, NULL, SKUA_FOREVER), -EFBIG);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_INT(skua_pwrite(fd, much, 100, 10000, SKUA_FOREVER), -EFBIG);
    CHECK_INT(skua_pwrite(fd, much, sizeof much, 0, SKUA_FOREVER), 8192); /* as far as it goes */
    CHECK_INT(skua_ftruncate(fd, 10000, SKUA_FOREVER), -EFBIG);
    CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    check_whole("s", "old");
    skua_close(fd);
    CHECK_INT(count_names(folder), 2);
    remove_here("s");
    remove_here("w");
    return 0;
}

static void a_file_that_gets_too_large_is_refused(void **state)
{
    run_in_folders(2, save_too_large);
}

/* --- a disk that is full --- */

static void fill_up(const char *name)
{
    static char much[1 << 20];
    const int fd = open_here(name, O_RDWR | O_CREAT);
    CHECK_INT(skua_allocate(fd, 0, sizeof much, SKUA_FOREVER), -ENOSPC);
    ssize_t put = 0;
    size_t written = 0;
    while ((put = skua_pwrite(fd, much, 4096, (int64_t)written, SKUA_FOREVER)) > 0) {
        written += (size_t)put;
    }
    CHECK_INT(put, -ENOSPC);
    CHECK(written > 0 && written < sizeof much);
    skua_close(fd);
}

static int fill_disk(void *arg)
{
    static char much[1 << 20];
    const char *elsewhere = arg;
    const skua_file_save_opts durable = {.is_durable = true};
    CHECK_INT(skua_file_save(folder_fd, "s", "small", 5, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_save(folder_fd, "s", much, sizeof much, &durable, SKUA_FOREVER), -ENOSPC);
    check_whole("s", "small");
    put_file(elsewhere, much, sizeof much);
    CHECK_INT(skua_file_copy(SKUA_CWD, elsewhere, folder_fd, "s", NULL, SKUA_FOREVER), -ENOSPC);
    CHECK_INT(skua_file_copy(SKUA_CWD, elsewhere, folder_fd, "c", NULL, SKUA_FOREVER), -ENOSPC);
    CHECK_INT(unlink(elsewhere), 0);
    check_whole("s", "small");
    CHECK_INT(count_names(folder), 1);
    fill_up("f");
    CHECK_INT(skua_file_save(folder_fd, "s", much, 5000, NULL, SKUA_FOREVER), -ENOSPC);
    check_whole("s", "small");
    remove_here("f");
    CHECK_INT(skua_file_save(folder_fd, "s", much, 5000, NULL, SKUA_FOREVER), 0);
    return 0;
}

/* In a mount namespace of our own, so that nobody else sees the small disk. */
static void a_full_disk_leaves_what_was_there(void **state)
{
    char elsewhere[] = "/tmp/skua-much-XXXXXX";
    snprintf(folder, sizeof folder, "/tmp/skua-file-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("small", folder, "tmpfs", 0, "size=64k") != 0) {
        CHECK_INT(rmdir(folder), 0);
        print_message("skipped: to mount a small disk needs privileges\n");
        skip();
    }
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(mkstemp(elsewhere));
    run_here(2, fill_disk, elsewhere);
    close(folder_fd);
    CHECK_INT(umount(folder), 0);
    CHECK_INT(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_gets_too_large_is_refused),
        TEST(a_full_disk_leaves_what_was_there),
    };
    return TEST_RUN(tests);
}
