import asyncio


async def worker():
    try:
        while True:
            print("working")
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        print("the worker is cancelled")
        raise


async def main():
    task = asyncio.create_task(worker())
    await asyncio.sleep(2.5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print(f"confirmed, cancelled: {task.cancelled()}")


asyncio.run(main())
