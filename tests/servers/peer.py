"""Clients, and what stands behind a proxy, for the tests of the examples: peer.py WHAT ARGUMENT...

Each function below whose name begins with `play_` is one WHAT. Nothing waits for time: all waits are
for an answer, an end, or a line that a server prints; the tests' own limit ends one that hangs.
"""

import asyncio
import ctypes
import os
import re
import signal
import socket
import sys
import tempfile


async def connect(address, limit=1 << 20):
    if address.startswith(("/", ".")):
        return await asyncio.open_unix_connection(address, limit=limit)
    host, port = address.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port), limit=limit)


async def close(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass


async def exchange(stream, text):
    """A line, and the line that comes back."""
    reader, writer = stream
    writer.write(text.encode() + b"\n")
    return (await reader.readline()).decode().rstrip("\n")


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(part) for part in what))


def of_the_machine(line):
    """Whether it is the runtime's, of a task that kept its thread: complaints.sh says why it may."""
    return re.match(rb"skua: task '.*' has .* while others were ready", line)


async def is_refused(address):
    try:
        _, writer = await connect(address)
    except OSError:
        return True
    await close(writer)
    return False


# --- echo ---


async def play_many(address, count):
    """So many connections at once, all open before the first one speaks."""
    streams = await asyncio.gather(*[connect(address) for _ in range(int(count))])

    async def speak(number, stream):
        reader, writer = stream
        text = b"%d " % number * (100 + number * 40)
        writer.write(text)
        writer.write_eof()
        check(await reader.read(-1) == text, "connection", number, "got something else back")
        await close(writer)

    await asyncio.gather(*[speak(number, stream) for number, stream in enumerate(streams)])


async def play_limit(address, count):
    """One more than there may be at once: it is answered when another one has left, not before."""
    streams = [await connect(address) for _ in range(int(count))]
    for stream in streams:
        check(await exchange(stream, "early") == "early")
    late = await connect(address)
    answer = asyncio.ensure_future(exchange(late, "late"))
    for stream in streams:
        check(await exchange(stream, "again") == "again")
    check(not answer.done(), "there is one too many")
    await close(streams[0][1])
    check(await answer == "late")
    for stream in streams[1:] + [late]:
        await close(stream[1])


async def play_drain(address, pid):
    """After SIGTERM: nobody is let in, and who is there can finish."""
    stream = await connect(address)
    check(await exchange(stream, "before") == "before")
    os.kill(int(pid), signal.SIGTERM)
    while not await is_refused(address):
        pass
    check(await exchange(stream, "after") == "after")
    await close(stream[1])


async def play_cut(address, pid):
    """Who does not finish is cut off by the second SIGTERM."""
    stream = await connect(address)
    check(await exchange(stream, "before") == "before")
    os.kill(int(pid), signal.SIGTERM)
    while not await is_refused(address):
        pass
    os.kill(int(pid), signal.SIGTERM)
    try:
        check(await stream[0].read(-1) == b"")
    except ConnectionResetError:
        pass


# --- chat ---


class Talker:
    def __init__(self, stream):
        self.reader, self.writer = stream
        self.name = None

    @staticmethod
    async def come(address):
        talker = Talker(await connect(address))
        talker.name = re.fullmatch(r"\* you are (\w+) in lobby", await talker.hear())[1]
        return talker

    def say(self, *lines):
        for line in lines:
            self.writer.write(line.encode() + b"\n")

    async def hear(self):
        return (await self.reader.readline()).decode().rstrip("\n")

    async def hears(self, *lines):
        for line in lines:
            heard = await self.hear()
            check(heard == line, self.name, "hears", repr(heard), "and not", repr(line))

    async def leave(self):
        await close(self.writer)


async def play_chat(address):
    ann = await Talker.come(address)
    bob = await Talker.come(address)
    await ann.hears(f"* {bob.name} is here")
    ann.say("/nick ann")
    for talker in ann, bob:
        await talker.hears(f"* {ann.name} is now ann")
    bob.say("/nick ann", "/nick a b", "/nick bob")
    await bob.hears("* ann is taken", "* not a name: a b", f"* {bob.name} is now bob")
    await ann.hears(f"* {bob.name} is now bob")
    bob.say("hello, ann", "", "\x1b[2Jhi\x07 \u00e9", "x" * 3000, "/who", "/nonsense")
    await ann.hears("bob: hello, ann", "bob:  [2Jhi  \u00e9")
    await bob.hears("* that is too long", "* in lobby: bob ann", "* what is /nonsense? try /help")
    bob.say("/join den", "/join no/name", "/rooms", "alone", "/who")
    await ann.hears("* bob has left")
    await bob.hears("* you are bob in den", "* not a name: no/name", "* den", "* lobby", "* in den: bob")
    ann.say("/join den", "found you")
    await ann.hears("* you are ann in den")
    await bob.hears("* ann is here", "ann: found you")
    bob.say("bye", "/quit")
    await ann.hears("bob: bye", "* bob has left")
    await bob.hears("* good-bye", "")
    ann.writer.write(b"no end of line")  # is a line, too, when it is the last one
    ann.writer.write_eof()
    await ann.hears("")
    await ann.leave()
    await bob.leave()


