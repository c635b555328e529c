import asyncio


async def request(number):
    try:
        await asyncio.sleep(number)
        print(f"request {number} is answered")
    except asyncio.CancelledError:
        print(f"request {number} is cut off")
        raise


async def main():
    requests = [asyncio.create_task(request(number)) for number in (1, 2, 10)]
    await asyncio.sleep(0.5)
    print("draining")
    _, late = await asyncio.wait(requests, timeout=5)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    print("down")


asyncio.run(main())
