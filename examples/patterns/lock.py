import asyncio


class Counter:
    def __init__(self):
        self.value = 0
        self.lock = asyncio.Lock()

    async def increment(self):
        async with self.lock:
            value = self.value
            await asyncio.sleep(0.01)
            self.value = value + 1


async def main():
    counter = Counter()
    await asyncio.gather(*[counter.increment() for _ in range(100)])
    print(f"the counter is {counter.value}")


asyncio.run(main())
