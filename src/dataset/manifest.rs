//! What each run read and wrote. The manifests together say what the dataset holds: every part file that some run wrote and
//! none removed, of every input that a run read and no later one superseded.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layout::{Layout, children};
use super::part::{Encodings, PartFile};
use crate::error::{Error, IoContext, Result};
use crate::flatten::time::Window;
use crate::input::{Looker, Stat, is_hidden};
use crate::tables::row_counts::RowCounts;
use crate::tables::schema::TableId;

/// Version of the manifest's form.
pub const FORMAT: u32 = 1;

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    #[error("the manifest is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("the manifest has the form {0}, this program knows {FORMAT}; use the version of sf-parquet that wrote it")]
    Form(u32),
}

/// Options that decide which rows a dataset has of an input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Content {
    /// Names of the tables, in the order of the contract.
    pub tables: Vec<String>,
    /// Nanoseconds since 1970.
    pub since: Option<i64>,
    pub until: Option<i64>,
}

impl Content {
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

    /// Whether these options give all the rows that the others give.
    pub fn includes(&self, other: &Content) -> bool {
        self.has_tables_of(other) && self.window().with(other.window()) == self.window()
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
pub(super) struct Form {
    pub format: u32,
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

/// Whether a manifest can do without a value: most inputs have nothing that is damaged, and every run reads all manifests.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// It was taken for the log of an experiment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub log: bool,
    /// Times of which it has rows, where they are not those of the run: it has grown, and rows of other times stay.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window: Option<Window>,
    /// What it has in common with all that it may grow to, see [`crate::batch::growth::Outline::head`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: String,
    /// An input of an earlier run may have begun with it (`perhaps_twice` in `rejects`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub doubtful: bool,
    /// The file ended inside a block.
    #[serde(default, skip_serializing_if = "is_default")]
    pub truncated: bool,
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
        match (self.status, self.log) {
            (Status::Rejected, _) => rejected_key(&self.sha256, &self.path),
            (_, log) => key(&self.sha256, log),
        }
    }

    /// Whether a file is as large and as old as it was when it was read.
    pub fn is_as(&self, stat: &Stat) -> bool {
        stat.is(self.size, self.mtime)
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
pub fn key(sha256: &str, log: bool) -> String {
    if log { format!("log {sha256}") } else { sha256.to_owned() }
}

/// The key of an input that was rejected. It has but a row in `rejects` with its path, so that counts, too: two empty files
/// are two.
pub fn rejected_key(sha256: &str, path: &str) -> String {
    format!("{sha256} {path}")
}

/// The sum of all manifests.
#[derive(Debug, Default)]
pub struct State {
    /// In the order of the runs.
    pub manifests: Vec<Manifest>,
    /// What was read last under each key.
    by_key: HashMap<String, Place>,
    /// For each run and input whether its rows are the dataset's: no later run replaced them.
    live: Vec<Vec<bool>>,
    by_path: HashMap<String, Vec<Place>>,
    /// By path: indexes of a manifest and of a copy in it.
    copies: HashMap<String, Vec<Place>>,
    /// Those without a head are there if they have records, or ended inside their first block.
    by_head: HashMap<String, Vec<Place>>,
    removed: BTreeSet<String>,
}

/// Indexes of a manifest and of an input in it.
type Place = (usize, usize);

/// An input, the run that read it, and whether its rows are in the dataset as that run wrote them.
#[derive(Debug, Clone, Copy)]
pub struct Read<'s> {
    pub run: &'s Manifest,
    pub input: &'s InputEntry,
    pub live: bool,
}

impl<'s> Read<'s> {
    /// The options by which its rows were chosen.
    pub fn content(&self) -> Cow<'s, Content> {
        self.run.content.of_times(self.input.window)
    }
}

impl State {
    /// Reads all manifests of a dataset, on the current rayon pool, and adds those of runs that have yet to be completed.
    ///
    /// # Errors
    /// One cannot be read, or is none.
    pub fn load(layout: &Layout, unfinished: Vec<Manifest>) -> Result<State> {
        let manifests: Vec<Result<Manifest>> = State::paths(layout)?.par_iter().map(|p| Manifest::read(p)).collect();
        // The first error, whichever was found first.
        let mut manifests = manifests.into_iter().collect::<Result<Vec<_>>>()?;
        let is_new = |run: &Manifest| manifests.iter().all(|manifest| manifest.run != run.run);
        let unfinished: Vec<_> = unfinished.into_iter().filter(is_new).collect();
        manifests.extend(unfinished);
        Ok(State::of(manifests))
    }

