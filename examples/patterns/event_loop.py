import asyncio


async def first():
    print("task 1")


async def second():
    print("task 2")


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.call_soon(lambda: print("callback"))
loop.call_later(60, lambda: print("too late"))
loop.run_until_complete(first())


async def both():
    await first()
    await second()


loop.run_until_complete(both())
loop.close()
