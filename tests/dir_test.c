/* Directories: listing, walking, making and removing, also while others change them. */
#define _GNU_SOURCE 1
#include "file_help.h"

#include <limits.h>
#include <sched.h>
#include <sys/mount.h>

static void make_dir(const char *name)
{
    CHECK_INT(skua_mkdir(folder_fd, name, 0755, SKUA_FOREVER), 0);
}

static void make_file(const char *name)
{
    put_file(in_folder(name), "x", 1);
}

static void remove_here(const char *name)
{
    CHECK_INT(skua_remove_tree(folder_fd, name, SKUA_FOREVER), 0);
    CHECK(!is_there(in_folder(name)));
}

/* --- listing --- */

enum { MANY = 10000, SOME = 300 };

static int list_many(void *arg)
{
    static bool seen[MANY];
    const int many = strncmp(folder, "/dev/shm", 8) == 0 ? MANY : SOME; /* disks take their time */
    skua_dir *list = NULL;
    skua_dir_entry entry;
    skua_file_info info;
    int status = 0, count = 0;
    make_dir("many");
    for (int i = 0; i < many; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/many/a name that takes some room %d", folder, i);
        CHECK_INT(mknod(name, i % 2 ? S_IFREG | 0600 : S_IFIFO | 0600, 0), 0);
        seen[i] = false;
    }
    CHECK_INT(skua_dir_open(&list, folder_fd, "many", SKUA_FOREVER), 0);
    while ((status = skua_dir_next(list, &entry, SKUA_FOREVER)) == 1) {
        const int number = atoi(strrchr(entry.name, ' '));
        CHECK(!seen[number]);
        seen[number] = true;
        CHECK_INT(entry.type, number % 2 ? S_IFREG : S_IFIFO);
        if (count++ % 1000 == 0) {
            CHECK_INT(skua_stat(skua_dir_fd(list), entry.name, 0, &info, SKUA_FOREVER), 0);
            CHECK_INT(info.inode, entry.inode);
        }
    }
    CHECK_INT(status, 0);
    CHECK_INT(count, many);
    CHECK_INT(skua_dir_next(list, &entry, SKUA_FOREVER), 0); /* the end stays the end */
    skua_dir_close(list);
    CHECK_INT(skua_dir_open(&list, folder_fd, "missing", SKUA_FOREVER), -ENOENT);
    make_file("file");
    CHECK_INT(skua_dir_open(&list, folder_fd, "file", SKUA_FOREVER), -ENOTDIR);
    remove_here("file");
    remove_here("many");
    return 0;
}

/* covers: A80 */
static void ten_thousand_entries_are_listed_once(void **state)
{
    run_in_folders(2, list_many);
}

static int list_odd_names(void *arg)
{
    static const char *const names[] = {"line\nbreak", "\xff\xfe", "...", ".hidden", " "};
    const size_t names_count = sizeof names / sizeof names[0];
    skua_dir *list = NULL;
    skua_dir_entry entry;
    size_t count = 0;
    make_dir("odd");
    for (size_t i = 0; i < names_count; i++) {
        char path[64];
        snprintf(path, sizeof path, "odd/%s", names[i]);
        make_file(path);
    }
    CHECK_INT(skua_dir_open(&list, folder_fd, "odd", SKUA_FOREVER), 0);
    while (skua_dir_next(list, &entry, SKUA_FOREVER) == 1) {
        bool is_known = false;
        for (size_t i = 0; i < names_count; i++) {
            is_known = is_known || strcmp(names[i], entry.name) == 0;
        }
        CHECK(is_known);
        count++;
    }
    CHECK_INT(count, names_count);
    skua_dir_close(list);
    remove_here("odd");
    make_dir("empty");
    CHECK_INT(skua_dir_open(&list, folder_fd, "empty", SKUA_FOREVER), 0);
    CHECK_INT(skua_rmdir(folder_fd, "empty", SKUA_FOREVER), 0); /* gone while it is open */
    CHECK_INT(skua_dir_next(list, &entry, SKUA_FOREVER), 0);
    skua_dir_close(list);
    skua_dir_close(NULL);
    return 0;
}

