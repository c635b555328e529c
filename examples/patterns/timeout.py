import asyncio


async def slow():
    try:
        await asyncio.sleep(5)
        return "completed"
    finally:
        print("slow cleans up")


async def main():
    try:
        print(await asyncio.wait_for(slow(), timeout=2.0))
    except asyncio.TimeoutError:
        print("timed out")
    print(await asyncio.wait_for(slow(), timeout=10.0))


asyncio.run(main())
