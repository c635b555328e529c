"""Puts bugs into copies of the library's sources and looks whether the models find them.

    mutate.py --cc CC --source TREE --engine libskua_explore.a --flags=FLAGS plants|orders

plants  the bugs of plants.py; all must be found, and their replays must fail again.
orders  every memory order and fence in the files that the models name ("Mutates:"), weakened by one
        step. Each that is not found has a line `mutant  # why` in survivors.txt. Where the why begins
        with "same:", the mutant says the same as the original, and so cannot be found; of the others
        at least 95 in 100 must be found.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

FOUND_PERCENT_MIN = 95
RUN_SECONDS_MAX = 900
TOO_LONG = "takes too long"


class Model:
    """A model's program: what it is made of, and which files it is a test of."""

    def __init__(self, folder, name):
        self.name = name
        self.path = os.path.join(folder, name + ".c")
        with open(self.path, encoding="utf-8") as file:
            head = file.read().split("*/")[0]
        self.sources = re.findall(r"[a-z_]+/[a-z_]+\.c", field(head, "Sources"))
        self.targets = {}
        for path, functions in re.findall(r"([a-z_]+/[a-z_]+\.[ch])(?:\(([^)]*)\))?",
                                          field(head, "Mutates")):
            self.targets[path] = functions.split()


def field(head, name):
    """The words behind "Name:" up to an empty line, a line that starts a field, or the end."""
    match = re.search(r"^   " + name + r":(.*?)(?=\n\n|\n   [A-Z][a-z]+:|\Z)", head, re.S | re.M)
    return match.group(1) if match else ""


