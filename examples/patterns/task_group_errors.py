import asyncio


class HttpError(Exception):
    pass


async def fetch(url, error):
    try:
        await asyncio.sleep(1)
        if error is not None:
            raise error
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        print(f"{url} is cancelled")
        raise


async def main():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch("one", HttpError("404")))
            group.create_task(fetch("two", HttpError("500")))
            group.create_task(fetch("three", TimeoutError("too late")))
            group.create_task(fetch("four", None))
    except* HttpError as errors:
        print("http:", *sorted(str(error) for error in errors.exceptions))
    except* TimeoutError as errors:
        print("timeout:", *[str(error) for error in errors.exceptions])


asyncio.run(main())
