/* cluster/cluster.h: this process as part of a cluster. */
#ifndef SKUA_CLUSTER_CLUSTER_H
#define SKUA_CLUSTER_CLUSTER_H

#include "cluster/wire.h"

/* What there is to say of this process in a HELLO. */
void skua__cluster_introduce(struct skua__record_hello *hello);

#endif
