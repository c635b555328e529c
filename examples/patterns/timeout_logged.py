import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def logged_timeout(seconds):
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        print(f"log: no result within {seconds} seconds")
        raise


async def fetch(seconds):
    async with logged_timeout(5):
        await asyncio.sleep(seconds)
        return f"fetched in {seconds} seconds"


async def main():
    print(await fetch(3))
    try:
        await fetch(8)
    except TimeoutError:
        print("main hears of it too")


asyncio.run(main())
