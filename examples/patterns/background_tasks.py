import asyncio


async def background(name):
    while True:
        print(f"{name} runs")
        await asyncio.sleep(1)


async def main():
    first = asyncio.create_task(background("first"))
    await asyncio.sleep(0.5)
    second = asyncio.create_task(background("second"))
    await asyncio.sleep(1.75)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    print(f"cancelled: {first.cancelled()} {second.cancelled()}")


asyncio.run(main())
