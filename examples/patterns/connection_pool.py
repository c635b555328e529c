import asyncio
import contextlib

opened = 0


class Pool:
    """Connections to one address: never more than `limit`, used again and again."""

    def __init__(self, address, limit):
        self.address = address
        self.idle = []
        self.room = asyncio.Semaphore(limit)

    @contextlib.asynccontextmanager
    async def acquire(self):
        async with self.room:
            connection = self.idle.pop() if self.idle else await asyncio.open_connection(*self.address)
            yield connection
            self.idle.append(connection)

    def close(self):
        for _, writer in self.idle:
            writer.close()


async def square(reader, writer):
    global opened
    opened += 1
    async for line in reader:
        writer.write(b"%d\n" % (int(line) ** 2))
    writer.close()


async def query(pool, number):
    async with pool.acquire() as (reader, writer):
        writer.write(b"%d\n" % number)
        return int(await reader.readline())


async def main():
    server = await asyncio.start_server(square, "127.0.0.1", 0)
    pool = Pool(server.sockets[0].getsockname(), limit=2)
    print(await asyncio.gather(*[query(pool, number) for number in range(6)]))
    print(f"at most two connections: {opened <= 2}")
    pool.close()
    server.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # those who are connected


asyncio.run(main())
