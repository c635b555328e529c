import asyncio


async def fetch(url):
    await asyncio.sleep(10 if url == "slow" else 1)
    if url == "broken":
        raise ValueError("no such host")
    return f"data from {url}"


async def safe_fetch(url):
    try:
        async with asyncio.timeout(5.0):
            return await fetch(url)
    except TimeoutError:
        return "error: timeout"
    except ValueError as error:
        return f"error: {error}"


async def main():
    for answer in await asyncio.gather(*[safe_fetch(url) for url in ("fine", "slow", "broken")]):
        print(answer)


asyncio.run(main())
