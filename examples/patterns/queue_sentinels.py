import asyncio


async def producer(queue, count):
    for number in range(count):
        await asyncio.sleep(0.1)
        await queue.put(number)
        print(f"produced {number}")
    await queue.put(None)


async def consumer(queue, name):
    while True:
        item = await queue.get()
        if item is None:
            queue.task_done()
            break
        await asyncio.sleep(0.27)
        print(f"consumer {name} processed {item}")
        queue.task_done()


async def main():
    queue = asyncio.Queue(maxsize=5)
    makes = asyncio.create_task(producer(queue, 10))
    takes = [asyncio.create_task(consumer(queue, name)) for name in "AB"]
    await makes
    await queue.join()
    await queue.put(None)
    await queue.put(None)
    for task in takes:
        await task
    print(f"left behind: {queue.qsize()}")


asyncio.run(main())
