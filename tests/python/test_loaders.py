"""A dataset opened in real DuckDB and real Spark, as a user would: schema, values, pruning, what is in the files."""

import json
import re
from collections import Counter

import pytest
from conftest import ALL_TRACES
from flattening import iso

# contract -> DuckDB, Spark
TYPES = {
    "BOOLEAN": ("BOOLEAN", "boolean"),
    "INT32": ("INTEGER", "int"),
    "INT64": ("BIGINT", "bigint"),
    "STRING": ("VARCHAR", "string"),
    "TIMESTAMP": ("TIMESTAMP WITH TIME ZONE", "timestamp"),
    "LIST_STRING": ("VARCHAR[]", "array<string>"),
    "LIST_INT64": ("BIGINT[]", "array<bigint>"),
    "MAP_STRING_STRING": ("MAP(VARCHAR, VARCHAR)", "map<string,string>"),
}
BLOOM = {"container_id", "pod_name", "proc_exe", "net_sip", "net_dip", "ip"}
# record numbers of entities
REFERENCES = {f"{e}_no" for e in ("record", "proc", "pproc", "file", "newfile", "container", "pod")}
# tables whose rows have a date of their own; in all others a row has its trace's
BY_OWN_DATE = ("records", "k8s_events", "k8s_items", "k8s_service_ports")


def type_in(engine, contract_type):
    # LIST<STRING> or LIST_STRING
    return TYPES[re.sub(r"\W+", "_", contract_type).strip("_")][engine]


def in_duck(dataset, table):
    return f"read_parquet('{dataset.path}/{table}/*/*.parquet', hive_partitioning = true)"


def in_spark(spark, dataset, table):
    return spark.read.parquet(f"{dataset.path}/{table}")


def is_delta(column, contract_type):
    """Times and record numbers are delta-encoded, and offsets in a file, which grow like these."""
    return contract_type == "TIMESTAMP" or column.endswith("_uts") or column in REFERENCES | {"byte_offset"}


def rows(duck, query, *values):
    return duck.execute(query, list(values)).fetchall()


def one(duck, query, *values):
    return rows(duck, query, *values)[0][0]


def busiest_date(duck):
    return one(duck, "SELECT date::VARCHAR FROM records GROUP BY date ORDER BY count(*) DESC, date LIMIT 1")


def test_every_table_has_files_where_readers_look(dataset):
    for table in dataset.contract:
        assert dataset.files(table), f"{table} has no file"
    folders = {p.name for p in dataset.path.iterdir()}
    assert folders == {*dataset.contract, "_sf_parquet"}
    inside = [p for t in dataset.contract for p in (dataset.path / t).rglob("*") if p.is_file()]
    odd = [p for p in inside if not re.search(r"/date=\d{4}-\d\d-\d\d/part-[0-9a-f]{16}-\d{5}\.parquet$", str(p))]
    assert not odd


def test_schema_in_duckdb(dataset, duck):
    for table, columns in dataset.contract.items():
        expected = [(name, type_in(0, t)) for name, t in columns.items()]
        # Each file, not only the first, has every column.
        for file in dataset.files(table):
            found = rows(duck, f"DESCRIBE SELECT * FROM read_parquet('{file}', hive_partitioning = false)")
            assert [column[:2] for column in found] == expected, file
        for source in (in_duck(dataset, table), table):
            found = [column[:2] for column in rows(duck, f"DESCRIBE SELECT * FROM {source}")]
            assert found == [*expected, ("date", "DATE")], source


def test_schema_in_spark(dataset, spark):
    for table, columns in dataset.contract.items():
        expected = [*((name, type_in(1, t)) for name, t in columns.items()), ("date", "date")]
        assert in_spark(spark, dataset, table).dtypes == expected, table
        assert spark.table(table).dtypes == expected, table


def test_counts_agree_with_the_summary(dataset, duck, spark):
    for table in dataset.contract:
        counts = {
            "summary": dataset.summary["rows"].get(table, 0),
            "duckdb": one(duck, f"SELECT count(*) FROM {in_duck(dataset, table)}"),
            "duckdb view": one(duck, f"SELECT count(*) FROM {table}"),
            "spark": in_spark(spark, dataset, table).count(),
            "spark table": spark.table(table).count(),
        }
        assert len(set(counts.values())) == 1, (table, counts)


