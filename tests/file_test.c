/* Files: at offsets, by name, whole. */
#define _GNU_SOURCE 1
#include "file_help.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/wait.h>

static char data[300001];

static void fill_data(void)
{
    uint64_t random = test_seed();
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)test_random(&random);
    }
}

static void remove_here(const char *name)
{
    CHECK_INT(skua_unlink(folder_fd, name, SKUA_FOREVER), 0);
}

/* --- at offsets --- */

static void read_in_parts(int fd)
{
    static char left[1000], right[5000];
    const struct iovec parts[] = {{left, sizeof left}, {right, sizeof right}};
    CHECK_INT(skua_preadv(fd, parts, 2, 777, SKUA_FOREVER), sizeof left + sizeof right);
    CHECK_INT(memcmp(left, data + 777, sizeof left), 0);
    CHECK_INT(memcmp(right, data + 777 + sizeof left, sizeof right), 0);
    CHECK_INT(skua_preadv(fd, parts, 1025, 0, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_preadv(fd, parts, 2, -1, SKUA_FOREVER), -EINVAL);
}

static int read_and_write(void *arg)
{
    static char buffer[sizeof data];
    const int64_t far = INT64_C(5) << 30;
    const int fd = open_here("at", O_RDWR | O_CREAT);
    skua_file_info info;
    CHECK_INT(skua_pwrite(fd, data, sizeof data, 0, SKUA_FOREVER), sizeof data);
    CHECK_INT(skua_pread(fd, buffer, sizeof buffer, 0, SKUA_FOREVER), sizeof data);
    CHECK_INT(memcmp(buffer, data, sizeof data), 0);
    CHECK_INT(skua_pread(fd, buffer, 10, sizeof data, SKUA_FOREVER), 0);
    read_in_parts(fd);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0); /* the file's own position has stayed */

    CHECK_INT(skua_pwrite(fd, "far", 3, far, SKUA_FOREVER), 3);
    CHECK_INT(skua_pread(fd, buffer, 8, far - 4, SKUA_FOREVER), 7);
    CHECK_INT(memcmp(buffer, "\0\0\0\0far", 7), 0);
    CHECK_INT(skua_fstat(fd, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.bytes, far + 3);
    CHECK(info.bytes_on_disk < 10 * sizeof data);

    CHECK_INT(skua_ftruncate(fd, 10, SKUA_FOREVER), 0);
    CHECK_INT(skua_pread(fd, buffer, 100, 0, SKUA_FOREVER), 10);
    CHECK_INT(skua_allocate(fd, 0, 65536, SKUA_FOREVER), 0);
    CHECK_INT(skua_fstat(fd, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.bytes, 65536);
    CHECK(info.bytes_on_disk >= 65536);
    CHECK_INT(skua_fsync(fd, SKUA_FOREVER), 0);
    CHECK_INT(skua_fdatasync(fd, SKUA_FOREVER), 0);
    CHECK_INT(skua_ftruncate(fd, UINT64_MAX, SKUA_FOREVER), -EFBIG);
    skua_close(fd);
    CHECK_INT(skua_pread(fd, buffer, 1, 0, SKUA_FOREVER), -EBADF);
    CHECK_INT(skua_fsync(fd, SKUA_FOREVER), -EBADF);
    remove_here("at");
    return 0;
}

/* covers: A80 */
static void files_are_read_and_written_at_offsets(void **state)
{
    fill_data();
    run_in_folders(1, read_and_write);
    run_in_folders(4, read_and_write);
}

static int read_cold(void *arg)
{
    static char buffer[sizeof data];
    put_file(in_folder("cold"), data, sizeof data);
    const int fd = open_here("cold", O_RDONLY);
    CHECK_INT(fsync(fd), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    for (size_t at = 0; at < sizeof data;) { /* the kernel may give less at a time */
        const ssize_t got =
            skua_pread(fd, buffer + at, sizeof data - at, (int64_t)at, SKUA_FOREVER);
        CHECK(got > 0);
        at += (size_t)got;
    }
    CHECK_INT(memcmp(buffer, data, sizeof data), 0);
    /* It is there now, if the kernel has not dropped some of it again for want of memory. */
    while (skua_pread(fd, buffer, sizeof buffer, 0, SKUA_NOW) != sizeof buffer) {
        CHECK(skua_pread(fd, buffer, sizeof buffer, 0, SKUA_FOREVER) > 0);
    }
    skua_close(fd);
    remove_here("cold");
    return 0;
}

static void what_is_not_in_memory_is_read_elsewhere(void **state)
{
    fill_data();
    run_in_folders(2, read_cold);
}

static atomic_bool is_loaded;

enum { LARGE_BYTES = 8 << 20 };

static int load_large(void *arg)
{
    void *got = NULL;
    CHECK_INT(skua_file_load(folder_fd, "large", &got, 0, SKUA_FOREVER), LARGE_BYTES);
    CHECK_INT(memcmp(got, data, sizeof data), 0);
    skua_file_unload(got);
    atomic_store(&is_loaded, true);
    return 0;
}

/* The turns that a task has beside a load. */
static int count_turns(void)
{
    SKUA_GROUP(group);
    int turns = 0;
    atomic_store(&is_loaded, false);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_spawn(&group, load_large, NULL), 0);
    while (!atomic_load(&is_loaded)) {
        CHECK_INT(skua_yield(), 0);
        turns += !atomic_load(&is_loaded);
    }
    CHECK_INT(skua_group_close(&group, 0), 0);
    return turns;
}

/* On one worker: if a load kept it, the other task would never have a turn before the end. Once it
   may have none, where it is itself kept from running for as long as the load takes. */
static int load_beside_others(void *arg)
{
    put_file(in_folder("large"), data, sizeof data);
    CHECK_INT(truncate(in_folder("large"), LARGE_BYTES), 0);
    while (count_turns() == 0) {}
    remove_here("large");
    return 0;
}

/* covers: A69 A80 */
static void a_large_file_keeps_nobody_waiting(void **state)
{
    fill_data();
    run_in_folders(1, load_beside_others);
}

static int read_no_file(void *arg)
{
    int ends[2];
    char byte;
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(skua_fd_adopt(ends[0]), 0);
    CHECK_INT(skua_pread(ends[0], &byte, 1, 0, SKUA_FOREVER), -ESPIPE);
    CHECK_INT(skua_pread(ends[1], &byte, 1, 0, SKUA_FOREVER), -EBADF); /* not adopted */
    CHECK_INT(skua_pread(-1, &byte, 1, 0, SKUA_FOREVER), -EBADF);
    skua_close(ends[0]);
    close(ends[1]);
    return 0;
}

static void what_has_no_offsets_says_so(void **state)
{
    run_here(1, read_no_file, NULL);
}

/* --- names --- */

static int use_names(void *arg)
{
    skua_file_info info, other;
    char text[64];
    put_file(in_folder("a"), "hello", 5);
    CHECK_INT(skua_stat(folder_fd, "a", 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(SKUA_CWD, in_folder("a"), 0, &other, SKUA_FOREVER), 0);
    CHECK_INT(memcmp(&info, &other, sizeof info), 0);
    CHECK(S_ISREG(info.mode) && info.bytes == 5 && info.links == 1 && info.owner == geteuid());
    int now = -EAGAIN; /* in memory by now; but others may change names at that moment */
    while (now == -EAGAIN) {
        CHECK_INT(skua_stat(folder_fd, "a", 0, &other, SKUA_FOREVER), 0);
        now = skua_stat(folder_fd, "a", 0, &other, SKUA_NOW);
    }
    CHECK_INT(now, 0);
    CHECK_INT(skua_stat(folder_fd, "b", 0, &other, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_stat(folder_fd, "a", 64, &other, SKUA_FOREVER), -EINVAL);

    CHECK_INT(skua_link(folder_fd, "a", folder_fd, "b", SKUA_FOREVER), 0);
    CHECK_INT(skua_link(folder_fd, "a", folder_fd, "b", SKUA_FOREVER), -EEXIST);
    CHECK_INT(skua_rename(folder_fd, "b", folder_fd, "c", SKUA_NO_REPLACE, SKUA_FOREVER), 0);
    CHECK_INT(skua_rename(folder_fd, "a", folder_fd, "c", SKUA_NO_REPLACE, SKUA_FOREVER), -EEXIST);
    CHECK_INT(skua_symlink("a", folder_fd, "l", SKUA_FOREVER), 0);
    CHECK_INT(skua_readlink(folder_fd, "l", text, sizeof text, SKUA_FOREVER), 1);
    CHECK_STR(text, "a");
    CHECK_INT(skua_readlink(folder_fd, "l", text, 1, SKUA_FOREVER), -ENAMETOOLONG);
    CHECK_INT(skua_readlink(folder_fd, "a", text, sizeof text, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_stat(folder_fd, "l", SKUA_NO_FOLLOW, &other, SKUA_FOREVER), 0);
    CHECK(S_ISLNK(other.mode));
    CHECK_INT(skua_stat(folder_fd, "l", 0, &other, SKUA_FOREVER), 0);
    CHECK_INT(other.inode, info.inode);
    CHECK_INT(other.links, 2);

    CHECK_INT(skua_chmod(folder_fd, "c", 0600, SKUA_FOREVER), 0);
    CHECK_INT(skua_utimes(folder_fd, "a", 0, SKUA_KEEP_TIME, -1, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(folder_fd, "a", 0, &other, SKUA_FOREVER), 0);
    CHECK_INT(other.mode & 07777, 0600);
    CHECK_INT(other.modified_ns, -1); /* before 1970 */
    CHECK_INT(other.accessed_ns, info.accessed_ns);
    CHECK_INT(skua_access(folder_fd, "a", R_OK, SKUA_FOREVER), 0);
    CHECK_INT(skua_access(folder_fd, "missing", F_OK, SKUA_FOREVER), -ENOENT);

    CHECK_INT(skua_rename(folder_fd, "l", folder_fd, "c", SKUA_EXCHANGE, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(folder_fd, "c", SKUA_NO_FOLLOW, &other, SKUA_FOREVER), 0);
    CHECK(S_ISLNK(other.mode));
    remove_here("a");
    remove_here("c");
    remove_here("l");
    CHECK_INT(skua_unlink(folder_fd, "l", SKUA_FOREVER), -ENOENT);
    return 0;
}

/* covers: A80 */
static void names_are_asked_and_changed(void **state)
{
    run_in_folders(1, use_names);
    run_in_folders(4, use_names);
}

static int use_odd_names(void *arg)
{
    static const char *const names[] = {"line\nbreak", "\xff\xfe invalid \xc0", " ", "-rf", "*"};
    char long_name[NAME_MAX + 2];
    skua_file_info info;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *got = NULL;
        CHECK_INT(skua_file_save(folder_fd, names[i], "x", 1, NULL, SKUA_FOREVER), 0);
        CHECK_INT(skua_file_load(folder_fd, names[i], &got, 0, SKUA_FOREVER), 1);
        skua_file_unload(got);
        remove_here(names[i]);
    }
    memset(long_name, 'n', sizeof long_name);
    long_name[NAME_MAX + 1] = '\0';
    CHECK_INT(skua_stat(folder_fd, long_name, 0, &info, SKUA_FOREVER), -ENAMETOOLONG);
    CHECK_INT(skua_file_save(folder_fd, long_name, "x", 1, NULL, SKUA_FOREVER), -ENAMETOOLONG);
    CHECK_INT(skua_stat(folder_fd, "", 0, &info, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_save(folder_fd, "", "x", 1, NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_save(folder_fd, ".", "x", 1, NULL, SKUA_FOREVER), -EISDIR);
    long_name[NAME_MAX] = '\0';
    CHECK_INT(skua_file_save(folder_fd, long_name, "x", 1, NULL, SKUA_FOREVER), 0);
    remove_here(long_name);
    return 0;
}

static void any_bytes_make_a_name(void **state)
{
    run_in_folders(1, use_odd_names);
}

/* --- whole files --- */

static void load_and_compare(size_t bytes)
{
    static char buffer[sizeof data];
    void *got = NULL;
    CHECK_INT(skua_file_save(folder_fd, "whole", data, bytes, NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_load(folder_fd, "whole", &got, 0, SKUA_FOREVER), bytes);
    CHECK_INT(memcmp(got, data, bytes), 0);
    CHECK_INT(((char *)got)[bytes], 0);
    skua_file_unload(got);
    got = &got;
    if (bytes > 0) {
        CHECK_INT(skua_file_load(folder_fd, "whole", &got, bytes, SKUA_FOREVER), bytes);
        skua_file_unload(got);
        CHECK_INT(skua_file_load_into(folder_fd, "whole", buffer, bytes - 1, SKUA_FOREVER), -EFBIG);
    }
    if (bytes > 1) {
        CHECK_INT(skua_file_load(folder_fd, "whole", &got, bytes - 1, SKUA_FOREVER), -EFBIG);
        CHECK_PTR(got, NULL);
    }
    CHECK_INT(skua_file_load_into(folder_fd, "whole", buffer, bytes, SKUA_FOREVER), bytes);
    CHECK_INT(memcmp(buffer, data, bytes), 0);
    CHECK_INT(skua_file_load_into(folder_fd, "whole", buffer, sizeof data, SKUA_FOREVER), bytes);
    remove_here("whole");
}

static int load_sizes(void *arg)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 65536, sizeof data};
    void *got = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        load_and_compare(sizes[i]);
    }
    CHECK_INT(skua_file_load(folder_fd, "missing", &got, 0, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_load(folder_fd, ".", &got, 0, SKUA_FOREVER), -EISDIR);
    CHECK_INT(mkfifo(in_folder("fifo"), 0600), 0);
    CHECK_INT(skua_file_load(folder_fd, "fifo", &got, 0, SKUA_FOREVER), -ESPIPE);
    remove_here("fifo");
    return 0;
}

/* covers: A80 */
static void a_file_is_loaded_as_it_was_saved(void **state)
{
    fill_data();
    run_in_folders(1, load_sizes);
    run_in_folders(4, load_sizes);
}

static int load_odd_ones(void *arg)
{
    void *got = NULL;
    const ssize_t bytes = skua_file_load(SKUA_CWD, "/proc/self/maps", &got, 0, SKUA_FOREVER);
    CHECK(bytes > 100);
    CHECK_INT(strlen(got), bytes);
    CHECK(strstr(got, "[stack]") != NULL);
    skua_file_unload(got);
    CHECK_INT(skua_file_load(SKUA_CWD, "/proc/self/maps", &got, 50, SKUA_FOREVER), -EFBIG);
    CHECK_INT(skua_file_load(SKUA_CWD, "/dev/zero", &got, 100000, SKUA_FOREVER), -EFBIG);
    CHECK_INT(skua_file_load(SKUA_CWD, "/dev/null", &got, 100000, SKUA_FOREVER), 0);
    skua_file_unload(got);
    return 0;
}

static void files_that_know_no_size_are_loaded_to_their_end(void **state)
{
    run_here(2, load_odd_ones, NULL);
}

/* A large one, of which only some pages are in memory. */
static int load_half_cold(void *arg)
{
    enum { BYTES = 3 << 20 };
    char *large = malloc(BYTES);
    void *got = NULL;
    for (int i = 0; i < BYTES; i++) {
        large[i] = (char)(i / 4096 + i);
    }
    for (size_t bytes = 200000; bytes <= BYTES; bytes *= 15) {
        CHECK_INT(skua_file_save(folder_fd, "large", large, bytes,
                                 &(skua_file_save_opts){.is_durable = true}, SKUA_FOREVER),
                  0);
        const int fd = open(in_folder("large"), O_RDONLY | O_CLOEXEC);
        posix_fadvise(fd, 65536, 0, POSIX_FADV_DONTNEED);
        close(fd);
        CHECK_INT(skua_file_load(folder_fd, "large", &got, 0, SKUA_FOREVER), bytes);
        CHECK_INT(memcmp(got, large, bytes), 0);
        skua_file_unload(got);
    }
    remove_here("large");
    free(large);
    return 0;
}

static void a_file_that_is_partly_in_memory_is_loaded(void **state)
{
    run_in_folders(2, load_half_cold);
}

static int save_over(void *arg)
{
    const skua_file_save_opts durable = {.is_durable = true, .mode = 0640};
    const skua_file_save_opts exclusive = {.is_exclusive = true};
    skua_file_info info;
    CHECK_INT(skua_file_save(folder_fd, "s", "old", 3, &durable, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(folder_fd, "s", 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.mode & 07777, 0640);
    CHECK_INT(skua_file_save(folder_fd, "s", "lost", 4, &exclusive, SKUA_FOREVER), -EEXIST);
    check_whole("s", "old");
    CHECK_INT(skua_chmod(folder_fd, "s", 0711, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_save(folder_fd, "s", "newer", 5, NULL, SKUA_FOREVER), 0);
    check_whole("s", "newer");
    CHECK_INT(skua_stat(folder_fd, "s", 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.mode & 07777, 0711);

    CHECK_INT(skua_symlink("s", folder_fd, "l", SKUA_FOREVER), 0);
    CHECK_INT(skua_file_save(folder_fd, "l", "own", 3, NULL, SKUA_FOREVER), 0);
    check_whole("s", "newer");
    check_whole("l", "own");
    CHECK_INT(skua_file_save(folder_fd, "x", "one", 3, &exclusive, SKUA_FOREVER), 0);
    CHECK_INT(mkdir(in_folder("d"), 0700), 0);
    CHECK_INT(skua_file_save(folder_fd, "d", "no", 2, NULL, SKUA_FOREVER), -EISDIR);
    CHECK_INT(skua_file_save(folder_fd, "no/where", "no", 2, NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_save(folder_fd, "s/below", "no", 2, NULL, SKUA_FOREVER), -ENOTDIR);
    CHECK_INT(skua_file_save(folder_fd, "d/below", "yes", 3, NULL, SKUA_FOREVER), 0);
    remove_here("d/below");
    CHECK_INT(rmdir(in_folder("d")), 0);
    CHECK_INT(count_names(folder), 3);
    remove_here("s");
    remove_here("l");
    remove_here("x");
    return 0;
}

/* covers: A80 */
static void a_saved_file_takes_the_place_of_the_old_one(void **state)
{
    run_in_folders(1, save_over);
    run_in_folders(4, save_over);
}

/* Readers never see anything but a whole file. */
static _Atomic bool is_over;

static int read_versions(void *arg)
{
    int reads = 0;
    while (!is_over || reads == 0) {
        void *got = NULL;
        const ssize_t bytes = skua_file_load(folder_fd, "v", &got, 0, SKUA_FOREVER);
        CHECK_INT(bytes, 30000);
        for (ssize_t i = 1; i < bytes; i++) {
            if (((char *)got)[i] != ((char *)got)[0]) {
                CHECK_INT(i, -1);
            }
        }
        skua_file_unload(got);
        reads++;
    }
    return 0;
}

static int save_versions(void *arg)
{
    static char version[30000];
    SKUA_GROUP(group);
    is_over = false;
    memset(version, 'a', sizeof version);
    CHECK_INT(skua_file_save(folder_fd, "v", version, sizeof version, NULL, SKUA_FOREVER), 0);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    CHECK_INT(skua_group_spawn(&group, read_versions, NULL), 0);
    for (int i = 0; i < 200; i++) {
        memset(version, 'a' + i % 26, sizeof version);
        CHECK_INT(skua_file_save(folder_fd, "v", version, sizeof version, NULL, SKUA_FOREVER), 0);
    }
    is_over = true;
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK_INT(count_names(folder), 1);
    remove_here("v");
    return 0;
}

static void readers_see_the_old_or_the_new_file(void **state)
{
    run_in_folders(4, save_versions);
}

/* --- copies --- */

static void note_progress(uint64_t copied, void *arg)
{
    CHECK(copied > *(uint64_t *)arg);
    *(uint64_t *)arg = copied;
}

static int copy_files(void *arg)
{
    static const size_t sizes[] = {0, 1, 4096, sizeof data};
    skua_file_info from, to;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t copied = 0;
        const skua_file_copy_opts opts = {
            .keeps_times = true, .on_progress = note_progress, .arg = &copied};
        void *got = NULL;
        put_file(in_folder("from"), data, sizes[i]);
        CHECK_INT(chmod(in_folder("from"), 0751), 0);
        CHECK_INT(skua_utimes(folder_fd, "from", 0, 1000000001, 2000000003, SKUA_FOREVER), 0);
        CHECK_INT(skua_file_copy(folder_fd, "from", folder_fd, "to", &opts, SKUA_FOREVER), 0);
        CHECK_INT(copied, sizes[i]);
        CHECK_INT(skua_stat(folder_fd, "to", 0, &to, SKUA_FOREVER), 0);
        CHECK_INT(to.mode & 07777, 0751);
        CHECK_INT(to.modified_ns, 2000000003);
        CHECK_INT(to.accessed_ns, 1000000001);
        CHECK_INT(skua_file_load(folder_fd, "to", &got, 0, SKUA_FOREVER), sizes[i]);
        CHECK_INT(memcmp(got, data, sizes[i]), 0);
        skua_file_unload(got);
    }
    const skua_file_copy_opts exclusive = {.is_exclusive = true};
    CHECK_INT(skua_stat(folder_fd, "to", 0, &from, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_copy(folder_fd, "from", folder_fd, "to", &exclusive, SKUA_FOREVER),
              -EEXIST);
    CHECK_INT(skua_file_copy(folder_fd, "from", folder_fd, "no/to", NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_copy(folder_fd, "missing", folder_fd, "to", NULL, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_file_copy(folder_fd, ".", folder_fd, "to", NULL, SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_stat(folder_fd, "to", 0, &to, SKUA_FOREVER), 0);
    CHECK_INT(to.inode, from.inode); /* as it was */
    CHECK_INT(count_names(folder), 2);
    remove_here("from");
    remove_here("to");
    CHECK_INT(skua_file_copy(SKUA_CWD, "/proc/self/maps", folder_fd, "to", NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(folder_fd, "to", 0, &to, SKUA_FOREVER), 0);
    CHECK(to.bytes > 100);
    remove_here("to");
    return 0;
}

/* covers: A80 */
static void a_copy_is_whole_with_its_permissions_and_times(void **state)
{
    fill_data();
    run_in_folders(2, copy_files);
}

static int copy_with_holes(void *arg)
{
    const uint64_t far = UINT64_C(5) << 30;
    const int fd = open_here("sparse", O_RDWR | O_CREAT);
    char byte[2];
    skua_file_info info;
    uint64_t copied = 0;
    const skua_file_copy_opts opts = {.on_progress = note_progress, .arg = &copied};
    CHECK_INT(skua_pwrite(fd, data, 5000, 1 << 20, SKUA_FOREVER), 5000);
    CHECK_INT(skua_pwrite(fd, "z", 1, (int64_t)far, SKUA_FOREVER), 1);
    CHECK_INT(skua_ftruncate(fd, far + (1 << 20), SKUA_FOREVER), 0);
    skua_close(fd);
    CHECK_INT(skua_file_copy(folder_fd, "sparse", folder_fd, "copy", &opts, SKUA_FOREVER), 0);
    CHECK_INT(copied, far + (1 << 20));
    const int copy = open_here("copy", O_RDONLY);
    CHECK_INT(skua_fstat(copy, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.bytes, far + (1 << 20));
    CHECK(info.bytes_on_disk < 1 << 20);
    static char buffer[5000];
    CHECK_INT(skua_pread(copy, buffer, sizeof buffer, 1 << 20, SKUA_FOREVER), sizeof buffer);
    CHECK_INT(memcmp(buffer, data, sizeof buffer), 0);
    CHECK_INT(skua_pread(copy, byte, 2, (int64_t)far, SKUA_FOREVER), 2);
    CHECK(byte[0] == 'z' && byte[1] == '\0');
    skua_close(copy);
    remove_here("sparse");
    remove_here("copy");
    return 0;
}

static void holes_stay_holes_in_a_copy(void **state)
{
    fill_data();
    run_in_folders(1, copy_with_holes);
}

/* Between two file systems the kernel may refuse. */
static int copy_across(void *arg)
{
    char other[] = "/dev/shm/skua-other-XXXXXX";
    void *got = NULL;
    if (mkdtemp(other) == NULL) {
        return 0;
    }
    const int fd = skua_open(other, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    put_file(in_folder("from"), data, sizeof data);
    CHECK_INT(skua_file_copy(folder_fd, "from", fd, "to", NULL, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_load(fd, "to", &got, 0, SKUA_FOREVER), sizeof data);
    CHECK_INT(memcmp(got, data, sizeof data), 0);
    skua_file_unload(got);
    CHECK_INT(skua_unlink(fd, "to", SKUA_FOREVER), 0);
    skua_close(fd);
    CHECK_INT(rmdir(other), 0);
    remove_here("from");
    return 0;
}

static void a_copy_goes_to_another_file_system(void **state)
{
    fill_data();
    run_in_folders(1, copy_across);
}

/* --- cut off --- */

struct cut {
    skua_scope *scope;
    uint64_t copied;
};

static void cancel_at_once(uint64_t copied, void *arg)
{
    struct cut *cut = arg;
    cut->copied = copied;
    skua_scope_cancel(cut->scope);
}

static int copy_cut_off(void *arg)
{
    enum { BYTES = 65 << 20 }; /* more than a piece */
    const int fd = open_here("from", O_RDWR | O_CREAT);
    CHECK_INT(skua_allocate(fd, 0, BYTES, SKUA_FOREVER), 0);
    for (int64_t at = 0; at < BYTES; at += 1 << 20) {
        static char piece[1 << 20] = "x";
        CHECK_INT(skua_pwrite(fd, piece, sizeof piece, at, SKUA_FOREVER), sizeof piece);
    }
    skua_close(fd);
    SKUA_SCOPE(scope);
    struct cut cut = {.scope = &scope};
    const skua_file_copy_opts opts = {.on_progress = cancel_at_once, .arg = &cut};
    skua_scope_open(&scope, SKUA_FOREVER);
    const int status = skua_file_copy(folder_fd, "from", folder_fd, "to", &opts, SKUA_FOREVER);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    CHECK(!is_there(in_folder("to")) || status == 0); /* blocks may be shared, at once */
    CHECK(status == -ECANCELED || (status == 0 && cut.copied == BYTES));
    CHECK_INT(count_names(folder), 1 + (status == 0));
    remove_here("from");
    if (status == 0) {
        remove_here("to");
    }
    return 0;
}

static void a_copy_that_is_cut_off_leaves_nothing(void **state)
{
    run_in_folders(1, copy_cut_off);
}

static int refuse_now(void *arg)
{
    void *got = NULL;
    CHECK_INT(skua_file_save(folder_fd, "s", "x", 1, NULL, SKUA_NOW), -EAGAIN);
    CHECK_INT(skua_file_copy(folder_fd, "s", folder_fd, "t", NULL, SKUA_NOW), -EAGAIN);
    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(skua_file_save(folder_fd, "s", "x", 1, NULL, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_file_load(folder_fd, "s", &got, 0, SKUA_FOREVER), -ECANCELED);
    CHECK_PTR(got, NULL);
    CHECK_INT(skua_file_copy(folder_fd, "s", folder_fd, "t", NULL, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_open_in(folder_fd, "s", O_CREAT | O_WRONLY, 0600, SKUA_FOREVER), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    CHECK(!is_there(in_folder("s")));
    return 0;
}

static void what_is_refused_has_done_nothing(void **state)
{
    run_in_folders(1, refuse_now);
}

/* --- temporary files --- */

static int use_temp_files(void *arg)
{
    char bytes[4];
    const int fd = skua_temp_file(folder_fd, ".", SKUA_FOREVER);
    CHECK(fd >= 0);
    CHECK_INT(count_names(folder), 0);
    CHECK_INT(skua_pwrite(fd, "abcd", 4, 0, SKUA_FOREVER), 4);
    CHECK_INT(skua_pread(fd, bytes, 4, 0, SKUA_FOREVER), 4);
    skua_close(fd);
    CHECK_INT(skua_temp_file(folder_fd, "missing", SKUA_FOREVER), -ENOENT);
    return 0;
}

static void a_temporary_file_has_no_name(void **state)
{
    run_in_folders(1, use_temp_files);
}

/* --- threads and processes --- */

static void *use_on_thread(void *arg)
{
    void *got = NULL;
    char byte;
    skua_file_info info;
    CHECK_INT(skua_file_save(folder_fd, "t", "thread", 6, NULL, SKUA_FOREVER), 0);
    check_whole("t", "thread");
    CHECK_INT(skua_file_copy(folder_fd, "t", folder_fd, "u", NULL, SKUA_FOREVER), 0);
    check_whole("u", "thread");
    const int fd = open_here("t", O_RDWR);
    CHECK_INT(skua_pread(fd, &byte, 1, 1, SKUA_FOREVER), 1);
    CHECK_INT(byte, 'h');
    CHECK_INT(skua_fstat(fd, &info, SKUA_FOREVER), 0);
    CHECK_INT(skua_fsync(fd, SKUA_FOREVER), 0);
    CHECK_INT(skua_ftruncate(fd, 0, SKUA_FOREVER), 0);
    skua_close(fd);
    CHECK_INT(skua_rename(folder_fd, "t", folder_fd, "u", 0, SKUA_FOREVER), 0);
    CHECK_INT(skua_file_load(folder_fd, "u", &got, 0, SKUA_FOREVER), 0);
    skua_file_unload(got);
    CHECK_INT(skua_stat(folder_fd, "u", 0, &info, SKUA_FOREVER), 0);
    remove_here("u");
    return NULL;
}

static void foreign_threads_do_it_themselves(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/skua-file-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    use_on_thread(NULL);
    close(folder_fd);
    CHECK_INT(rmdir(folder), 0);
}

static int use_in_child(void *arg)
{
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        void *got = NULL;
        char byte;
        const bool is_refused =
            skua_file_load(SKUA_CWD, "/etc/passwd", &got, 0, SKUA_FOREVER) == -ESHUTDOWN &&
            skua_pread(0, &byte, 1, 0, SKUA_FOREVER) == -ESHUTDOWN &&
            skua_unlink(SKUA_CWD, "/nowhere", SKUA_FOREVER) == -ESHUTDOWN;
        _exit(is_refused ? 0 : 1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    return 0;
}

static void a_forked_child_is_refused(void **state)
{
    run_here(2, use_in_child, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_read_and_written_at_offsets),
        TEST(what_is_not_in_memory_is_read_elsewhere),
        TEST(a_large_file_keeps_nobody_waiting),
        TEST(what_has_no_offsets_says_so),
        TEST(names_are_asked_and_changed),
        TEST(any_bytes_make_a_name),
        TEST(a_file_is_loaded_as_it_was_saved),
        TEST(files_that_know_no_size_are_loaded_to_their_end),
        TEST(a_file_that_is_partly_in_memory_is_loaded),
        TEST(a_saved_file_takes_the_place_of_the_old_one),
        TEST(readers_see_the_old_or_the_new_file),
        TEST(a_copy_is_whole_with_its_permissions_and_times),
        TEST(holes_stay_holes_in_a_copy),
        TEST(a_copy_goes_to_another_file_system),
        TEST(a_copy_that_is_cut_off_leaves_nothing),
        TEST(what_is_refused_has_done_nothing),
        TEST(a_temporary_file_has_no_name),
        TEST(foreign_threads_do_it_themselves),
        TEST(a_forked_child_is_refused),
    };
    return TEST_RUN(tests);
}