static void any_bytes_are_listed(void **state)
{
    run_in_folders(1, list_odd_names);
}

/* --- making --- */

static int make_dirs(void *arg)
{
    char path[64], other[64];
    skua_file_info info;
    CHECK_INT(skua_mkdir_all(folder_fd, "a/b//c/d/", 0750, SKUA_FOREVER), 0);
    CHECK_INT(skua_mkdir_all(folder_fd, "a/b/c/d", 0700, SKUA_FOREVER), 0);
    CHECK_INT(skua_stat(folder_fd, "a/b/c/d", 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.mode & 0777, 0750);
    CHECK_INT(skua_mkdir_all(SKUA_CWD, in_folder("a/e/f"), 0755, SKUA_FOREVER), 0);
    make_file("a/x");
    CHECK_INT(skua_mkdir_all(folder_fd, "a/x", 0755, SKUA_FOREVER), -EEXIST);
    CHECK_INT(skua_mkdir_all(folder_fd, "a/x/y", 0755, SKUA_FOREVER), -ENOTDIR);
    CHECK_INT(skua_mkdir(folder_fd, "a", 0755, SKUA_FOREVER), -EEXIST);
    CHECK_INT(skua_rmdir(folder_fd, "a", SKUA_FOREVER), -ENOTEMPTY);
    CHECK_INT(skua_unlink(folder_fd, "a", SKUA_FOREVER), -EISDIR);
    remove_here("a");

    CHECK_INT(skua_temp_dir(folder_fd, "t-", path, sizeof path, SKUA_FOREVER), 0);
    CHECK_INT(skua_temp_dir(folder_fd, "t-", other, sizeof other, SKUA_FOREVER), 0);
    CHECK(strcmp(path, other) != 0 && strncmp(path, "t-", 2) == 0);
    CHECK_INT(strlen(path), 14);
    CHECK_INT(skua_stat(folder_fd, path, 0, &info, SKUA_FOREVER), 0);
    CHECK_INT(info.mode & 07777, 0700);
    remove_here(other);
    CHECK_INT(skua_remove_tree(folder_fd, other, SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_temp_dir(folder_fd, "t-", other, 14, SKUA_FOREVER), -ENAMETOOLONG);
    CHECK_INT(count_names(folder), 1);
    CHECK_INT(skua_rmdir(folder_fd, path, SKUA_FOREVER), 0);
    return 0;
}

static void directories_are_made_with_those_above(void **state)
{
    run_in_folders(1, make_dirs);
}

/* --- walking --- */

/* What a walk has visited, in its order. Under a lock that tasks may wait for. */
static struct visits {
    skua_mutex lock;
    char text[16384];
    size_t length;
    int count, errors;
    int skip_at, stop_at; /* visits; < 0: never */
    const char *skipped;  /* a name */
} visits;

static int note_visit(const skua_walk_entry *entry, void *arg)
{
    skua_file_info info;
    char text[300];
    const char *path = entry->path + strlen(folder);
    CHECK(strncmp(entry->path, folder, strlen(folder)) == 0);
    if (entry->error == 0) {
        const int status = skua_stat(entry->dir, entry->name, SKUA_NO_FOLLOW, &info, SKUA_FOREVER);
        CHECK(status == 0 || status == -ENOENT || status == -ECANCELED);
    }
    snprintf(text, sizeof text, "%s%s%s ", path, S_ISDIR(entry->type) ? "/" : "",
             entry->error      ? "!"
             : entry->is_after ? "."
                               : "");
    if (skua_mutex_lock(&visits.lock, SKUA_FOREVER) < 0) {
        return -ECANCELED; /* the walk was stopped */
    }
    if (visits.length + strlen(text) < sizeof visits.text) {
        visits.length += strlen(strcpy(visits.text + visits.length, text));
    }
    visits.errors += entry->error != 0;
    const int at = visits.count++;
    skua_mutex_unlock(&visits.lock);
    if (at == visits.stop_at) {
        return -E2BIG;
    }
    if (visits.stop_at >= 0 && at > visits.stop_at) {
        const int status = skua_sleep(SKUA_FOREVER); /* who was under way, until the walk stops */
        return status;
    }
    return visits.skipped != NULL && strcmp(entry->name, visits.skipped) == 0 ? SKUA_WALK_SKIP : 0;
}

static int walk_here(const char *name, const skua_walk_opts *opts)
{
    visits = (struct visits){.stop_at = -1, .skipped = visits.skipped};
    return skua_walk(SKUA_CWD, in_folder(name), note_visit, NULL, opts, SKUA_FOREVER);
}

static bool has_visited(const char *text)
{
    char padded[300];
    snprintf(padded, sizeof padded, " /%s ", text);
    char all[sizeof visits.text + 1] = " ";
    strcat(all, visits.text);
    return strstr(all, padded) != NULL;
}

static bool comes_before(const char *first, const char *second)
{
    char texts[2][100];
    snprintf(texts[0], sizeof texts[0], "/%s ", first);
    snprintf(texts[1], sizeof texts[1], "/%s ", second);
    const char *found[2] = {strstr(visits.text, texts[0]), strstr(visits.text, texts[1])};
    CHECK(found[0] != NULL && found[1] != NULL);
    return found[0] < found[1];
}

static void make_tree(void)
{
    CHECK_INT(skua_mkdir_all(folder_fd, "t/a/b", 0755, SKUA_FOREVER), 0);
    CHECK_INT(skua_mkdir_all(folder_fd, "t/c", 0755, SKUA_FOREVER), 0);
    make_file("t/1");
    make_file("t/a/2");
    make_file("t/a/b/3");
    CHECK_INT(symlink("../c", in_folder("t/a/to-c")), 0);
    CHECK_INT(symlink("nowhere", in_folder("t/broken")), 0);
    CHECK_INT(symlink("..", in_folder("t/a/b/loop")), 0);
}

enum { TREE_NAMES = 10 };

static int walk_tree(void *arg)
{
    const skua_walk_opts after = {.visits_after = true};
    const skua_walk_opts shallow = {.depth_max = 1, .visits_after = true};
    const skua_walk_opts device = {.stays_on_device = true};
    visits.skipped = NULL;
    make_tree();
    CHECK_INT(walk_here("t", NULL), 0);
    CHECK_INT(visits.count, TREE_NAMES);
    CHECK_INT(visits.errors, 0);
    CHECK(comes_before("t/", "t/a/") && comes_before("t/a/", "t/a/b/"));
    CHECK(comes_before("t/a/b/", "t/a/b/3") && comes_before("t/a/2", "t/a/b/3"));
    CHECK(has_visited("t/a/to-c") && has_visited("t/broken") && has_visited("t/a/b/loop"));
    CHECK_INT(walk_here("t", &after), 0);
    CHECK_INT(visits.count, TREE_NAMES + 4);
    CHECK(comes_before("t/a/b/3", "t/a/b/.") && comes_before("t/a/b/.", "t/a/."));
    CHECK(comes_before("t/a/.", "t/.") && comes_before("t/c/.", "t/."));
    CHECK_INT(walk_here("t", &shallow), 0);
    CHECK_INT(visits.count, 6); /* t, four in it, and t again */
    CHECK_INT(walk_here("t", &device), 0);
    CHECK_INT(visits.count, TREE_NAMES);
    CHECK_INT(walk_here("t/1", NULL), 0);
    CHECK_STR(visits.text, "/t/1 ");
    CHECK_INT(walk_here("t/a/to-c", &after), 0);
    CHECK_STR(visits.text, "/t/a/to-c ");
    CHECK_INT(walk_here("missing", NULL), -ENOENT);
    CHECK_INT(visits.count, 0);
    visits.skipped = "a";
    CHECK_INT(walk_here("t", &after), 0);
    CHECK_INT(visits.count, 7); /* t 1 a broken c c. t. */
    visits.skipped = NULL;
    remove_here("t");
    return 0;
}

/* covers: A80 */
static void a_tree_is_walked_depth_first(void **state)
{
    run_in_folders(1, walk_tree);
    run_in_folders(4, walk_tree);
}

static int walk_links(void *arg)
{
    const skua_walk_opts follow = {.follows_links = true};
    visits.skipped = NULL;
    make_tree();
    CHECK_INT(walk_here("t", &follow), 0);
    CHECK(has_visited("t/a/to-c/") && has_visited("t/broken"));
    CHECK(has_visited("t/a/b/loop/!")); /* leads back to t/a */
    CHECK_INT(visits.errors, 1);
    CHECK_INT(visits.count, TREE_NAMES + 1);
    CHECK_INT(walk_here("t/a/to-c", &follow), 0);
    CHECK_STR(visits.text, "/t/a/to-c/ ");
    remove_here("t");
    return 0;
}

static void links_are_followed_without_end_only_once(void **state)
{
    run_in_folders(1, walk_links);
}

/* A deep and wide tree, by several tasks. */
static int walk_by_many(void *arg)
{
    char path[300];
    const skua_walk_opts opts = {.tasks_max = 8, .visits_after = true};
    visits.skipped = NULL;
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "t/%d/%d/%d", i % 7, i % 11, i);
        CHECK_INT(skua_mkdir_all(folder_fd, path, 0755, SKUA_FOREVER), 0);
        strcat(path, "/file");
        make_file(path);
    }
    const int dirs = 1 + 7 + 77 + 200;
    CHECK_INT(walk_here("t", &opts), 0);
    CHECK_INT(visits.count, 2 * dirs + 200);
    CHECK_INT(visits.errors, 0);
    CHECK(comes_before("t/", "t/3/") && comes_before("t/3/4/", "t/3/4/59/"));
    CHECK(comes_before("t/3/4/59/file", "t/3/4/59/.") && comes_before("t/3/4/.", "t/3/."));

    visits = (struct visits){.stop_at = 100};
    CHECK_INT(skua_walk(folder_fd, folder, note_visit, NULL, &opts, SKUA_FOREVER), -E2BIG);
    const int stopped = visits.count;
    CHECK(stopped > 100 && stopped <= 101 + 8); /* no task began another visit */
    CHECK_INT(skua_yield(), 0);
    CHECK_INT(visits.count, stopped);

    SKUA_SCOPE(scope);
    skua_scope_open(&scope, SKUA_FOREVER);
    skua_scope_cancel(&scope);
    CHECK_INT(walk_here("t", &opts), -ECANCELED);
    CHECK_INT(skua_scope_close(&scope, 0), 0);
    remove_here("t");
    return 0;
}

