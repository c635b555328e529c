import asyncio
from contextvars import ContextVar

request = ContextVar("request", default="none")


async def child():
    print(f"the child starts with {request.get()}")
    request.set("the child's")
    await asyncio.sleep(1)
    print(f"the child ends with {request.get()}")


async def main():
    request.set("first")
    task = asyncio.create_task(child())
    request.set("second")
    await task
    print(f"main has {request.get()}")


asyncio.run(main())
