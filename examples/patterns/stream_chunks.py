import asyncio


async def source():
    for chunk in ("alpha beta", "gamma", "delta epsilon zeta"):
        await asyncio.sleep(0.1)
        yield chunk


async def words(chunks):
    async for chunk in chunks:
        for word in chunk.split():
            yield word


async def longer_than(limit, items):
    async for item in items:
        if len(item) > limit:
            yield item


async def main():
    async for word in longer_than(4, words(source())):
        print(word)


asyncio.run(main())
