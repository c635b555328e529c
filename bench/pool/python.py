"""The rows of the process pool with Python's two pools: concurrent.futures.ProcessPoolExecutor and
multiprocessing.Pool, used as their users do.

python.py futures|multiprocessing [CASE [WORKERS]]

Counts are smaller than those of the others: a job takes some ten to hundred microseconds.
"""

import concurrent.futures
import itertools
import json
import multiprocessing
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

MEGABYTE = 1 << 20
CALLERS = 64
IDLE_SECONDS = 0.002

now = time.perf_counter


# Jobs.

def nothing(_=None):
    pass


def copy(data):
    return data


def crash():
    os.kill(os.getpid(), signal.SIGKILL)


# The two pools: start, one job with a future of its own, many of them.

class Futures:
    who = "concurrent.futures"

    def __init__(self, workers):
        self.workers = workers
        self.pool = concurrent.futures.ProcessPoolExecutor(workers)

    def submit(self, function, *args):
        return self.pool.submit(function, *args)

    @staticmethod
    def result(future):
        return future.result()

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunksize=chunk)

    def stop(self):
        self.pool.shutdown()


class Multiprocessing:
    who = "multiprocessing"

    def __init__(self, workers):
        self.workers = workers
        self.pool = multiprocessing.Pool(workers)

    def submit(self, function, *args):
        return self.pool.apply_async(function, args)

    @staticmethod
    def result(future):
        return future.get()

    def map(self, function, items, chunk):
        return self.pool.map(function, items, chunksize=chunk)

    def stop(self):
        self.pool.terminate()
        self.pool.join()


# What is measured.

def ns_each(start, count):
    return (now() - start) / max(count, 1) * 1e9


