import asyncio


async def fetch(url):
    await asyncio.sleep(1)
    return f"data from {url}"


async def main():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(url)) for url in ("url1", "url2", "url3")]
    for task in tasks:
        print(task.result())


asyncio.run(main())
