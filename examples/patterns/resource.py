import asyncio


class Resource:
    async def __aenter__(self):
        print("acquiring")
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, kind, error, trace):
        await asyncio.sleep(0.1)
        print("released" if error is None else f"released after: {error}")
        return isinstance(error, LookupError)  # swallowed, all others go on

    async def query(self):
        return "rows"


async def main():
    async with Resource() as resource:
        print(await resource.query())
    async with Resource():
        raise LookupError("no such row")
    try:
        async with Resource():
            raise ValueError("bad row")
    except ValueError as error:
        print(f"caught: {error}")


asyncio.run(main())