    /// Where the manifests are, in order.
    ///
    /// # Errors
    /// Their folder cannot be listed.
    pub fn paths(layout: &Layout) -> Result<Vec<PathBuf>> {
        let mut paths = children(&layout.manifests())?;
        paths.retain(|p| State::is_manifest(layout, p));
        Ok(paths)
    }

    /// Whether a file is taken for a manifest.
    pub fn is_manifest(layout: &Layout, path: &Path) -> bool {
        let is_hidden = path.file_name().is_some_and(is_hidden);
        path.parent() == Some(&layout.manifests()) && path.extension().is_some_and(|e| e == "json") && !is_hidden
    }

    /// The sum of these manifests.
    pub fn of(mut manifests: Vec<Manifest>) -> State {
        manifests.sort_by(|a, b| (a.number, &a.run).cmp(&(b.number, &b.run)));
        let mut state = State { manifests, ..State::default() };
        for (m, manifest) in state.manifests.iter().enumerate() {
            state.removed.extend(manifest.removed.iter().cloned());
            state.live.push(vec![true; manifest.inputs.len()]);
            for (m, i) in manifest.superseded.iter().filter_map(|key| state.by_key.get(key)) {
                state.live[*m][*i] = false;
            }
            for (i, input) in manifest.inputs.iter().enumerate() {
                let place = (m, i);
                if let Some((m, i)) = state.by_key.insert(input.key(), place) {
                    state.live[m][i] = false;
                }
                state.by_path.entry(input.path.clone()).or_default().push(place);
                if input.status != Status::Rejected && (!input.head.is_empty() || input.records > 0 || input.truncated)
                {
                    state.by_head.entry(input.head.clone()).or_default().push(place);
                }
            }
            for (c, copy) in manifest.copies.iter().enumerate() {
                state.copies.entry(copy.path.clone()).or_default().push((m, c));
            }
        }
        state
    }

    /// Names of all runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.manifests.iter().map(|m| m.run.as_str())
    }

    fn read(&self, (m, i): Place) -> Read<'_> {
        let run = &self.manifests[m];
        Read { run, input: &run.inputs[i], live: self.live[m][i] }
    }

    /// All that was ever read under this path, the last at the end.
    pub fn by_path(&self, path: &str) -> impl Iterator<Item = Read<'_>> {
        self.by_path.get(path).into_iter().flatten().map(|place| self.read(*place))
    }

    /// All copies that were ever found under this path, the last at the end.
    pub fn copies(&self, path: &str) -> impl DoubleEndedIterator<Item = &CopyEntry> {
        self.copies.get(path).into_iter().flatten().map(|(m, c)| &self.manifests[*m].copies[*c])
    }

    /// A file that is still what was read of an input: where it was, or a copy.
    pub fn at_hand<'s>(&'s self, input: &'s InputEntry) -> Option<&'s Path> {
        let key = input.key();
        let copies = self.manifests.iter().flat_map(|run| &run.copies);
        let copies = copies.filter(|copy| copy.of == key && !copy.beginning);
        let copies = copies.map(|copy| (&*copy.path, copy.size, copy.mtime));
        let mut files = [(&*input.path, input.size, input.mtime)].into_iter().chain(copies);
        let is_as_it_was = |(path, size, mtime): &(&str, u64, i64)| {
            Looker::default().look(Path::new(path)).file().is_some_and(|stat| stat.is(*size, *mtime))
        };
        files.find(is_as_it_was).map(|(path, ..)| Path::new(path))
    }

    /// What was read last under this key.
    pub fn by_key(&self, key: &str) -> Option<Read<'_>> {
        self.by_key.get(key).map(|place| self.read(*place))
    }

    /// Inputs that a file with this head may have grown from, or may be the beginning of.
    pub fn by_head(&self, head: &str) -> impl Iterator<Item = Read<'_>> {
        let heads = [Some(head).filter(|head| !head.is_empty()), Some("")];
        let places = heads.into_iter().flatten().filter_map(|head| self.by_head.get(head)).flatten();
        places.map(|place| self.read(*place))
    }

    /// The inputs whose rows the dataset has, in the order in which they were read.
    pub fn live(&self) -> Vec<Read<'_>> {
        let places = self.live.iter().enumerate().flat_map(|(m, of_run)| (0..of_run.len()).map(move |i| (m, i)));
        places.map(|place| self.read(place)).filter(|read| read.live).collect()
    }

    /// The number that the next run has.
    pub fn next_number(&self) -> u64 {
        self.manifests.iter().map(|m| m.number).max().unwrap_or(0).saturating_add(1)
    }

    /// The part files that make up the dataset, with their manifests.
    pub fn files(&self) -> impl Iterator<Item = (&Manifest, &PartFile)> {
        let files = self.manifests.iter().flat_map(|m| m.files.iter().map(move |f| (m, f)));
        files.filter(|(_, f)| !self.removed.contains(&f.path))
    }
}

