/* group/retry.h: the pauses between attempts, apart so that they can be tested. */
#ifndef SKUA_GROUP_RETRY_H
#define SKUA_GROUP_RETRY_H

#include <stdint.h>

/* The pause after one of `pause_ns`: twice as long, at most `cap_ns`. */
int64_t skua__retry_next_ns(int64_t pause_ns, int64_t cap_ns);

/* The pause, shortened by up to `percent` (<= 100) of it. */
int64_t skua__retry_jitter_ns(int64_t pause_ns, uint32_t percent, uint64_t *random);

#endif
