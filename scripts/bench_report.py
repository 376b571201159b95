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


def times(rounds, one, other):
    """How many times as long one command takes as the other: the median of what each round says."""
    return median(a / b for a, b in zip(rounds[one], rounds[other], strict=True))


def rows(rounds, facts):
    """What was measured, the figure, the goal, and whether it is reached (None where there is no goal)."""
    number = {name: int(value) for name, value in facts.items() if value.isdigit()}
    records = number["records.large"]

    def rate(what, name, least=None):
        seconds = median(rounds[f"convert.{name}"])
        speed = records / seconds / 1e6
        figure = f"{seconds:.2f} s, {speed:.2f} M records/s"
        return what, figure, f"at least {least} M records/s" if least else "", least and speed >= least

    def ratio(what, value, goal=None, most=False, digits=2):
        words = "" if goal is None else f"{'at most' if most else 'at least'} {goal}×"
        reached = None if goal is None else value <= goal if most else value >= goal
        return what, f"{value:.{digits}f}×", words, reached

    yield rate("floor: inflate and decode only, one thread", "floor")
    yield rate("one thread", "one", 1.0)
    yield ratio("one thread, times the floor", times(rounds, "convert.one", "convert.floor"))
    yield rate("two threads, one big file", "two")
    yield ratio("two threads to one, one big file", times(rounds, "convert.one", "convert.two"), 1.8)
    yield rate("two threads, 50 files", "many-two")
    yield ratio("two threads to one, 50 files", times(rounds, "convert.many-one", "convert.many-two"), 1.8)
    beside = 2 * times(rounds, "convert.one", "convert.pair")
    yield ratio("two runs beside each other, one thread each, to one after the other", beside)
    per_record = times(rounds, "linear.tenfold", "linear.tenth") * number["records.tenth"] / number["records.tenfold"]
    yield ratio("time for a record, 100 times the input to 1", per_record, 1.1, most=True)
    for jobs, threads in ((1, "one thread"), (2, "two threads")):
        for name, input_ in (("large", ""), ("tenfold", ", ten times the input")):
            peak = number[f"peak.{name}.{jobs}"] / MB
            yield f"peak memory, {threads}{input_}", f"{peak:.0f} MB", "at most 400 MB", peak <= 400
    yield ratio("`records` to the deflated trace", number["bytes.records"] / number["bytes.input"], 0.75, most=True)
    yield ratio("whole dataset to the deflated trace", number["bytes.dataset"] / number["bytes.input"], 1.0, most=True)
    start = {name: median(rounds[f"start.{name}"]) * 1e3 for name in ("nothing", "find", "folder", "list")}
    inputs = f"{number['inputs']:,} converted inputs"
    for name, given in (("folder", "as a folder"), ("list", "as a list")):
        figure = f"{start[name]:.1f} ms, {times(rounds, f'start.{name}', 'start.find'):.2f}× `find -newermt` on them"
        yield f"nothing to do, {inputs} {given}", figure, "under 20 ms", start[name] < 20
    yield "the program's start alone (`--version`)", f"{start['nothing']:.1f} ms", "", None
    if "reference.convert" in rounds:
        what = f"faster than sysflow-tools `toDataframe()`, {number['records.thirty']:,} records"
        yield ratio(what, times(rounds, "reference.todataframe", "reference.convert"), 150, digits=0)


def table(rounds, facts, machine):
    records, size = int(facts["records.large"]), int(facts["bytes.input"]) / MB
    lines = [
        f"Input: {facts['trace']} {int(facts['times']):,} times over, {records:,} records, {size:.0f} MB deflated."
        f" Machine: {machine}. Medians; ratios are the medians of the rounds' ratios.",
        "",
        "| | measured | goal | reached |",
        "| --- | --- | --- | --- |",
    ]
    for what, figure, goal, reached in rows(rounds, facts):
        lines.append(f"| {what} | {figure} | {goal} | {'' if reached is None else 'yes' if reached else '**no**'} |")
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
