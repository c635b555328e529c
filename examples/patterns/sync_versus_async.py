import asyncio


async def fetch(url):
    await asyncio.sleep(1)
    return url


async def main():
    loop = asyncio.get_running_loop()
    urls = ["one", "two", "three"]

    started = loop.time()
    for url in urls:
        await fetch(url)
    print(f"one after the other: {loop.time() - started:.1f} s")

    started = loop.time()
    await asyncio.gather(*[fetch(url) for url in urls])
    print(f"all at once: {loop.time() - started:.1f} s")


asyncio.run(main())
