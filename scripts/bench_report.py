#!/usr/bin/env python3
"""Makes a table of what scripts/bench.sh measured: bench_report.py FOLDER [PAGE].

FOLDER has hyperfine's JSON files and `facts`, lines of a name and a value. The table is printed, and put into PAGE
between the lines BEGIN and END.
"""

import json
import os
import re
import sys
from pathlib import Path
from statistics import median

BEGIN = "<!-- figures of scripts/bench.sh -->"
END = "<!-- end of figures -->"
MB = 1e6


def read(folder):
    """Median seconds by file and command name, and the facts."""
    seconds = {}
    for path in sorted(folder.glob("*.json")):
        for result in json.loads(path.read_text())["results"]:
            seconds[f"{path.stem}.{result['command']}"] = median(result["times"])
    facts = dict(line.split(maxsplit=1) for line in (folder / "facts").read_text().splitlines())
    return seconds, facts


def rows(seconds, facts):
    """What was measured, the figure, the goal, and whether it is reached (None where there is no goal)."""
    number = {name: int(value) for name, value in facts.items() if value.isdigit()}
    records = number["records.large"]
    speed = {name: records / seconds[f"convert.{name}"] / 1e6 for name in ("floor", "one", "two", "many-one", "many-two")}

    def rate(what, name, least=None):
        figure = f"{records / speed[name] / 1e6:.2f} s, {speed[name]:.2f} M records/s"
        return what, figure, f"at least {least} M records/s" if least else "", least and speed[name] >= least

    def ratio(what, value, goal=None, most=False, digits=2):
        words = "" if goal is None else f"{'at most' if most else 'at least'} {goal}×"
        reached = None if goal is None else value <= goal if most else value >= goal
        return what, f"{value:.{digits}f}×", words, reached

    yield rate("floor: inflate and decode only, one thread", "floor")
    yield rate("one thread", "one", 1.0)
    yield ratio("one thread, times the floor", seconds["convert.one"] / seconds["convert.floor"])
    yield rate("two threads, one big file", "two")
    yield ratio("two threads to one, one big file", speed["two"] / speed["one"], 1.8)
    yield rate("two threads, 50 files", "many-two")
    yield ratio("two threads to one, 50 files", speed["many-two"] / speed["many-one"], 1.8)
    per_record = {name: seconds[f"linear.{name}"] / number[f"records.{name}"] for name in ("tenth", "tenfold")}
    yield ratio("time for a record, 100 times the input to 1", per_record["tenfold"] / per_record["tenth"], 1.1, most=True)
    for jobs, threads in ((1, "one thread"), (2, "two threads")):
        for name, input_ in (("large", ""), ("tenfold", ", ten times the input")):
            peak = number[f"peak.{name}.{jobs}"] / MB
            yield f"peak memory, {threads}{input_}", f"{peak:.0f} MB", "at most 400 MB", peak <= 400
    yield ratio("`records` to the deflated trace", number["bytes.records"] / number["bytes.input"], 0.75, most=True)
    yield ratio("whole dataset to the deflated trace", number["bytes.dataset"] / number["bytes.input"], 1.0, most=True)
    start = {name: seconds[f"start.{name}"] * 1e3 for name in ("nothing", "find", "folder", "list")}
    inputs = f"{number['inputs']:,} converted inputs"
    for name, given in (("folder", "as a folder"), ("list", "as a list")):
        figure = f"{start[name]:.1f} ms, {start[name] / start['find']:.2f}× `find -newermt` on them"
        yield f"nothing to do, {inputs} {given}", figure, "under 20 ms", start[name] < 20
    yield "the program's start alone (`--version`)", f"{start['nothing']:.1f} ms", "", None
    if "reference.convert" in seconds:
        times = seconds["reference.todataframe"] / seconds["reference.convert"]
        what = f"faster than sysflow-tools `toDataframe()`, {number['records.thirty']:,} records"
        yield ratio(what, times, 150, digits=0)


def table(seconds, facts, machine):
    records, size = int(facts["records.large"]), int(facts["bytes.input"]) / MB
    lines = [
        f"Input: {facts['trace']} {int(facts['times']):,} times over, {records:,} records, {size:.0f} MB deflated."
        f" Machine: {machine}. Medians.",
        "",
        "| | measured | goal | reached |",
        "| --- | --- | --- | --- |",
    ]
    for what, figure, goal, reached in rows(seconds, facts):
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
