#!/usr/bin/env python3
"""Turns the results of comparisons into bench.json, a page with tables, and two charts.

Results are folders, one a case, as compare.sh keeps them: `records`, lines as bench.h prints them, of which several
with one row, competitor and number of workers are rounds of the same measurement; `failures`, lines of who, case and
reason; `date`. Beside them, in `machines`, is a description of the machine for each date. Only the standard library is
needed.
"""

import argparse
import collections
import json
import math
import pathlib
import statistics
import textwrap
from xml.sax.saxutils import escape

SKUA = "Skua"
WORKERS = (1, 2)
# Their tasks run to the end on a worker's own stack: they can neither block nor be switched.
CANNOT_BLOCK = ("Lace", "libgomp", "oneTBB", "rayon")
# Shown, but never the best peer: beyond 64 tasks a thread it runs each one on the spot instead of spawning it.
NOT_COMPARED = (("spawn-1m", "libgomp"),)

# Rows of what only Skua counts; they have a table of their own.
COUNTED = "rmw-"

Target = collections.namedtuple("Target", "section row unit target_1w target_2w limit limit_name title")


def read_table(path):
    """The rows of a file with tabs between columns and comments after "#"; none if there is no file.

    A section, "## NAME", is a row of one column.
    """
    if path is None or not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line.strip() and (line[0] != "#" or line.startswith("## "))]


def number_or_none(text):
    return None if text == "-" else float(text)


def read_targets(path):
    """A limit stays a text here: it may be another row's figure, "=row"."""
    targets = []
    section = ""
    for columns in read_table(path):
        if len(columns) == 1:
            section = columns[0].removeprefix("## ")
            continue
        row, unit, target_1w, target_2w, limit, limit_name, title = columns
        numbers = [number_or_none(text) for text in (target_1w, target_2w)]
        targets.append(Target(section, row, unit, *numbers, limit, limit_name, title))
    return targets


def read_text(path):
    return path.read_text(encoding="utf-8") if path.exists() else ""


def read_records(folder):
    """The records of a case, each with its date."""
    date = read_text(folder / "date").strip()
    records = []
    for line in read_text(folder / "records").splitlines():
        try:
            record = json.loads(line)
            record = {key: record[key] for key in ("row", "who", "workers", "unit", "median", "min", "max", "runs")}
            records.append({**record, "date": date})
        except (ValueError, KeyError, TypeError):
            print(f"report: not a record, left out: {line}")
    return records


def read_results(results):
    """All records, and all failures as columns of text, the last one the date."""
    records, failures = [], []
    for folder in sorted(path.parent for path in results.glob("*/records")):
        records += read_records(folder)
        date = read_text(folder / "date").strip()
        failures += [[*row, date] for row in read_table(folder / "failures")]
    return records, failures


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
        self.dates = {r["row"]: r["date"] for r in records}
        self.runs = {}
        for r in records:
            self.runs[r["row"]] = max(r["runs"], self.runs.get(r["row"], 0))
        self.peers = sorted({r["who"] for r in records} - {SKUA}, key=str.lower)

    def value(self, row, who, workers):
        return self.medians.get((row, who, workers))

    def best_peer(self, row, workers):
        """(value, who) of the best one with as many workers, or None. A difference that is lost in noise is no figure."""
        values = [(self.value(row, who, workers), who) for who in self.peers if (row, who) not in NOT_COMPARED]
        return min((pair for pair in values if pair[0] is not None and pair[0] > 0), default=None)

    def ratio(self, target, workers):
        """Skua's figure by the best peer's. A row that is a ratio itself has none."""
        ours, best = self.value(target.row, SKUA, workers), self.best_peer(target.row, workers)
        if ours is None or best is None or target.unit == "x":
            return None
        return ours / best[0]

    def limit(self, target, workers):
        if target.limit.startswith("="):
            serial = self.value(target.limit[1:], SKUA, 1)
            return None if serial is None else serial / workers
        return number_or_none(target.limit)

    def is_known(self, target):
        return any(row == target.row for row, _, _ in self.medians)


