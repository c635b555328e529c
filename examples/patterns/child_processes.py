import asyncio
from asyncio.subprocess import PIPE


async def main():
    process = await asyncio.create_subprocess_exec("sort", stdin=PIPE, stdout=PIPE)
    output, _ = await process.communicate(b"pear\napple\n")
    print(output.decode(), end="")
    print(f"ended with {process.returncode}")

    process = await asyncio.create_subprocess_shell("exit 3")
    print(f"ended with {await process.wait()}")

    process = await asyncio.create_subprocess_exec("sleep", "1000")
    process.terminate()
    print(f"ended by signal {-await process.wait()}")

    try:
        await asyncio.create_subprocess_exec("/nowhere/at/all")
    except FileNotFoundError:
        print("no such program")


asyncio.run(main())
