/* Files and directories, disturbed wherever they wait: what was done is reported, what is reported
   as cancelled was not done, and neither an fd nor a temporary name is left. What has begun is
   awaited, so that a cancel comes before it or has no effect. In real time, since the kernel knows
   no other. */
#define _GNU_SOURCE 1
#include "sweep.h"

#include <fcntl.h>
#include <skua/blocking.h>
#include <skua/dir.h>
#include <skua/file.h>
#include <skua/io.h>
#include <sys/stat.h>

static char folder[64];
static int dir, file; /* the folder; an adopted file in it */
static skua_dir *list;

static void nothing(void) {}

static void until_back(void)
{
    while (!sweep.victim.has_returned) {
        (void)!skua_yield();
    }
}

static void put(const char *name)
{
    const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    SAME(write(fd, "some text", 9), 9);
    close(fd);
}

static bool is_there(const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file "a", a link "l", an empty directory "e", and a tree "t/u" with a file in it. */
static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/skua-sweep-XXXXXX");
    SAME(mkdtemp(folder) != NULL, true);
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file = -1;
    put("a");
    SAME(symlinkat("a", dir, "l"), 0);
    SAME(mkdirat(dir, "e", 0700), 0);
    SAME(mkdirat(dir, "t", 0700), 0);
    SAME(mkdirat(dir, "t/u", 0700), 0);
    put("t/u/b");
}

static void make_folder_and_file(void)
{
    make_folder();
    file = skua_open_in(dir, "a", O_RDWR, 0, SKUA_FOREVER);
    SAME(file >= 0, true);
}

static void make_folder_and_list(void)
{
    make_folder();
    SAME(skua_dir_open(&list, dir, "t", SKUA_FOREVER), 0);
}

static int remove_visited(const skua_walk_entry *entry, void *arg)
{
    if (entry->depth > 0 && (entry->is_after || !S_ISDIR(entry->type))) {
        SAME(unlinkat(entry->dir, entry->name, S_ISDIR(entry->type) ? AT_REMOVEDIR : 0), 0);
    }
    return 0;
}

/* The task may be cancelled, so it is another thread that clears up. */
static int clear(void *arg)
{
    const skua_walk_opts opts = {.visits_after = true};
    SAME(skua_walk(SKUA_CWD, folder, remove_visited, NULL, &opts, SKUA_FOREVER), 0);
    SAME(rmdir(folder), 0);
    return 0;
}

static void clear_folder(int status)
{
    if (file >= 0) {
        skua_close(file);
    }
    close(dir);
    SAME(skua_blocking(clear, NULL, SKUA_FOREVER), 0);
}

static void close_list(int status)
{
    skua_dir_close(list);
    clear_folder(status);
}

/* Whether something is there that was not before, exactly if it worked. */
static const char *new_name, *old_name;
static char temp_name[64];

static void look_and_clear(int status)
{
    SAME(new_name == NULL || is_there(new_name) == (status >= 0), true);
    SAME(old_name == NULL || is_there(old_name) == (status < 0), true);
    new_name = old_name = NULL;
    clear_folder(status);
}

/* --- calls ------------------------------------------------------------------------------------ */

static int closed(int fd)
{
    if (fd >= 0) {
        skua_close(fd);
    }
    return fd < 0 ? fd : 0;
}

static int open_new(skua_time deadline)
{
    new_name = "n";
    return closed(skua_open_in(dir, "n", O_WRONLY | O_CREAT | O_EXCL, 0600, deadline));
}

static int temp_file(skua_time deadline)
{
    return closed(skua_temp_file(dir, ".", deadline));
}

static int read_at(skua_time deadline)
{
    char text[4];
    return (int)skua_pread(file, text, sizeof text, 2, deadline);
}

static int write_at(skua_time deadline)
{
    return (int)skua_pwrite(file, "text", 4, 2, deadline);
}

static int read_parts_at(skua_time deadline)
{
    char text[4];
    const struct iovec parts[] = {{text, 1}, {text + 1, 3}};
    return (int)skua_preadv(file, parts, 2, 2, deadline);
}