def goals(target):
    return zip(WORKERS, (target.target_1w, target.target_2w))


def format_value(value):
    if value is None:
        return "-"
    if value == 0:
        return "0"
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


def format_limit(target, results):
    if not target.limit.startswith("="):
        return format_plain(number_or_none(target.limit))
    return format_pair(*(results.limit(target, workers) for workers in WORKERS))


def summary_table(targets, results):
    header = ["What", "Unit", "Skua 1w", "best peer 1w", "ratio 1w", "Skua 2w", "best peer 2w", "ratio 2w",
              "target 1w / 2w", "limit"]
    rows = []
    for target in targets:
        cells = [f"{target.title}<br>`{target.row}`", target.unit]
        for workers in WORKERS:
            best = results.best_peer(target.row, workers) if target.unit != "x" else None
            cells += [format_value(results.value(target.row, SKUA, workers)), format_best(best),
                      format_ratio(results.ratio(target, workers))]
        cells += [format_pair(target.target_1w, target.target_2w, format_plain), format_limit(target, results)]
        rows.append(cells)
    return markdown_table(header, rows)


def counted_table(targets, results):
    rows = [[f"{target.title}<br>`{target.row}`"]
            + [format_value(results.value(target.row, SKUA, workers)) for workers in WORKERS]
            + [format_pair(target.target_1w, target.target_2w, format_plain)] for target in targets]
    return markdown_table(["What", "1w", "2w", "target 1w / 2w"], rows)


def everybody_table(targets, results):
    everybody = [SKUA, *results.peers]
    rows = [[f"`{target.row}`", target.unit]
            + [format_cell(results, target.row, who) for who in everybody]
            for target in targets]
    return markdown_table(["Row", "Unit", *map(peer_name, everybody)], rows)


def score(targets, results):
    """One sentence: how often Skua is ahead, and how often it reaches its target."""
    ratios = [results.ratio(target, workers) for target in targets for workers in WORKERS]
    ratios = [ratio for ratio in ratios if ratio is not None]
    pairs = [(results.value(target.row, SKUA, workers), goal) for target in targets for workers, goal in goals(target)]
    pairs = [(ours, goal) for ours, goal in pairs if ours is not None and goal is not None]
    if not ratios and not pairs:
        return ""
    ahead = sum(ratio <= 1 for ratio in ratios)
    reached = sum(ours <= goal for ours, goal in pairs)
    return (f"Skua is ahead of the best peer, or level with it, in {ahead} of {len(ratios)} comparisons, and reaches "
            f"{reached} of {len(pairs)} targets.\n")


def far_behind(targets, results, remarks):
    """A line for each row that is more than three times its target."""
    lines = []
    for target in targets:
        behind = []
        for workers, goal in goals(target):
            ours = results.value(target.row, SKUA, workers)
            if ours is not None and goal is not None and ours > 3 * goal:
                times = f"{ours / goal:.1f} times the target" if goal > 0 else f"{format_value(ours)} instead of none"
                behind.append(f"{times} with {workers}w")
        if behind:
            reason = remarks.get(target.row, "No reason is known yet.")
            lines.append(f"- `{target.row}`, {', '.join(behind)}: {reason}\n")
    return "".join(lines)


LEGEND = (
    "Less is better in every row. \"1w / 2w\": with one / two workers. A ratio is Skua's value divided by the best peer's "
    "with as many workers, measured in the same rounds: below 1 Skua is ahead (bold). \"-\": not measured, or it does not "
    "apply. \u2020: its tasks cannot block. \u2021: shown but not compared, because most of the tasks are run on the spot instead of being spawned. Targets "
    "and limits are those of the machine they were set on, but for limits that are serial twins: these were measured in "
    "this run and are divided by the number of workers. The limits are:")


