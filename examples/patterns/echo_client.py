import asyncio


async def shout(reader, writer):
    text = await reader.read()
    writer.write(text.upper())
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"first, ")
    writer.write(b"second")
    await writer.drain()
    writer.write_eof()
    text = await reader.read()
    print(text.decode())
    writer.close()
    await writer.wait_closed()
    server.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # those who are connected
    try:
        await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        print("nobody is there any more")


asyncio.run(main())
