//! `inspect`: what traces hold.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use super::log::Log;
use super::{Outcome, Output, progress, show, signals, start_threads};
use crate::error::Error;
use crate::input;
use crate::inspect::{HeaderInfo, Inspection, inspect};
use crate::progress::Phase;
use crate::text::{Escaped, EscapedJson, grouped};

/// Show what traces hold
///
/// For each trace: its codec and schema, the fields that are not known, its headers, records by type, first and last
/// time, pods, containers, and damage if there is any.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Traces: files, directories (searched recursively), globs, or - for a list of files on standard input
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// Show the first N events and flows of each trace, one on a line
    #[arg(long, value_name = "N", default_value_t = 0)]
    records: usize,
    /// Print a JSON object for each trace, one on a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet inspect trace.sf --records 20
  sf-parquet inspect /mnt/traces --json | jq -r 'select(.error or .damage != []) | .input'

The line of an event: time, type, operations, process, container, pod, resource.

Exit status: 0 all traces are whole; 3 one is damaged or cannot be read.";

/// Traces whose results are in memory together.
const AT_ONCE: usize = 64;

/// Names that are shown of a list; JSON has more.
const SHOWN: usize = 20;

pub fn run(args: InspectArgs, output: &Output, log: &Log) -> anyhow::Result<Outcome> {
    start_threads()?;
    let InspectArgs { input, records, json } = args;
    let found = input::find(&input, Vec::new(), &mut io::stdin().lock())?;
    log.passed_over(&found);
    let meter = signals::meter(true)?;
    let bytes = found.paths().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum();
    meter.begin(Phase::Checking, found.files.len() as u64, bytes);
    let (mut all_whole, mut between) = (true, "");
    for files in found.files.chunks(AT_ONCE) {
        let inspections: Vec<Inspection> = progress::shown(&meter, output, log, || {
            files.par_iter().map(|(path, _)| inspect(path, records, &meter)).collect::<Result<_, Error>>()
        })?;
        for inspection in &inspections {
            if json {
                show(format_args!("{}\n", EscapedJson(&serde_json::to_string(inspection)?)))?;
            } else if output.quiet {
                say_damage(inspection, log);
            } else {
                show(format_args!("{between}{}", Table(inspection)))?;
                between = "\n";
            }
            all_whole &= inspection.is_whole();
        }
    }
    Ok(if all_whole { Outcome::Whole } else { Outcome::Damaged })
}

/// What is wrong with a trace, for those who do not want to see what is right.
fn say_damage(inspection: &Inspection, log: &Log) {
    let input = Escaped(&inspection.input);
    if let Some(error) = &inspection.error {
        log.error(&format!("{input}: {}", Escaped(error)));
    }
    for damage in &inspection.damage {
        log.problem(&format!("{}: {input}: {damage}", damage.severity.name()));
    }
}

struct Table<'i>(&'i Inspection);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let i = self.0;
        writeln!(f, "{}", Escaped(&i.input))?;
        let mut line = |name: &str, text: &dyn Display| writeln!(f, "  {name:<14}{text}");
        if let Some(error) = &i.error {
            return line("error", &Escaped(error));
        }
        line(
            "size",
            &format!("{} bytes, {} block{}", grouped(i.bytes), grouped(i.blocks), if i.blocks == 1 { "" } else { "s" }),
        )?;
        line("codec", &i.codec.unwrap_or_default())?;
        let versions: Vec<String> = i.schema_versions.iter().map(i64::to_string).collect();
        line("schema", &if versions.is_empty() { "of unknown version".into() } else { versions.join(", ") })?;
        for field in &i.unknown_fields {
            line("not known", &Escaped(field))?;
        }
        for field in &i.odd_fields {
            line("of odd type", &Escaped(field))?;
        }
        for (number, header) in i.headers.iter().enumerate().take(SHOWN) {
            line(&format!("header {number}"), &HeaderLine(header))?;
        }
        if i.headers.len() > SHOWN {
            line("", &format!("and {} headers more", grouped((i.headers.len() - SHOWN) as u64)))?;
        }
        if let (Some(first), Some(last)) = (&i.first_ts, &i.last_ts) {
            line("first", first)?;
            line("last", last)?;
        }
        line("records", &format!("{:>14}", grouped(i.records)))?;
        for (name, count) in &i.records_by_type {
            line(&format!("  {}", Escaped(name)), &format!("{:>14}", grouped(*count)))?;
        }
        names("pod", &i.pods, &mut line)?;
        names("container", &i.containers, &mut line)?;
        for damage in &i.damage {
            line(damage.severity.name(), damage)?;
        }
        for (list, count) in &i.more {
            line("", &format!("{} {list} have no room here", grouped(*count)))?;
        }
        for event in &i.events {
            writeln!(f, "  {event}")?;
        }
        Ok(())
    }
}

fn names(what: &str, names: &BTreeSet<String>, line: &mut dyn FnMut(&str, &dyn Display) -> fmt::Result) -> fmt::Result {
    for name in names.iter().take(SHOWN) {
        line(what, &Escaped(name))?;
    }
    match names.len() {
        0..=SHOWN => Ok(()),
        n => line("", &format!("and {} more", grouped((n - SHOWN) as u64))),
    }
}

struct HeaderLine<'h>(&'h HeaderInfo);

impl Display for HeaderLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let HeaderInfo { exporter, ip, filename, version, records } = self.0;
        write!(f, "{} records", grouped(*records))?;
        if let Some(version) = version {
            write!(f, ", version {version}")?;
        }
        for (name, value) in [("exporter", exporter), ("ip", ip), ("file", filename)] {
            if let Some(value) = value.as_ref().filter(|v| !v.is_empty()) {
                write!(f, ", {name} {}", Escaped(value))?;
            }
        }
        Ok(())
    }
}
