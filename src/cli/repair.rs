//! `repair`: what is whole of a damaged trace.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::destination::Destination;
use super::log::Log;
use super::{Outcome, Output, progress, show, show_json, signals};
use crate::error::Error;
use crate::input::is_same_file;
use crate::repair::{Keep, Report, repair};
use crate::text::{Escaped, grouped};

/// Keep what is whole of a damaged trace
///
/// Writes every whole block, and of a block that is damaged inside the records before the damage; goes on behind the
/// next sync marker. Says what is lost and where. The input stays as it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RepairArgs {
    /// The trace
    input: PathBuf,
    /// The file to write, - for standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "report")]
    out: Option<PathBuf>,
    /// Only say what is damaged, and write nothing
    #[arg(long, conflicts_with = "out")]
    report: bool,
    /// Keep only records before the first damage
    #[arg(long, conflicts_with = "after")]
    prior: bool,
    /// Keep only records behind the first damage
    #[arg(long)]
    after: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet repair damaged.sf -o whole.sf
  sf-parquet repair damaged.sf --report

Exit status: 0 the trace is whole; 3 it is damaged, what is whole of it was kept; 1 it cannot be repaired.";

pub fn run(args: RepairArgs, output: &Output, log: &Log) -> anyhow::Result<Outcome> {
    let RepairArgs { input, out, report: _, prior, after, json } = args;
    if out.as_ref().is_some_and(|out| is_same_file(&input, out)) {
        return Err(Error::Usage("the result cannot replace the input; give another name".into()).into());
    }
    let keep = match (prior, after) {
        (true, _) => Keep::Prior,
        (_, true) => Keep::After,
        _ => Keep::All,
    };
    let destination = out.map(|out| Destination::of(out, json)).transpose()?;
    let to_stdout = destination.as_ref().is_some_and(Destination::is_stdout);
    let meter = signals::meter(destination.as_ref().is_none_or(Destination::is_open))?;
    let report = progress::shown(&meter, output, log, || match destination {
        None => repair(&input, keep, io::sink(), Path::new("nothing"), &meter),
        Some(destination) => destination.write(|out, name| repair(&input, keep, out, name, &meter)),
    })?;
    for damage in &report.damage {
        log.problem(&format!("{}: {}: {damage}", damage.severity.name(), Escaped(&report.input)));
    }
    if json {
        show_json(&report)?;
    } else if !output.quiet && !to_stdout {
        show(Table(&report))?;
    }
    Ok(if report.damage.is_empty() { Outcome::Whole } else { Outcome::Damaged })
}

struct Table<'r>(&'r Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Report { input: _, bytes, whole_blocks, partial_blocks, records, .. } = self.0;
        let Report { records_left_out, records_lost, more_lost, bytes_out, damage, more_damage, .. } = self.0;
        writeln!(f, "blocks   {} whole, {} in part", grouped(*whole_blocks), grouped(*partial_blocks))?;
        write!(f, "records  {} kept", grouped(*records))?;
        if *records_left_out > 0 {
            write!(f, ", {} left out", grouped(*records_left_out))?;
        }
        let more = if *more_lost { " and nobody knows how many more" } else { "" };
        writeln!(f, ", {} lost{more}", grouped(*records_lost))?;
        writeln!(f, "bytes    {} in, {} out", grouped(*bytes), grouped(*bytes_out))?;
        match damage.len() as u64 + more_damage {
            0 => writeln!(f, "result   the trace was whole"),
            1 => writeln!(f, "result   damaged at 1 place"),
            n => writeln!(f, "result   damaged at {} places", grouped(n)),
        }
    }
}
