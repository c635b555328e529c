"""The table of what is promised and which test shows it.

    python3 coverage.py SOURCE            checks docs/coverage.md, says what is wrong
    python3 coverage.py SOURCE --write    writes it

rows.tsv lists what is promised. A test says what it shows in a comment directly above it:

    /* covers: A59 D23 */        in C, above the test's function
    # covers: A17                in a shell script, which is one test
"""

import collections
import pathlib
import re
import sys

GROUPS = {"A": "Patterns", "B": "Beyond them", "D": "Behaviours of the peers"}
HEADER = """# What is promised, and which test shows it

Written by `python3 tests/coverage/coverage.py . --write` from the comments `covers:` in the tests; a test
checks that it is up to date, that no row is empty, and that each test named here is run.
"""

C_TEST = re.compile(
    r"/\*\s*covers:([^*]*)\*/\s*(?:static\s+void|static\s+int|int|SKUA_TEST|SKUA_CASE)?\s*\(?\s*(\w+)", re.S
)
SHELL_TEST = re.compile(r"^# covers:(.*)$", re.M)


def rows_of(root):
    lines = (root / "tests/coverage/rows.tsv").read_text().splitlines()
    return dict(line.split("\t") for line in lines)


def is_run(name, text):
    """Named once more than where it is defined: in its suite's list of tests."""
    return len(re.findall(rf"\b{re.escape(name)}\b", text)) >= 2


def tests_of(root, problems):
    """Row -> names of tests, in order of files."""
    found = collections.defaultdict(list)
    paths = sorted((root / "tests").rglob("*_test.*")) + sorted((root / "tests").rglob("*_stress.c"))
    paths += sorted((root / "tests/explore").glob("*_model.c"))
    for path in paths:
        text = path.read_text()
        suite = path.stem
        if path.suffix == ".c":
            tests = C_TEST.findall(text)
        else:
            tests = [(rows, "") for rows in SHELL_TEST.findall(text)]
        for rows, name in tests:
            if name and name != "main" and not is_run(name, text):
                problems.append(f"{path.relative_to(root)}: {name} is not in the list of tests")
            for row in rows.split():
                found[row].append(f"{suite}: {name}" if name and name != "main" else suite)
    return found


def table(rows, found):
    text = [HEADER]
    group = None
    for row, title in rows.items():
        if row[0] != group:
            group = row[0]
            text.append(f"\n## {GROUPS[group]}\n\n| row | what | tests |\n|---|---|---|\n")
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(found.get(row, [])))
        text.append(f"| {row} | {title} | {names or '**none**'} |\n")
    return "".join(text)


def main():
    root = pathlib.Path(sys.argv[1])
    rows = rows_of(root)
    problems = []
    found = tests_of(root, problems)
    page = root / "docs/coverage.md"
    text = table(rows, found)
    if "--write" in sys.argv:
        page.write_text(text)
    elif not page.exists() or page.read_text() != text:
        problems.append("docs/coverage.md is out of date: python3 tests/coverage/coverage.py . --write")
    problems += [f"{row} ({title}): no test" for row, title in rows.items() if row not in found]
    problems += [f"a test covers {row}, which is no row of rows.tsv" for row in found if row not in rows]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
