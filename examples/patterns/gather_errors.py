import asyncio


async def work(number):
    await asyncio.sleep(number)
    if number == 2:
        raise ValueError(f"number {number} failed")
    print(f"number {number} is through")
    return number


async def main():
    # The first failure is the result; the others go on.
    tasks = [asyncio.create_task(work(number)) for number in (1, 2, 3)]
    try:
        await asyncio.gather(*tasks)
    except ValueError as error:
        print(f"caught: {error}")
    await tasks[2]

    # All results and failures side by side.
    for result in await asyncio.gather(work(1), work(2), work(3), return_exceptions=True):
        print(f"failed: {result}" if isinstance(result, Exception) else f"result: {result}")


asyncio.run(main())
