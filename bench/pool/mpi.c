/* A pool by hand on MPI, as programs that hand out jobs from rank 0 have it: a message for each job
   to whoever answered last, a message for each answer. With BENCH_BATCH=n in the environment n jobs
   are one message.

   Under mpirun; the other ranks serve rank 0 until it sends RAW_END. */
#define _GNU_SOURCE
#include "raw.h"
#include "rows.h"

#include <errno.h>

/* No C++ interface: nothing of it is used, and its headers are not without warnings. */
#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

enum { TAG_JOBS = 1, TAG_BYTES = 2 };

typedef struct packet {
    uint32_t kind;
    uint32_t bytes;
} packet;

typedef struct worker {
    packet batch[RAW_WINDOW_MAX];
    int batch_count;
    char *answer;
} worker;

static worker workers[RAW_WORKERS_MAX];
static unsigned worker_count;
size_t raw_window = 1;

static int failed(int error)
{
    return error == MPI_SUCCESS ? 0 : -EIO;
}

/* --- the other ranks --- */

static void serve(void)
{
    static char memory[RAW_BYTES_MAX];
    packet jobs[RAW_WINDOW_MAX];
    for (;;) {
        MPI_Status status;
        int bytes = 0;
        MPI_Recv(jobs, sizeof(jobs), MPI_BYTE, 0, TAG_JOBS, MPI_COMM_WORLD, &status);
        MPI_Get_count(&status, MPI_BYTE, &bytes);
        if (jobs[0].kind == RAW_END) {
            return;
        }
        const int payload = (int)jobs[0].bytes;
        if (payload > 0) {
            MPI_Recv(memory, payload, MPI_BYTE, 0, TAG_BYTES, MPI_COMM_WORLD, &status);
        }
        MPI_Send(jobs, bytes, MPI_BYTE, 0, TAG_JOBS, MPI_COMM_WORLD);
        if (payload > 0) {
            MPI_Send(memory, payload, MPI_BYTE, 0, TAG_BYTES, MPI_COMM_WORLD);
        }
    }
}

/* --- rank 0 --- */

int raw_start(unsigned count)
{
    return count > worker_count ? -ENOENT : 0;
}

void raw_stop(void) {}

int raw_post(unsigned index, raw_kind kind, const void *in, size_t bytes)
{
    worker *one = &workers[index];
    one->batch[one->batch_count++] = (packet){kind, (uint32_t)bytes};
    if (bytes == 0) {
        return 0;
    }
    int error = raw_flush();
    if (error == 0) {
        error =
            failed(MPI_Send(in, (int)bytes, MPI_BYTE, (int)index + 1, TAG_BYTES, MPI_COMM_WORLD));
    }
    return error;
}

int raw_flush(void)
{
    int error = 0;
    for (unsigned i = 0; i < worker_count && error == 0; i++) {
        worker *one = &workers[i];
        if (one->batch_count > 0) {
            error = failed(MPI_Send(one->batch, one->batch_count * (int)sizeof(packet), MPI_BYTE,
                                    (int)i + 1, TAG_JOBS, MPI_COMM_WORLD));
            one->batch_count = 0;
        }
    }
    return error;
}

ssize_t raw_wait(raw_answer answers[], size_t count)
{
    packet packets[RAW_WINDOW_MAX];
    MPI_Status status;
    int bytes = 0;
    (void)count;
    int error = failed(MPI_Recv(packets, sizeof(packets), MPI_BYTE, MPI_ANY_SOURCE, TAG_JOBS,
                                MPI_COMM_WORLD, &status));
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    const int got = bytes / (int)sizeof(packet);
    const unsigned index = (unsigned)status.MPI_SOURCE - 1;
    if (error == 0 && got > 0 && packets[0].bytes > 0) {
        error = failed(MPI_Recv(workers[index].answer, (int)packets[0].bytes, MPI_BYTE,
                                status.MPI_SOURCE, TAG_BYTES, MPI_COMM_WORLD, &status));
    }
    for (int i = 0; i < got; i++) {
        answers[i] = (raw_answer){index, false, workers[index].answer, packets[i].bytes};
    }
    return error == 0 ? got : error;
}

void *raw_buffer(unsigned index)
{
    (void)index;
    return NULL;
}

/* Every rank but this one works, whatever the number of workers is called. */
static int run_cluster(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    bench_job all = *job;
    all.workers = worker_count;
    return raw_run_map(&all, values);
}

static const bench_case cases[] = {
    POOL_CASE_CALL(raw_run_call, raw_enter),
    POOL_CASE_MAP(raw_run_map, raw_enter),
    POOL_CASE_COPIES(raw_run_copies, raw_enter),
    POOL_CASE_CLUSTER(run_cluster, NULL),
};

static int lead(int argc, char **argv)
{
    for (unsigned i = 0; i < worker_count; i++) {
        workers[i].answer = malloc(RAW_BYTES_MAX);
        if (workers[i].answer == NULL) {
            return 1;
        }
    }
    const int status = bench_main(argc, argv, raw_window > 1 ? "OpenMPI-batches" : "OpenMPI", cases,
                                  BENCH_COUNT(cases));
    for (unsigned i = 0; i < worker_count; i++) {
        raw_post(i, RAW_END, NULL, 0);
        free(workers[i].answer);
    }
    return raw_flush() != 0 ? 1 : status;
}

int main(int argc, char **argv)
{
    int rank;
    int size;
    int status = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size < 2 || size > RAW_WORKERS_MAX + 1 || argc < 2) {
        fprintf(stderr, "usage: mpirun -n RANKS %s CASE [WORKERS], with 2 ranks or more\n",
                argv[0]);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    worker_count = (unsigned)size - 1;
    raw_window = (size_t)bench_setting("BENCH_BATCH", 1);
    raw_window = raw_window < RAW_WINDOW_MAX ? raw_window : RAW_WINDOW_MAX;
    if (rank == 0) {
        status = lead(argc, argv);
    } else {
        serve();
    }
    MPI_Finalize();
    return status;
}
