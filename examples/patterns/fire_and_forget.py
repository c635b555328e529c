import asyncio


async def work(number):
    await asyncio.sleep(number)
    print(f"{number} is done")


async def main():
    background = set()
    for number in (1, 2, 3):
        task = asyncio.create_task(work(number))
        background.add(task)  # or it might be collected in the middle
        task.add_done_callback(background.discard)
    while background:
        await asyncio.wait(background)
    print("all done")


asyncio.run(main())
