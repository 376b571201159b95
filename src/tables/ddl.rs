//! The contract in words and in SQL: everything here follows from [`super::schema`].

use std::fmt::Write;

use super::column::ColumnType;
use super::schema::{BLOOM_COLUMNS, TableInfo};

impl ColumnType {
    /// The type's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::Int32 => "INT32",
            ColumnType::Int64 => "INT64",
            ColumnType::String => "STRING",
            ColumnType::Timestamp => "TIMESTAMP",
            ColumnType::ListString => "LIST<STRING>",
            ColumnType::ListInt64 => "LIST<INT64>",
            ColumnType::MapStringString => "MAP<STRING,STRING>",
        }
    }

    /// The type's name in DuckDB.
    pub fn duckdb(self) -> &'static str {
        match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::Int32 => "INTEGER",
            ColumnType::Int64 => "BIGINT",
            ColumnType::String => "VARCHAR",
            ColumnType::Timestamp => "TIMESTAMP WITH TIME ZONE",
            ColumnType::ListString => "VARCHAR[]",
            ColumnType::ListInt64 => "BIGINT[]",
            ColumnType::MapStringString => "MAP(VARCHAR, VARCHAR)",
        }
    }

    /// The type's name in Spark.
    pub fn spark(self) -> &'static str {
        match self {
            ColumnType::Boolean => "BOOLEAN",
            ColumnType::Int32 => "INT",
            ColumnType::Int64 => "BIGINT",
            ColumnType::String => "STRING",
            ColumnType::Timestamp => "TIMESTAMP",
            ColumnType::ListString => "ARRAY<STRING>",
            ColumnType::ListInt64 => "ARRAY<BIGINT>",
            ColumnType::MapStringString => "MAP<STRING, STRING>",
        }
    }
}

/// Writing to a string cannot fail.
macro_rules! put {
    ($out:ident, $($arg:tt)*) => {{ let _ = writeln!($out, $($arg)*); }};
}

/// A table for people.
pub fn text(tables: &[TableInfo]) -> String {
    let mut out = String::new();
    for (i, table) in tables.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        put!(out, "{}: a row is {}", table.name, table.doc);
        for column in &table.columns {
            let ty = column.column_type.name();
            put!(out, "  {:<24} {ty:<19} {}", column.name, column.doc);
        }
        put!(out, "  {:<24} {:<19} {}", "date", "DATE", "partition, from the folder's name");
    }
    out
}

/// A view for each table, with the types spelled out, so that a folder of old files shows a change at once.
pub fn duckdb(tables: &[TableInfo], location: &str) -> String {
    let mut out = String::from("SET TimeZone = 'UTC';\n");
    // DuckDB would take any `key=value` in the location for a partition, and for a column of that name, so the date is taken
    // from the last folder. It still looks only at the files of the dates that are asked for.
    let date = r#"  regexp_extract(sf_file, '/date=([^/]*)/[^/]*$', 1)::DATE AS "date""#;
    // What is special in a pattern stands for itself in a set of its own.
    let plain = |c: char| if "[*?".contains(c) { format!("[{c}]") } else { c.to_string() };
    let location = location.chars().map(plain).collect::<String>().replace('\'', "''");
    for table in tables {
        put!(out, "CREATE OR REPLACE VIEW {} AS SELECT", table.name);
        for column in &table.columns {
            put!(out, "  \"{}\"::{} AS \"{}\",", column.name, column.column_type.duckdb(), column.name);
        }
        put!(out, "{date}");
        let glob = format!("'{location}/{}/*/*.parquet'", table.name);
        put!(out, "FROM read_parquet({glob}, hive_partitioning = false, filename = 'sf_file');");
    }
    out
}

/// An external table for each table.
pub fn spark(tables: &[TableInfo], location: &str) -> String {
    let mut out = String::from("SET TIME ZONE 'UTC';\n");
    for table in tables {
        put!(out, "CREATE TABLE IF NOT EXISTS {} (", table.name);
        for column in &table.columns {
            put!(out, "  `{}` {} COMMENT {},", column.name, column.column_type.spark(), spark_quoted(column.doc));
        }
        put!(out, "  `date` DATE)");
        let path = spark_quoted(&format!("{location}/{}", table.name));
        put!(out, "USING parquet PARTITIONED BY (`date`) LOCATION {path};");
        put!(out, "MSCK REPAIR TABLE {};", table.name);
    }
    out
}

fn spark_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// docs/tables.md.
pub fn markdown(tables: &[TableInfo]) -> String {
    let mut out = String::from(
        "# Tables\n\n\
         Generated from the contract in `src/tables/` with `sf-parquet schema --format markdown`; a test keeps it so.\n\n\
         Every column may be NULL, which means that the trace does not say. Every table is partitioned by `date` (UTC): \
         `records`, `k8s_*` and `experiment_events` by the row's own `ts`, all others by the date of the trace: that of its first event \
         or flow, or of its first record with a time. An event without `ts` lies under the trace's date, a step of an experiment \
         without one under that of the step before (of the first with a time, if there is none before), rejects without a \
         trace under the earliest date of the run. What has no time at all lies under 1970-01-01. \
         Entries of lists and maps that are NULL, or of another type, are left out. `(trace_id, record_no)` identifies a record \
         everywhere, `(log_id, line_no)` a step of an experiment; a column `*_no` is the `record_no` of the version of an \
         entity that was in force. Columns with a bloom filter: ",
    );
    out.push_str(&BLOOM_COLUMNS.map(|c| format!("`{c}`")).join(", "));
    out.push_str(".\n");
    for table in tables {
        put!(out, "\n## {}\n\nA row is {}.\n", table.name, table.doc);
        put!(out, "| column | type | SysFlow attribute | meaning |\n| --- | --- | --- | --- |");
        for column in &table.columns {
            let attribute = if column.attribute.is_empty() { String::new() } else { format!("`{}`", column.attribute) };
            put!(out, "| `{}` | {} | {attribute} | {} |", column.name, column.column_type.name(), column.doc);
        }
    }
    out
}
