import asyncio


async def operation():
    try:
        await asyncio.sleep(60)
    finally:
        print("the operation has ended")


async def with_limit(seconds):
    task = asyncio.create_task(operation())
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(task)
    except TimeoutError:
        print(f"too slow after {seconds} s, running: {not task.done()}")
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print("and it is over")
        raise


async def main():
    try:
        await with_limit(2)
    except TimeoutError:
        print("main: timeout")


asyncio.run(main())
