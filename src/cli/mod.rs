//! What the user types, and what he gets to see: one file per command.

pub mod completions;
pub mod concat;
pub mod convert;
mod destination;
pub mod inspect;
pub mod log;
pub mod man;
pub mod progress;
pub mod repair;
pub mod schema;
pub mod signals;
pub mod size;
pub mod verify;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::error::Error;
use crate::tables::schema::TableId;
use crate::text::{Escaped, EscapedJson};
use crate::whole_file::descriptor;

/// Convert SysFlow telemetry traces to normalized, typed Parquet datasets
///
/// A SysFlow trace is an Avro file that a host or Kubernetes node wrote: processes, files, network flows and Kubernetes
/// events. sf-parquet makes tables of it that DuckDB, Spark and every data warehouse read.
#[derive(Debug, Parser)]
#[command(name = "sf-parquet", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: Output,
}

const EXIT_CODES: &str = "\
Exit status: 0 all inputs taken over whole; 1 failed, nothing was changed unless the error says so;
2 wrong usage; 3 done, but some input was damaged; 129, 130 or 143 interrupted, the same command
goes on.";

/// How much is said, and how.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: each file that is passed over, each field that concat fills
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// How messages on standard error look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object on each line, for machines
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Convert(convert::ConvertArgs),
    Concat(concat::ConcatArgs),
    Inspect(inspect::InspectArgs),
    Repair(repair::RepairArgs),
    Verify(verify::VerifyArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// How a command ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Whole,
    /// Done, but some input was damaged.
    Damaged,
}

/// Runs the command and says how the process ends.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { command, output } = cli;
    let log = log::Log::new(&output);
    // A limit to the size of files is an error of the write then, as a full disk is.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let result = match command {
        Command::Convert(args) => convert::run(args, &output, &log),
        Command::Concat(args) => concat::run(args, &output, &log),
        Command::Inspect(args) => inspect::run(args, &output, &log),
        Command::Repair(args) => repair::run(args, &output, &log),
        Command::Verify(args) => verify::run(args, &output, &log),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    match result {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(3),
        Err(e) => {
            // Whoever reads a trace from standard output may have seen enough of it, as with `| head -c 4`.
            let is_closed =
                |e: &Error| matches!(e, Error::Io { cause, .. } if cause.kind() == io::ErrorKind::BrokenPipe);
            if !e.downcast_ref().is_some_and(is_closed) {
                log.error(&Escaped(&format!("{e:#}")).to_string());
            }
            match e.downcast_ref::<Error>() {
                Some(Error::Usage(_)) => ExitCode::from(2),
                Some(Error::Interrupted(signal)) => ExitCode::from(128 + *signal as u8),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Says what is wrong with what the user typed, or prints the help that was asked for.
pub fn say_usage(error: &clap::Error) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let is_json = |pair: &[OsString]| pair[0] == "--log-format" && pair[1] == "json" || pair[1] == "--log-format=json";
    if !error.use_stderr() || !arguments.windows(2).any(is_json) {
        error.exit();
    }
    // Behind it come hints and the usage.
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    let line = what.split_whitespace().collect::<Vec<_>>().join(" ");
    log::Log::new(&Output { quiet: false, verbose: false, log_format: LogFormat::Json }).error(&line);
    ExitCode::from(2)
}

/// Names the remedy of a system that has no threads.
fn cannot_start(error: rayon::ThreadPoolBuildError) -> anyhow::Error {
    anyhow::anyhow!("cannot start threads: {error}; raise the limit of processes (ulimit -u)")
}

/// Starts the threads that share the work. Those that start when they are first needed panic if the system has none.
fn start_threads() -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().build_global().map_err(cannot_start)
}

/// Shows a result on standard output. Whoever reads may have seen enough, as with `| head`.
fn show(text: impl Display) -> anyhow::Result<()> {
    match write!(io::stdout(), "{text}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write standard output"),
    }
}

/// Whether a name means standard output.
fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-" || descriptor(path) == Some(1)
}

/// Shows a result as JSON.
fn show_json(result: &impl Serialize) -> anyhow::Result<()> {
    show(format_args!("{}\n", EscapedJson(&serde_json::to_string_pretty(result)?)))
}

/// Reads the name of a table.
fn table_names() -> impl TypedValueParser<Value = TableId> {
    let names = PossibleValuesParser::new(TableId::ALL.map(TableId::name));
    names.try_map(|name| TableId::by_name(&name).ok_or("there is no such table"))
}

/// These tables, or all where none is given.
fn wanted(tables: &[TableId]) -> BTreeSet<TableId> {
    if tables.is_empty() { TableId::ALL.into() } else { tables.iter().copied().collect() }
}
