import asyncio


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(port, word):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(word.encode())
    answer = await reader.readexactly(len(word))
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for answer in await asyncio.gather(*[ask(port, word) for word in ("one", "two", "three")]):
        print(answer)
    server.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # those who are connected
    print("closed")


asyncio.run(main())
