import asyncio


async def retry(fn, attempts, base, cap):
    for attempt in range(attempts):
        try:
            return await fn()
        except ConnectionError as error:
            if attempt == attempts - 1:
                raise
            delay = min(base * 2**attempt, cap)
            print(f"attempt {attempt + 1} failed: {error}, again in {delay:.1f} s")
            await asyncio.sleep(delay)


calls = 0


async def flaky():
    global calls
    calls += 1
    if calls < 5:
        raise ConnectionError(f"no answer {calls}")
    return "answer"


async def main():
    loop = asyncio.get_running_loop()
    started = loop.time()
    print(await retry(flaky, attempts=6, base=1.0, cap=3.0))
    print(f"after {loop.time() - started:.1f} s")


asyncio.run(main())
