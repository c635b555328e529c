import asyncio


async def main():
    loop = asyncio.get_running_loop()
    started = loop.time()

    # The inner one fires, the outer one goes on.
    async with asyncio.timeout(5.0):
        try:
            async with asyncio.timeout(1.0):
                await asyncio.sleep(10)
        except TimeoutError:
            print(f"inner: {loop.time() - started:.1f} s")
        await asyncio.sleep(1)
    print(f"outer: {loop.time() - started:.1f} s")

    # A deadline that is moved.
    async with asyncio.timeout(1.0) as timeout:
        timeout.reschedule(loop.time() + 3.0)
        await asyncio.sleep(2)
    print(f"moved: {loop.time() - started:.1f} s, expired: {timeout.expired()}")

    # Another failure passes through.
    try:
        async with asyncio.timeout(1.0):
            raise ValueError("not the clock")
    except ValueError as error:
        print(f"passed: {error}")


asyncio.run(main())
