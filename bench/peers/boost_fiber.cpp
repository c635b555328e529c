// Boost.Fiber with its round-robin scheduler on one thread.
#include "bench.h"

#include <boost/fiber/all.hpp>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

namespace fibers = boost::fibers;

enum : size_t { STACK_BYTES = 64 * 1024, SLAB_BYTES = 64 * 1024 * 1024 };

// Stacks out of large mappings, used again in LIFO order: a million stacks of the library's own
// allocators would each be a mapping, and there may be only 65530 of those.
class stack_pool
{
  public:
    boost::context::stack_context allocate()
    {
        if (free_.empty()) {
            grow();
        }
        boost::context::stack_context stack;
        stack.size = STACK_BYTES;
        stack.sp = free_.back() + STACK_BYTES;
        free_.pop_back();
        return stack;
    }

    void deallocate(boost::context::stack_context &stack) noexcept
    {
        free_.push_back(static_cast<char *>(stack.sp) - STACK_BYTES);
    }

  private:
    void grow()
    {
        void *slab = mmap(nullptr, SLAB_BYTES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (slab == MAP_FAILED) {
            throw std::bad_alloc();
        }
        madvise(slab, SLAB_BYTES, MADV_NOHUGEPAGE);
        for (size_t at = SLAB_BYTES; at > 0; at -= STACK_BYTES) {
            free_.push_back(static_cast<char *>(slab) + at - STACK_BYTES);
        }
    }

    std::vector<char *> free_;
};

static stack_pool pool;

struct pooled_stack {
    boost::context::stack_context allocate()
    {
        return pool.allocate();
    }
    void deallocate(boost::context::stack_context &stack) noexcept
    {
        pool.deallocate(stack);
    }
};

template <typename Fn> static fibers::fiber spawn(Fn &&fn)
{
    return fibers::fiber(fibers::launch::post, std::allocator_arg, pooled_stack(),
                         std::forward<Fn>(fn));
}

static void join_all(std::vector<fibers::fiber> &tasks)
{
    for (auto &task : tasks) {
        task.join();
    }
}

static int run_spawn_join(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count; i++) {
        spawn([] {}).join();
    }
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static int run_spawn_all(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::vector<fibers::fiber> tasks;
    tasks.reserve(job->count);
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count; i++) {
        tasks.push_back(spawn([] {}));
    }
    join_all(tasks);
    values[0] = bench_ns_each(start, job->count);
    return 0;
}

static int run_yield(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    enum { TASKS = 8 };
    const size_t each = job->count / TASKS;
    std::vector<fibers::fiber> tasks;
    const double start = bench_now_ns();
    for (size_t i = 0; i < TASKS; i++) {
        tasks.push_back(spawn([each] {
            for (size_t turn = 0; turn < each; turn++) {
                boost::this_fiber::yield();
            }
        }));
    }
    join_all(tasks);
    values[0] = bench_ns_each(start, each * TASKS);
    return 0;
}

static int run_mutex(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    enum { TASKS = 100 };
    const size_t each = job->count / TASKS;
    size_t counter = 0;
    fibers::mutex lock;
    std::vector<fibers::fiber> tasks;
    const double start = bench_now_ns();
    for (size_t i = 0; i < TASKS; i++) {
        tasks.push_back(spawn([each, &counter, &lock] {
            for (size_t turn = 0; turn < each; turn++) {
                lock.lock();
                counter++;
                lock.unlock();
                boost::this_fiber::yield();
            }
        }));
    }
    join_all(tasks);
    values[0] = bench_ns_each(start, each * TASKS);
    return counter == each * TASKS ? 0 : -1;
}

typedef fibers::unbuffered_channel<uint64_t> rendezvous;
typedef fibers::buffered_channel<uint64_t> buffer;

static int run_ping_pong(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    rendezvous there, back;
    auto echo = spawn([&] {
        uint64_t item;
        while (there.pop(item) == fibers::channel_op_status::success) {
            back.push(item);
        }
    });
    const double start = bench_now_ns();
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t item = i;
        there.push(item);
        back.pop(item);
    }
    values[0] = bench_ns_each(start, job->count);
    there.close();
    echo.join();
    return 0;
}