def test_every_value_is_the_same_in_both(dataset, duck, spark):
    for table, columns in dataset.contract.items():
        # Times as numbers, so that no time zone of Python's comes in. No two columns differ by quotes only.
        values = [f"micros(`{c}`)" if t == "TIMESTAMP" else f"`{c}`" for c, t in columns.items()]
        select = ", ".join([*values, "cast(date AS STRING)"])
        of_duck = select.replace("`", '"').replace("micros", "epoch_us")
        ours = rows(duck, f"SELECT {of_duck} FROM {in_duck(dataset, table)}")
        of_spark = select.replace("micros", "unix_micros")
        theirs = in_spark(spark, dataset, table).selectExpr(f"struct({of_spark}) AS r").collect()
        ours = Counter(repr(plain(row)) for row in ours)
        theirs = Counter(repr(plain(row.r)) for row in theirs)
        assert sorted(ours - theirs)[:3] == sorted(theirs - ours)[:3] == [], table


def plain(value):
    """Maps have no order."""
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def test_times_are_floored_to_microseconds_in_utc(dataset, duck, spark):
    tested = 0
    for table, columns in dataset.contract.items():
        for column in (c for c, t in columns.items() if t == "TIMESTAMP"):
            micros = f"({column}_uts - (({column}_uts % 1000) + 1000) % 1000)"
            wrong = f"epoch_us({column}) IS DISTINCT FROM {micros} // 1000"
            assert one(duck, f"SELECT count(*) FROM {in_duck(dataset, table)} WHERE {wrong}") == 0, (table, column)
            wrong = f"unix_micros({column}) IS DISTINCT FROM {micros} DIV 1000"
            assert in_spark(spark, dataset, table).where(wrong).count() == 0, (table, column)
            tested += one(duck, f"SELECT count({column}) FROM {table}")
    assert tested > 0
    # What a user sees is UTC.
    for ns, text in rows(duck, "SELECT ts_uts, strftime(ts, '%Y-%m-%dT%H:%M:%S.%f') FROM records LIMIT 1000"):
        assert text.removesuffix(".000000") == iso(ns)


def test_rows_are_in_the_partition_of_their_date(dataset, duck):
    for table in dataset.contract:
        source = in_duck(dataset, table)
        if table in BY_OWN_DATE:
            query = f"SELECT count(*) FROM {source} WHERE date IS DISTINCT FROM (ts AT TIME ZONE 'UTC')::DATE"
        elif "trace_id" in dataset.contract[table]:
            query = f"SELECT count(*) FROM {source} AS r JOIN traces AS t USING (trace_id) WHERE r.date <> t.date"
        else:
            continue
        assert one(duck, query) == 0, table
    # A trace's date is that of its first event or flow: the end of a flow, the time of an event.
    query = """
        SELECT count(*) FROM traces JOIN (
            SELECT trace_id, arg_min(coalesce(endts, ts), record_no) AS first FROM records GROUP BY trace_id
        ) USING (trace_id) WHERE traces.date <> (first AT TIME ZONE 'UTC')::DATE"""
    assert one(duck, query) == 0


def test_a_date_filter_spares_files_in_duckdb(dataset, duck):
    date = busiest_date(duck)
    files = dataset.files("records")
    wanted = [f for f in files if f.parent.name == f"date={date}"]
    assert 0 < len(wanted) < len(files), "the traces are all of one date: this test needs several"
    for source in (in_duck(dataset, "records"), "records", "sysflow_flat"):
        column = '"proc.exe"' if source == "sysflow_flat" else "proc_exe"
        query = f"EXPLAIN (FORMAT json) SELECT {column} FROM {source} WHERE date = DATE '{date}'"
        scans = list(duckdb_scans(json.loads(rows(duck, query)[0][1])))
        assert f"{len(wanted)}/{len(files)}" in [s.get("Scanning Files") for s in scans], (source, scans)
        assert any(date in s.get("File Filters", "") for s in scans), (source, scans)


