import asyncio


async def double(number):
    await asyncio.sleep(4 - number)
    print(f"doubled {number}")
    return number * 2


async def main():
    print(await asyncio.gather(double(1), double(2), double(3)))


asyncio.run(main())
