import asyncio


async def main():
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.call_later(3, lambda: print("three"))
    loop.call_later(1, lambda: print("one"))
    never = loop.call_later(2, lambda: print("two"))
    loop.call_soon(lambda: print("soon"))
    loop.call_later(4, done.set)
    never.cancel()
    await done.wait()
    print("all called")


asyncio.run(main())