def test_folders_above_the_dataset_are_no_partitions(dataset, sf_parquet, tmp_path):
    import duckdb

    # Columns of other types, and the partition itself.
    above = tmp_path / "type=x" / "date=2020-01-01" / "schema=x" / "ret=x"
    above.mkdir(parents=True)
    (above / "dataset").symlink_to(dataset.path)
    views = []
    for location in (dataset.path, above / "dataset"):
        with duckdb.connect() as duck:
            duck.execute(sf_parquet("schema", "records", "traces", "--format", "duckdb", "--location", location))
            counts = "SELECT date::VARCHAR, type, schema, ret, count(*) FROM records GROUP BY ALL ORDER BY ALL"
            views.append(rows(duck, counts))
            assert one(duck, "SELECT count(*) FROM traces") > 0
            assert one(duck, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == 2
    assert views[0] == views[1] and len({row[0] for row in views[0]}) > 1


def duckdb_scans(plan):
    for node in plan if isinstance(plan, list) else [plan]:
        if "Scanning Files" in node["extra_info"]:
            yield node["extra_info"]
        yield from duckdb_scans(node["children"])


def test_a_date_filter_spares_files_in_spark(dataset, duck, spark):
    from pyspark.sql.functions import input_file_name

    date = busiest_date(duck)
    wanted = {f.name for f in dataset.files("records") if f.parent.name == f"date={date}"}
    for source in (in_spark(spark, dataset, "records"), spark.table("records")):
        filtered = source.where(f"date = DATE '{date}'")
        plan = filtered._jdf.queryExecution().executedPlan()
        assert re.search(r"PartitionFilters: \[[^\]]*date#\d+ = ", plan.toString()), plan.toString()
        files = {row[0].rpartition("/")[2] for row in filtered.select(input_file_name()).distinct().collect()}
        assert files == wanted
        # What a run of it opened, as Spark's own pages show it.
        filtered._jdf.queryExecution().toRdd().count()
        while plan.children().size():
            plan = plan.children().apply(0)
        assert plan.metrics().apply("numFiles").value() == len(wanted)


# ---- what is in the files


def metadata(duck, function, dataset, table):
    result = duck.execute(f"SELECT * FROM {function}('{dataset.path}/{table}/*/*.parquet')")
    names = [column[0] for column in result.description]
    return [dict(zip(names, values)) for values in result.fetchall()]


def test_types_that_every_reader_knows(dataset, duck):
    micros = "TimeUnit(MILLIS=<null>, MICROS=MicroSeconds(), NANOS=<null>)"
    allowed = {
        ("BOOLEAN", None),
        ("INT32", None),
        ("INT64", None),
        ("INT64", f"TimestampType(isAdjustedToUTC=1, unit={micros})"),
        ("BYTE_ARRAY", "StringType"),
    }
    for table in dataset.contract:
        for column in metadata(duck, "parquet_schema", dataset, table):
            logical = (column["logical_type"] or "").removesuffix("()") or None
            if column["num_children"]:
                # The root, lists, maps, and the repeated groups in these.
                assert logical in (None, "ListType", "MapType"), (table, column)
                assert column["type"] is None, (table, column)
            else:
                assert (column["type"], logical) in allowed, (table, column)
            assert column["converted_type"] in (None, "UTF8", "LIST", "MAP", "TIMESTAMP_MICROS"), (table, column)
        # ARROW:schema would be here: an Arrow reader would then see other types than everyone else.
        assert metadata(duck, "parquet_kv_metadata", dataset, table) == [], table


def chunks(duck, dataset, table):
    """Each column chunk that has rows, with the name of its column."""
    for chunk in metadata(duck, "parquet_metadata", dataset, table):
        chunk["column"] = chunk["path_in_schema"].split(",")[0]
        if chunk["num_values"]:
            yield chunk


def test_compression_pages_and_encodings(dataset, duck):
    seen = Counter()
    for table, columns in dataset.contract.items():
        for chunk in chunks(duck, dataset, table):
            name = chunk["column"]
            assert chunk["compression"] == "ZSTD", (table, name)
            pages = {(s["page_type"], s["encoding"]) for s in chunk["encoding_stats"]}
            assert {kind for kind, _ in pages} <= {"DICTIONARY_PAGE", "DATA_PAGE"}, (table, name, "not page V1")
            data = {encoding for kind, encoding in pages if kind == "DATA_PAGE"}
            if is_delta(name, columns[name]):
                assert data == {"DELTA_BINARY_PACKED"}, (table, name, data)
            elif columns[name] == "BOOLEAN":
                assert data <= {"PLAIN", "RLE"}, (table, name, data)
            else:
                # PLAIN besides: what no longer fits in the dictionary.
                assert {"RLE_DICTIONARY"} <= data <= {"RLE_DICTIONARY", "PLAIN"}, (table, name, data)
                assert chunk["dictionary_page_offset"], (table, name)
            seen |= Counter(data)
    assert seen.keys() >= {"DELTA_BINARY_PACKED", "RLE_DICTIONARY"}


def test_bloom_filters(dataset, duck):
    for table, columns in dataset.contract.items():
        for chunk in chunks(duck, dataset, table):
            present = chunk["bloom_filter_offset"] is not None
            assert present == (chunk["column"] in BLOOM), (table, chunk["column"])
    # They must hold what is there, and exclude what is not.
    file = max(dataset.files("records"), key=lambda f: f.stat().st_size)
    for column in sorted(BLOOM & dataset.contract["records"].keys()):
        values = [v for (v,) in rows(duck, f"SELECT DISTINCT {column} FROM '{file}' WHERE {column} IS NOT NULL")]
        assert values, column

        def excluded(value):
            probe = f"SELECT bool_and(bloom_filter_excludes) FROM parquet_bloom_probe('{file}', '{column}', ?)"
            return one(duck, probe, value)

        assert not any(excluded(v) for v in values[:50]), column
        assert sum(excluded(f"no such value {n}") for n in range(20)) >= 15, column


def test_page_index(dataset, spark):
    """Through Parquet's own Java library, which Spark brings along: DuckDB does not show it."""
    jvm = spark.sparkContext._jvm
    hadoop = jvm.org.apache.parquet.hadoop
    path_of, options = jvm.org.apache.hadoop.fs.Path, spark.sparkContext._jsc.hadoopConfiguration()
    tested = 0
    for table, columns in dataset.contract.items():
        for file in dataset.files(table):
            source = hadoop.util.HadoopInputFile.fromPath(path_of(str(file)), options)
            reader = hadoop.ParquetFileReader.open(source)
            for block in reader.getFooter().getBlocks():
                for chunk in block.getColumns():
                    name = chunk.getPath().toDotString().split(".")[0]
                    assert chunk.getOffsetIndexReference() is not None, (table, name)
                    # Strings have minimum and maximum for the chunk only: for pages they cost more than they save.
                    if columns[name] not in ("STRING", "LIST<STRING>"):
                        assert chunk.getColumnIndexReference() is not None, (table, name)
                    tested += 1
            reader.close()
    assert tested


def test_other_encodings_and_compression(dataset, duck, sf_parquet, tmp_path):
    """For readers that lack delta encoding or zstd: other bytes, the same rows."""
    count = "SELECT count(*) FROM records WHERE starts_with(trace_id, ?)"
    trace = next(t for t in ALL_TRACES if one(duck, count, t.id))
    out = tmp_path / "out"
    options = ("--encodings", "compatible", "--compression", "snappy", "--quiet")
    sf_parquet("convert", trace.path, "--out", out, *options, exits=(0, 3))
    found = rows(
        duck,
        f"""SELECT DISTINCT compression, unnest(list_transform(encoding_stats, lambda s: s.encoding))
            FROM parquet_metadata('{out}/records/*/*.parquet')""",
    )
    assert {c for c, _ in found} == {"SNAPPY"}
    assert {e for _, e in found} <= {"PLAIN", "RLE", "RLE_DICTIONARY"}
    read = f"SELECT * FROM read_parquet('{out}/records/*/*.parquet', hive_partitioning = true) ORDER BY record_no"
    assert rows(duck, read) == rows(
        duck, "SELECT * FROM records WHERE starts_with(trace_id, ?) ORDER BY record_no", trace.id
    )


@pytest.mark.parametrize(
    ("table", "number", "entities"),
    [
        ("records", "proc_no", "processes"),
        ("records", "pproc_no", "processes"),
        ("records", "file_no", "files"),
        ("records", "newfile_no", "files"),
        ("records", "container_no", "containers"),
        ("records", "pod_no", "pods"),
        ("processes", "pproc_no", "processes"),
        ("processes", "container_no", "containers"),
        ("processes", "pod_no", "pods"),
        ("files", "container_no", "containers"),
        ("containers", "pod_no", "pods"),
        ("pod_service_ports", "record_no", "pods"),
        ("k8s_events", "record_no", "records"),
        ("k8s_items", "record_no", "k8s_events"),
        ("k8s_service_ports", "record_no", "k8s_events"),
    ],
)
def test_a_join_finds_exactly_one_row(duck, table, number, entities):
    query = f"""
        SELECT count(*) FROM {table} AS t
        WHERE t.{number} IS NOT NULL
          AND 1 <> (SELECT count(*) FROM {entities} AS e WHERE e.trace_id = t.trace_id AND e.record_no = t.{number})"""
    assert one(duck, query) == 0