async def play_crowd(address, count):
    talkers = [await Talker.come(address) for _ in range(int(count))]
    talkers[0].say("all together")

    async def wait_for_it(talker):
        while await talker.hear() != f"{talkers[0].name}: all together":
            pass

    await asyncio.gather(*[wait_for_it(talker) for talker in talkers[1:]])
    await asyncio.gather(*[talker.leave() for talker in talkers])


async def play_lag(address, count):
    """Who does not read keeps nobody waiting, and is told how many lines he has missed."""
    count = int(count)
    slow = await Talker.come(address)
    fast = await Talker.come(address)
    await slow.hears(f"* {fast.name} is here")
    slow.reader._transport.pause_reading()
    for number in range(count):
        fast.say(f"{number} " + "x" * 500)
        await fast.writer.drain()
    fast.say("/nick last")
    await fast.hears(f"* {fast.name} is now last")
    slow.reader._transport.resume_reading()
    expected = missed = 0
    while True:
        line = await slow.hear()
        gap = re.fullmatch(r"\* (\d+) lines missed", line)
        if gap:
            expected += int(gap[1])
            missed += int(gap[1])
        elif line == f"* {fast.name} is now last":
            break
        else:
            number = int(re.match(fast.name + r": (\d+) x", line)[1])
            check(number == expected, "line", number, "comes where", expected, "should")
            expected += 1
    check(expected == count, expected, "of", count, "lines were heard or missed")
    check(missed > 0, "none was missed")
    await slow.leave()
    await fast.leave()


async def play_deaf(address):
    """Who reads nothing for too long is disconnected."""
    deaf = await Talker.come(address)
    deaf.reader._transport.pause_reading()
    fast = await Talker.come(address)
    heard = asyncio.ensure_future(fast.hear())
    while not heard.done():
        fast.say("x" * 900)
        await fast.writer.drain()
        await asyncio.sleep(0)
    check(await heard == f"* {deaf.name} has left")
    await fast.leave()
    await deaf.leave()


async def play_farewell(address, pid):
    talkers = [await Talker.come(address) for _ in range(5)]
    os.kill(int(pid), signal.SIGTERM)
    for talker in talkers:
        last = line = await talker.hear()
        while line:
            last, line = line, await talker.hear()
        check(last == "* this server ends now", "the last words were", repr(last))
        await talker.leave()


# --- proxy ---


class Backend:
    """Answers each line with its name and the line, and the end with a last line."""

    def __init__(self, name):
        self.name = name

    async def serve(self, reader, writer):
        try:
            while line := await reader.readline():
                writer.write(self.name.encode() + b" " + line)
                await writer.drain()
            writer.write(b"end of " + self.name.encode() + b"\n")
        except OSError:
            pass
        await close(writer)

    async def start(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1000)
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        return self


def die_with_us():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Proxy:
    def __init__(self, program):
        self.program = program
        self.path = tempfile.mktemp(".conf")

    def write(self, *lines):
        with open(self.path + ".new", "w") as file:
            file.write("# where to\n\n" + "\n".join(lines) + "\n")
        os.replace(self.path + ".new", self.path)

    async def start(self, *arguments):
        self.process = await asyncio.create_subprocess_exec(
            self.program, "-l", "127.0.0.1:0", *arguments, self.path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, preexec_fn=die_with_us)
        self.address = (await self.says("listening at ")).split()[-1]

    async def says(self, text):
        line = (await self.process.stdout.readline()).decode()
        check(text in line, "the proxy says", repr(line), "and not", repr(text))
        return line

    async def complains(self, text):
        line = await self.process.stderr.readline()
        while of_the_machine(line):
            line = await self.process.stderr.readline()
        line = line.decode()
        check(text in line, "the proxy complains", repr(line), "and not", repr(text))

    async def reload(self, *lines):
        self.write(*lines)
        self.process.send_signal(signal.SIGHUP)
        await self.says("is read")

    async def ask(self, text):
        """A connection for one question. Returns the name in the answer."""
        stream = await connect(self.address)
        answer = await exchange(stream, text)
        stream[1].write_eof()
        check(re.fullmatch(r"(one|two) " + text, answer), "the answer is", repr(answer))
        name = answer.split()[0]
        last = await stream[0].read(-1)
        check(last == b"end of %s\n" % name.encode(), "the end is", repr(last))
        await close(stream[1])
        return name


