"""The table that scripts/bench.sh makes of what it measured."""

import json
import sys

import pytest
from conftest import REPO

sys.path.insert(0, str(REPO / "scripts"))
import bench_report


def hyperfine(folder, measurement, *rounds):
    for number, seconds in enumerate(rounds, 1):
        results = [
            {"command": name.replace("_", "-"), "times": [run]}
            for name, runs in seconds.items()
            for run in (runs if isinstance(runs, list) else [runs])
        ]
        (folder / f"{measurement}.{number}.json").write_text(json.dumps({"results": results}))


@pytest.fixture
def folder(tmp_path):
    quiet = {"floor": 1.0, "one": 4.0, "two": 2.0, "plain": 4.4, "pair": 5.0, "many_one": 4.0, "many_two": 2.5}
    slow = {name: 2 * seconds for name, seconds in quiet.items()}
    # While its last command ran, the machine changed.
    broken = quiet | {"many_two": 0.1}
    hyperfine(tmp_path, "convert", quiet, slow, slow, broken, quiet)
    hyperfine(tmp_path, "linear", {"tenth": [0.5, 1.0, 2.0], "tenfold": 109.0})
    hyperfine(tmp_path, "start", {"nothing": 0.002, "find": 0.02, "folder": 0.0199, "list": 0.03})
    facts = {
        "trace": "a.sf", "times": 1000, "records.tenth": 600_000, "records.large": 6_000_000,
        "records.tenfold": 60_000_000, "records.short": 180_000, "bytes.input": 100_000_000,
        "bytes.records": 75_000_000, "bytes.dataset": 101_000_000, "peak.large.1": 400_000_000,
        "peak.tenfold.1": 401_000_000, "peak.large.2": 1, "peak.tenfold.2": 1, "inputs": 10_000,
    }
    (tmp_path / "facts").write_text("".join(f"{name} {value}\n" for name, value in facts.items()))
    return tmp_path


def figures(folder):
    lines = bench_report.table(*bench_report.read(folder), "a CPU, 2 cores").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {what: (figure, reached) for what, figure, _, reached in cells[2:]}


def test_figures_are_held_against_their_goals(folder):
    figure = figures(folder)
    assert figure["one thread"] == ("1.50 M records/s (0.75 to 1.50), 4.00 s", "yes, in 3 of 5 rounds")
    assert figure["one thread, times as fast as `cargo build --release` makes it"] == ("1.10× (1.10 to 1.10)", "")
    assert figure["one thread, times the floor"] == ("4.00× (4.00 to 4.00)", "")
    assert figure["two threads to one, one big file"] == ("2.00× (2.00 to 2.00)", "yes, in 5 of 5 rounds")
    assert figure["two threads to one, 50 files"] == ("1.60× (1.60 to 40.00)", "**no**, in 1 of 5 rounds")
    assert figure["two runs beside each other, one thread each, to one after the other"] == ("1.60× (1.60 to 1.60)", "")
    assert figure["time for a record, 100 times the input to 1"] == ("1.09×", "yes")
    assert figure["peak memory, one thread"] == ("400 MB", "yes")
    assert figure["peak memory, one thread, ten times the input"] == ("401 MB", "**no**")
    assert figure["`records` to the deflated trace"] == ("0.75×", "yes")
    assert figure["whole dataset to the deflated trace"] == ("1.01×", "**no**")
    assert figure["nothing to do, 10,000 converted inputs as a folder"][1] == "yes"
    assert figure["nothing to do, 10,000 converted inputs as a list"] == ("30.0 ms, 1.50× `find -newermt` on them", "**no**")


def test_the_reference_is_in_the_table_if_it_was_measured(folder):
    what = "faster than sysflow-tools `toDataframe()`, 180,000 records"
    assert what not in figures(folder)
    quiet = {"convert": 0.1, "plain": 0.125, "todataframe": 15.0}
    hyperfine(folder, "reference", quiet, {name: 2 * seconds for name, seconds in quiet.items()})
    assert figures(folder)[what] == ("150× (150 to 150)", "yes, in 2 of 2 rounds")
    assert figures(folder)["the same as `cargo build --release` makes it"] == ("120× (120 to 120)", "")


def test_only_what_is_between_the_marks_is_replaced(folder):
    page = folder / "page.md"
    before, after = "# Prose\n\n", "\n\n- more `\\1` prose\n"
    page.write_text(f"{before}{bench_report.BEGIN}\nstale figures\n{bench_report.END}{after}")
    for _ in range(2):
        bench_report.main(folder, page)
        text = page.read_text()
        assert text.startswith(before + bench_report.BEGIN) and text.endswith(bench_report.END + after)
        assert "stale" not in text and text.count("| one thread |") == 1
    with pytest.raises(ValueError):
        bench_report.put("no marks", "figures")


def test_the_page_has_the_marks():
    bench_report.put((REPO / "docs" / "performance.md").read_text(), "figures")
