import asyncio
import time


def legacy():
    time.sleep(0.02)
    return "result"


async def main():
    print(await asyncio.to_thread(legacy))


asyncio.run(main())
