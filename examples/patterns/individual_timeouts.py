import asyncio


async def fetch(seconds):
    await asyncio.sleep(seconds)
    return f"fetched in {seconds} s"


async def fetch_or_none(seconds):
    try:
        async with asyncio.timeout(5):
            return await fetch(seconds)
    except TimeoutError:
        return None


async def main():
    for result in await asyncio.gather(*[fetch_or_none(seconds) for seconds in (1, 9, 2, 7, 3)]):
        print(result)


asyncio.run(main())
