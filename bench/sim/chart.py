#!/usr/bin/env python3
"""Draws what the simulation printed: chart.py OUT.svg LABEL=FILE.tsv ...

A panel for each workload: the speed-up against one worker, or, where requests come at their own pace, the 99th
percentile of their latency. Both axes are logarithmic. Only the standard library is needed.
"""

import csv
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from report import GRID, Drawing  # noqa: E402

TITLES = {
    "fib": "fib(38), forked", "uts": "unbalanced tree, forked, 500 ns a node", "for": "parallel loop, pieces of 20 us",
    "skynet": "10^5 leaves of 1 us, spawned", "storm": "one spawns 40,000 tasks of 5 us",
    "pairs": "ping-pong, a pair for each worker", "serve": "requests of 20 us from threads, load 0.6",
    "events": "requests of 20 us from the poller, load 0.6",
}
BY_LATENCY = ("serve", "events")
COLOURS = ("#868e96", "#d9480f", "#1971c2", "#2b8a3e")
DASHES = ("5 3", "none", "none", "2 2")
WIDTH, MARGIN, COLUMNS, PLOT_WIDTH, PLOT_HEIGHT, TOP, BETWEEN, ROW = 1240, 24, 4, 244, 170, 78, 56, 236


def read_rows(path):
    with path.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["work"] != "work"]


def curve(rows, work):
    """(workers, value) of one workload, by workers."""
    mine = {int(row["workers"]): row for row in rows if row["work"] == work}
    if work in BY_LATENCY:
        return [(workers, float(mine[workers]["p99_us"])) for workers in sorted(mine)]
    alone = float(mine[1]["ns_per_task"])
    return [(workers, alone / float(mine[workers]["ns_per_task"])) for workers in sorted(mine)]


class Panel:
    def __init__(self, to, x, y, work, low, high):
        self.to, self.x, self.y, self.low, self.high = to, x, y, math.log2(low), math.log2(high)
        to.text(x, y - 24, work, 'font-weight="bold" font-size="12"')
        to.text(x, y - 10, TITLES[work], 'fill="#868e96" font-size="10.5"')
        for power in range(0, 9, 2):
            at = self.place(2 ** power, low)[0]
            to.rule(at, y, y + PLOT_HEIGHT, GRID)
            to.text(at, y + PLOT_HEIGHT + 13, str(2 ** power), 'fill="#868e96" font-size="10"', "middle")

    def place(self, workers, value):
        share = (math.log2(max(value, 2 ** self.low)) - self.low) / (self.high - self.low)
        return (self.x + PLOT_WIDTH * math.log2(workers) / 8, self.y + PLOT_HEIGHT * (1 - min(share, 1)))

    def level(self, value, text):
        y = self.place(1, value)[1]
        self.to.parts.append(f'<line x1="{self.x}" x2="{self.x + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" {GRID}/>')
        self.to.text(self.x - 5, y + 3.5, text, 'fill="#868e96" font-size="10"', "end")

    def line(self, points, style):
        places = " ".join("{:.1f},{:.1f}".format(*self.place(*point)) for point in points)
        self.to.parts.append(f'<polyline points="{places}" fill="none" {style}/>')


def draw_panel(to, x, y, work, sets):
    latency = work in BY_LATENCY
    panel = Panel(to, x, y, work, *((50, 51200) if latency else (1, 256)))
    for value in ((100, 1000, 10000) if latency else (1, 4, 16, 64, 256)):
        panel.level(value, f"{value:,} us" if latency else str(value))
    if not latency:
        panel.line([(1, 1), (256, 256)], 'stroke="#ced4da" stroke-width="1"')
    for (_, rows), colour, dash in zip(sets, COLOURS, DASHES):
        panel.line(curve(rows, work), f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"')


def main():
    out = pathlib.Path(sys.argv[1])
    sets = [(label, read_rows(pathlib.Path(path))) for label, path in (text.split("=", 1) for text in sys.argv[2:])]
    works = [work for work in TITLES if any(row["work"] == work for row in sets[0][1])]
    to = Drawing()
    to.text(MARGIN, MARGIN + 12, "Prediction: what more workers bring", 'font-size="18" font-weight="bold"')
    to.text(MARGIN, MARGIN + 30, "Simulated, not measured. Across: workers, 16 to an L3, 64 to a node. Up: speed-up against "
            "one worker, or the 99th percentile of the latency. Thin: ideal.", 'fill="#868e96"')
    x = MARGIN
    for (label, _), colour, dash in zip(sets, COLOURS, DASHES):
        to.parts.append(f'<line x1="{x}" x2="{x + 26}" y1="{MARGIN + 46}" y2="{MARGIN + 46}" stroke="{colour}" '
                        f'stroke-width="2" stroke-dasharray="{dash}"/>')
        to.text(x + 32, MARGIN + 50, label)
        x += 60 + 6.4 * len(label)
    for i, work in enumerate(works):
        x = MARGIN + 40 + i % COLUMNS * (PLOT_WIDTH + BETWEEN)
        draw_panel(to, x, MARGIN + TOP + 34 + i // COLUMNS * ROW, work, sets)
    lines = (len(works) + COLUMNS - 1) // COLUMNS
    out.write_text(to.svg(WIDTH, MARGIN + TOP + 34 + lines * ROW), encoding="utf-8")


if __name__ == "__main__":
    main()
