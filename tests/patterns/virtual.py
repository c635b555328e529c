"""Runs asyncio programs on a clock that jumps:

    python3 virtual.py PROGRAM.py             like python3 PROGRAM.py
    python3 virtual.py FOLDER PROGRAM.py...   each in a process of its own, from one interpreter that
                                              has loaded asyncio already; what NAME.py prints is
                                              FOLDER/NAME, and who ends badly is named

Whenever nothing is ready, time goes to the next timer at once instead of passing. Sleeps of seconds
then take no time and end in exact order, so that what a program prints is the same in each run.
While a call is out on a thread, time stands still and the loop waits for the thread.
"""

import asyncio
import concurrent.futures.process  # noqa: F401, so that no program has to load it again
import concurrent.futures.thread  # noqa: F401
import contextlib  # noqa: F401
import os
import pathlib
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


def run(program):
    asyncio.set_event_loop_policy(JumpingPolicy())
    runpy.run_path(program, run_name="__main__")


def run_into(folder, programs):
    """Returns in each child after its program, in the parent after all of them."""
    for program in programs:
        name = pathlib.Path(program).stem
        child = os.fork()
        if child == 0:
            output = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(output, 1)
            os.dup2(output, 2)
            return run(program)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != 0:
            print(f"{name}: Python ended with {status}", flush=True)


if len(sys.argv) == 2:
    run(sys.argv[1])
else:
    run_into(sys.argv[1], sys.argv[2:])
