import asyncio


async def save():
    await asyncio.sleep(2)
    print("saved")
    return 7


async def impatient(task):
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        print("cancelled, but the saving goes on")
        raise


async def main():
    saving = asyncio.create_task(save())
    waiting = asyncio.create_task(impatient(saving))
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    print(f"result: {await saving}")


asyncio.run(main())