def limits_list(targets, results):
    rows_of = collections.defaultdict(list)
    for target in targets:
        if results.limit(target, 1) is not None:
            rows_of[target.limit_name].append(target.row)
    return "".join(f"- {name}: {', '.join(f'`{row}`' for row in rows)}\n" for name, rows in rows_of.items())


def sections(targets):
    names = dict.fromkeys(target.section for target in targets)
    return [(name, [target for target in targets if target.section == name]) for name in names]


def when(rows, results):
    """On which days the rows of a section were measured, and how often."""
    moments = collections.defaultdict(list)
    for target in rows:
        moments[results.dates[target.row], results.runs[target.row]].append(f"`{target.row}`")
    if len(moments) == 1:
        (date, runs), = moments
        return f"Medians of {runs} runs on {date}.\n"
    return "".join(f"- medians of {runs} runs on {date}: {', '.join(names)}\n"
                   for (date, runs), names in sorted(moments.items(), reverse=True))


def machines(results, args):
    """What the figures were measured on; several if it was not the same on all days."""
    dates_of = collections.defaultdict(list)
    for date in sorted(set(results.dates.values()), reverse=True):
        words = [" ".join(row) for row in read_table(args.results / "machines" / date)]
        if words:
            dates_of["; ".join(words)].append(date)
    lines = [f"Measured on: {words}." if len(dates_of) == 1 else f"Measured on {', '.join(dates)}: {words}."
             for words, dates in dates_of.items()]
    return "\n\n".join(lines) + "\n" if lines else ""


def failures_list(failures):
    return "".join(f"- {who}: {case}: {reason} ({date})\n" for who, case, reason, date in
                   ([*row[:2], " ".join(row[2:-1]), row[-1]] for row in failures))


def page(targets, results, failures, args):
    measured = [target for target in targets if results.is_known(target)]
    compared = [target for target in measured if not target.row.startswith(COUNTED)]
    parts = ["# Benchmarks\n",
             "Written by `bench/compare.sh`; do not edit. [bench.md](bench.md) says what each row is and how it is "
             "measured; [bench.json](bench.json) has all records.\n",
             score(measured, results), machines(results, args),
             f"![Skua divided by the best peer, row by row]({args.ratios.name})\n", LEGEND + "\n",
             limits_list(compared, results)]
    for name, rows in sections(measured):
        table = counted_table if rows[0].row.startswith(COUNTED) else summary_table
        parts += [f"## {name}\n", when(rows, results), table(rows, results)]
    behind = far_behind(measured, results, dict(row[:2] for row in read_table(args.remarks)))
    if behind:
        parts += ["## Further than three times from the target\n", behind]
    parts += ["## Everybody\n", f"![All rows as bars on logarithmic scales]({args.svg.name})\n",
              everybody_table(compared, results)]
    if failures:
        parts += ["## What failed\n", failures_list(failures)]
    return "\n".join(part for part in parts if part)


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
                      ((results.limit(target, 1), LIMIT), (target.target_1w, TARGET), (target.target_2w, TARGET))
                      if value is not None]
        self.set_scale()

    def set_scale(self):
        values = [value for value, _ in self.marks]
        values += [value for _, _, values in self.lines for value in values if value is not None and value > 0]
        # A bar of the least value still has to have a length.
        self.low = math.floor(math.log10(min(values, default=1) / 1.6))
        self.high = max(math.ceil(math.log10(max(values, default=1))), self.low + 1)

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
            label = f"{10.0 ** power:,.{max(-power, 0)}f}{unit}"
            to.text(at, bottom + 13, label, 'fill="#868e96" font-size="10"', "middle")
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
    panels = [Panel(target, results) for target in targets
              if results.is_known(target) and not target.row.startswith(COUNTED)]
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


# The other chart: one look for all rows.

