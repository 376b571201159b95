"""What `concat` writes is an Avro file like any other: fastavro reads it, record by record as it reads the inputs."""

from pathlib import Path

import fastavro
import pytest
from conftest import ALL_TRACES, NO_TRACES, TESTDATA, TRACES


def records(path):
    with open(path, "rb") as file:
        reader = fastavro.reader(file, return_record_name=True, return_record_name_override=True)
        return [(name.rsplit(".", 1)[-1], record) for name, record in (r["rec"] for r in reader)]


@pytest.fixture(scope="module")
def readable():
    """Traces that are whole and that fastavro reads."""
    if not ALL_TRACES:
        pytest.skip(NO_TRACES)
    found = {}
    for trace in ALL_TRACES:
        if not any(Path(trace.path).is_relative_to(folder) for folder in (TRACES, TESTDATA)):
            continue  # made for other tests, with types and beginnings that concat refuses on purpose
        try:
            found[trace.path] = records(trace.path)
        except Exception:  # damaged on purpose, or the oldest layouts
            continue
    return found


@pytest.mark.parametrize("codec", ["deflate", "null"])
def test_fastavro_reads_what_it_read_before(sf_parquet, readable, codec, tmp_path):
    out = tmp_path / "out.sf"
    sf_parquet("concat", *readable, "-o", out, "--codec", codec)
    expected = [record for trace in readable.values() for record in trace]
    joined = records(out)
    assert len(joined) == len(expected)
    for (name, record), (old_name, old) in zip(joined, expected):
        if "endTs" not in old and old_name == "ProcessFlow":
            old_name = "ProcessEvent"  # what the oldest layouts called it
        assert name == old_name
        for field, value in old.items():
            if field in record and field != "type":
                assert record[field] == value, (name, field)
