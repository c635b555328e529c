import asyncio


async def failing(number):
    await asyncio.sleep(1)
    raise ValueError(f"task {number} failed")


async def main():
    try:
        await failing(1)
    except ValueError as error:
        print(f"caught: {error}")
    for result in await asyncio.gather(failing(2), failing(3), return_exceptions=True):
        if isinstance(result, Exception):
            print(f"collected: {result}")


asyncio.run(main())