RATIO_NAME_WIDTH, RATIO_BEST_WIDTH, RATIO_STEP, RATIO_HEAD = 480, 170, 17, 92
RATIO_PLOT = (MARGIN + RATIO_NAME_WIDTH, WIDTH - MARGIN - RATIO_BEST_WIDTH)
AHEAD, BEHIND = "#2b8a3e", "#c92a2a"
FACTOR_TEXTS = {0.1: "10 times less", 0.25: "a quarter", 0.5: "half", 1.0: "level", 2.0: "double", 4.0: "4 times",
                10.0: "10 times more"}


def ratio_lines(targets, results):
    """(target, workers, ratio, best peer) of all comparisons."""
    for target in targets:
        for workers in WORKERS:
            ratio = results.ratio(target, workers)
            if ratio is not None and ratio > 0:
                yield target, workers, ratio, results.best_peer(target.row, workers)[1]


def ratio_x(ratio, bound):
    """Where a ratio stands; what lies beyond the bound stands at the edge."""
    left, right = RATIO_PLOT
    share = (math.log(ratio) / math.log(bound) + 1) / 2
    return left + (right - left) * min(max(share, 0), 1)


def draw_ratio_axis(to, bound, bottom):
    to.text(MARGIN, MARGIN + 12, "Skua divided by the best peer", 'font-size="18" font-weight="bold"')
    to.text(MARGIN, MARGIN + 30, "A bar to the left: Skua needs less. The name is the best peer's with as many workers "
            "in the same run. \u2020: its tasks cannot block.", 'fill="#868e96"')
    for factor, text in FACTOR_TEXTS.items():
        if 1 / bound <= factor <= bound:
            at = ratio_x(factor, bound)
            to.rule(at, RATIO_HEAD - 8, bottom, 'stroke="#495057" stroke-width="1.5"' if factor == 1 else GRID)
            to.text(at, RATIO_HEAD - 14, text, 'fill="#868e96" font-size="10"', "middle")


def ratio_chart(targets, results):
    lines = list(ratio_lines(targets, results))
    greatest = max([max(ratio, 1 / ratio) for _, _, ratio, _ in lines], default=1)
    bound = min(max(greatest * 1.3, 4), 32)
    drawing = Drawing()
    bottom = RATIO_HEAD + sum(RATIO_STEP if workers == 2 else RATIO_STEP + 4 for _, workers, _, _ in lines) + 4
    draw_ratio_axis(drawing, bound, bottom)
    level, y = ratio_x(1, bound), RATIO_HEAD
    seen = None
    for target, workers, ratio, best in lines:
        if target.row != seen:
            y += 4
            drawing.text(MARGIN, y + BAR, target.row, 'font-weight="bold"')
            drawing.text(MARGIN + 130, y + BAR, textwrap.shorten(target.title, 64), 'fill="#868e96" font-size="10"')
        seen = target.row
        at = ratio_x(ratio, bound)
        colour = AHEAD if ratio <= 1 else BEHIND
        drawing.box(min(at, level), y, max(abs(at - level), 1), BAR + 1, colour)
        drawing.text(at + (5 if ratio > 1 else -5), y + BAR, f"{ratio:.2f}", VALUE_STYLE, "start" if ratio > 1 else "end")
        drawing.text(RATIO_PLOT[1] + 36, y + BAR, f"{workers}w  {peer_name(best)}", 'font-size="10"')
        y += RATIO_STEP
    return drawing.svg(WIDTH, bottom + MARGIN)


def write_json(path, records):
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("results", "targets", "json", "page", "svg", "ratios"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--remarks", type=pathlib.Path)
    return parser.parse_args()


def main():
    args = parse_arguments()
    targets = read_targets(args.targets)
    records, failures = read_results(args.results)
    records = merge_rounds(records)
    results = Results(records)
    write_json(args.json, records)
    args.page.write_text(page(targets, results, failures, args), encoding="utf-8")
    args.svg.write_text(chart(targets, results), encoding="utf-8")
    args.ratios.write_text(ratio_chart(targets, results), encoding="utf-8")


if __name__ == "__main__":
    main()