static int write_parts_at(skua_time deadline)
{
    char text[] = "text";
    const struct iovec parts[] = {{text, 1}, {text + 1, 3}};
    return (int)skua_pwritev(file, parts, 2, 2, deadline);
}

static int sync_file(skua_time deadline)
{
    return skua_fsync(file, deadline);
}

static int sync_data(skua_time deadline)
{
    return skua_fdatasync(file, deadline);
}

static int truncate_file(skua_time deadline)
{
    return skua_ftruncate(file, 5, deadline);
}

static int allocate(skua_time deadline)
{
    return skua_allocate(file, 0, 8192, deadline);
}

static int ask_file(skua_time deadline)
{
    skua_file_info info;
    return skua_fstat(file, &info, deadline);
}

static int ask_name(skua_time deadline)
{
    skua_file_info info;
    return skua_stat(dir, "l", SKUA_NO_FOLLOW, &info, deadline);
}

static int ask_access(skua_time deadline)
{
    return skua_access(dir, "a", R_OK, deadline);
}

static int unlink_name(skua_time deadline)
{
    old_name = "a";
    return skua_unlink(dir, "a", deadline);
}

static int rename_name(skua_time deadline)
{
    old_name = "a";
    new_name = "n";
    return skua_rename(dir, "a", dir, "n", 0, deadline);
}

static int link_name(skua_time deadline)
{
    new_name = "n";
    return skua_link(dir, "a", dir, "n", deadline);
}

static int symlink_name(skua_time deadline)
{
    new_name = "n";
    return skua_symlink("a", dir, "n", deadline);
}

static int read_link(skua_time deadline)
{
    char text[8];
    return (int)skua_readlink(dir, "l", text, sizeof text, deadline);
}

static int change_mode(skua_time deadline)
{
    return skua_chmod(dir, "a", 0600, deadline);
}

static int change_times(skua_time deadline)
{
    return skua_utimes(dir, "a", 0, 1, 1, deadline);
}

static int load(skua_time deadline)
{
    void *data = NULL;
    const ssize_t status = skua_file_load(dir, "a", &data, 0, deadline);
    skua_file_unload(data);
    return (int)status;
}

static int load_into(skua_time deadline)
{
    char text[16];
    return (int)skua_file_load_into(dir, "a", text, sizeof text, deadline);
}

static int save(skua_time deadline)
{
    new_name = "n";
    return skua_file_save(dir, "n", "text", 4, NULL, deadline);
}

static int copy(skua_time deadline)
{
    new_name = "n";
    return skua_file_copy(dir, "a", dir, "n", NULL, deadline);
}

static int open_list(skua_time deadline)
{
    skua_dir *own = NULL;
    const int status = skua_dir_open(&own, dir, "t", deadline);
    skua_dir_close(own);
    return status;
}

static int next_of_list(skua_time deadline)
{
    skua_dir_entry entry;
    return skua_dir_next(list, &entry, deadline);
}

static int make_dir(skua_time deadline)
{
    new_name = "n";
    return skua_mkdir(dir, "n", 0700, deadline);
}

static int make_dirs(skua_time deadline)
{
    new_name = "n/o";
    return skua_mkdir_all(dir, "n/o", 0700, deadline);
}

static int remove_dir(skua_time deadline)
{
    old_name = "e";
    return skua_rmdir(dir, "e", deadline);
}

static int pass(const skua_walk_entry *entry, void *arg)
{
    return 0;
}

static int walk(skua_time deadline)
{
    const skua_walk_opts opts = {.visits_after = true};
    return skua_walk(dir, "t", pass, NULL, &opts, deadline);
}

static int walk_together(skua_time deadline)
{
    const skua_walk_opts opts = {.tasks_max = 3};
    return skua_walk(dir, "t", pass, NULL, &opts, deadline);
}

