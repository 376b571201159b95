"""Writes the results into docs/cookbook.md: below each block of SQL the table that it gives on testdata/ in DuckDB.

    python3 scripts/cookbook.py path/to/sf-parquet

A test holds the page to it, in DuckDB and in Spark.
"""

import datetime
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PAGE = REPO / "docs" / "cookbook.md"
EXPERIMENT = REPO / "testdata"
LOG = EXPERIMENT / "experiment.log"
# A block of SQL and the table that may follow it.
QUERY = re.compile(r"```sql\n(?P<sql>.*?)```\n(\n(\|[^\n]*\n)+)?", re.DOTALL)


def traces():
    return sorted(EXPERIMENT.glob("*.sf"))


def queries(page):
    return [match["sql"] for match in QUERY.finditer(page)]


def fill(page, duck):
    """The page with the results of its queries."""

    def block(match):
        result = duck.execute(match["sql"])
        return f"```sql\n{match['sql']}```\n\n{table([c[0] for c in result.description], result.fetchall())}"

    return QUERY.sub(block, page)


def table(names, rows):
    rows = [list(map(text, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *rows)]
    lines = [names, ["-" * width for width in widths], *rows]
    return "".join("| " + " | ".join(map(str.ljust, line, widths)) + " |\n" for line in lines)


def text(value):
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, list):
        return ", ".join(map(text, value))
    return str(value).replace("|", "\\|")


def main(binary):
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        run = [binary, "convert", *traces(), "--out", folder, "--experiment-log", LOG, "--quiet"]
        subprocess.run(run, check=True)
        ddl = [binary, "schema", "--format", "duckdb", "--location", folder]
        duck = duckdb.connect()
        duck.execute(subprocess.run(ddl, check=True, capture_output=True, text=True).stdout)
        duck.execute((REPO / "scripts" / "sql" / "notebook.sql").read_text())
        PAGE.write_text(fill(PAGE.read_text(), duck))


if __name__ == "__main__":
    main(sys.argv[1])
