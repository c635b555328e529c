import asyncio


async def process(item, seconds):
    await asyncio.sleep(seconds)
    print(f"{item} is ready")
    return f"processed {item}"


async def main():
    tasks = [
        asyncio.create_task(process(item, seconds))
        for item, seconds in [("A", 2.0), ("B", 1.0), ("C", 1.5)]
    ]
    print("tasks started")
    for task in tasks:
        print(await task)


asyncio.run(main())
