#!/usr/bin/env python3
"""Makes a table of what scripts/bench.sh measured: bench_report.py FOLDER [PAGE].

FOLDER has hyperfine's JSON files, one for each round, and `facts`, lines of a name and a value. The table is printed, and
put into PAGE between the lines BEGIN and END.
"""

import json
import os
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BEGIN = "<!-- figures of scripts/bench.sh -->"
END = "<!-- end of figures -->"
MB = 1e6


def read(folder):
    """The seconds in each round by measurement and command name, medians where it ran several times, and the facts."""
    rounds = defaultdict(list)
    for path in sorted(folder.glob("*.*.json")):
        runs = defaultdict(list)
        for result in json.loads(path.read_text())["results"]:
            runs[result["command"]] += result["times"]
        for command, seconds in runs.items():
            rounds[f"{path.name.split('.')[0]}.{command}"].append(median(seconds))
    facts = dict(line.split(maxsplit=1) for line in (folder / "facts").read_text().splitlines())
    return rounds, facts


@dataclass
class Row:
    """What was measured in each round, and the goal: a bound from below, or from above if it is small that is good."""

    what: str
    figures: list[float]
    unit: str
    goal: float | None = None
    small: bool = False
    digits: int = 2
    remark: str = ""

    def cells(self):
        middle, last = median(self.figures), len(self.figures) - 1
        show = f"{{:,.{self.digits}f}}".format
        spread = f" ({show(min(self.figures))} to {show(max(self.figures))})" if last else ""
        measured = f"{show(middle)}{self.unit}{spread}{self.remark}"
        if self.goal is None:
            return self.what, measured, "", ""
        meets = [figure <= self.goal if self.small else figure >= self.goal for figure in self.figures]
        reached = "yes" if (middle <= self.goal if self.small else middle >= self.goal) else "**no**"
        rounds = f", in {sum(meets)} of {len(meets)} rounds" if last else ""
        return self.what, measured, f"at {'most' if self.small else 'least'} {self.goal:g}{self.unit}", reached + rounds


def times(rounds, one, other):
    """How many times as long one command takes as the other in each round."""
    return [a / b for a, b in zip(rounds[one], rounds[other], strict=True)]


def rows(rounds, facts):
    """A row for each thing that was measured."""
    number = {name: int(value) for name, value in facts.items() if value.isdigit()}
    records = number["records.large"]

    def rate(what, name, goal=None):
        speeds = [records / seconds / 1e6 for seconds in rounds[f"convert.{name}"]]
        return Row(what, speeds, " M records/s", goal, remark=f", {records / median(speeds) / 1e6:.2f} s")

    yield rate("floor: inflate and decode only, one thread", "floor")
    yield rate("one thread", "one", 1.0)
    what = "one thread, times as fast as `cargo build --release` makes it"
    yield Row(what, times(rounds, "convert.plain", "convert.one"), "×")
    yield Row("one thread, times the floor", times(rounds, "convert.one", "convert.floor"), "×")
    yield rate("two threads, one big file", "two")
    yield Row("two threads to one, one big file", times(rounds, "convert.one", "convert.two"), "×", 1.8)
    yield rate("two threads, 50 files", "many-two")
    yield Row("two threads to one, 50 files", times(rounds, "convert.many-one", "convert.many-two"), "×", 1.8)
    beside = [2 * ratio for ratio in times(rounds, "convert.one", "convert.pair")]
    yield Row("two runs beside each other, one thread each, to one after the other", beside, "×")
    inputs = number["records.tenth"] / number["records.tenfold"]
    per_record = [inputs * ratio for ratio in times(rounds, "linear.tenfold", "linear.tenth")]
    yield Row("time for a record, 100 times the input to 1", per_record, "×", 1.1, small=True)
    for jobs, threads in ((1, "one thread"), (2, "two threads")):
        for name, input_ in (("large", ""), ("tenfold", ", ten times the input")):
            peak = number[f"peak.{name}.{jobs}"] / MB
            yield Row(f"peak memory, {threads}{input_}", [peak], " MB", 400, small=True, digits=0)
    for what, name, goal in (("`records`", "records", 0.75), ("whole dataset", "dataset", 1.0)):
        ratio = number[f"bytes.{name}"] / number["bytes.input"]
        yield Row(f"{what} to the deflated trace", [ratio], "×", goal, small=True)
    for name, given in (("folder", "as a folder"), ("list", "as a list")):
        what = f"nothing to do, {number['inputs']:,} converted inputs {given}"
        remark = f", {median(times(rounds, f'start.{name}', 'start.find')):.2f}× `find -newermt` on them"
        figures = [seconds * 1e3 for seconds in rounds[f"start.{name}"]]
        yield Row(what, figures, " ms", 20, small=True, digits=1, remark=remark)
    start = [seconds * 1e3 for seconds in rounds["start.nothing"]]
    yield Row("the program's start alone (`--version`)", start, " ms", digits=1)
    if "reference.convert" in rounds:
        what = f"faster than sysflow-tools `toDataframe()`, {number['records.short']:,} records"
        yield Row(what, times(rounds, "reference.todataframe", "reference.convert"), "×", 150, digits=0)
        plain = times(rounds, "reference.todataframe", "reference.plain")
        yield Row("the same as `cargo build --release` makes it", plain, "×", digits=0)


def table(rounds, facts, machine):
    records, size = int(facts["records.large"]), int(facts["bytes.input"]) / MB
    lines = [
        f"Input: {facts['trace']} {int(facts['times']):,} times over, {records:,} records, {size:.0f} MB deflated."
        f" Machine: {machine}. Medians of the rounds, and their range; what is compared ran side by side in each round.",
        "",
        "| | measured | goal | reached |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows(rounds, facts)]
    return "\n".join(lines)


def put(page, text):
    """The page with the text between its marks."""
    marked = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if len(marked.findall(page)) != 1:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, once")
    return marked.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page)


def machine():
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{models[0] if models else 'unknown CPU'}, {os.cpu_count()} cores"


def main(folder, page=None):
    text = table(*read(Path(folder)), machine())
    print(text)
    if page:
        Path(page).write_text(put(Path(page).read_text(), text))


if __name__ == "__main__":
    main(*sys.argv[1:])