/* covers: A80 */
static void several_tasks_walk_one_tree(void **state)
{
    run_in_folders(4, walk_by_many);
}

/* Paths longer than the kernel takes at once. */
static int walk_deep(void *arg)
{
    enum { DEPTH = 60 };
    char name[NAME_MAX + 1];
    const skua_walk_opts opts = {.visits_after = true};
    int at = dup(folder_fd);
    memset(name, 'd', sizeof name);
    name[100] = '\0';
    for (int i = 0; i < DEPTH; i++) {
        CHECK_INT(mkdirat(at, name, 0755), 0);
        const int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(openat(at, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(at);
    visits.skipped = NULL;
    CHECK_INT(walk_here(name, &opts), 0);
    CHECK_INT(visits.count, 2 * DEPTH + 1);
    CHECK_INT(visits.errors, 0);
    remove_here(name);
    return 0;
}

static void a_tree_may_be_deeper_than_a_path_is_long(void **state)
{
    run_in_folders(1, walk_deep);
}

static int walk_forbidden(void *arg)
{
    const skua_walk_opts opts = {.visits_after = true};
    visits.skipped = NULL;
    CHECK_INT(skua_mkdir_all(folder_fd, "t/closed/in", 0755, SKUA_FOREVER), 0);
    make_file("t/closed/in/file");
    make_file("t/z");
    CHECK_INT(chmod(in_folder("t/closed"), 0300), 0);
    CHECK_INT(chmod(folder, 0755), 0);
    const uid_t me = geteuid(); /* the superuser may read all, so somebody else has to look */
    CHECK_INT(seteuid(me == 0 ? 65534 : me), 0);
    CHECK_INT(walk_here("t", &opts), 0);
    CHECK_INT(seteuid(me), 0);
    CHECK(has_visited("t/closed/") && has_visited("t/closed/!") && has_visited("t/z"));
    CHECK(has_visited("t/."));
    CHECK_INT(visits.errors, 1);
    CHECK_INT(chmod(in_folder("t/closed"), 0755), 0);
    remove_here("t");
    return 0;
}

static void what_cannot_be_read_is_told_and_passed_over(void **state)
{
    run_in_folders(1, walk_forbidden);
}

/* --- while it changes --- */

static _Atomic bool is_over;

/* Adds, moves, removes, and puts links in the place of directories, in "t". */
static int disturb(void *arg)
{
    uint64_t random = test_seed() + (uintptr_t)arg;
    while (!is_over) {
        char names[2][64];
        for (int i = 0; i < 2; i++) {
            snprintf(names[i], sizeof names[i], "t/%u/%u", (unsigned)(test_random(&random) % 5),
                     (unsigned)(test_random(&random) % 5));
        }
        int status = 0;
        switch (test_random(&random) % 6) {
        case 0:
            status = mkdirat(folder_fd, names[0], 0755);
            break;
        case 1:
            status = renameat(folder_fd, names[0], folder_fd, names[1]);
            break;
        case 2:
            status = unlinkat(folder_fd, names[0], AT_REMOVEDIR);
            break;
        case 3:
            status = unlinkat(folder_fd, names[0], 0);
            break;
        case 4:
            status = symlinkat("../../outside", folder_fd, names[0]);
            break;
        default:
            status = mknodat(folder_fd, names[0], S_IFREG | 0600, 0);
            break;
        }
        (void)!status;
        skua_yield();
    }
    return 0;
}

static int never_outside(const skua_walk_entry *entry, void *arg)
{
    CHECK(strcmp(entry->name, "treasure") != 0);
    CHECK_INT(entry->error, 0);
    CHECK(entry->depth < 10);
    (*(_Atomic int *)arg)++;
    return 0;
}

static int walk_disturbed(void *arg)
{
    _Atomic int count = 0;
    SKUA_GROUP(group);
    CHECK_INT(skua_mkdir_all(folder_fd, "outside", 0755, SKUA_FOREVER), 0);
    make_file("outside/treasure");
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "t/%d", i);
        CHECK_INT(skua_mkdir_all(folder_fd, name, 0755, SKUA_FOREVER), 0);
    }
    is_over = false;
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    for (uintptr_t i = 0; i < 2; i++) {
        CHECK_INT(skua_group_spawn(&group, disturb, (void *)i), 0);
    }
    for (uint32_t i = 0; i < 60; i++) {
        const skua_walk_opts opts = {.tasks_max = i % 4, .visits_after = i % 3 == 0};
        CHECK_INT(skua_walk(folder_fd, "t", never_outside, &count, &opts, SKUA_FOREVER), 0);
    }
    CHECK(count >= 60 * 6);
    for (int i = 0; i < 20; i++) { /* and now it is removed under their hands */
        const int status = skua_remove_tree(folder_fd, "t", SKUA_FOREVER);
        CHECK(status == 0 || status == -ENOTEMPTY);
        CHECK_INT(skua_mkdir_all(folder_fd, "t/1", 0755, SKUA_FOREVER), 0);
        CHECK_INT(skua_mkdir_all(folder_fd, "t/2", 0755, SKUA_FOREVER), 0);
    }
    is_over = true;
    CHECK_INT(skua_group_close(&group, 0), 0);
    CHECK(is_there(in_folder("outside/treasure")));
    remove_here("t");
    remove_here("outside");
    return 0;
}

/* covers: A80 */
static void a_tree_that_changes_is_walked_and_removed(void **state)
{
    run_in_folders(4, walk_disturbed);
}

/* --- removing --- */

static int remove_trees(void *arg)
{
    make_tree();
    CHECK_INT(skua_mkdir_all(folder_fd, "outside", 0755, SKUA_FOREVER), 0);
    make_file("outside/treasure");
    CHECK_INT(symlink("../outside", in_folder("t/out")), 0);
    CHECK_INT(symlink("outside", in_folder("link")), 0);
    remove_here("t");
    remove_here("link");
    CHECK_INT(skua_remove_tree(folder_fd, "link", SKUA_FOREVER), -ENOENT);
    CHECK_INT(skua_remove_tree(folder_fd, "outside/.", SKUA_FOREVER), -EINVAL);
    CHECK_INT(skua_remove_tree(folder_fd, "..", SKUA_FOREVER), -EINVAL);
    CHECK(is_there(in_folder("outside/treasure")));
    CHECK_INT(skua_remove_tree(SKUA_CWD, in_folder("outside/"), SKUA_FOREVER), 0);
    CHECK_INT(count_names(folder), 0);
    return 0;
}

static void trees_are_removed_and_links_never_followed(void **state)
{
    run_in_folders(1, remove_trees);
    run_in_folders(4, remove_trees);
}

/* Someone else's mount stays, and the rest goes. */
static int remove_around_mount(void *arg)
{
    CHECK_INT(skua_mkdir_all(folder_fd, "t/a/mount", 0755, SKUA_FOREVER), 0);
    make_file("t/a/file");
    CHECK_INT(mount("small", in_folder("t/a/mount"), "tmpfs", 0, "size=64k"), 0);
    CHECK_INT(skua_remove_tree(folder_fd, "t", SKUA_FOREVER), -EBUSY);
    CHECK(!is_there(in_folder("t/a/file")));
    const skua_walk_opts opts = {.stays_on_device = true};
    make_file("t/a/mount/inside");
    visits.skipped = NULL;
    CHECK_INT(walk_here("t", &opts), 0);
    CHECK(has_visited("t/a/mount/") && !has_visited("t/a/mount/inside"));
    CHECK_INT(walk_here("t", NULL), 0);
    CHECK(has_visited("t/a/mount/inside"));
    CHECK_INT(umount(in_folder("t/a/mount")), 0);
    remove_here("t");
    return 0;
}

static void other_file_systems_are_noticed(void **state)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        print_message("skipped: to mount something needs privileges\n");
        skip();
    }
    run_in_folders(1, remove_around_mount);
}

