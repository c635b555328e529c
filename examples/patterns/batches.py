import asyncio


async def process(number):
    await asyncio.sleep(1)
    return number * number


async def main():
    loop = asyncio.get_running_loop()
    started = loop.time()
    numbers = list(range(10))
    results = []
    for first in range(0, len(numbers), 4):
        batch = numbers[first : first + 4]
        results.extend(await asyncio.gather(*[process(number) for number in batch]))
        if first + 4 < len(numbers):
            await asyncio.sleep(0.1)
    print(*results)
    print(f"{loop.time() - started:.1f} s")


asyncio.run(main())
