import asyncio


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data[::-1], address)


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, address):
        self.answers.put_nowait(data)


async def main():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    transport, client = await loop.create_datagram_endpoint(Client, remote_addr=address)
    for word in (b"stressed", b"pots", b"drawer"):
        transport.sendto(word)
        answer = await client.answers.get()
        print(f"{len(answer)} bytes: {answer.decode()}")
    transport.close()
    server.close()


asyncio.run(main())
