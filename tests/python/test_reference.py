"""Every cell of sysflow_flat against the Python reference (sysflow-tools), and against a second flattening."""

import json
import re
from collections import Counter

import pandas
import pytest
from conftest import SQL, run_statements
from flattening import fixed, flatten, iso, kind, read
from sysflow.formatter import SFFormatter
from sysflow.reader import FlattenedSFReader

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")

# ---------------------------------------------------------------------------------------------------------------------
# All that may differ from the reference. Nothing else may.

# Columns in which the reference mixes numbers or booleans with '': text here, as str() prints the value.
MIXED = {
    "opflags_bitmap", "proc.tty", "proc.entry", "pproc.tty", "pproc.entry", "pproc.createts", "file.fd",
    "file.openflags", "net.proto", "container.privileged", "schema",
}  # fmt: skip
# Columns with lists in the reference: JSON text here.
LISTS = {"pod.hostip", "pod.internalip", "pod.services", "tags"}

# name -> (columns, why)
DIFFERENCES = {
    "times through floats": (
        {"ts": "ts_uts", "endts": "endts_uts"},
        "the reference divides nanoseconds as floats and rounds: up to a microsecond off; ours is exact and floored",
    ),
    "message end": (
        {"k8s.msg"},
        "the collector ends messages with a newline and a NUL, which is no JSON; ours are stripped of it",
    ),
    "data frame integers": (
        None,  # whatever column pandas makes float64
        "toDataframe() makes floats of integers where one is missing: nanoseconds are rounded to 256; ours are exact",
    ),
}

# Why the reference fails -> (what it raises, whether a record is such)
CRASHES = {
    "process without a state (oldest layout)": (
        r"AttributeError: .*'(state|tty|privileged)'",
        lambda r: r.name == "Process" and "state" not in r.fields,
    ),
    "process event that is called ProcessFlow (old layouts)": (
        r"AttributeError: .*'(endTs|numThreadsCloned)'",
        lambda r: r.name == "ProcessFlow" and "endTs" not in r.fields,
    ),
    "NetworkEvent, which the reference calls NetEvent": (
        r"KeyError: '[\w.]*NetworkEvent'",
        lambda r: r.name == "NetworkEvent",
    ),
    "record that the reference does not know": (r"KeyError: ", lambda r: kind(r) is None),
    "record without a namespace": (r"KeyError: ", lambda r: not r.full_name.startswith("sysflow.")),
    "text that is not UTF-8": (r"UnicodeDecodeError: ", lambda r: "\N{REPLACEMENT CHARACTER}" in repr(r.fields)),
}
# ---------------------------------------------------------------------------------------------------------------------


def rows_of(duck, trace):
    """Our rows of a file, by record number: all columns of sysflow_flat."""
    result = duck.execute("SELECT * FROM sysflow_flat WHERE starts_with(trace_id, ?) ORDER BY record_no", [trace.id])
    names = [column[0] for column in result.description]
    rows = {}
    for values in result.fetchall():
        row = dict(zip(names, values))
        assert row["record_no"] not in rows, "a record twice"
        for column in LISTS:
            row[column] = row[column] and json.loads(row[column])
        rows[row["record_no"]] = row
    return rows


def expected(row):
    """The reference's values with the differences of the table above, and nothing but these."""
    assert set(row) >= MIXED | LISTS
    row = dict(row)
    for column in MIXED:
        row[column] = str(row[column])
    row["tags"] = list(row["tags"])
    for column, nanoseconds in DIFFERENCES["times through floats"][0].items():
        if row[nanoseconds] is not None:
            exact = iso(row[nanoseconds])
            off = pandas.Timestamp(row[column]) - pandas.Timestamp(exact)
            assert abs(off) <= pandas.Timedelta(microseconds=1), (row[column], exact)
            row[column] = exact
    for column in DIFFERENCES["message end"][0]:
        row[column] = fixed(row[column])
    return row


def differences(ours, theirs, columns):
    return [
        f"record {ours['record_no']} {column}: ours {ours[column]!r}, expected {theirs[column]!r}"
        for column in columns
        if ours[column] != theirs[column] or type(ours[column]) is not type(theirs[column])
    ]


