import asyncio
from concurrent.futures import ProcessPoolExecutor


def sum_of_squares(limit):
    return sum(number * number for number in range(limit))


async def main():
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(max_workers=2) as executor:
        jobs = [loop.run_in_executor(executor, sum_of_squares, 10**power) for power in (3, 4, 5)]
        print(await asyncio.gather(*jobs))
        print(list(executor.map(sum_of_squares, (10, 20, 30))))


if __name__ == "__main__":
    asyncio.run(main())
