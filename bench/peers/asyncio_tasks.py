"""The cases with Python's asyncio. Counts are smaller: each operation takes microseconds."""

import asyncio
import json
import math
import os
import statistics
import sys
import threading
import time

now = time.perf_counter


def ns_each(start, count):
    return [(now() - start) / max(count, 1) * 1e9]


async def nothing():
    pass


async def spawn_join(count):
    start = now()
    for _ in range(count):
        await asyncio.create_task(nothing())
    return ns_each(start, count)


async def spawn_all(count):
    start = now()
    tasks = [asyncio.create_task(nothing()) for _ in range(count)]
    for task in tasks:
        await task
    return ns_each(start, count)


async def yield_turns(count):
    tasks = 8

    async def take_turns():
        for _ in range(count // tasks):
            await asyncio.sleep(0)

    start = now()
    await asyncio.gather(*(take_turns() for _ in range(tasks)))
    return ns_each(start, count // tasks * tasks)


async def mutex(count):
    tasks, counter, lock = 100, 0, asyncio.Lock()

    async def take_turns():
        nonlocal counter
        for _ in range(count // tasks):
            async with lock:
                counter += 1
            await asyncio.sleep(0)

    start = now()
    await asyncio.gather(*(take_turns() for _ in range(tasks)))
    result = ns_each(start, count // tasks * tasks)
    assert counter == count // tasks * tasks
    return result


async def ping_pong(count):
    """Queues of capacity one: there is no rendezvous."""
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def echo():
        for _ in range(count):
            await back.put(await there.get())

    task = asyncio.create_task(echo())
    start = now()
    for item in range(count):
        await there.put(item)
        await back.get()
    result = ns_each(start, count)
    await task
    return result


def move_items(tasks):
    async def run(count):
        queue = asyncio.Queue(128)
        each = count // tasks

        async def produce():
            for item in range(each):
                await queue.put(item)

        async def consume():
            for _ in range(each):
                await queue.get()

        start = now()
        await asyncio.gather(*(job() for _ in range(tasks) for job in (consume, produce)))
        return ns_each(start, each * tasks)

    return run


def sleep_seconds(index):
    return (index * 7919 % 1000 + 1) / 1000


def percentile(values, percent):
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


async def sleep_late(count):
    async def one(seconds):
        deadline = now() + seconds
        await asyncio.sleep(seconds)
        return (now() - deadline) * 1e6

    tasks = [asyncio.create_task(one(sleep_seconds(i))) for i in range(count)]
    return [percentile([await task for task in tasks], 99)]


def shoot(loop, count, late_us):
    """Runs in a thread of its own, while the loop has nothing to do."""

    def arrive(sent, arrived):
        late_us.append((now() - sent) * 1e6)
        arrived.set()

    for _ in range(count):
        arrived = threading.Event()
        loop.call_soon_threadsafe(arrive, now(), arrived)
        time.sleep(0.002)
        arrived.wait()


async def foreign_wake(count):
    late_us = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def thread_main():
        shoot(loop, count, late_us)
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=thread_main)
    thread.start()
    await done.wait()
    thread.join()
    return [percentile(late_us, 50), percentile(late_us, 99)]


def rss_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def parked(count):
    gate, all_here = asyncio.Event(), asyncio.Event()
    here = 0

    async def park():
        nonlocal here
        here += 1
        if here == count:
            all_here.set()
        await gate.wait()

    before, start = rss_bytes(), now()
    tasks = [asyncio.create_task(park()) for _ in range(count)]
    await all_here.wait()
    ns = ns_each(start, count)
    each = (rss_bytes() - before) / count
    gate.set()
    for task in tasks:
        await task
    return [each, *ns]


ONE_NS = None

# A million sleeps take half a minute here, so this row is left out, and unbuffered channels do not exist.
# name, rows and units (ONE_NS: one row in ns, called as the case), count, warm-up, runs at most, work
CASES = [
    ("spawn-join", ONE_NS, 50_000, True, None, spawn_join),
    ("spawn-1m", ONE_NS, 100_000, True, None, spawn_all),
    ("yield", ONE_NS, 200_000, True, None, yield_turns),
    ("mutex", ONE_NS, 100_000, True, None, mutex),
    ("chan-pingpong", ONE_NS, 50_000, True, None, ping_pong),
    ("chan-1p1c-128", ONE_NS, 200_000, True, None, move_items(1)),
    ("chan-4p4c-128", ONE_NS, 200_000, True, None, move_items(4)),
    ("sleep-20k-p99", [("sleep-20k-p99", "us")], 20_000, False, None, sleep_late),
    ("foreign-wake", [("foreign-wake-p50", "us"), ("foreign-wake-p99", "us")], 500, False, None, foreign_wake),
    ("parked-1m", [("parked-1m-bytes", "bytes"), ("parked-1m-ns", "ns")], 200_000, False, 1, parked),
]


def setting(name, otherwise):
    try:
        value = float(os.environ[name])
    except (KeyError, ValueError):
        return otherwise
    return value if value > 0 else otherwise


def measure(name, rows, count, warm, runs_most, work):
    count = max(int(count * setting("BENCH_SCALE", 1)), 8)
    runs = runs_most or int(setting("BENCH_RUNS", 5))
    if warm:
        asyncio.run(work(max(count // 10, 8)))
    table = [asyncio.run(work(count)) for _ in range(runs)]
    for (row, unit), values in zip(rows or [(name, "ns")], zip(*table)):
        record = {"row": row, "who": "asyncio", "workers": 1, "unit": unit,
                  "median": round(statistics.median(values), 3), "min": round(min(values), 3),
                  "max": round(max(values), 3), "runs": runs}
        print(json.dumps(record, separators=(",", ":")), flush=True)


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else None
    chosen = [case for case in CASES if only in (None, case[0])]
    for case in chosen:
        measure(*case)
    if not chosen:
        sys.exit(f"asyncio: there is no case {only!r} here")


if __name__ == "__main__":
    main()