def assert_same(ours, theirs):
    """Rows of sysflow_flat against rows of 75 columns, in the same order."""
    assert len(ours) == len(theirs)
    found = [d for o, t in zip(ours, theirs) for d in differences(o, t, t)]
    assert not found, f"{len(found)} cells differ:\n" + "\n".join(found[:30])


def causes(records):
    return {name for name, (_, is_such) in CRASHES.items() if any(map(is_such, records))}


def reference(trace):
    """The reference's rows of a trace that it can read."""
    reader = FlattenedSFReader(str(trace.path))
    formatter = SFFormatter(reader)
    return [formatter._flatten(*record, None) for record in reader]


def undamaged(trace):
    records, error = read(trace.path)
    if error:
        pytest.skip(f"damaged, for the reference, too: {error!r}")
    return records


def test_columns_are_the_references(duck):
    columns = [c[0] for c in duck.execute("SELECT * FROM sysflow_flat LIMIT 0").description]
    flat = SFFormatter(None)._flatten(None, None, None, None, None, None, None, None, None, None)
    assert columns == [*flat, "trace_id", "record_no", "date"]
    assert len(flat) == 75


def test_every_cell_equals_the_reference(duck, trace):
    records = undamaged(trace)
    why = causes(records)
    if why:
        # It must really fail, or the excuse is gone.
        with pytest.raises(Exception) as failure:
            reference(trace)
        message = f"{failure.typename}: {failure.value}"
        assert any(re.match(CRASHES[name][0], message) for name in why), f"{message}, not because of {why}"
        return
    assert_same(list(rows_of(duck, trace).values()), [expected(row) for row in reference(trace)])


def test_data_frame_is_the_same_but_for_its_floats(duck, trace):
    if causes(undamaged(trace)):
        with pytest.raises((AttributeError, KeyError, UnicodeDecodeError)):
            SFFormatter(FlattenedSFReader(str(trace.path))).toDataframe()
        return
    frame = SFFormatter(FlattenedSFReader(str(trace.path))).toDataframe()
    rows = list(rows_of(duck, trace).values())
    assert len(frame) == len(rows)
    if not rows:
        return
    floats = {c for c in frame.columns if frame[c].dtype == "float64"}
    found = []
    for index, ours in enumerate(rows):
        theirs = {c: frame[c].iat[index] for c in frame.columns}
        for column, value in theirs.items():
            if not isinstance(value, (list, tuple)) and pandas.isna(value):
                theirs[column] = None
            elif column in floats:
                # Rounded: the same float is all that can be asked. Exact values: test_every_cell_equals_the_reference.
                theirs[column] = ours[column] if ours[column] is not None and float(ours[column]) == value else value
            elif hasattr(value, "item"):
                theirs[column] = value.item()
        found += differences(ours, expected(theirs), frame.columns)
    assert not found, f"{len(found)} cells differ:\n" + "\n".join(found[:30])


def test_every_cell_equals_a_second_flattening(duck, trace):
    """For the traces that the reference cannot read, and for the values that only records has."""
    records, error = read(trace.path)
    theirs = list(flatten(records))
    ours = rows_of(duck, trace)
    if error:
        # Damage ends fastavro's reading but not ours: compare what comes before it.
        ours = {no: row for no, row in ours.items() if no < len(records)}
    assert list(ours) == [row.record_no for row in theirs]
    assert_same(list(ours.values()), [row.flat for row in theirs])

    columns = ["trace_id", *theirs[0].more] if theirs else ["trace_id"]
    more = duck.execute(
        f"SELECT {', '.join(columns)} FROM records WHERE starts_with(trace_id, ?) ORDER BY record_no", [trace.id]
    ).fetchall()
    found = []
    for values, row in zip(more, theirs):
        wanted = {"trace_id": f"{trace.id}-{'none' if row.trace_no is None else row.trace_no}"} | row.more
        for column, mine in zip(columns, values):
            if mine != wanted[column]:
                found.append(f"record {row.record_no} {column}: ours {mine!r}, expected {wanted[column]!r}")
    assert not found, f"{len(found)} cells differ:\n" + "\n".join(found[:30])


