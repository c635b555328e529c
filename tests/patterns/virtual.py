"""Runs an asyncio program on a clock that jumps: python3 virtual.py PROGRAM.py

Whenever nothing is ready, time goes to the next timer at once instead of passing. Sleeps of seconds
then take no time and end in exact order, so that what a program prints is the same in each run.
While a call is out on a thread, time stands still and the loop waits for the thread.
"""

import asyncio
import runpy
import selectors
import sys


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait for a timer, but moves the clock there."""

    loop = None

    def select(self, timeout=None):
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None or self.loop.calls_out > 0:
            return super().select(None)
        self.loop.now += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        selector = JumpingSelector()
        selector.loop = self
        self.now = 0.0
        self.calls_out = 0
        super().__init__(selector)

    def time(self):
        return self.now

    def run_in_executor(self, executor, func, *args):
        self.calls_out += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._call_is_back)
        return future

    def _call_is_back(self, _future):
        self.calls_out -= 1


class JumpingPolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return JumpingLoop()


asyncio.set_event_loop_policy(JumpingPolicy())
runpy.run_path(sys.argv[1], run_name="__main__")
