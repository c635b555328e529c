/* Without memory, and without fds: what fails says so, leaves nothing behind and is as good as new
   afterwards. */
#define _GNU_SOURCE 1
#include "../file_help.h"

#include "base/mem.h"

#include <stdatomic.h>

#include <sys/resource.h>

enum { BUDGET_MAX = 60 };

static void allow(int64_t allocations)
{
    atomic_store(&skua__alloc_budget, allocations);
}

static void make_tree(void)
{
    CHECK_INT(skua_mkdir_all(folder_fd, "t/a/b", 0755, SKUA_FOREVER), 0);
    put_file(in_folder("t/1"), "one", 3);
    put_file(in_folder("t/a/2"), "two", 3);
    put_file(in_folder("t/a/b/3"), "three", 5);
}

static int count_visit(const skua_walk_entry *entry, void *arg)
{
    (*(_Atomic int *)arg)++;
    return 0;
}

static int walk(uint32_t tasks_max)
{
    const skua_walk_opts opts = {.tasks_max = tasks_max, .visits_after = true};
    _Atomic int visits = 0;
    const int status = skua_walk(folder_fd, "t", count_visit, &visits, &opts, SKUA_FOREVER);
    CHECK(status != 0 || visits == 9);
    return status;
}

static int use_all(void)
{
    void *data = NULL;
    skua_dir *list = NULL;
    skua_dir_entry entry;
    ssize_t got = skua_file_load(folder_fd, "t/a/b/3", &data, 0, SKUA_FOREVER);
    CHECK(got == 5 || got == -ENOMEM);
    CHECK((data != NULL) == (got == 5));
    skua_file_unload(data);
    int status = got < 0 ? (int)got : skua_dir_open(&list, folder_fd, "t", SKUA_FOREVER);
    if (status == 0) {
        CHECK_INT(skua_dir_next(list, &entry, SKUA_FOREVER), 1);
        skua_dir_close(list);
        status = walk(1);
    }
    status = status < 0 ? status : walk(3);
    status =
        status < 0 ? status : skua_file_copy(folder_fd, "t/1", folder_fd, "c", NULL, SKUA_FOREVER);
    status = status < 0 ? status : skua_file_save(folder_fd, "c", "new", 3, NULL, SKUA_FOREVER);
    return status < 0 ? status : skua_remove_tree(folder_fd, "t", SKUA_FOREVER);
}

static int run_out_of_memory(void *arg)
{
    int status = -ENOMEM;
    for (int64_t budget = 0; status == -ENOMEM; budget++) {
        CHECK(budget < BUDGET_MAX);
        make_tree();
        allow(budget);
        status = use_all();
        allow(-1);
        CHECK(status == 0 || status == -ENOMEM);
    }
    CHECK_INT(status, 0);
    CHECK_INT(skua_unlink(folder_fd, "c", SKUA_FOREVER), 0);
    CHECK_INT(count_names(folder), 0);
    return 0;
}

static void without_memory_nothing_is_lost(void **state)
{
    run_in_folders(1, run_out_of_memory);
}

/* --- fds -------------------------------------------------------------------------------------- */

static void limit_fds(rlim_t fds)
{
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = fds;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The lowest number that is free now: so many more fds may be opened when the limit is above it. */
static rlim_t next_fd(void)
{
    const int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
    CHECK(fd >= 0);
    close(fd);
    return (rlim_t)fd;
}

static int run_out_of_fds(void *arg)
{
    struct rlimit before;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    int status = -EMFILE;
    make_tree();
    CHECK_INT(walk(3), 0); /* threads and fds of the library are there now */
    const rlim_t free_fd = next_fd();
    for (rlim_t more = 0; status == -EMFILE; more++) {
        CHECK(more < 20);
        limit_fds(free_fd + more);
        status = skua_file_save(folder_fd, "s", "text", 4, NULL, SKUA_FOREVER);
        status = status < 0 ? status
                            : skua_file_copy(folder_fd, "s", folder_fd, "c", NULL, SKUA_FOREVER);
        status = status < 0 ? status : skua_remove_tree(folder_fd, "t", SKUA_FOREVER);
        limit_fds(before.rlim_cur);
        CHECK(status == 0 || status == -EMFILE);
        CHECK(test_fds() >= 0);
    }
    CHECK_INT(skua_unlink(folder_fd, "s", SKUA_FOREVER), 0);
    CHECK_INT(skua_unlink(folder_fd, "c", SKUA_FOREVER), 0);
    CHECK_INT(count_names(folder), 0);
    return 0;
}

static int note_errors(const skua_walk_entry *entry, void *arg)
{
    if (entry->error != 0) {
        CHECK_INT(entry->error, -EMFILE);
        (*(_Atomic int *)arg)++;
    }
    return 0;
}

/* A walk tells what it could not open. */
static int walk_without_fds(void *arg)
{
    struct rlimit before;
    _Atomic int errors = 0;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    make_tree();
    CHECK_INT(walk(1), 0);
    limit_fds(next_fd() + 1); /* only the root */
    CHECK_INT(skua_walk(folder_fd, "t", note_errors, &errors, NULL, SKUA_FOREVER), 0);
    limit_fds(before.rlim_cur);
    CHECK_INT(errors, 1);
    CHECK_INT(skua_remove_tree(folder_fd, "t", SKUA_FOREVER), 0);
    return 0;
}

static void without_fds_nothing_is_lost(void **state)
{
    run_in_folders(1, run_out_of_fds);
    run_in_folders(1, walk_without_fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_memory_nothing_is_lost),
        TEST(without_fds_nothing_is_lost),
    };
    return TEST_RUN(tests);
}
