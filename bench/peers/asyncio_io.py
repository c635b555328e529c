"""Servers on asyncio: streams, a task for each connection. fd 3 is the socket; see bench/io.

    asyncio_io echo|udp|proxy WORKERS UPSTREAM_PORT
"""

import asyncio
import resource
import socket
import sys

SOCKET = 3
MESSAGE_BYTES = 1024
PROXY_BYTES = 64 * 1024


async def move(reader, writer, most):
    while data := await reader.read(most):
        writer.write(data)
        await writer.drain()


async def echo(reader, writer):
    try:
        await move(reader, writer, MESSAGE_BYTES)
    except ConnectionError:
        pass
    writer.close()


async def proxy(reader, writer):
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[3]))
    await asyncio.gather(move(reader, far_writer, PROXY_BYTES), move(far_reader, writer, PROXY_BYTES))


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def serve(handle):
    listener = socket.socket(fileno=SOCKET)
    server = await asyncio.start_server(handle, sock=listener, backlog=4096)
    await server.serve_forever()


async def serve_datagrams():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Datagrams, sock=socket.socket(fileno=SOCKET))
    await asyncio.Event().wait()


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    mode = sys.argv[1]
    asyncio.run(serve_datagrams() if mode == "udp" else serve(proxy if mode == "proxy" else echo))


if __name__ == "__main__":
    main()
