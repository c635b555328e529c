#!/usr/bin/env python3
"""Turns the records of a comparison into bench.json, a page with tables, and a chart.

Records are lines as bench.h prints them; several of one row, competitor and number of workers are
rounds of the same measurement. Only the standard library is needed.
"""

import argparse
import collections
import json
import math
import pathlib
import statistics
from xml.sax.saxutils import escape

SKUA = "Skua"
WORKERS = (1, 2)
# Their tasks run to the end on a worker's own stack: they can neither block nor be switched.
CANNOT_BLOCK = ("libgomp", "oneTBB", "rayon")
# Shown, but never the best peer: beyond 64 tasks a thread it runs each one on the spot instead of spawning it.
NOT_COMPARED = (("spawn-1m", "libgomp"),)

Target = collections.namedtuple("Target", "row unit target_1w target_2w limit limit_name title")


def read_table(path):
    """The rows of a file with tabs between columns and comments after "#"; none if there is no file."""
    if path is None or not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]


def number_or_none(text):
    return None if text == "-" else float(text)


def read_targets(path):
    targets = []
    for row, unit, target_1w, target_2w, limit, limit_name, title in read_table(path):
        numbers = [number_or_none(text) for text in (target_1w, target_2w, limit)]
        targets.append(Target(row, unit, *numbers, limit_name, title))
    return targets


def read_records(path):
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
            records.append({key: record[key] for key in
                            ("row", "who", "workers", "unit", "median", "min", "max", "runs")})
        except (ValueError, KeyError, TypeError):
            print(f"report: not a record, left out: {line}")
    return records


def merge_rounds(records):
    """One record for each row, competitor and number of workers: the median of the rounds' medians."""
    rounds = collections.defaultdict(list)
    for record in records:
        rounds[record["row"], record["who"], record["workers"]].append(record)
    merged = []
    for key in sorted(rounds):
        same = rounds[key]
        merged.append({
            **same[0],
            "median": round(statistics.median(record["median"] for record in same), 3),
            "min": min(record["min"] for record in same),
            "max": max(record["max"] for record in same),
            "runs": sum(record["runs"] for record in same),
        })
    return merged


class Results:
    """What was measured, by row, competitor and number of workers."""

    def __init__(self, records):
        self.medians = {(r["row"], r["who"], r["workers"]): r["median"] for r in records}
        self.peers = sorted({r["who"] for r in records} - {SKUA}, key=str.lower)

    def value(self, row, who, workers):
        return self.medians.get((row, who, workers))

    def best_peer(self, row, workers):
        """(value, who) of the best one with as many workers, or None."""
        values = [(self.value(row, who, workers), who) for who in self.peers if (row, who) not in NOT_COMPARED]
        return min((pair for pair in values if pair[0] is not None), default=None)

    def ratio(self, row, workers):
        ours, best = self.value(row, SKUA, workers), self.best_peer(row, workers)
        if ours is None or best is None or best[0] <= 0:
            return None
        return ours / best[0]


