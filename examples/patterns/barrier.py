import asyncio


async def runner(barrier, name, seconds):
    await asyncio.sleep(seconds)
    print(f"{name} is at the barrier")
    await barrier.wait()


async def main():
    loop = asyncio.get_running_loop()
    started = loop.time()
    barrier = asyncio.Barrier(3)
    await asyncio.gather(*[runner(barrier, name, at) for name, at in (("a", 1), ("b", 3), ("c", 2))])
    print(f"through after {loop.time() - started:.0f} s")


asyncio.run(main())
