import asyncio


async def waiter(event, name):
    await event.wait()
    print(f"{name} goes")


async def main():
    event = asyncio.Event()
    waiters = [asyncio.create_task(waiter(event, name)) for name in ("one", "two", "three")]
    await asyncio.sleep(1)
    print("ready")
    event.set()
    await asyncio.gather(*waiters)


asyncio.run(main())
