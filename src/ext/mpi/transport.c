/* A cluster's messages by MPI.

       tag 0        packets, received into a ring of buffers that is always posted
       tag 1 + id   payloads, received into the memory that they are for

   Invariants
   (M1) All calls of MPI are made by the thread that has started it, so MPI_THREAD_FUNNELED is
        enough, whatever the program's other threads do.
   (M2) Receives of one tag are matched in the order in which they were posted. The ring is looked
        at in that order, so packets of one rank are told in theirs.
   (M3) A request that was begun is tested until it is complete, whatever becomes of its rank: until
        then its memory is MPI's.

   *Errors.* Most MPIs end the program when a rank dies, and their launcher says which one it was.
   Where they do not, what fails with a rank makes it lost, and Skua goes on without it.

   Rejected: MPI_Probe for packets (a second call for each, and a copy out of MPI's own buffers);
   one-sided operations and active messages (not the same everywhere, and packets are batches
   already). */
#include <errno.h>
#include <mpi.h>
#include <skua/cluster_transport.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RING = 32, TAG_PACKET = 0, TAG_PAYLOAD = 1, WHY_BYTES = MPI_MAX_ERROR_STRING };

struct slot {
    MPI_Request request;
    _Alignas(16) char data[SKUA_CLUSTER_PACKET_MAX];
};

/* A send, or the receive of a payload. */
struct flight {
    struct flight *next;
    MPI_Request request;
    void *token;
    uint32_t peer;
    int is_receive;
};

static struct {
    MPI_Comm world;
    struct slot *ring;
    uint32_t head; /* of the ring: matched first */
    struct flight *flights;
    struct flight *unused;
    int tag_max;
    char why[WHY_BYTES];
} mpi;

static const char *text_of(int error)
{
    int bytes = 0;
    if (MPI_Error_string(error, mpi.why, &bytes) != MPI_SUCCESS) {
        snprintf(mpi.why, sizeof mpi.why, "MPI error %d", error);
    }
    return mpi.why;
}

/* --- start and stop --------------------------------------------------------------------------- */

static int post_slot(struct slot *slot)
{
    return MPI_Irecv(slot->data, sizeof slot->data, MPI_BYTE, MPI_ANY_SOURCE, TAG_PACKET, mpi.world,
                     &slot->request);
}

static int post_ring(void)
{
    int error = MPI_Alloc_mem(RING * sizeof *mpi.ring, MPI_INFO_NULL, &mpi.ring);
    for (uint32_t i = 0; i < RING && error == MPI_SUCCESS; i++) {
        error = post_slot(&mpi.ring[i]);
    }
    return error;
}

/* A communicator of our own, whose errors come back to us. */
static int make_world(void)
{
    int *tag_max = NULL;
    int is_there = 0;
    int error = MPI_Comm_dup(MPI_COMM_WORLD, &mpi.world);
    if (error == MPI_SUCCESS) {
        error = MPI_Comm_set_errhandler(mpi.world, MPI_ERRORS_RETURN);
    }
    if (error == MPI_SUCCESS) {
        error = MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &tag_max, &is_there);
    }
    mpi.tag_max = is_there ? *tag_max : INT16_MAX; /* what every MPI has */
    return error;
}

static int start(void *self, uint32_t *rank, uint32_t *size, const char **why)
{
    (void)self;
    int is_there = 0, level = 0, number = 0, count = 0;
    MPI_Initialized(&is_there);
    if (is_there) {
        *why = "the program uses MPI itself";
        return -EBUSY;
    }
    int error = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    if (error == MPI_SUCCESS && level < MPI_THREAD_FUNNELED) {
        *why = "this MPI cannot be used in a program with threads";
        return -ENOTSUP;
    }
    if (error == MPI_SUCCESS) {
        error = make_world();
    }
    if (error == MPI_SUCCESS) {
        error = post_ring();
    }
    if (error != MPI_SUCCESS) {
        *why = text_of(error);
        return -EIO;
    }
    MPI_Comm_rank(mpi.world, &number);
    MPI_Comm_size(mpi.world, &count);
    *rank = (uint32_t)number;
    *size = (uint32_t)count;
    return 0;
}

/* Nothing that was sent is under way any more. */
static void stop(void *self)
{
    (void)self;
    for (uint32_t i = 0; i < RING; i++) {
        MPI_Cancel(&mpi.ring[i].request);
        MPI_Wait(&mpi.ring[i].request, MPI_STATUS_IGNORE);
    }
    MPI_Free_mem(mpi.ring);
    while (mpi.unused != NULL) {
        struct flight *flight = mpi.unused;
        mpi.unused = flight->next;
        MPI_Free_mem(flight);
    }
    MPI_Comm_free(&mpi.world);
    MPI_Finalize();
}

static void end_all(void *self, int code)
{
    (void)self;
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
}

/* --- what is under way ------------------------------------------------------------------------ */

