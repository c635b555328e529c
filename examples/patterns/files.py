import asyncio
import pathlib
import shutil
import tempfile


def lines(path):
    with open(path) as file:
        return [line.rstrip("\n") for line in file]


async def main():
    folder = pathlib.Path(await asyncio.to_thread(tempfile.mkdtemp))
    path = folder / "poem"
    await asyncio.to_thread(path.write_text, "roses\nviolets\n")
    text = await asyncio.to_thread(path.read_text)
    print(f"{len(text)} bytes")
    for line in await asyncio.to_thread(lines, path):
        print(line)
    await asyncio.to_thread((folder / "old").mkdir)
    await asyncio.to_thread(shutil.copy2, path, folder / "old" / "copy")
    await asyncio.to_thread(path.rename, folder / "verse")
    found = await asyncio.to_thread(lambda: [p for p in folder.rglob("*") if p.is_file()])
    print(f"{len(found)} files")
    try:
        await asyncio.to_thread(path.read_text)
    except FileNotFoundError:
        print("the poem is gone")
    await asyncio.to_thread(shutil.rmtree, folder)


asyncio.run(main())
