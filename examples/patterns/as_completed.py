import asyncio


async def work(name, seconds):
    await asyncio.sleep(seconds)
    return name


async def main():
    tasks = [work("slow", 3), work("quick", 1), work("middling", 2)]
    for earliest in asyncio.as_completed(tasks):
        print(await earliest)


asyncio.run(main())
