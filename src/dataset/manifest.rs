//! What a run read and wrote: the form of a manifest, which `state` sums up.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::encode::Encodings;
use super::layout::is_part_path;
use super::part::PartFile;
use crate::error::{Error, IoContext, Result};
use crate::input::{self, Stat};
use crate::tables::row_counts::RowCounts;
use crate::tables::schema::TableId;
use crate::time::Window;

/// Version of the manifest's form.
pub const FORMAT: u32 = 1;

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    #[error("the manifest is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("the manifest has the form {0}, this program knows {FORMAT}")]
    Form(u32),
    #[error("version {program} wrote the manifest, and this one cannot read it: {cause}")]
    Program { program: String, cause: serde_json::Error },
    #[error("the manifest names '{0}', which is no path of a part file")]
    Path(String),
}

impl NoManifest {
    /// Whether another version of the program can perhaps read it.
    pub fn is_foreign(&self) -> bool {
        matches!(self, NoManifest::Form(_) | NoManifest::Program { .. })
    }

    /// What to do then.
    pub fn remedy(&self) -> &'static str {
        match self {
            NoManifest::Damaged(_) | NoManifest::Path(_) => {
                "'sf-parquet verify' names the command that mends the dataset"
            }
            NoManifest::Form(_) | NoManifest::Program { .. } => "use the version of sf-parquet that wrote it",
        }
    }
}

/// Options that decide which rows a dataset has of an input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Content {
    /// Names of the tables, in the order of the contract.
    pub tables: Vec<String>,
    /// Nanoseconds since 1970 of the first event or flow that is wanted; of all if `None`.
    pub since: Option<i64>,
    /// The same of the first one behind them.
    pub until: Option<i64>,
}

impl Content {
    /// The times of events and flows that are wanted.
    pub fn window(&self) -> Window {
        Window { since: self.since, until: self.until }
    }

    /// The same tables, of other times if there are some.
    pub fn of_times(&self, window: Option<Window>) -> Cow<'_, Content> {
        let others = |Window { since, until }| Cow::Owned(Content { tables: self.tables.clone(), since, until });
        window.map_or(Cow::Borrowed(self), others)
    }

    /// All that either gives, and the times between.
    pub fn with(&self, other: &Content) -> Content {
        let is_in = |table: &&str| [self, other].iter().any(|content| content.tables.iter().any(|name| name == table));
        let tables = TableId::ALL.iter().map(|table| table.name()).filter(is_in).map(str::to_owned).collect();
        let Window { since, until } = self.window().with(other.window());
        Content { tables, since, until }
    }

    /// Whether these options give all the tables that the others give.
    pub fn has_tables_of(&self, other: &Content) -> bool {
        // The usual case: ten thousand inputs are asked.
        self.tables == other.tables || other.tables.iter().all(|table| self.tables.contains(table))
    }

    /// Whether these options give all the rows that the others give of an input whose events and flows start within `span`.
    pub fn includes(&self, other: &Content, span: Option<Window>) -> bool {
        let wanted = other.window().and(span.unwrap_or_default());
        self.has_tables_of(other) && wanted.is_none_or(|wanted| self.window().with(wanted) == self.window())
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub run: String,
    /// Ordinal of the run in the dataset, from 1.
    #[serde(default)]
    pub number: u64,
    /// Version of the program.
    pub program: String,
    pub content: Content,
    pub compression: String,
    pub encodings: Encodings,
    /// Bytes that the run was to stay within: with fewer, blocks may be refused that it took.
    #[serde(default)]
    pub memory: u64,
    pub inputs: Vec<InputEntry>,
    /// Files that were read and passed over, since an input has their rows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copies: Vec<CopyEntry>,
    pub files: Vec<PartFile>,
    /// Part files of earlier runs that this run replaced.
    pub removed: Vec<String>,
    /// Keys of inputs of earlier runs whose rows this run replaced, see [`InputEntry::key`].
    pub superseded: Vec<String>,
}

/// What a manifest of any form says of itself.
#[derive(Deserialize)]
struct Form {
    format: u32,
    #[serde(default = "version")]
    program: String,
}

/// That of this program.
fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// What became of an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Taken over whole.
    #[default]
    Converted,
    /// Some of it is in the dataset, the rest accounted for in `rejects`.
    Damaged,
    /// Nothing of it could be read.
    Rejected,
}

/// What an input was taken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    #[default]
    Trace,
    /// The log of an experiment.
    ExperimentLog,
}

/// Whether a manifest can do without a value: most inputs have nothing that is damaged, and every run reads all manifests.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which of two files that begin alike has more: bytes of which there are rows, then all bytes.
pub type Rank = (u64, u64);

/// The start of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub size: u64,
    pub sha256: String,
}

impl Start {
    /// Size and SHA-256 of a start, or of the whole file.
    pub fn or<'a>(start: &'a Option<Start>, size: u64, sha256: &'a str) -> (u64, &'a str) {
        start.as_ref().map_or((size, sha256), |start| (start.size, &start.sha256))
    }
}

/// What is whole of a file that is damaged inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sound {
    /// Bytes before the damage, and their SHA-256.
    pub size: u64,
    pub sha256: String,
    /// SHA-256 of the last block behind it, or with it, of which there are rows, if there is one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last: Option<String>,
    /// The sync marker as 32 hex digits, by which files are found that may have the same blocks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync: String,
}

impl Sound {
    /// What is before the damage.
    pub fn start(&self) -> (u64, &str) {
        (self.size, &self.sha256)
    }
}