class Builder:
    def __init__(self, options):
        self.options = options
        self.folder = os.path.join(options.source, "tests", "explore")
        self.flags = options.flags.split()
        self.cache = tempfile.mkdtemp(prefix="skua-mutate-")

    def includes(self, overlay):
        source = self.options.source
        folders = ([overlay] if overlay else []) + [
            self.folder, os.path.join(source, "src"), os.path.join(source, "include")]
        return [word for folder in folders for word in ("-I", folder)]

    def compile(self, path, out, overlay=None):
        flags = [flag for flag in self.flags if not flag.startswith("-Wl,")]
        run = subprocess.run(
            [self.options.cc, "-std=gnu11", "-w", *flags, *self.includes(overlay), "-c", path, "-o",
             out], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{path} does not compile:\n{run.stderr}")
        return out

    def object_of(self, model, source):
        """The unchanged source's object, compiled once."""
        path = model.path if source is None else os.path.join(self.options.source, "src", source)
        out = os.path.join(self.cache, (source or model.name + ".c").replace("/", ".") + ".o")
        if not os.path.exists(out):
            part = f"{out}.{os.getpid()}.{id(object())}"
            os.replace(self.compile(path, part), out)
        return out

    def build(self, model, file, text):
        """The model's program with `file` saying `text`."""
        work = tempfile.mkdtemp(dir=self.cache)
        changed = os.path.join(work, file)
        os.makedirs(os.path.dirname(changed))
        with open(changed, "w", encoding="utf-8") as out:
            out.write(text)
        objects = []
        for source in [None] + model.sources:
            if source == file:
                objects.append(self.compile(changed, os.path.join(work, "changed.o"), work))
            elif file not in model.sources:  # it is included by them, or by the model
                path = model.path if source is None else os.path.join(
                    self.options.source, "src", source)
                objects.append(self.compile(path, os.path.join(
                    work, (source or "model").replace("/", ".") + ".o"), work))
            else:
                objects.append(self.object_of(model, source))
        program = os.path.join(work, model.name)
        run = subprocess.run([self.options.cc, *self.flags, *objects, self.options.engine, "-o",
                              program, "-fno-sanitize=thread"], capture_output=True, text=True,
                             check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{model.name} does not link:\n{run.stderr}")
        return program


def run_program(program, **environment):
    """(found, what it said)"""
    try:
        run = subprocess.run([program], capture_output=True, text=True, check=False,
                             timeout=RUN_SECONDS_MAX, errors="replace",
                             env={**os.environ, "SKUA_EXPLORE_QUIET": "1", **environment})
    except subprocess.TimeoutExpired:
        return False, TOO_LONG
    return run.returncode != 0 and "explore: " in run.stderr, run.stderr


def function_span(text, name):
    """Where the definition of the function stands."""
    match = re.search(r"^[a-z][^;{}()=]*\b" + name + r"\([^;{}]*\)\s*\{", text, re.M)
    if match is None:
        raise RuntimeError(f"there is no function {name}")
    end = text.index("\n}", match.end()) + 2
    return match.start(), end


def read(options, file):
    with open(os.path.join(options.source, "src", file), encoding="utf-8") as source:
        return source.read()


# --- plants ----------------------------------------------------------------------------------------

def planted(text, edits):
    for function, old, new in edits:
        start, end = function_span(text, function)
        body = text[start:end]
        if body.count(old) != 1:
            raise RuntimeError(f"in {function} this stands {body.count(old)} times:\n{old}")
        text = text[:start] + body.replace(old, new) + text[end:]
    return text


def try_plant(builder, plant):
    name, model_name, file, edits = plant
    model = Model(builder.folder, model_name)
    program = builder.build(model, file, planted(read(builder.options, file), edits))
    found, said = run_program(program)
    replay = re.search(r"SKUA_EXPLORE_REPLAY='(.*)'", said)
    if not found or replay is None:
        return f"NOT FOUND: {name}\n{said}"
    again, _ = run_program(program, SKUA_EXPLORE_REPLAY=replay.group(1))
    shutil.rmtree(os.path.dirname(program))
    return "" if again else f"NOT REPLAYED: {name}\n{said}"


def plants(builder, pool):
    from plants import PLANTS
    failures = 0
    without = builder.options.without
    chosen = [p for p in PLANTS if builder.options.only in p[1] and p[1] != without]
    for plant, problem in zip(chosen, pool.map(lambda p: guarded(try_plant, builder, p), chosen)):
        print(problem or f"found: {plant[0]}")
        failures += problem != ""
    return failures


def guarded(function, builder, what):
    try:
        return function(builder, what)
    except RuntimeError as error:
        return f"FAILED: {what[0]}: {error}"


# --- orders ----------------------------------------------------------------------------------------

WEAKER = {"acq_rel": ["acquire", "release"], "acquire": ["relaxed"], "release": ["relaxed"]}


def without_comments(text):
    """Comments and strings blanked, every character at its place."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"',
                  lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def call_end(code, start):
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] == "(") - (code[at] == ")")
        if depth == 0 and code[at] == ")":
            return at + 1
    raise RuntimeError("a call without an end")


def weaker(kind, order):
    if order == "seq_cst":
        return {"load": ["acquire"], "store": ["release"]}.get(kind, ["acq_rel"])
    return WEAKER.get(order, [])


def order_mutants(text):
    """(start, end, replacement, what) for each order and fence of the text."""
    code = without_comments(text)
    calls = r"\bskua__(load|store|exchange|cas|fetch_[a-z]+|fence|runtime_heavy_fence)\("
    for match in re.finditer(calls, code):
        kind = match.group(1)
        end = call_end(code, match.end() - 1)
        if "#define" in code[code.rfind("\n", 0, match.start()) + 1:match.start()]:
            continue
        if "fence" in kind and code[end:end + 1] == ";":
            yield match.start(), end, "(void)0", f"{code[match.start():end]} -> nothing"
        if kind == "runtime_heavy_fence":
            continue
        for order in re.finditer(r"[(,]\s*(acquire|release|acq_rel|seq_cst)(?=\s*[,)])",
                                 code[match.start():end]):
            inner = code[match.end():match.start() + order.start(1)]
            if inner.count("(") > inner.count(")"):
                continue  # of a call inside, which comes by itself
            for other in weaker(kind, order.group(1)):
                start = match.start() + order.start(1)
                yield (start, start + len(order.group(1)), other,
                       f"{' '.join(code[match.start():end].split())}: "
                       f"{order.group(1)} -> {other}")


def function_at(text, position):
    names = re.findall(r"^(?:static |inline |SKUA_[A-Z_]+ )*[a-z][^;{}()=]*?\b(\w+)\([^;{}]*\)\s*\{",
                       text[:position], re.M)
    return names[-1] if names else "?"


def all_mutants(options, models):
    """(key, file, text, models)"""
    targets = {}
    for model in models:
        for file, functions in model.targets.items():
            targets.setdefault(file, []).append((model, functions))
    for file in sorted(targets):
        text = read(options, file)
        seen = {}
        for start, end, other, what in order_mutants(text):
            function = function_at(text, start)
            chosen = [m for m, functions in targets[file] if not functions or function in functions]
            if not chosen:
                continue
            key = f"{file} {function}: {what}"
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                key += f" ({seen[key]})"
            yield key, file, text[:start] + other + text[end:], chosen


def try_mutant(builder, mutant):
    _, file, text, models = mutant
    for model in models:
        program = builder.build(model, file, text)
        found, said = run_program(program)
        shutil.rmtree(os.path.dirname(program))
        if found:
            return "found"
        if said == TOO_LONG:
            return TOO_LONG
    return "survives"


def known_survivors(builder):
    """{key: why}: lines `key  # why`."""
    known = {}
    with open(os.path.join(builder.folder, "survivors.txt"), encoding="utf-8") as lines:
        for line in lines:
            key, mark, why = line.strip().partition("  # ")
            if mark and why.strip():
                known[key.strip()] = why
    return known


def orders(builder, pool):
    names = sorted(f[:-2] for f in os.listdir(builder.folder) if f.endswith("_model.c"))
    models = [Model(builder.folder, name) for name in names]
    if builder.options.only:
        models = [m for m in models if m.name == builder.options.only]
    mutants = list(all_mutants(builder.options, models))
    known = known_survivors(builder)
    found = same = unexplained = 0
    for mutant, result in zip(mutants, pool.map(lambda m: guarded(try_mutant, builder, m), mutants)):
        key = mutant[0]
        why = known.pop(key, None)
        if result == "found":
            found += 1
            if why is not None:
                print(f"found, though survivors.txt lists it: {key}")
                unexplained += 1
            continue
        same += (why or "").startswith("same:")
        unexplained += why is None or result != "survives"
        print(f"{result}: {key}  # {why or 'UNEXPLAINED'}", flush=True)
    if not builder.options.only:
        for key in known:
            print(f"survivors.txt lists what is no mutant: {key}")
            unexplained += 1
    percent = 100 * found / max(1, len(mutants) - same)
    print(f"{len(mutants)} mutants, {same} of them the same as the original, {found} found "
          f"({percent:.1f} in 100 of the others), {unexplained} unexplained")
    return unexplained + (percent < FOUND_PERCENT_MIN)


def main():
    parser = argparse.ArgumentParser()
    for name in ("cc", "source", "engine", "flags"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="one model")
    parser.add_argument("--without", default="", help="a model whose plants take long")
    parser.add_argument("what", choices=["plants", "orders"])
    options = parser.parse_args()
    sys.path.insert(0, os.path.join(options.source, "tests", "explore"))
    sys.dont_write_bytecode = True
    builder = Builder(options)
    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            return 1 if {"plants": plants, "orders": orders}[options.what](builder, pool) else 0
    finally:
        shutil.rmtree(builder.cache)


if __name__ == "__main__":
    sys.exit(main())
