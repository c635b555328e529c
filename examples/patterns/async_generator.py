import asyncio
from contextlib import aclosing


async def numbers(count):
    try:
        for number in range(count):
            await asyncio.sleep(0.1)
            yield number
    finally:
        print("the generator cleans up")


async def main():
    async for number in numbers(3):
        print(number)
    async with aclosing(numbers(1000)) as endless:
        async for number in endless:
            print(number)
            if number == 1:
                break


asyncio.run(main())
