import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def connection(url):
    print(f"connecting to {url}")
    await asyncio.sleep(0.1)
    try:
        yield f"connection to {url}"
    except ValueError as error:
        print(f"it failed: {error}")
        raise
    finally:
        await asyncio.sleep(0.1)
        print(f"closing {url}")


async def main():
    async with connection("localhost") as conn:
        print(f"using the {conn}")
    try:
        async with connection("remote"):
            raise ValueError("lost")
    except ValueError:
        print("and main knows")


asyncio.run(main())
