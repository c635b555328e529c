import asyncio


async def consumer(queue, taken):
    while True:
        item = await queue.get()
        await asyncio.sleep(0.3)
        taken.append(item)
        queue.task_done()


async def main():
    queue = asyncio.Queue(maxsize=10)
    taken = []
    consumers = [asyncio.create_task(consumer(queue, taken)) for _ in range(3)]
    for number in range(20):
        await asyncio.sleep(0.1)
        await queue.put(number)
    await queue.join()
    for task in consumers:
        task.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)
    print(f"taken: {len(taken)}, sum: {sum(taken)}")
    print(f"cancelled: {sum(task.cancelled() for task in consumers)}")


asyncio.run(main())
