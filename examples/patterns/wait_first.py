import asyncio


async def work(seconds):
    await asyncio.sleep(seconds)
    return seconds


async def main():
    tasks = [asyncio.create_task(work(seconds)) for seconds in (1, 2, 3)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    print(f"done: {len(done)}, pending: {len(pending)}")

    done, pending = await asyncio.wait(tasks, timeout=1.5)
    print(f"done: {len(done)}, pending: {len(pending)}")

    for task in pending:
        task.cancel()
    await asyncio.wait(tasks)
    print(f"cancelled: {sum(task.cancelled() for task in tasks)}")


asyncio.run(main())