def format_value(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def format_plain(value):
    return "-" if value is None else f"{value:,g}"


def format_cell(results, row, who):
    pair = format_pair(*(results.value(row, who, workers) for workers in WORKERS))
    return f"{pair} \u2021" if (row, who) in NOT_COMPARED and pair != "-" else pair


def format_pair(one, two, form=format_value):
    return "-" if one is None and two is None else f"{form(one)} / {form(two)}"


def peer_name(who):
    return f"{who}\u2020" if who in CANNOT_BLOCK else who


# The page.

def markdown_table(header, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


def format_best(best):
    return "-" if best is None else f"{peer_name(best[1])} {format_value(best[0])}"


def format_ratio(ratio):
    if ratio is None:
        return "-"
    text = f"{ratio:.2f}"
    return f"**{text}**" if ratio <= 1 else text


def summary_table(targets, results):
    header = ["Row", "Unit", "Skua 1w", "best peer 1w", "ratio 1w", "Skua 2w", "best peer 2w", "ratio 2w",
              "target 1w / 2w", "limit"]
    rows = []
    for target in targets:
        cells = [f"`{target.row}`", target.unit]
        for workers in WORKERS:
            cells += [format_value(results.value(target.row, SKUA, workers)),
                      format_best(results.best_peer(target.row, workers)),
                      format_ratio(results.ratio(target.row, workers))]
        cells += [format_pair(target.target_1w, target.target_2w, format_plain), format_plain(target.limit)]
        rows.append(cells)
    return markdown_table(header, rows)


def everybody_table(targets, results):
    everybody = [SKUA, *results.peers]
    rows = [[f"`{target.row}`", target.unit]
            + [format_cell(results, target.row, who) for who in everybody]
            for target in targets]
    return markdown_table(["Row", "Unit", *map(peer_name, everybody)], rows)


def titles_list(targets):
    return "".join(f"- `{target.row}` ({target.unit}): {target.title}\n" for target in targets)


def far_behind(targets, results, remarks):
    """A line for each row that is more than three times its target."""
    lines = []
    for target in targets:
        for workers, goal in zip(WORKERS, (target.target_1w, target.target_2w)):
            ours = results.value(target.row, SKUA, workers)
            if ours is not None and goal is not None and ours > 3 * goal:
                reason = remarks.get(target.row, "no reason is known yet.")
                lines.append(f"- `{target.row}`, {workers}w: {ours / goal:.1f} times the target; {reason}\n")
    return "".join(lines)


def page(targets, results, args, rounds):
    parts = ["# Benchmarks\n",
             "Written by `bench/compare.sh`; do not edit. [bench.md](bench.md) says what each row is and how it is "
             "measured.\n"]
    machine = [" ".join(row) for row in read_table(args.machine)]
    if machine:
        parts.append("Measured on: " + "; ".join(machine) + ".\n")
    parts += [f"Medians of {rounds} runs, in which all competitors took turns. Less is better in every row. "
              "\"1w / 2w\": with one / two workers. A ratio is Skua's value divided by the best peer's with as many "
              "workers: below 1 Skua is ahead (bold). \"-\": not measured, or it does not apply. "
              "\u2020: its tasks cannot block. \u2021: shown but not compared, because most of the tasks are run on the "
              "spot instead of being spawned. Targets and limits are those of the machine they were set on.\n",
              f"![All rows as bars on logarithmic scales]({args.svg.name})\n",
              "## Skua and the best peer\n", summary_table(targets, results)]
    behind = far_behind(targets, results, dict(row[:2] for row in read_table(args.remarks)))
    if behind:
        parts += ["Further than three times from the target:\n", behind]
    parts += ["## Everybody\n", everybody_table(targets, results), "## Rows\n", titles_list(targets)]
    failures = read_table(args.failures)
    if failures:
        parts += ["## What failed\n", "".join(f"- {': '.join(row)}\n" for row in failures)]
    return "\n".join(parts)


# The chart.

WIDTH, MARGIN, GAP = 1240, 24, 28
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / 2
NAME_WIDTH, VALUE_WIDTH = 104, 56
PLOT_WIDTH = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH
BAR, BAR_GAP, LINE_GAP = 9, 2, 7
TITLE_HEIGHT, AXIS_HEIGHT, PANEL_GAP, LEGEND_HEIGHT = 26, 20, 22, 78
COLOURS = {True: ("#d9480f", "#ff922b"), False: ("#3b5b7a", "#9db7cf")}  # by "is Skua": 1 and 2 workers


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, text, style="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{escape(text)}</text>')

    def box(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                          f'rx="1.5" fill="{fill}"/>')

    def rule(self, x, top, bottom, style):
        self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" {style}/>')

    def svg(self, width, height):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
                f'width="{width:.0f}" height="{height:.0f}" font-family="sans-serif" font-size="11" fill="#212529">')
        return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *self.parts, "</svg>", ""])


GRID = 'stroke="#dee2e6" stroke-width="1"'
TARGET = 'stroke="#2b8a3e" stroke-width="1.5" stroke-dasharray="5 3"'
LIMIT = 'stroke="#212529" stroke-width="1.5" stroke-dasharray="1.5 2.5"'
VALUE_STYLE = 'font-size="10" stroke="#ffffff" stroke-width="3" paint-order="stroke"'


