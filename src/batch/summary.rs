//! What a run came to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::skip::Skip;
use crate::text::{Escaped, grouped};

/// The result of a run, as `--summary-json` writes it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// The run's name; absent where there was nothing to do.
    pub run: Option<String>,
    /// Whether anything was published. A dry run publishes nothing.
    pub published: bool,
    pub dry_run: bool,
    /// Nothing was published since some input is damaged and `--strict` is given.
    pub refused: bool,
    pub inputs: InputSummary,
    /// Records read.
    pub records: i64,
    /// Records known to be lost to damage.
    pub records_lost: i64,
    /// Events and flows outside --since/--until.
    pub records_filtered: i64,
    pub dangling_references: i64,
    pub repaired_strings: i64,
    /// Rows by table.
    pub rows: BTreeMap<String, i64>,
    /// Parquet files written.
    pub files: usize,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub seconds: f64,
    /// What was wrong with inputs, one line each.
    pub problems: Vec<String>,
    /// What a user should know though nothing is wrong.
    pub notes: Vec<String>,
}

/// Numbers of inputs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InputSummary {
    pub converted: usize,
    pub skipped: usize,
    /// Of the converted: those that are not whole. They, and what was rejected, are in `rejects`.
    pub damaged: usize,
    /// Of which nothing could be read.
    pub rejected: usize,
    /// Files in directories that are no traces.
    pub passed_over: usize,
    /// Whether something of the skipped is not in the dataset.
    #[serde(skip)]
    pub left_out: bool,
}

impl InputSummary {
    /// Inputs that were read, or could not be.
    pub fn read(&self) -> usize {
        self.converted + self.rejected
    }
}

impl Summary {
    /// Whether some input was not taken over whole.
    pub fn is_damaged(&self) -> bool {
        self.inputs.damaged + self.inputs.rejected > 0
    }

    /// Counts what is skipped, and says so where it may surprise.
    pub fn skip(&mut self, skipped: &[(Cow<str>, Skip)]) {
        self.inputs.skipped = skipped.len();
        let is_left_out = |why: &Skip| matches!(why, Skip::GrownOtherwise | Skip::BeginningOtherwise);
        self.inputs.left_out = skipped.iter().any(|(_, why)| is_left_out(why));
        for (name, why) in skipped {
            let name = Escaped(name);
            match why {
                Skip::Done => {}
                Skip::DoneOtherwise => self.notes.push(format!(
                    "{name} was converted with other --tables; --reconvert converts it with these, and no others"
                )),
                Skip::ManifestLost => self.notes.push(format!(
                    "{name} was converted by a run whose manifest is lost, perhaps with other --tables, --since or --until; \
                     it is converted again without these, or with --reconvert"
                )),
                Skip::Duplicate => self.notes.push(format!("{name} has the content of another input; it was skipped")),
                Skip::GrownOtherwise => self.notes.push(format!(
                    "{name} has grown, but was converted with more --tables, whose rows would be lost; --reconvert \
                     converts it as asked for now"
                )),
                Skip::BeginningOtherwise => self.notes.push(format!(
                    "{name} is the beginning of another input, which was converted with other --tables, --since or --until; \
                     convert that"
                )),
                Skip::Beginning => self
                    .notes
                    .push(format!("{name} is the beginning of another input, which has its rows; it was skipped")),
            }
        }
    }
}

/// The table for people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let InputSummary { converted, skipped, damaged, rejected, passed_over, left_out } = self.inputs;
        if self.inputs.read() == 0 {
            write!(f, "Nothing to convert: ")?;
            match skipped {
                0 if passed_over > 0 => {
                    writeln!(f, "no file is a trace ({} passed over, -v names them).", grouped(passed_over as u64))?;
                }
                0 => writeln!(f, "there is no input.")?,
                1 if left_out => writeln!(f, "the one input was left out, see the note.")?,
                1 => writeln!(f, "the one input is in the dataset already.")?,
                n => {
                    let but = if left_out { " or were left out, see the notes" } else { " already" };
                    writeln!(f, "all {} inputs are in the dataset{but}.", grouped(n as u64))?;
                }
            }
            return Ok(());
        }
        if !self.rows.is_empty() {
            writeln!(f, "{:<24}{:>16}", "table", "rows")?;
            for (table, rows) in &self.rows {
                writeln!(f, "{table:<24}{:>16}", grouped(*rows as u64))?;
            }
            writeln!(f)?;
        }
        let done = if self.dry_run { "to convert" } else { "converted" };
        let mut parts = vec![format!("{} {done}", grouped(converted as u64))];
        for (n, what) in
            [(skipped, "skipped"), (damaged, "of them damaged"), (rejected, "rejected"), (passed_over, "passed over")]
        {
            if n > 0 {
                parts.push(format!("{} {what}", grouped(n as u64)));
            }
        }
        writeln!(f, "inputs   {}", parts.join(", "))?;
        if self.dry_run {
            return Ok(());
        }
        let mut parts = vec![format!("{} read", grouped(self.records as u64))];
        for (n, what) in [
            (self.records_lost, "lost"),
            (self.records_filtered, "outside the wanted time"),
            (self.dangling_references, "dangling references"),
            (self.repaired_strings, "strings repaired"),
        ] {
            if n > 0 {
                parts.push(format!("{} {what}", grouped(n as u64)));
            }
        }
        writeln!(f, "records  {}", parts.join(", "))?;
        let speed = self.records as f64 / self.seconds.max(1e-9);
        writeln!(
            f,
            "bytes    {} in, {} out in {} files",
            grouped(self.bytes_in),
            grouped(self.bytes_out),
            grouped(self.files as u64)
        )?;
        writeln!(f, "time     {:.2} s, {} records/s", self.seconds, grouped(speed as u64))
    }
}