def rss_bytes():
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def percentile(values, percent):
    values = sorted(values)
    return values[max(len(values) * percent + 99, 100) // 100 - 1]


def asleep(pool, count):
    took_us = []
    for _ in range(count):
        time.sleep(IDLE_SECONDS)
        start = now()
        pool.result(pool.submit(nothing))
        took_us.append((now() - start) * 1e6)
    return [percentile(took_us, 50), percentile(took_us, 99)]


def call(pool, count):
    start = now()
    for _ in range(count):
        pool.result(pool.submit(nothing))
    return [ns_each(start, count) / 1e3]


def call_64(pool, count):
    """As many under way as there are callers elsewhere; the oldest is awaited before the next is submitted."""
    start = now()
    futures = [pool.submit(nothing) for _ in range(min(CALLERS, count))]
    for i in range(count):
        pool.result(futures[i % CALLERS])
        if i + CALLERS < count:
            futures[i % CALLERS] = pool.submit(nothing)
    return [ns_each(start, count) / 1e3]


def submit(pool, count):
    start = now()
    for future in [pool.submit(nothing) for _ in range(count)]:
        pool.result(future)
    return [ns_each(start, count)]


def map_chunks(pool, count):
    """The chunks that multiprocessing.Pool.map() would choose; concurrent.futures would take one item each."""
    chunk = max(count // (4 * pool.workers), 1)
    start = now()
    answers = sum(1 for _ in pool.map(nothing, range(count), chunk))
    assert answers == count
    return [ns_each(start, count)]


def queue_bytes(pool, count):
    """Every worker is busy while jobs are submitted."""
    blockers = [pool.submit(time.sleep, 2) for _ in range(pool.workers)]
    time.sleep(0.2)
    before = rss_bytes()
    start = now()
    futures = [pool.submit(nothing) for _ in range(count)]
    took = ns_each(start, count)
    grown = rss_bytes() - before
    for future in itertools.chain(blockers, futures):
        pool.result(future)
    return [grown / count, took]


def copies(pool, count):
    data = bytes(MEGABYTE)
    start = now()
    for _ in range(count):
        answer = pool.result(pool.submit(copy, data))
    assert answer == data
    return [ns_each(start, count) / 1e3]


def crash_of(start_pool, count):
    """A broken executor has to be made anew: that is part of the next answer."""
    told, following = [], []
    for _ in range(count):
        pool = start_pool()
        time.sleep(IDLE_SECONDS)
        pool.result(pool.submit(nothing))
        start = now()
        try:
            pool.result(pool.submit(crash))
        except concurrent.futures.process.BrokenProcessPool:
            pass
        middle = now()
        pool.stop()
        pool = start_pool()
        pool.result(pool.submit(nothing))
        following.append((now() - middle) * 1e6)
        told.append((middle - start) * 1e6)
        pool.stop()
    return [statistics.median(told), statistics.median(following)]


def start_of(kind, mebibytes):
    """Until four workers have answered, or as many answers came."""
    resident = bytearray(mebibytes << 20)
    resident[::4096] = b"\1" * len(resident[::4096])
    start = now()
    pool = kind(4)
    for future in [pool.submit(nothing) for _ in range(4)]:
        pool.result(future)
    took = now() - start
    pool.stop()
    return [took * 1e3]


def family_cpu_ns(pid):
    """Of a process, its children and theirs."""
    total = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
        for child in (thread / "children").read_text(encoding="ascii").split():
            total += family_cpu_ns(int(child))
    return total


def idle(pool, count):
    pool.result(pool.submit(nothing))
    time.sleep(0.5)
    before = family_cpu_ns(os.getpid())
    time.sleep(count / 1e3)
    return [(family_cpu_ns(os.getpid()) - before) / 1e6]


# name: (run, rows with units, count, with a warm-up)
CASES = {
    "pool-asleep": (asleep, [("pool-asleep-p50", "us"), ("pool-asleep-p99", "us")], 300, False),
    "pool-call": (call, [("pool-call", "us")], 3000, True),
    "pool-call-64": (call_64, [("pool-call-64", "us")], 20000, True),
    "pool-submit": (submit, [("pool-submit", "ns")], 20000, True),
    "pool-map": (map_chunks, [("pool-map", "ns")], 1000000, True),
    "pool-queue": (queue_bytes, [("pool-queue-bytes", "bytes"), ("pool-queue", "ns")], 20000, False),
    "pool-1m-copies": (copies, [("pool-1m-copies", "us")], 200, True),
    "pool-crash": (None, [("pool-crash-told", "us"), ("pool-crash-next", "us")], 10, False),
    "pool-start-4": (None, [("pool-start-4", "ms")], 2048, False),
    "pool-idle": (idle, [("pool-idle", "ms")], 2000, False),
}


def measure(kind, case, workers):
    run, _, count, warm = CASES[case]
    count = max(int(count * float(os.environ.get("BENCH_SCALE") or 1)), 1)
    runs = 1 if case == "pool-queue" else int(os.environ.get("BENCH_RUNS") or 5)
    if case == "pool-crash":
        return [crash_of(lambda: kind(workers), count) for _ in range(runs)]
    if case == "pool-start-4":
        return [start_of(kind, count) for _ in range(runs)]
    pool = kind(workers)
    if warm:
        run(pool, max(count // 10, 1))
    tables = [run(pool, count) for _ in range(runs)]
    pool.stop()
    return tables


def report(kind, case, workers):
    tables = measure(kind, case, workers)
    for (row, unit), values in zip(CASES[case][1], zip(*tables)):
        print(json.dumps({"row": row, "who": kind.who, "workers": workers, "unit": unit,
                          "median": round(statistics.median(values), 3), "min": round(min(values), 3),
                          "max": round(max(values), 3), "runs": len(values)}, separators=(",", ":")), flush=True)


def main():
    kind = {"futures": Futures, "multiprocessing": Multiprocessing}[sys.argv[1]]
    workers = int((sys.argv[3:4] or [os.environ.get("BENCH_WORKERS") or 1])[0])
    if len(sys.argv) > 2:
        if sys.argv[2] not in CASES:
            sys.exit(f"there is no case {sys.argv[2]!r} here")
        if sys.argv[2] == "pool-crash" and kind is Multiprocessing:
            sys.exit("the job that crashes never returns")
        report(kind, sys.argv[2], workers)
        return
    # No case inherits the memory of another.
    for case in CASES:
        if case != "pool-crash" or kind is not Multiprocessing:
            subprocess.run([sys.executable, __file__, sys.argv[1], case, str(workers)], check=True)


if __name__ == "__main__":
    main()
