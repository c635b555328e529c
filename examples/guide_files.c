/* The code of docs/guide/files.md. */
#include <skua/skua.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Count up in a file that is never seen half written. */
static int count_start(int dir)
{
    void *text = NULL;
    int count = 0;
    ssize_t got = skua_file_load(dir, "count", &text, 64, SKUA_FOREVER);
    if (got >= 0) {
        sscanf(text, "%d", &count); /* there is a zero behind it */
        skua_file_unload(text);
    } else if (got != -ENOENT) {
        return (int)got;
    }
    char next[64];
    int bytes = snprintf(next, sizeof next, "%d\n", count + 1);
    const skua_file_save_opts opts = {.is_durable = true};
    int status = skua_file_save(dir, "count", next, (size_t)bytes, &opts, SKUA_FOREVER);
    return status < 0 ? status : count + 1;
}

/* A file of records of one size, which many tasks may use at once. */
struct record {
    char name[24];
    uint64_t balance;
};

static int use_records(int dir)
{
    int fd = skua_open_in(dir, "records", O_RDWR | O_CREAT, 0644, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    struct record record = {.name = "seven", .balance = 700};
    ssize_t status = skua_pwrite(fd, &record, sizeof record, 7 * sizeof record, SKUA_FOREVER);
    if (status >= 0) {
        status = skua_pread(fd, &record, sizeof record, 3 * sizeof record, SKUA_FOREVER);
        printf("record 3: %zd bytes, name '%s'\n", status, record.name); /* a hole: zeros */
    }
    skua_close(fd);
    return status < 0 ? (int)status : 0;
}

/* The lines of a file, by the reader of skua/reader.h. */
static int add_balances(int dir)
{
    const char *text = "seven 700\neight 80\n";
    int status = skua_file_save(dir, "balances", text, strlen(text), NULL, SKUA_FOREVER);
    int fd = status < 0 ? status : skua_open_in(dir, "balances", O_RDONLY, 0, SKUA_FOREVER);
    skua_reader reader = {{0}};
    skua_view line;
    long sum = 0;
    if (fd < 0) {
        return fd;
    }
    status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    while (status >= 0 && (status = skua_reader_line(&reader, &line, SKUA_FOREVER)) == 1) {
        char text_of_line[64]; /* a view has no zero behind it */
        snprintf(text_of_line, sizeof text_of_line, "%.*s", (int)line.bytes, line.data);
        const char *space = strrchr(text_of_line, ' ');
        sum += space != NULL ? strtol(space, NULL, 10) : 0;
    }
    skua_reader_close(&reader);
    skua_close(fd);
    printf("balances: %ld\n", sum);
    return status;
}

static int list(int dir)
{
    skua_dir *entries = NULL;
    skua_dir_entry entry;
    int files = 0;
    int status = skua_dir_open(&entries, dir, ".", SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    while ((status = skua_dir_next(entries, &entry, SKUA_FOREVER)) == 1) {
        files += S_ISREG(entry.type);
    }
    skua_dir_close(entries);
    printf("%d files\n", files);
    return status;
}

/* Called for each entry of a tree; by several tasks if tasks_max says so. */
static int add_bytes(const skua_walk_entry *entry, void *arg)
{
    _Atomic uint64_t *total = arg;
    skua_file_info info;
    if (entry->error < 0) {
        fprintf(stderr, "%s: %s\n", entry->path, skua_error_text(entry->error));
        return 0;
    }
    if (S_ISREG(entry->type) &&
        skua_stat(entry->dir, entry->name, SKUA_NO_FOLLOW, &info, SKUA_FOREVER) == 0) {
        *total += info.bytes;
    }
    return 0;
}

static int measure(int dir)
{
    _Atomic uint64_t total = 0;
    const skua_walk_opts opts = {.tasks_max = 8};
    int status = skua_walk(dir, ".", add_bytes, &total, &opts, SKUA_FOREVER);
    printf("%llu bytes in the tree\n", (unsigned long long)total);
    return status;
}

static void remove_folder(void *arg)
{
    const char *folder = arg;
    if (skua_remove_tree(SKUA_CWD, folder, SKUA_FOREVER) < 0) {
        fprintf(stderr, "%s cannot be removed\n", folder);
    }
}

static int use_folder(void *arg)
{
    static char folder[64];
    (void)arg;
    int status = skua_temp_dir(SKUA_CWD, "/tmp/guide-", folder, sizeof folder, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    if ((status = skua_defer(remove_folder, folder)) < 0) { /* whatever happens */
        return status;
    }
    int dir = skua_open(folder, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    if (dir < 0) {
        return dir;
    }
    for (int i = 0; i < 3 && status >= 0; i++) {
        status = count_start(dir);
        printf("start %d\n", status);
    }
    status = status < 0 ? status : use_records(dir);
    status = status < 0 ? status : add_balances(dir);
    status = status < 0 ? status : skua_mkdir_all(dir, "old/copies", 0755, SKUA_FOREVER);
    status = status < 0 ? status
                        : skua_file_copy(dir, "records", dir, "old/copies/r", NULL, SKUA_FOREVER);
    status = status < 0 ? status : list(dir);
    status = status < 0 ? status : measure(dir);
    skua_close(dir);
    return status;
}

int main(void)
{
    return skua_run(NULL, use_folder, NULL) < 0;
}