class Panel:
    """One row: a line of bars for each competitor, the best one first."""

    def __init__(self, target, results):
        self.target = target
        self.lines = []
        for who in [SKUA, *results.peers]:
            values = [results.value(target.row, who, workers) for workers in WORKERS]
            known = [value for value in values if value is not None and value > 0]
            if known:
                self.lines.append((min(known), who, values))
        self.lines.sort()
        self.marks = [(value, style) for value, style in
                      ((target.limit, LIMIT), (target.target_1w, TARGET), (target.target_2w, TARGET))
                      if value is not None]
        self.set_scale()

    def set_scale(self):
        values = [value for value, _ in self.marks]
        values += [value for _, _, values in self.lines for value in values if value is not None and value > 0]
        # A bar of the least value still has to have a length.
        self.low = math.floor(math.log10(min(values) / 1.6))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)

    def height(self):
        bars = len(list(self.bars(0)))
        return TITLE_HEIGHT + bars * (BAR + BAR_GAP) + len(self.lines) * LINE_GAP + AXIS_HEIGHT

    def length(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return PLOT_WIDTH * min(max(share, 0), 1)

    def draw(self, to, x, y):
        plot_x, plot_y = x + NAME_WIDTH, y + TITLE_HEIGHT
        bottom = y + self.height() - AXIS_HEIGHT
        to.text(x, y + 12, self.target.row, 'font-weight="bold" font-size="12"')
        to.text(x + 7.6 * len(self.target.row) + 18, y + 12, self.target.title, 'fill="#868e96" font-size="10.5"')
        for power in range(self.low, self.high + 1):
            at = plot_x + self.length(10.0 ** power)
            to.rule(at, plot_y - 2, bottom, GRID)
            unit = f" {self.target.unit}" if power == self.high else ""
            to.text(at, bottom + 13, f"{10.0 ** power:,.{max(-power, 0)}f}{unit}", 'fill="#868e96" font-size="10"', "middle")
        bars = list(self.bars(plot_y + LINE_GAP / 2))
        for bar_y, who, workers, value in bars:
            to.box(plot_x, bar_y, max(self.length(value), 1), BAR, COLOURS[who == SKUA][workers - 1])
        for value, style in self.marks:
            to.rule(plot_x + self.length(value), plot_y - 4, bottom, style)
        for bar_y, _, _, value in bars:
            to.text(plot_x + self.length(value) + 5, bar_y + BAR - 0.5, format_value(value), VALUE_STYLE)
        self.draw_names(to, plot_x - 8, bars)

    def bars(self, y):
        for _, who, values in self.lines:
            for workers, value in zip(WORKERS, values):
                if value is not None and value > 0:
                    yield y, who, workers, value
                    y += BAR + BAR_GAP
            y += LINE_GAP

    def draw_names(self, to, x, bars):
        for who in dict.fromkeys(bar[1] for bar in bars):
            tops = [bar[0] for bar in bars if bar[1] == who]
            middle = (tops[0] + tops[-1] + BAR) / 2 + 4
            to.text(x, middle, peer_name(who), 'font-weight="bold"' if who == SKUA else "", "end")


def draw_legend(to):
    to.text(MARGIN, MARGIN + 12, "Skua and its peers", 'font-size="18" font-weight="bold"')
    to.text(MARGIN, MARGIN + 30, "Each row has its own unit and logarithmic scale; shorter is better. "
            "\u2020: its tasks cannot block.", 'fill="#868e96"')
    x, y = MARGIN, MARGIN + 40
    for label, colour in (("Skua, 1 worker", COLOURS[True][0]), ("2 workers", COLOURS[True][1]),
                          ("peer, 1 worker", COLOURS[False][0]), ("2 workers", COLOURS[False][1])):
        to.box(x, y, 16, BAR, colour)
        to.text(x + 22, y + BAR, label)
        x += 48 + 6.2 * len(label)
    for label, style in (("target", TARGET), ("limit of the machine", LIMIT)):
        to.rule(x + 8, y - 3, y + BAR + 3, style)
        to.text(x + 16, y + BAR, label)
        x += 44 + 6.2 * len(label)


def chart(targets, results):
    panels = [Panel(target, results) for target in targets]
    panels = [panel for panel in panels if panel.lines]
    drawing = Drawing()
    draw_legend(drawing)
    lowest = 0
    for column, stack in enumerate(split_in_two(panels)):
        y = MARGIN + LEGEND_HEIGHT
        for panel in stack:
            panel.draw(drawing, MARGIN + column * (PANEL_WIDTH + GAP), y)
            y += panel.height() + PANEL_GAP
        lowest = max(lowest, y)
    return drawing.svg(WIDTH, lowest)


def split_in_two(panels):
    """Two columns, read one after the other, as equal in height as the order allows."""
    heights = [panel.height() + PANEL_GAP for panel in panels]
    cut = min(range(len(panels) + 1), key=lambda at: abs(sum(heights[:at]) - sum(heights[at:])))
    return panels[:cut], panels[cut:]


def write_json(path, records):
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("records", "targets", "json", "page", "svg"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("machine", "failures", "remarks"):
        parser.add_argument(f"--{name}", type=pathlib.Path)
    return parser.parse_args()


def main():
    args = parse_arguments()
    targets = read_targets(args.targets)
    records = merge_rounds(read_records(args.records))
    results = Results(records)
    rounds = max((record["runs"] for record in records), default=0)
    write_json(args.json, records)
    args.page.write_text(page(targets, results, args, rounds), encoding="utf-8")
    args.svg.write_text(chart(targets, results), encoding="utf-8")


if __name__ == "__main__":
    main()