def test_counts_of_records(duck, trace):
    records, error = read(trace.path)
    counts = Counter(map(kind, records))
    by_code = {code: counts[code] for code in ("PE", "FE", "NE", "PF", "FF", "NF", "KE")}

    columns = {f"n_{code.lower()}": n for code, n in by_code.items()}
    columns |= {f"n_{e}": counts[e] for e in ("header", "pod", "container", "process", "file")}
    columns |= {"n_unknown": counts[None], "records": len(records)}
    sums = ", ".join(f"coalesce(sum({c}), 0)::BIGINT" for c in columns)
    found = duck.execute(f"SELECT {sums} FROM traces WHERE input_sha256 = ?", [trace.sha256]).fetchone()
    of_traces = dict(zip(columns, found))

    def rows(table):
        where = "WHERE starts_with(trace_id, ?)"
        return duck.execute(f"SELECT count(*) FROM {table} {where}", [trace.id]).fetchone()[0]

    of_type = duck.execute(
        "SELECT type, count(*) FROM records WHERE starts_with(trace_id, ?) GROUP BY type", [trace.id]
    ).fetchall()
    tables = {"pods": "pod", "containers": "container", "processes": "process", "files": "file"}
    entities = {table: rows(table) for table in tables}
    if error:
        # We may read on behind the damage.
        assert all(of_traces[c] >= n for c, n in columns.items())
        assert all(entities[table] >= counts[name] for table, name in tables.items())
        return
    assert of_traces == columns
    assert dict(of_type) == {code: n for code, n in by_code.items() if n}
    assert entities == {table: counts[name] for table, name in tables.items()}
    assert rows("k8s_events") == by_code["KE"]
    services = [s for r in records if kind(r) == "pod" for s in r.fields["services"]]
    assert rows("pod_service_ports") == sum(
        max(len(s["portList"]), 1) * max(len(s["clusterIP"]), 1) for s in services
    )


def test_spark_gives_the_same_rows(duck, spark):
    query = "SELECT * FROM sysflow_flat ORDER BY trace_id, record_no"
    in_spark = spark.sql(query)
    in_duck = duck.execute(query)
    names = [column[0] for column in in_duck.description]
    assert in_spark.columns == names
    ours, theirs = in_duck.fetchall(), [tuple(row) for row in in_spark.collect()]
    assert len(ours) == len(theirs) > 0
    found = [
        f"{o[-3]} {o[-2]} {name}: DuckDB {a!r}, Spark {b!r}"
        for o, t in zip(ours, theirs)
        if o != t
        for name, a, b in zip(names, o, t)
        if a != b
    ]
    assert not found, f"{len(found)} cells differ:\n" + "\n".join(found[:30])


def test_times_do_not_depend_on_the_time_zone(duck, spark):
    query = "SELECT ts, endts FROM sysflow_flat ORDER BY trace_id, record_no"
    before = duck.execute(query).fetchall(), spark.sql(query).collect()
    spark_view = (SQL / "sysflow_flat.spark.sql").read_text()

    def set_time_zone(name):
        duck.execute(f"SET TimeZone = '{name}'")
        spark.conf.set("spark.sql.session.timeZone", name)
        run_statements(spark, spark_view)  # a view in Spark keeps the zone that it was made in

    set_time_zone("America/St_Johns")
    try:
        assert (duck.execute(query).fetchall(), spark.sql(query).collect()) == before
    finally:
        set_time_zone("UTC")


def test_the_two_views_differ_only_in_dialect():
    def common(engine):
        text = (SQL / f"sysflow_flat.{engine}.sql").read_text()
        text = re.sub(r"-- dialect: from here\n.*\n-- dialect: to here\n", "", text, flags=re.S)
        text = re.sub(r"^-- For (DuckDB|Spark SQL)\..*$", "", text, flags=re.M)
        return text.replace("`", '"')

    assert common("duckdb") == common("spark")
