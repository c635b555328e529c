import asyncio
import time
from concurrent.futures import ThreadPoolExecutor


def blocking(number):
    time.sleep(0.02)
    return number * 2


async def main():
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=3) as executor:
        calls = [loop.run_in_executor(executor, blocking, number) for number in range(5)]
        print(await asyncio.gather(*calls))


asyncio.run(main())
