import asyncio

DATA = {"greeting": b"hello\nworld", "nothing": b""}


async def serve(reader, writer):
    """Each line asks for a name; the answer is a length, a line end, and so many bytes."""
    async for line in reader:
        data = DATA.get(line.decode().strip())
        if data is None:
            writer.write(b"unknown;")
        else:
            writer.write(b"%d;" % len(data) + data)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for name in ("greeting", "nothing", "missing"):
        writer.write(f"{name}\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b";"))[:-1].decode()
        if head == "unknown":
            print(f"{name}: unknown")
        else:
            data = await reader.readexactly(int(head))
            print(f"{name}: {len(data)} bytes")
    writer.write_eof()
    print(f"at the end: {await reader.read() == b''}")
    writer.close()
    server.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # those who are connected


asyncio.run(main())
