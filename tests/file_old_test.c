/* Files where the kernel or a sandbox has less to offer: no openat2, no RWF_NOWAIT, no files
   without a name, no copy_file_range, and no way to link an open file but by /proc. Seccomp filters
   take these away, for good; everything works all the same, by the longer ways. */
#define _GNU_SOURCE 1
#include "file_help.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { LOW_WORD_OF_ARG = offsetof(struct seccomp_data, args) };

#define ARG(index) (LOW_WORD_OF_ARG + (index) * sizeof(uint64_t))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* Without the call: skip one instruction, which refuses it. */
#define UNLESS(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1)

static bool install(struct sock_filter *filter, size_t count)
{
    struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool forbid_link_by_fd(void)
{
    struct sock_filter filter[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 3),
        LOAD(ARG(4)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, AT_EMPTY_PATH, 0, 1),
        REFUSE(ENOENT),
        ALLOW,
    };
    return install(filter, sizeof filter / sizeof filter[0]);
}

static bool forbid_all(void)
{
    struct sock_filter filter[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        UNLESS(SYS_openat2),
        REFUSE(ENOSYS),
        UNLESS(SYS_preadv2),
        REFUSE(ENOSYS),
        UNLESS(SYS_pwritev2),
        REFUSE(ENOSYS),
        UNLESS(SYS_copy_file_range),
        REFUSE(ENOSYS),
        UNLESS(SYS_io_uring_setup),
        REFUSE(ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        LOAD(ARG(2)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        REFUSE(EOPNOTSUPP),
        ALLOW,
    };
    return install(filter, sizeof filter / sizeof filter[0]);
}

/* --- what is done ----------------------------------------------------------------------------- */

static int count_visit(const skua_walk_entry *entry, void *arg)
{
    CHECK_INT(entry->error, 0);
    (*(_Atomic int *)arg)++;
    return 0;
}

static void use_tree(void)
{
    const skua_walk_opts opts = {.tasks_max = 3, .visits_after = true};
    _Atomic int visits = 0;
    CHECK_INT(skua_mkdir_all(folder_fd, "t/a/b", 0755, SKUA_FOREVER), 0);
    put_file(in_folder("t/a/b/3"), "three", 5);
    CHECK_INT(symlink("..", in_folder("t/a/up")), 0);
    CHECK_INT(skua_walk(folder_fd, "t", count_visit, &visits, &opts, SKUA_FOREVER), 0);
    CHECK_INT(visits, 8);
    CHECK_INT(skua_remove_tree(folder_fd, "t", SKUA_FOREVER), 0);
}

static void copy_large(void)
{
    static char large[300001];
    void *got = NULL;
    memset(large, 'l', sizeof large);
    put_file(in_folder("large"), large, sizeof large);
    CHECK_INT(truncate(in_folder("large"), 1 << 20), 0);
    CHECK_INT(skua_file_copy(folder_fd, "large", folder_fd, "copy", NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_load(folder_fd, "copy", &got, 0, SKUA_FOREVER), 1 << 20);
    CHECK_INT(memcmp(got, large, sizeof large), 0);
    CHECK_INT(((char *)got)[sizeof large], 0);
    skua_file_unload(got);
    CHECK_INT(skua_unlink(folder_fd, "large", SKUA_FOREVER), 0);
    CHECK_INT(skua_unlink(folder_fd, "copy", SKUA_FOREVER), 0);
}

static int use_all(void *arg)
{
    const skua_file_save_opts exclusive = {.is_exclusive = true, .is_durable = true};
    skua_file_info info;
    char bytes[4] = "";
    CHECK_INT(skua_file_save(folder_fd, "s", "old", 3, &exclusive, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_save(folder_fd, "s", "lost", 4, &exclusive, SKUA_FOREVER), -EEXIST);
    CHECK_INT(skua_file_save(folder_fd, "s", "new", 3, NULL, SKUA_FOREVER), 0);
    check_whole("s", "new");
    CHECK_INT(mkdir(in_folder("d"), 0700), 0);
    CHECK_INT(skua_file_save(folder_fd, "d", "no", 2, NULL, SKUA_FOREVER), -EISDIR);
    CHECK_INT(rmdir(in_folder("d")), 0);
    CHECK_INT(skua_stat(folder_fd, "s", 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.links, 1);
    const int fd = skua_temp_file(folder_fd, ".", SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(skua_pwrite(fd, "abcd", 4, 0, SKUA_FOREVER), 4);
    CHECK_INT(skua_pread(fd, bytes, 3, 1, SKUA_FOREVER), 3);
    CHECK_STR(bytes, "bcd");
    CHECK_INT(count_names(folder), 1); /* "s": nothing else has stayed */
    skua_close(fd);
    copy_large();
    use_tree();
    CHECK_INT(skua_unlink(folder_fd, "s", SKUA_FOREVER), 0);
    return 0;
}

static void files_get_their_names_by_proc(void **state)
{
    if (!forbid_link_by_fd()) {
        print_message("skipped: no seccomp filters here\n");
        skip();
    }
    run_in_folders(2, use_all);
}

static void everything_works_by_the_longer_ways(void **state)
{
    if (!forbid_all()) {
        print_message("skipped: no seccomp filters here\n");
        skip();
    }
    run_in_folders(2, use_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_get_their_names_by_proc),
        TEST(everything_works_by_the_longer_ways),
    };
    return TEST_RUN(tests);
}
