//! `convert`: the main job.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use clap::{Args, value_parser};
use parquet::basic::Compression;

use super::destination::Destination;
use super::log::Log;
use super::{Outcome, Output, cannot_start, progress, show, show_json, signals, size, table_names, wanted};
use crate::batch::options::Options;
use crate::batch::run;
use crate::batch::summary::Summary;
use crate::dataset::compression;
use crate::dataset::encode::Encodings;
use crate::dataset::known::Early;
use crate::dataset::layout::Layout;
use crate::error::{Error, IoContext};
use crate::input;
use crate::memory::Memory;
use crate::tables::schema::TableId;
use crate::text::{Escaped, path_text};
use crate::time;
use crate::time::Window;
use crate::whole_file::folder_of;

/// Convert traces to a Parquet dataset
///
/// Reads SysFlow traces and adds what is new in them to the dataset in DIR: one folder of Parquet files for each table,
/// partitioned by date. All of it appears at once or nothing does; of a killed run nothing is seen, the same command
/// goes on. Inputs that the dataset has already are skipped, a trace that has grown since replaces its earlier rows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConvertArgs {
    /// Traces: files, directories (searched recursively, but for what is hidden), globs, or - for a list of files on standard input
    #[arg(required_unless_present_any = ["files_from", "experiment_log"])]
    input: Vec<PathBuf>,
    /// The dataset's folder; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Read names of inputs from this file (- is standard input), one on each line or apart by NUL
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Write only these tables
    #[arg(long, value_name = "TABLE,…", value_delimiter = ',', value_parser = table_names())]
    tables: Vec<TableId>,
    /// Only events and flows that start at this time or later, or of which nobody knows when (UTC): 2022-03-17,
    /// 2022-03-17T18:47:15.5Z, or nanoseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_negative_numbers = true)]
    since: Option<i64>,
    /// Only events and flows that start before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, allow_negative_numbers = true)]
    until: Option<i64>,
    /// Threads to use, 256 at most [default: one for each core]
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u16).range(1..=MOST_JOBS.into()))]
    jobs: Option<u16>,
    /// Memory to stay within, such as 512MiB or 4GiB; 256MiB at least
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
    /// Write the summary as JSON to this file, or to standard output (-) instead of the table
    #[arg(long, value_name = "FILE")]
    summary_json: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet convert /mnt/traces --out dataset              every trace below a folder
  sf-parquet convert 'traces/2022-03-1*.sf' -o dataset      a glob
  find traces -type f -mtime -1 | sf-parquet convert - -o dataset   a list of files
  sf-parquet convert traces -o dataset --since 2022-03-17T18:00:00Z --until 2022-03-18
  duckdb -c \"SELECT type, count(*) FROM 'dataset/records/*/*.parquet' GROUP BY type\"

Exit status: 0 all inputs taken over whole; 1 failed, nothing was published unless the error says so;
3 published, but some input was damaged (see the table rejects); 129, 130 or 143 interrupted.";

const MOST_JOBS: u16 = 256;

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
    let memory = Memory(usize::try_from(memory).unwrap_or(usize::MAX));
    if memory < Memory::LEAST {
        return Err(Error::Usage("--memory must be 256MiB at least".into()).into());
    }
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Error::Usage("--since must be earlier than --until".into()).into());
    }
    let mut stdin = io::stdin();
    let listed = files_from.as_ref().map(|list| input::read_list(list, &mut stdin)).transpose()?.unwrap_or_default();
    let options = Options {
        out,
        tables: wanted(&tables),
        window: Window { since, until },
        memory,
        strict,
        reconvert,
        dry_run,
        wait,
        compression,
        encodings,
    };
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = jobs.map_or_else(|| cores().min(MOST_JOBS.into()), usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().map_err(cannot_start)?;
    let early = (!reconvert).then(|| Early::begin(&pool, &Layout::new(&options.out)));
    let mut found = pool.install(|| input::find(&arguments, listed, &mut stdin))?;
    if let Some(log) = experiment_log {
        found.take_experiment_log(log);
    }
    log.passed_over(&found);

    if let Some(input) = found.within(&Layout::new(&options.out)) {
        let input = Escaped(&path_text(input)).to_string();
        let message = format!("{input} lies in a folder of the dataset's own; keep inputs elsewhere");
        return Err(Error::Usage(message).into());
    }
    if let Some(path) = &summary_json {
        if Layout::new(&options.out).has_folder(folder_of(path)) {
            let message = "the summary cannot lie in a folder of the dataset's own; give another name";
            return Err(Error::Usage(message.into()).into());
        }
        let is_list = files_from.is_some_and(|list| input::is_same_file(&list, path));
        if is_list || pool.install(|| found.has(path)) {
            return Err(Error::Usage("the summary cannot replace what is read; give another name".into()).into());
        }
    }
    let summary_json = summary_json.map(|path| Destination::of(path, false)).transpose()?;
    // A place where nothing can be written must be known before the dataset is changed.
    summary_json.as_ref().map_or(Ok(()), Destination::try_out)?;
    let meter = signals::meter(false)?;
    let summary =
        progress::shown(&meter, output, log, || pool.install(|| run::convert(&found, early, &options, &meter)))?;
    match report(&summary, output, log, summary_json) {
        // Exit status 1 would mean that nothing was.
        Err(e) if summary.published => log.problem(&format!("error: {e:#}; the run was published")),
        result => result?,
    }
    if summary.refused {
        return Err(Error::Strict(summary.inputs.damaged + summary.inputs.rejected, summary.inputs.read()).into());
    }
    Ok(if summary.is_damaged() && !dry_run { Outcome::Damaged } else { Outcome::Whole })
}

fn report(summary: &Summary, output: &Output, log: &Log, json: Option<Destination>) -> anyhow::Result<()> {
    summary.problems.iter().for_each(|line| log.problem(line));
    summary.notes.iter().for_each(|line| log.note(line));
    let is_instead = json.as_ref().is_some_and(Destination::is_stdout);
    let table = if is_instead || output.quiet || summary.refused { Ok(()) } else { show(summary) };
    match json {
        None => table,
        // Instead of the table.
        Some(Destination::Stdout) => show_json(summary),
        Some(file) => {
            let json = serde_json::to_string_pretty(summary)?;
            file.write(|out, path| writeln!(out, "{json}").during("write", path))?;
            table
        }
    }
}
