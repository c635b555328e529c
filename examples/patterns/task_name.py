import asyncio


async def background():
    print("background starts")
    await asyncio.sleep(2)
    print("background ends")


async def main():
    task = asyncio.create_task(background(), name="background-worker")
    print(f"name: {task.get_name()}")
    print(f"done: {task.done()}")
    await task
    print(f"done: {task.done()}")


asyncio.run(main())
