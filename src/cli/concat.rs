//! `concat`: many traces into one.

use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::destination::Destination;
use super::log::Log;
use super::{Outcome, Output, progress, show, show_json, signals, start_threads};
use crate::concat::{self, Options, Summary};
use crate::error::Error;
use crate::input;
use crate::text::{Escaped, grouped, path_text};
use crate::trace::codec::Codec;

/// Join traces to one
///
/// Blocks are copied as they are where schema and codec agree. Otherwise records are written in the schema of the inputs
/// that has a place for all that is in the others, the newest if several have; what an input has no value
/// for gets the schema's default then. Without that, the result converts to the same rows as the inputs. It appears only when it is
/// whole.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConcatArgs {
    /// Traces: files, directories (searched recursively), globs, or - for a list of files on standard input
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// The file to write, - for standard output
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Compress with this codec [default: that of the inputs]
    #[arg(long, value_parser = codecs())]
    codec: Option<Codec>,
    /// Leave out what the schema of the result has no place for
    #[arg(long)]
    allow_loss: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sf-parquet concat traces/ -o day.sf
  sf-parquet concat a.sf b.sf --codec zstandard -o - | ssh archive 'cat > both.sf'

Exit status: 0 done; 1 an input is damaged or cannot be read, or something would be lost.";

fn codecs() -> impl TypedValueParser<Value = Codec> {
    let names = PossibleValuesParser::new(Codec::ALL.map(Codec::name));
    names.try_map(|name| Codec::by_name(&name).ok_or("it is no codec"))
}

pub fn run(args: ConcatArgs, output: &Output, log: &Log) -> anyhow::Result<Outcome> {
    start_threads()?;
    let ConcatArgs { input, out, codec, allow_loss, json } = args;
    let found = input::find(&input, Vec::new(), &mut io::stdin().lock())?;
    log.passed_over(&found);
    if found.paths().any(|input| input::is_same_file(input, &out)) {
        let message = format!("{} is one of the inputs; give the result another name", Escaped(&path_text(&out)));
        return Err(Error::Usage(message).into());
    }
    let inputs: Vec<PathBuf> = found.files.into_iter().map(|(path, _)| path).collect();
    let destination = Destination::of(out, json)?;
    let to_stdout = destination.is_stdout();
    let meter = signals::meter(destination.is_open())?;
    let summary = progress::shown(&meter, output, log, || -> Result<Summary, Error> {
        let plan = concat::plan(&inputs, Options { codec, allow_loss }, &meter)?;
        destination.write(|out, name| plan.write(out, name, &meter))
    })?;
    for loss in &summary.losses {
        log.problem(&format!("error: {} was left out", Escaped(loss)));
    }
    for field in &summary.filled {
        log.detail(&format!("{} was filled where inputs lack it", Escaped(field)));
    }
    if json {
        show_json(&summary)?;
    } else if !output.quiet && !to_stdout {
        show(Table(&summary))?;
    }
    Ok(Outcome::Whole)
}

struct Table<'s>(&'s Summary);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Summary { inputs, copied, recompressed, transcoded, codec, schema_of, .. } = self.0;
        let Summary { filled: _, losses: _, blocks, records, records_lost, bytes_in, bytes_out, .. } = self.0;
        let how = [(*copied, "copied"), (*recompressed, "compressed anew"), (*transcoded, "transcoded")];
        let how: Vec<String> = how.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        writeln!(f, "inputs   {}: {}", grouped(*inputs as u64), how.join(", "))?;
        writeln!(f, "schema   that of {}", Escaped(schema_of))?;
        writeln!(f, "codec    {codec}")?;
        write!(f, "records  {} in {} blocks", grouped(*records), grouped(*blocks))?;
        if *records_lost > 0 {
            write!(f, ", {} left out", grouped(*records_lost))?;
        }
        writeln!(f, "\nbytes    {} in, {} out", grouped(*bytes_in), grouped(*bytes_out))
    }
}
