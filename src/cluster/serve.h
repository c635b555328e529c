/* cluster/serve.h: a rank other than 0. */
#ifndef SKUA_CLUSTER_SERVE_H
#define SKUA_CLUSTER_SERVE_H

struct skua__cluster;

/* A rank at work. */
struct skua__server;

/* Serve in a cluster whose transport has started: say hello to rank 0. */
int skua__server_begin(struct skua__server **out, struct skua__cluster *cluster);

/* A main task: work until rank 0 says STOP. Returns 0, -EOWNERDEAD. */
int skua__server_main(void *server);

/* After its runtime has ended: leave in order, free it with the cluster. */
void skua__server_end(struct skua__server *server);

#endif
