//! `convert`: the main job.

use std::io::{self, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use clap::{Args, ValueEnum, value_parser};
use parquet::basic::Compression;

use super::log::Log;
use super::{Outcome, Output, progress, show, size, wanted};
use crate::batch::options::Options;
use crate::batch::progress::Meter;
use crate::batch::run;
use crate::batch::summary::Summary;
use crate::dataset::compression;
use crate::dataset::known::Early;
use crate::dataset::layout::Layout;
use crate::dataset::part;
use crate::error::{Error, IoContext};
use crate::flatten::time;
use crate::flatten::time::Window;
use crate::input;
use crate::whole_file::WholeFile;

/// Convert traces to a Parquet dataset
///
/// Reads SysFlow traces and adds what is new in them to the dataset in DIR: one folder of Parquet files for each table,
/// partitioned by date. All of it appears at once or nothing does; a killed run leaves nothing behind, the same command
/// goes on. Inputs that the dataset has already are skipped, a trace that has grown since replaces its earlier rows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArgs {
    /// Traces: files, directories (searched recursively), globs, or - for a list of files on standard input
    #[arg(required_unless_present = "files_from")]
    input: Vec<PathBuf>,
    /// The dataset's folder; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Read names of inputs from this file, one on each line (or apart by NUL)
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Write only these tables
    #[arg(long, value_name = "TABLE,…", value_delimiter = ',')]
    tables: Vec<String>,
    /// Only events and flows that start at this time or later (UTC)
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_negative_numbers = true)]
    since: Option<i64>,
    /// Only events and flows that start before this time (UTC)
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_negative_numbers = true)]
    until: Option<i64>,
    /// Threads to use [default: one for each core]
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Memory to stay within
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "1GiB")]
    memory: u64,
    /// Publish nothing if any input is damaged
    #[arg(long)]
    strict: bool,
    /// Convert inputs again that the dataset has already, and replace their rows
    #[arg(long)]
    reconvert: bool,
    /// Say what would be converted, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// If another run is writing to the dataset, wait for it to end
    #[arg(long)]
    wait: bool,
    /// Compression: zstd[:LEVEL], snappy, lz4 or none
    #[arg(long, value_name = "CODEC", value_parser = compression::parse, default_value = compression::DEFAULT)]
    compression: Compression,
    /// Encodings of times and record numbers
    #[arg(long, value_enum, default_value_t = Encodings::Default)]
    encodings: Encodings,
    /// Add the log of the experiment that was traced, as the table experiment_events
    #[arg(long, value_name = "FILE")]
    experiment_log: Option<PathBuf>,
    /// Write the summary as JSON to this file
    #[arg(long, value_name = "FILE")]
    summary_json: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet convert /mnt/traces --out dataset              every trace below a folder
  sf-parquet convert 'traces/2022-03-1*.sf' -o dataset      a glob
  find traces -type f -mtime -1 | sf-parquet convert - -o dataset   a list of files
  sf-parquet convert traces -o dataset --since 2022-03-17T18:00:00Z --until 2022-03-18
  duckdb -c \"SELECT type, count(*) FROM 'dataset/records/*/*.parquet' GROUP BY type\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encodings {
    /// Delta encoding, smaller
    Default,
    /// Plain, for readers that lack delta encoding
    Compatible,
}

/// Less would not hold what any run takes: rows of two batches, a hundred columns that are encoded, and their buffers.
const LEAST_MEMORY: u64 = 256 << 20;

pub fn run(args: ConvertArgs, output: &Output, log: &Log) -> anyhow::Result<Outcome> {
    let ConvertArgs {
        input: arguments,
        out,
        files_from,
        tables,
        since,
        until,
        jobs,
        memory,
        strict,
        reconvert,
        dry_run,
        wait,
        compression,
        encodings,
        experiment_log,
        summary_json,
    } = args;
    if memory < LEAST_MEMORY {
        return Err(Error::Usage("--memory must be 256MiB at least".into()).into());
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Error::Usage("--since must be earlier than --until".into()).into());
    }
    let listed = files_from.map(|list| input::read_list_file(&list)).transpose()?.unwrap_or_default();
    let options = Options {
        out,
        tables: wanted(&tables)?,
        window: Window { since, until },
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
        strict,
        reconvert,
        dry_run,
        wait,
        compression,
        encodings: match encodings {
            Encodings::Default => part::Encodings::Default,
            Encodings::Compatible => part::Encodings::Compatible,
        },
    };
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = jobs.map_or_else(cores, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().context("cannot start threads")?;
    let early = (!reconvert).then(|| Early::begin(&pool, &Layout::new(&options.out)));
    let mut found = pool.install(|| input::find(&arguments, listed, &mut BufReader::new(io::stdin())))?;
    if let Some(log) = experiment_log {
        found.take_experiment_log(log);
    }
    log.passed_over(&found);

    // A place where nothing can be written must be known before the dataset is changed.
    let summary_json = summary_json.map(|path| Ok::<_, Error>((WholeFile::create(&path)?, path))).transpose()?;
    let meter = Arc::new(Meter::default());
    stop_on_signals(meter.clone())?;
    let summary =
        progress::shown(&meter, output, log, || pool.install(|| run::convert(&found, early, &options, &meter)))?;
    match report(&summary, output, log, summary_json) {
        // Exit status 1 would mean that nothing was.
        Err(e) if summary.published => log.problem(&format!("error: {e:#}; the run was published")),
        result => result?,
    }
    Ok(if summary.is_damaged() && !dry_run { Outcome::Damaged } else { Outcome::Whole })
}

/// SIGINT and SIGTERM end the run at the next block. A second one ends the process at once.
pub(super) fn stop_on_signals(meter: Arc<Meter>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).context("cannot watch for signals")?;
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            stopping = true;
            meter.stop(signal);
        }
    };
    thread::Builder::new().spawn(watch).map(drop).context("cannot start a thread")
}

fn report(summary: &Summary, output: &Output, log: &Log, json: Option<(WholeFile, PathBuf)>) -> anyhow::Result<()> {
    summary.problems.iter().for_each(|line| log.problem(line));
    summary.notes.iter().for_each(|line| log.note(line));
    if let Some((mut file, path)) = json {
        writeln!(file, "{}", serde_json::to_string_pretty(summary)?).during("write", &path)?;
        file.publish()?;
    }
    if !output.quiet {
        show(summary)?;
    }
    Ok(())
}