static struct flight *take_flight(uint32_t peer, void *token, int is_receive)
{
    struct flight *flight = mpi.unused;
    if (flight != NULL) {
        mpi.unused = flight->next;
    } else if (MPI_Alloc_mem(sizeof *flight, MPI_INFO_NULL, &flight) != MPI_SUCCESS) {
        return NULL;
    }
    *flight = (struct flight){.token = token, .peer = peer, .is_receive = is_receive};
    return flight;
}

static void end_flight(struct flight *flight)
{
    flight->next = mpi.unused;
    mpi.unused = flight;
}

/* `error` of what has begun it. */
static int begin_flight(struct flight *flight, int error)
{
    if (error != MPI_SUCCESS) {
        end_flight(flight);
        return -EIO;
    }
    flight->next = mpi.flights;
    mpi.flights = flight;
    return 0;
}

static int send_as(uint32_t to, int tag, const void *data, size_t bytes, void *token)
{
    struct flight *flight = take_flight(to, token, 0);
    if (flight == NULL) {
        return -ENOMEM;
    }
    return begin_flight(
        flight, MPI_Isend(data, (int)bytes, MPI_BYTE, (int)to, tag, mpi.world, &flight->request));
}

static int tag_of(uint32_t id)
{
    return TAG_PAYLOAD + (int)(id % (uint32_t)(mpi.tag_max - TAG_PAYLOAD));
}

static int send_packet(void *self, uint32_t to, const void *data, size_t bytes, void *token)
{
    (void)self;
    return send_as(to, TAG_PACKET, data, bytes, token);
}

static int send_payload(void *self, uint32_t to, uint32_t id, const void *data, size_t bytes,
                        void *token)
{
    (void)self;
    return send_as(to, tag_of(id), data, bytes, token);
}

static int receive_payload(void *self, uint32_t from, uint32_t id, void *data, size_t bytes,
                           void *token)
{
    (void)self;
    struct flight *flight = take_flight(from, token, 1);
    if (flight == NULL) {
        return -ENOMEM;
    }
    return begin_flight(flight, MPI_Irecv(data, (int)bytes, MPI_BYTE, (int)from, tag_of(id),
                                          mpi.world, &flight->request));
}

/* --- progress --------------------------------------------------------------------------------- */

static int take_packets(const skua_cluster_events *events)
{
    int count = 0;
    for (; count < RING; count++) {
        struct slot *slot = &mpi.ring[mpi.head];
        MPI_Status status;
        int is_there = 0;
        int error = MPI_Test(&slot->request, &is_there, &status);
        if (error == MPI_SUCCESS && !is_there) {
            break;
        }
        int bytes = 0;
        if (error == MPI_SUCCESS) {
            MPI_Get_count(&status, MPI_BYTE, &bytes);
            events->packet(events->arg, (uint32_t)status.MPI_SOURCE, slot->data, (size_t)bytes);
        } else if (status.MPI_SOURCE >= 0) {
            events->lost(events->arg, (uint32_t)status.MPI_SOURCE, text_of(error));
        }
        if (post_slot(slot) != MPI_SUCCESS) {
            slot->request = MPI_REQUEST_NULL;
        }
        mpi.head = (mpi.head + 1) % RING;
    }
    return count;
}

/* Events may begin other flights, which go to the front of a new list. */
static int end_flights(const skua_cluster_events *events)
{
    int count = 0;
    struct flight *all = mpi.flights;
    mpi.flights = NULL;
    while (all != NULL) {
        struct flight *flight = all;
        all = flight->next;
        int is_over = 0;
        int error = MPI_Test(&flight->request, &is_over, MPI_STATUS_IGNORE);
        if (error != MPI_SUCCESS) {
            events->lost(events->arg, flight->peer, text_of(error));
            if (flight->is_receive) {
                end_flight(flight); /* its memory stays its owner's, who gives it up */
                continue;
            }
            is_over = 1;
        }
        if (!is_over) {
            flight->next = mpi.flights;
            mpi.flights = flight;
            continue;
        }
        void *token = flight->token;
        int is_receive = flight->is_receive;
        end_flight(flight);
        (is_receive ? events->received : events->sent)(events->arg, token);
        count++;
    }
    return count;
}

static int poll_all(void *self, const skua_cluster_events *events)
{
    (void)self;
    int count = take_packets(events);
    return count + end_flights(events);
}

__attribute__((visibility("default"))) int skua_cluster_transport_open(skua_cluster_transport *out);

int skua_cluster_transport_open(skua_cluster_transport *out)
{
    *out = (skua_cluster_transport){
        .version = SKUA_CLUSTER_VERSION,
        .start = start,
        .send = send_packet,
        .send_payload = send_payload,
        .receive_payload = receive_payload,
        .poll = poll_all,
        .stop = stop,
        .abort = end_all,
    };
    return 0;
}
