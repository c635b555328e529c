/* file/info.h: what the kernel says of a file, in the words of skua/file.h. */
#ifndef SKUA_FILE_INFO_H
#define SKUA_FILE_INFO_H

#include <skua/file.h>

struct statx;

void skua__info_of(const struct statx *status, skua_file_info *info);

#endif
