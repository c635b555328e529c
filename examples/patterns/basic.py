import asyncio


async def fetch(url):
    print(f"fetching {url}")
    await asyncio.sleep(1)
    return f"data from {url}"


async def main():
    print(await fetch("https://api.example.com"))


asyncio.run(main())
