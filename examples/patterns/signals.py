import asyncio
import os
import signal


async def main():
    loop = asyncio.get_running_loop()
    heard = asyncio.Queue()
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, heard.put_nowait, number)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
        os.kill(os.getpid(), number)
        print(f"heard {signal.Signals(await heard.get()).name}")
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.remove_signal_handler(number)


asyncio.run(main())
