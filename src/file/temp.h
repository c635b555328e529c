/* file/temp.h: files that have no name yet, and how they get one.

   A replacement is a file that is written where nobody sees it and then takes the place of a name
   at once:

       skua__replacement_open     the file, in the directory of the name; O_TMPFILE where there is
       that ... its fd is written ... skua__replacement_place    the name is its
       skua__replacement_close    in any case: what has got no name is gone

   All of them may wait for a disk: they are called on the pool. */
#ifndef SKUA_FILE_TEMP_H
#define SKUA_FILE_TEMP_H

#include <stdbool.h>
#include <sys/types.h>

enum { SKUA__TEMP_LETTERS = 12, SKUA__TEMP_NAME_BYTES = 32 };

struct skua__replacement {
    int fd;
    int parent;       /* fd of the directory */
    const char *name; /* in it */
    bool is_durable, is_exclusive;
    bool has_temp_name; /* the file goes by temp_name now */
    char temp_name[SKUA__TEMP_NAME_BYTES];
};

/* `mode` is that of a new file, less the umask. The path has to stay. Returns 0 or a negative
   errno; then there is nothing to close. */
int skua__replacement_open(struct skua__replacement *replacement, int dir, const char *path,
                           mode_t mode);
int skua__replacement_place(struct skua__replacement *replacement);
void skua__replacement_close(struct skua__replacement *replacement);

/* A file without a name, in the directory `path`. */
int skua__temp_open(int dir, const char *path);

/* SKUA__TEMP_LETTERS letters and a zero. */
void skua__temp_letters(char *out);

#endif