impl Manifest {
    /// # Errors
    /// The file cannot be read, or is no manifest of a form that this program knows.
    pub fn read(path: &Path) -> Result<Manifest> {
        let bytes = std::fs::read(path).during("read the manifest", path)?;
        Manifest::parse(&bytes).map_err(|cause| Error::Manifest { path: path.to_owned(), cause })
    }

    /// Reads a manifest's JSON.
    ///
    /// # Errors
    /// It is none of a form that this program knows.
    pub fn parse(json: &[u8]) -> std::result::Result<Manifest, NoManifest> {
        match serde_json::from_slice(json)? {
            Form { format: FORMAT } => Ok(serde_json::from_slice(json)?),
            Form { format } => Err(NoManifest::Form(format)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(number: u64, name: &str, hashes: &[&str], superseded: &[&str]) -> Manifest {
        let input = |hash: &&str| {
            json!({
                "path": hash, "size": 1, "mtime": 1, "sha256": hash, "status": "converted", "traces": 1, "records": 1,
                "headers": 1, "rows": {}
            })
        };
        let inputs: Vec<_> = hashes.iter().map(input).collect();
        let manifest = json!({
            "format": 1, "run": name, "number": number, "program": "0.1.0", "compression": "zstd", "encodings": "default",
            "content": {"tables": ["records"], "since": null, "until": null}, "inputs": inputs, "files": [],
            "removed": [], "superseded": superseded
        });
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_last_run_that_read_an_input_has_its_rows_whatever_the_runs_are_called() {
        let runs =
            [run(1, "c", &["a", "b", "grows"], &[]), run(2, "a", &["a"], &["a"]), run(3, "b", &["grown"], &["grows"])];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let state = State::of(order.map(|i| runs[i].clone()).into());
            let live: Vec<_> = state.live().iter().map(|read| (&*read.run.run, &*read.input.path)).collect();
            assert_eq!(live, [("c", "b"), ("a", "a"), ("b", "grown")]);
            assert!(!state.by_key("grows").unwrap().live && state.by_key("none").is_none());
            assert_eq!(state.next_number(), 4);
        }
    }

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
            assert!(all.includes(&less) && less.includes(&less) && !less.includes(&all));
            assert_eq!(less.with(&all), all);
        }
        let (early, late) = (content(&["pods"], Some(1), Some(3)), content(&["records"], Some(5), Some(7)));
        for both in [early.with(&late), late.with(&early)] {
            assert_eq!(both, content(&["records", "pods"], Some(1), Some(7)));
        }
    }
}
