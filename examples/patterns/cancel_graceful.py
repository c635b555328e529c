import asyncio


async def clean_up():
    await asyncio.sleep(0.5)
    print("the clean-up took its time")


async def worker():
    try:
        while True:
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        print("asked to end")
        await clean_up()
        raise


async def main():
    task = asyncio.create_task(worker())
    await asyncio.sleep(5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("ended")


asyncio.run(main())
