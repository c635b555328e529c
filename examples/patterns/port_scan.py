import asyncio
import socket

limit = asyncio.Semaphore(2)


async def is_open(port):
    async with limit:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


def bound():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


async def main():
    sockets = [bound() for _ in range(5)]
    for sock in sockets[::2]:
        sock.listen()
    found = await asyncio.gather(*[is_open(sock.getsockname()[1]) for sock in sockets])
    for number, there in enumerate(found):
        print(f"port {number} is {'open' if there else 'closed'}")
    for sock in sockets:
        sock.close()


asyncio.run(main())
