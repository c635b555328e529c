import asyncio


async def fetch(number, semaphore):
    async with semaphore:
        print(f"fetching {number}")
        await asyncio.sleep(1)
        return number


async def main():
    started = asyncio.get_running_loop().time()
    semaphore = asyncio.Semaphore(3)
    results = await asyncio.gather(*[fetch(number, semaphore) for number in range(10)])
    took = asyncio.get_running_loop().time() - started
    print(f"fetched {len(results)} in {took:.0f} s")


asyncio.run(main())
