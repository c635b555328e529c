import asyncio


async def main():
    condition = asyncio.Condition()
    stock = []

    async def taker(name):
        async with condition:
            while not stock:
                await condition.wait()
            print(f"{name} takes {stock.pop(0)}")

    takers = [asyncio.create_task(taker(name)) for name in ("first", "second")]
    for item in ("bread", "cheese"):
        await asyncio.sleep(1)
        async with condition:
            stock.append(item)
            condition.notify()
    await asyncio.gather(*takers)


asyncio.run(main())