static int remove_tree(skua_time deadline)
{
    old_name = "t";
    return skua_remove_tree(dir, "t", deadline);
}

static int temp_dir(skua_time deadline)
{
    new_name = temp_name;
    snprintf(temp_name, sizeof temp_name, "none");
    return skua_temp_dir(dir, "p", temp_name, sizeof temp_name, deadline);
}

/* --- the table -------------------------------------------------------------------------------- */

enum { BEGUN = SWEEP_REAL | SWEEP_ALONE | SWEEP_NO_DEADLINE | SWEEP_AWAITS };

#define FILES .await = until_back, .flags = BEGUN
static const swept entries[] = {
    {"skua_open_in", make_folder, open_new, nothing, look_and_clear, FILES},
    {"skua_temp_file", make_folder, temp_file, nothing, clear_folder, FILES},
    {"skua_pread", make_folder_and_file, read_at, nothing, clear_folder, .done = 4, FILES},
    {"skua_pwrite", make_folder_and_file, write_at, nothing, clear_folder, .done = 4, FILES},
    {"skua_preadv", make_folder_and_file, read_parts_at, nothing, clear_folder, .done = 4, FILES},
    {"skua_pwritev", make_folder_and_file, write_parts_at, nothing, clear_folder, .done = 4, FILES},
    {"skua_fsync", make_folder_and_file, sync_file, nothing, clear_folder, FILES},
    {"skua_fdatasync", make_folder_and_file, sync_data, nothing, clear_folder, FILES},
    {"skua_ftruncate", make_folder_and_file, truncate_file, nothing, clear_folder, FILES},
    {"skua_allocate", make_folder_and_file, allocate, nothing, clear_folder, FILES},
    {"skua_fstat", make_folder_and_file, ask_file, nothing, clear_folder, FILES},
    {"skua_stat", make_folder, ask_name, nothing, clear_folder, FILES},
    {"skua_access", make_folder, ask_access, nothing, clear_folder, FILES},
    {"skua_unlink", make_folder, unlink_name, nothing, look_and_clear, FILES},
    {"skua_rename", make_folder, rename_name, nothing, look_and_clear, FILES},
    {"skua_link", make_folder, link_name, nothing, look_and_clear, FILES},
    {"skua_symlink", make_folder, symlink_name, nothing, look_and_clear, FILES},
    {"skua_readlink", make_folder, read_link, nothing, clear_folder, .done = 1, FILES},
    {"skua_chmod", make_folder, change_mode, nothing, clear_folder, FILES},
    {"skua_utimes", make_folder, change_times, nothing, clear_folder, FILES},
    {"skua_file_load", make_folder, load, nothing, clear_folder, .done = 9, FILES},
    {"skua_file_load_into", make_folder, load_into, nothing, clear_folder, .done = 9, FILES},
    {"skua_file_save", make_folder, save, nothing, look_and_clear, FILES},
    {"skua_file_copy", make_folder, copy, nothing, look_and_clear, FILES},
    {"skua_dir_open", make_folder, open_list, nothing, clear_folder, FILES},
    {"skua_dir_next", make_folder_and_list, next_of_list, nothing, close_list, .done = 1, FILES},
    {"skua_mkdir", make_folder, make_dir, nothing, look_and_clear, FILES},
    {"skua_mkdir_all", make_folder, make_dirs, nothing, look_and_clear, FILES},
    {"skua_rmdir", make_folder, remove_dir, nothing, look_and_clear, FILES},
    {"skua_walk", make_folder, walk, nothing, clear_folder, FILES},
    {"skua_walk: by several", make_folder, walk_together, nothing, clear_folder, FILES},
    {"skua_remove_tree", make_folder, remove_tree, nothing, look_and_clear, FILES},
    {"skua_temp_dir", make_folder, temp_dir, nothing, look_and_clear, FILES},
};

/* covers: B12 */
static void files_are_swept(void **state)
{
    sweep_table(entries, sizeof entries / sizeof entries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(files_are_swept)};
    return TEST_RUN(tests);
}
