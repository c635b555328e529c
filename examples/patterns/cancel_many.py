import asyncio


async def worker(number):
    if number == 0:
        return 42
    if number == 1:
        raise ValueError("broken")
    await asyncio.sleep(100)


async def main():
    tasks = [asyncio.create_task(worker(number)) for number in range(6)]
    await asyncio.sleep(5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for number, task in enumerate(tasks):
        if task.cancelled():
            print(f"task {number} was cancelled")
        elif task.exception():
            print(f"task {number} failed: {task.exception()}")
        else:
            print(f"task {number} returned {task.result()}")


asyncio.run(main())
