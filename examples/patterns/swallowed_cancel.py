import asyncio


async def stubborn():
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        print("swallowed")
    return 42


async def main():
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(1)
    task.cancel()
    print(f"result: {await task}, cancelled: {task.cancelled()}")


asyncio.run(main())