async def with_proxy(program, play):
    one, two = await Backend("one").start(), await Backend("two").start()
    proxy = Proxy(program)
    try:
        await play(proxy, one.address, two.address)
        check(await proxy.process.wait() == 0, "the proxy has ended with", proxy.process.returncode)
        rest = await proxy.process.stderr.read()
        rest = [line for line in rest.splitlines() if not of_the_machine(line)]
        check(rest == [], "the proxy complains", rest)
    finally:
        if proxy.process.returncode is None:
            proxy.process.kill()
        os.remove(proxy.path)


async def reload_under_load(proxy, one, two):
    proxy.write("backend " + one)
    await proxy.start()
    old = await asyncio.gather(*[connect(proxy.address) for _ in range(200)])
    for stream in old:
        check(await exchange(stream, "first") == "one first")
    names, is_over = [], False

    async def load():
        while not is_over:
            names.append(await proxy.ask("load"))

    loads = [asyncio.ensure_future(load()) for _ in range(20)]
    for times in range(5):
        while names.count("one") < 20 * (times + 1):
            await asyncio.sleep(0)
        await proxy.reload("backend " + two + " # now here")
        check(await proxy.ask("new") == "two", "a new connection goes to the old backend")
        while names.count("two") < 20 * (times + 1):
            await asyncio.sleep(0)
        await proxy.reload("backend " + one)
    is_over = True
    await asyncio.gather(*loads)
    for number, stream in enumerate(old):
        check(await exchange(stream, "second") == "one second")
        stream[1].write_eof()
        check(await stream[0].read(-1) == b"end of one\n")
        await close(stream[1])

    proxy.process.send_signal(signal.SIGUSR1)
    line = await proxy.says(" connections, %d so far, 0 ended" % (len(old) + len(names) + 5))
    check(" 0 without a backend" in line, line)
    proxy.process.send_signal(signal.SIGTERM)
    await proxy.says("connections, ")


async def play_reload(program):
    await with_proxy(program, reload_under_load)


async def route_badly(proxy, one, two):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = "127.0.0.1:%d" % unused.getsockname()[1]
        proxy.write("backend " + one)
        await proxy.start()
        for bad in "backend", "backend nowhere", "idle soon", "what 1", "backend :1", "backend a:1 b":
            proxy.write("backend " + two, bad)
            proxy.process.send_signal(signal.SIGHUP)
            await proxy.complains("line 4: ")
            await proxy.complains("all stays as it was")
        check(await proxy.ask("still") == "one")
        await proxy.reload("backend " + one, "idle 0.05")
        reader, writer = await connect(proxy.address)
        check(await reader.read(-1) == b"", "silence is not ended")
        await close(writer)

        await proxy.reload("backend " + dead, "backend localhost:" + two.split(":")[1])
        for _ in range(2):
            check(await proxy.ask("passed") == "two")
        await proxy.complains(dead + ": Connection refused")
        await proxy.reload("backend " + dead)
        reader, writer = await connect(proxy.address)
        check(await reader.read(-1) == b"")
        await close(writer)
        await proxy.complains(dead + ": Connection refused")
    proxy.process.send_signal(signal.SIGTERM)
    await proxy.says("1 ended by silence, 1 without a backend")


async def play_routes(program):
    await with_proxy(program, route_badly)


async def drain(proxy, one, two):
    """Who is there can finish, and the proxy ends with the last one."""
    proxy.write("backend " + one)
    await proxy.start("-g", "1000")
    stream = await connect(proxy.address)
    check(await exchange(stream, "before") == "one before")
    proxy.process.send_signal(signal.SIGINT)
    while not await is_refused(proxy.address):
        pass
    check(await exchange(stream, "after") == "one after")
    await close(stream[1])


async def play_proxy_drain(program):
    await with_proxy(program, drain)


asyncio.run(globals()["play_" + sys.argv[1]](*sys.argv[2:]))
