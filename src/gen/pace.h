/* gen/pace.h: waiting for a moment inside the deadline of who asks. */
#ifndef SKUA_GEN_PACE_H
#define SKUA_GEN_PACE_H

#include <skua/base.h>

/* 0 once `until_ns` has come; -ETIMEDOUT if the deadline comes before, -EAGAIN, -ECANCELED. May
   switch. */
int skua__stream_wait_until(int64_t until_ns, skua_time deadline);

#endif
