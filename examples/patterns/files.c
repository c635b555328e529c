/* Files: whole ones, lines, copies, new names, a tree. */
#include <fcntl.h>
#include <skua/skua.h>
#include <stdio.h>

static int print_lines(int dir, const char *name)
{
    skua_reader reader = {0};
    skua_view line;
    int fd = skua_open_in(dir, name, O_RDONLY, 0, SKUA_FOREVER);
    if (fd < 0) {
        return fd;
    }
    int status = skua_reader_open(&reader, skua_fd_transport(fd), NULL);
    while (status >= 0 && (status = skua_reader_line(&reader, &line, SKUA_FOREVER)) == 1) {
        printf("%.*s\n", (int)line.bytes, line.data);
    }
    skua_reader_close(&reader);
    skua_close(fd);
    return status;
}

static int count(const skua_walk_entry *entry, void *arg)
{
    int *files = arg;
    *files += S_ISREG(entry->type);
    return entry->error;
}

static int use_files(int dir)
{
    void *text = NULL;
    int files = 0;
    int status = skua_file_save(dir, "poem", "roses\nviolets\n", 14, NULL, SKUA_FOREVER);
    ssize_t bytes = status < 0 ? status : skua_file_load(dir, "poem", &text, 0, SKUA_FOREVER);
    skua_file_unload(text);
    printf("%zd bytes\n", bytes);
    status = bytes < 0 ? (int)bytes : print_lines(dir, "poem");
    status = status < 0 ? status : skua_mkdir(dir, "old", 0777, SKUA_FOREVER);
    status = status < 0 ? status : skua_file_copy(dir, "poem", dir, "old/copy", NULL, SKUA_FOREVER);
    status = status < 0 ? status : skua_rename(dir, "poem", dir, "verse", 0, SKUA_FOREVER);
    status = status < 0 ? status : skua_walk(dir, ".", count, &files, NULL, SKUA_FOREVER);
    printf("%d files\n", files);
    if (skua_file_load(dir, "poem", &text, 0, SKUA_FOREVER) == -ENOENT) {
        puts("the poem is gone");
    }
    return status;
}

static int run(void *arg)
{
    char path[64];
    int status = skua_temp_dir(SKUA_CWD, "/tmp/files-", path, sizeof path, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    int dir = skua_open(path, O_RDONLY | O_DIRECTORY, 0, SKUA_FOREVER);
    status = dir < 0 ? dir : use_files(dir);
    if (dir >= 0) {
        skua_close(dir);
    }
    int removed = skua_remove_tree(SKUA_CWD, path, SKUA_FOREVER);
    return status < 0 ? status : removed;
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