template <typename Channel>
static double move_items(Channel &channel, size_t producers, size_t consumers, size_t count)
{
    std::vector<fibers::fiber> makers, takers;
    const size_t each = count / producers;
    const double start = bench_now_ns();
    for (size_t i = 0; i < consumers; i++) {
        takers.push_back(spawn([&channel] {
            uint64_t item;
            while (channel.pop(item) == fibers::channel_op_status::success) {}
        }));
    }
    for (size_t i = 0; i < producers; i++) {
        makers.push_back(spawn([&channel, each] {
            for (uint64_t item = 0; item < each; item++) {
                channel.push(item);
            }
        }));
    }
    join_all(makers);
    channel.close();
    join_all(takers);
    return bench_ns_each(start, each * producers);
}

template <size_t Tasks>
static int run_unbuffered(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    rendezvous channel;
    values[0] = move_items(channel, Tasks, Tasks, job->count);
    return 0;
}

// This channel's capacity has to be a power of two.
template <size_t Tasks> static int run_buffered(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    buffer channel(128);
    values[0] = move_items(channel, Tasks, Tasks, job->count);
    return 0;
}

static int run_sleep_late(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::vector<fibers::fiber> tasks;
    std::vector<double> late_us(job->count);
    for (size_t i = 0; i < job->count; i++) {
        tasks.push_back(spawn([&late_us, i] {
            const unsigned ms = bench_sleep_ms(i);
            const double deadline_ns = bench_now_ns() + ms * 1e6;
            boost::this_fiber::sleep_for(std::chrono::milliseconds(ms));
            late_us[i] = (bench_now_ns() - deadline_ns) / 1e3;
        }));
    }
    join_all(tasks);
    values[0] = bench_percentile_of(late_us.data(), job->count, 99);
    return 0;
}

static int run_parked(const bench_job *job, double values[BENCH_ROWS_MAX])
{
    std::vector<fibers::fiber> tasks(job->count);
    fibers::promise<void> gate, all_here;
    const auto opened = gate.get_future().share();
    size_t here = 0;
    const double rss_before = bench_rss_bytes();
    const double start = bench_now_ns();
    for (size_t i = 0; i < job->count; i++) {
        tasks[i] = spawn([&] {
            if (++here == job->count) {
                all_here.set_value();
            }
            opened.wait();
        });
    }
    all_here.get_future().wait();
    values[1] = bench_ns_each(start, job->count);
    values[0] = (bench_rss_bytes() - rss_before) / (double)job->count;
    gate.set_value();
    join_all(tasks);
    return 0;
}

// A fiber touches two pages of its stack: 200 k of them say as much as a million and fit into any machine.
// A million sleeping fibers, which would need 8 GB, are left out.
static const bench_case cases[] = {
    {.name = "spawn-join", .count = 1000000, .run = run_spawn_join},
    {.name = "spawn-1m", .count = 200000, .run = run_spawn_all},
    {.name = "yield", .count = 2000000, .run = run_yield},
    {.name = "mutex", .count = 1000000, .run = run_mutex},
    {.name = "chan-pingpong", .count = 500000, .run = run_ping_pong},
    {.name = "chan-1p1c-0", .count = 1000000, .run = run_unbuffered<1>},
    {.name = "chan-1p1c-128", .count = 2000000, .run = run_buffered<1>},
    {.name = "chan-4p4c-0", .count = 1000000, .run = run_unbuffered<4>},
    {.name = "chan-4p4c-128", .count = 2000000, .run = run_buffered<4>},
    {.name = "sleep-20k-p99", .units = {"us"}, .count = 20000, .cold = true, .run = run_sleep_late},
    {.name = "parked-1m",
     .rows = {"parked-1m-bytes", "parked-1m-ns"},
     .units = {"bytes", "ns"},
     .count = 200000,
     .once = true,
     .run = run_parked},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "Boost.Fiber", cases, BENCH_COUNT(cases));
}
