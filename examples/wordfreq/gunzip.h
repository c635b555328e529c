/* gunzip.h: the job that unpacks one gzip file, in a worker process. */
#ifndef WORDFREQ_GUNZIP_H
#define WORDFREQ_GUNZIP_H

#include <skua/pool.h>

/* The largest file that is unpacked, packed and unpacked: the pool's payload_max. */
#define GUNZIP_BYTES_MAX ((size_t)256 << 20)

/* What begins a gzip file, whatever its name is. */
bool gunzip_knows(const void *data, size_t bytes);

/* Unpack the bytes of a gzip file in a process of the pool. A damaged file gives what could be
   saved of the text, and an error code. Returns >= 0, or a code for gunzip_error_text(), or what
   skua_pool_call() gives. *text is the caller's to release. May switch. */
int gunzip_call(skua_pool *pool, skua_bytes packed, skua_buf *text) SKUA_MUST_CHECK;

/* What is wrong with the file, for a status < 0 of the job. */
const char *gunzip_error_text(int code);

#endif