/// An input that a run read. A name that is not known is a damaged one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// As given.
    pub path: String,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Empty where the file could not even be opened.
    pub sha256: String,
    pub status: Status,
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: InputKind,
    /// Times of which it has rows, where they are not those of the run: it has grown, and rows of other times stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window: Option<Window>,
    /// When its events and flows start, if not all of them are wanted: it has nothing of other times.
    #[serde(default, skip_serializing_if = "is_default")]
    pub span: Option<Window>,
    /// What it has in common with all that it may grow to, see [`crate::batch::outline::Outline::head`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: String,
    /// An input of an earlier run may have begun with it (`perhaps_twice` in `rejects`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub doubtful: bool,
    /// The file ended inside a block.
    #[serde(default, skip_serializing_if = "is_default")]
    pub truncated: bool,
    /// All that it has rows of, if what is behind that is no whole block: a trace that begins with this has all of its rows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub whole: Option<Start>,
    /// If there is damage that is not at its end: a trace under its name that has this is what it was.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sound: Option<Sound>,
    pub traces: i64,
    /// Records read.
    pub records: i64,
    /// Headers among them, which have no rows but in `traces`.
    pub headers: i64,
    /// Records among them of types that SysFlow 5 does not have, which have no rows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknown: i64,
    /// Records known to be lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lost: i64,
    /// Events and flows outside the window.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filtered: i64,
    /// References that lead nowhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dangling: i64,
    /// Strings in which invalid UTF-8 was replaced.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repaired: i64,
    /// Rows by table, without the tables that have none.
    pub rows: RowCounts,
}

impl InputEntry {
    /// What tells inputs apart across runs.
    pub fn key(&self) -> String {
        match self.status {
            Status::Rejected => rejected_key(&self.sha256, &self.path),
            Status::Converted | Status::Damaged => key(&self.sha256, self.kind),
        }
    }

    /// Size and SHA-256 of what it has rows of.
    pub fn extent(&self) -> (u64, &str) {
        Start::or(&self.whole, self.size, &self.sha256)
    }

    /// Its place among files that begin alike.
    pub fn rank(&self) -> Rank {
        (self.extent().0, self.size)
    }
}

/// A file whose rows an input has, of this run or an earlier one. As long as it does not change, it need not be read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyEntry {
    /// As given.
    pub path: String,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// The key of the input, see [`InputEntry::key`].
    pub of: String,
    /// The input only begins with it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beginning: bool,
}

impl CopyEntry {
    /// Whether a file is as large and as old as it was when it was read.
    pub fn is_as(&self, stat: &Stat) -> bool {
        stat.is(self.size, self.mtime)
    }
}

/// The key of an input with this content, of which something could be read. A trace is not the same as a log.
pub fn key(sha256: &str, kind: InputKind) -> String {
    match kind {
        InputKind::Trace => sha256.to_owned(),
        InputKind::ExperimentLog => format!("log {sha256}"),
    }
}

/// The key of an input that was rejected. It has but a row in `rejects` with its path, so that counts, too: two empty files
/// are two.
pub fn rejected_key(sha256: &str, path: &str) -> String {
    format!("{sha256} {path}")
}

impl Manifest {
    /// # Errors
    /// The file cannot be read, or is no manifest of a form that this program knows.
    pub fn read(path: &Path) -> Result<Manifest> {
        let mut bytes = Vec::new();
        let read = input::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.during("read the manifest", path)?;
        Manifest::parse(&bytes).map_err(|cause| Error::Manifest { path: path.to_owned(), cause })
    }

    /// Reads a manifest's JSON.
    ///
    /// # Errors
    /// It is none of a form that this program knows.
    pub fn parse(json: &[u8]) -> std::result::Result<Manifest, NoManifest> {
        let Form { format, program } = serde_json::from_slice(json)?;
        if format != FORMAT {
            return Err(NoManifest::Form(format));
        }
        match serde_json::from_slice::<Manifest>(json) {
            Ok(manifest) => manifest.checked(),
            // Fields and tables that came later are no damage.
            Err(cause) if program != version() => Err(NoManifest::Program { program, cause }),
            Err(cause) => Err(NoManifest::Damaged(cause)),
        }
    }

    /// The inputs of this run of which one of its part files has rows.
    pub fn inputs_of(&self, part: &PartFile) -> impl Iterator<Item = &InputEntry> {
        part.inputs.iter().filter_map(|i| self.inputs.get(*i as usize))
    }

    /// Keys of all inputs of which one of its part files has rows, also of earlier runs.
    pub fn keys_of(&self, part: &PartFile) -> impl Iterator<Item = String> {
        self.inputs_of(part).map(InputEntry::key).chain(part.kept.iter().cloned())
    }

    /// It, if all that it names lies in a dataset: files are moved and removed by it.
    fn checked(self) -> std::result::Result<Manifest, NoManifest> {
        let mut paths = self.files.iter().map(|file| &file.path).chain(&self.removed);
        match paths.find(|path| !is_part_path(path)) {
            Some(path) => Err(NoManifest::Path(path.clone())),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_include_those_that_give_fewer_rows() {
        let content = |tables: &[&str], since, until| Content {
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            since,
            until,
        };
        let all = content(&["records", "pods"], None, None);
        for less in
            [content(&["pods"], None, None), content(&["records", "pods"], Some(1), None), content(&[], None, Some(2))]
        {
            assert!(all.includes(&less, None) && less.includes(&less, None) && !less.includes(&all, None));
            assert_eq!(less.with(&all), all);
        }
        let (early, late) = (content(&["pods"], Some(1), Some(3)), content(&["records"], Some(5), Some(7)));
        for both in [early.with(&late), late.with(&early)] {
            assert_eq!(both, content(&["records", "pods"], Some(1), Some(7)));
        }
    }
}
