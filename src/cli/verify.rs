//! `verify`: whether a dataset is whole.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use super::log::Log;
use super::{Outcome, Output, progress, show, show_json, signals, start_threads};
use crate::dataset::verify::{self, Finding, Report};
use crate::text::{Escaped, grouped};

/// Check that a dataset is whole
///
/// Compares every file of the dataset with the manifests: whether it is there, with the content, rows and columns that
/// were written; whether anything else lies there; and whether every record of every input is accounted for. Says of
/// each thing that is wrong which command mends it. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// The dataset's folder
    dir: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet verify dataset
  sf-parquet verify dataset --json | jq -r '.findings[].remedy'

Exit status: 0 all is as it was written; 3 something is not; 1 there is no dataset, or it cannot be read.";

/// Characters that are shown of a command; one that converts again may name thousands of inputs.
const LONGEST: usize = 2000;

pub fn run(args: VerifyArgs, output: &Output, log: &Log) -> anyhow::Result<Outcome> {
    start_threads()?;
    let VerifyArgs { dir, json } = args;
    let meter = signals::meter(true)?;
    let report = progress::shown(&meter, output, log, || verify::verify(&dir, &meter))?;
    for Finding { code: _, path, message, remedy } in &report.findings {
        let mut remedy = Escaped(remedy).to_string();
        if remedy.chars().count() > LONGEST {
            remedy = remedy.chars().take(LONGEST).chain("… (--json has it whole)".chars()).collect();
        }
        log.problem(&format!("error: {}: {}; mend it with: {remedy}", Escaped(path), Escaped(message)));
    }
    if let Some(holder) = &report.running {
        log.note(&format!(
            "{} is writing to the dataset; what it has not published was not looked at",
            Escaped(holder)
        ));
    }
    if json {
        show_json(&report)?;
    } else if !output.quiet {
        show(Table(&report))?;
    }
    Ok(if report.findings.is_empty() { Outcome::Whole } else { Outcome::Damaged })
}

struct Table<'r>(&'r Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Report { dataset: _, runs, running: _, files, bytes, inputs, records, rows, findings } = self.0;
        writeln!(f, "{:<24}{:>16}", "table", "rows")?;
        for (table, rows) in rows {
            writeln!(f, "{:<24}{:>16}", Escaped(table).to_string(), grouped(*rows))?;
        }
        let number = |n: usize| grouped(n as u64);
        writeln!(f, "\nruns     {}", number(*runs))?;
        writeln!(f, "inputs   {}, {} records", number(*inputs), grouped(*records as u64))?;
        writeln!(f, "files    {}, {} bytes", number(*files), grouped(*bytes))?;
        match findings.len() {
            0 => writeln!(f, "result   whole"),
            1 => writeln!(f, "result   1 problem"),
            n => writeln!(f, "result   {} problems", number(n)),
        }
    }
}
