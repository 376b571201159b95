//! `schema`: the contract, as text, JSON or DDL.

use clap::{Args, ValueEnum};

use super::{Outcome, show, table_names, wanted};
use crate::error::Error;
use crate::tables::ddl;
use crate::tables::schema::{TableId, TableInfo};

/// Print the tables and columns of a dataset, as text, JSON or DDL
#[derive(Debug, Args)]
#[command(after_help = "Example: sf-parquet schema --format duckdb | duckdb warehouse.db")]
pub struct SchemaArgs {
    /// Only these tables, such as those that a dataset was made with
    #[arg(value_name = "TABLE", value_delimiter = ',', value_parser = table_names())]
    tables: Vec<TableId>,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The dataset's folder, as DDL should name it; Spark wants an absolute path [default: dataset]
    #[arg(long, value_name = "DIR")]
    location: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Text,
    /// For machines
    Json,
    /// CREATE VIEW statements over the dataset
    Duckdb,
    /// CREATE TABLE statements over the dataset, partitioned by date
    Spark,
    /// The page docs/tables.md
    Markdown,
}

pub fn run(args: SchemaArgs) -> anyhow::Result<Outcome> {
    let SchemaArgs { tables, format, location } = args;
    if location.is_some() && !matches!(format, Format::Duckdb | Format::Spark) {
        return Err(
            Error::Usage("--location is for --format duckdb and spark; nothing else names the dataset".into()).into()
        );
    }
    let location = location.as_deref().unwrap_or("dataset");
    if matches!(format, Format::Duckdb) && location.contains('\\') {
        return Err(Error::Usage(
            "DuckDB takes a backslash in a path for a separator; give --location one without".into(),
        )
        .into());
    }
    let tables: Vec<TableInfo> = wanted(&tables).into_iter().map(TableId::info).collect();
    let text = match format {
        Format::Text => ddl::text(&tables),
        Format::Json => serde_json::to_string_pretty(&tables)? + "\n",
        Format::Duckdb => ddl::duckdb(&tables, location),
        Format::Spark => ddl::spark(&tables, location),
        Format::Markdown => ddl::markdown(&tables),
    };
    show(text)?;
    Ok(Outcome::Whole)
}