/* --- without a task --- */

static void foreign_threads_walk_alone(void **state)
{
    const skua_walk_opts opts = {.visits_after = true}, many = {.tasks_max = 2};
    skua_dir *list = NULL;
    skua_dir_entry entry;
    _Atomic int count = 0;
    snprintf(folder, sizeof folder, "/tmp/skua-dir-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_tree();
    CHECK_INT(skua_walk(folder_fd, "t", never_outside, &count, &opts, SKUA_FOREVER), 0);
    CHECK_INT(count, TREE_NAMES + 4);
    CHECK_INT(skua_walk(folder_fd, "t", never_outside, &count, &many, SKUA_FOREVER), -EPERM);
    CHECK_INT(skua_dir_open(&list, folder_fd, "t/c", SKUA_FOREVER), 0);
    CHECK_INT(skua_dir_next(list, &entry, SKUA_FOREVER), 0);
    skua_dir_close(list);
    remove_here("t");
    close(folder_fd);
    CHECK_INT(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ten_thousand_entries_are_listed_once),
        TEST(any_bytes_are_listed),
        TEST(directories_are_made_with_those_above),
        TEST(a_tree_is_walked_depth_first),
        TEST(links_are_followed_without_end_only_once),
        TEST(several_tasks_walk_one_tree),
        TEST(a_tree_may_be_deeper_than_a_path_is_long),
        TEST(what_cannot_be_read_is_told_and_passed_over),
        TEST(a_tree_that_changes_is_walked_and_removed),
        TEST(trees_are_removed_and_links_never_followed),
        TEST(other_file_systems_are_noticed),
        TEST(foreign_threads_walk_alone),
    };
    return TEST_RUN(tests);
}
