/* cluster/wire.h: what the ranks of a cluster say to each other.

   A packet is a row of records. Both sides are the same program, which the first record checks, so
   numbers travel as they lie in memory. A receiver looks at sizes all the same, and takes a rank
   that sends nonsense for lost.

       rank r -> 0     HELLO         once, first
       0 -> r          OPEN          make a pool whose serial number is `ticket`; OPENED comes
       0 -> r          JOB           then exactly one ANSWER comes, unless the pool is closed
       0 -> r          CANCEL        the job is to end; or it has ended
       to the sender   PULL          a piece of a large input or answer: the payload `id`
       0 -> r          DONE          the answer's memory is needed no more
       0 -> r          CLOSE, STOP   end the pool, all; a BYE answers the second
       0 -> r          PING          a PONG answers it */
#ifndef SKUA_CLUSTER_WIRE_H
#define SKUA_CLUSTER_WIRE_H

#include <skua/cluster_transport.h>
#include <skua/pool.h>

enum { SKUA__CLUSTER_VERSION = 1 };

enum skua__record_kind {
    SKUA__RECORD_HELLO = 1,
    SKUA__RECORD_OPEN,
    SKUA__RECORD_OPENED,
    SKUA__RECORD_JOB,
    SKUA__RECORD_CANCEL,
    SKUA__RECORD_ANSWER,
    SKUA__RECORD_PULL,
    SKUA__RECORD_DONE,
    SKUA__RECORD_CLOSE,
    SKUA__RECORD_STOP,
    SKUA__RECORD_BYE,
    SKUA__RECORD_PING,
    SKUA__RECORD_PONG,
    SKUA__RECORD_KINDS,
};

enum {
    SKUA__RECORD_ALIGNMENT = 8,
    SKUA__EAGER_BYTES = 64 * 1024, /* inputs and answers up to this go with their record */
    SKUA__PIECE_BYTES = SKUA_CLUSTER_PAYLOAD_MAX,
    SKUA__PIECES_AT_ONCE = 4, /* of one payload */
    SKUA__HOST_BYTES = 64,
};

/* The start of each record. The body follows, then what the body says, then zeros up to the
   alignment. */
struct skua__record {
    uint32_t bytes; /* all of it but those zeros */
    uint16_t kind;
    uint16_t pool;   /* 0: none */
    uint64_t ticket; /* of a job */
};

struct skua__record_hello {
    uint32_t version;
    uint32_t cores; /* that this rank may use */
    uint64_t build; /* of the program */
    uint64_t place; /* which cores those are: ranks of one host that have the same share them */
    char host[SKUA__HOST_BYTES];
};

/* The input of the init job follows. */
struct skua__record_open {
    uint64_t init_hash; /* 0: none */
    uint64_t payload_max;
    uint64_t jobs_per_worker_max;
    uint32_t workers; /* 0: one for each core that is this rank's */
    uint32_t ranks;   /* on these cores */
    int32_t nice;
    uint32_t binding;
    skua_pool_limits limits;
    char name[16];
};

struct skua__record_opened {
    int32_t status;
    uint32_t workers;
};

/* The input follows if it is at most SKUA__EAGER_BYTES long, else it is to be pulled. */
struct skua__record_job {
    uint64_t name_hash;
    uint64_t bytes;
    int64_t left_ns; /* until the deadline; SKUA__NEVER: none */
    int64_t grace_ns;
    int32_t priority;
    uint32_t attempts;
};

/* The text follows, then the answer, likewise. */
struct skua__record_answer {
    uint64_t bytes;
    int64_t run_ns;  /* how long jobs take there at present; 0: not known */
    int64_t busy_ns; /* the sum of the times of all jobs of the rank's pool */
    int32_t status;
    uint32_t text_bytes;
};

struct skua__record_pull {
    uint64_t offset;
    uint32_t bytes;
    uint32_t id;
};

#endif
