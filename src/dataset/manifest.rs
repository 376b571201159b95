//! What each run read and wrote. The manifests together say what the dataset holds: every part file that some run
//! wrote and none removed, of every input that some run read and none superseded.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::part::{Encodings, PartFile};
use crate::error::{Error, IoContext, Result};
use crate::tables::row_counts::RowCounts;

/// Version of the manifest's form.
pub const FORMAT: u32 = 1;

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    #[error("the manifest is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("the manifest has the form {0}, this program knows {FORMAT}")]
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

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub run: String,
    /// Version of the program.
    pub program: String,
    pub content: Content,
    pub compression: String,
    pub encodings: Encodings,
    pub inputs: Vec<InputEntry>,
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
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Taken over whole.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What it has in common with all that it may grow to, see [`crate::batch::growth::Outline::head`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: String,
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
    /// What tells inputs apart across runs: their content. One that was rejected has but a row in `rejects` with its
    /// path, so there the path counts, too: two empty files are two.
    pub fn key(&self) -> String {
        match self.status {
            Status::Rejected => format!("{} {}", self.sha256, self.path),
            Status::Converted | Status::Damaged => self.sha256.clone(),
        }
    }
}

/// The sum of all manifests.
#[derive(Debug, Default)]
pub struct State {
    pub manifests: Vec<Manifest>,
    by_path: HashMap<String, Vec<Place>>,
    by_hash: HashMap<String, Place>,
    /// Those without a head are there if they ended inside their first block.
    by_head: HashMap<String, Vec<Place>>,
    removed: BTreeSet<String>,
    superseded: BTreeSet<String>,
    gone: BTreeSet<String>,
}

/// Indexes of a manifest and of an input in it.
type Place = (usize, usize);

impl State {
    /// Reads all manifests of a dataset, on the current rayon pool.
    ///
    /// # Errors
    /// One cannot be read, or is none.
    pub fn load(layout: &Layout) -> Result<State> {
        let manifests: Vec<Result<Manifest>> = State::paths(layout)?.par_iter().map(|p| Manifest::read(p)).collect();
        // The first error, whichever was found first.
        Ok(State::of(manifests.into_iter().collect::<Result<_>>()?))
    }

    /// Where the manifests are, in order.
    ///
    /// # Errors
    /// Their folder cannot be listed.
    pub fn paths(layout: &Layout) -> Result<Vec<PathBuf>> {
        let folder = layout.manifests();
        let mut paths: Vec<_> = match std::fs::read_dir(&folder) {
            Ok(entries) => {
                entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<_>>().during("list", &folder)?
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e).during("list", &folder),
        };
        paths.retain(|p| State::is_manifest(layout, p));
        paths.sort();
        Ok(paths)
    }

    /// Whether a file is taken for a manifest.
    pub fn is_manifest(layout: &Layout, path: &Path) -> bool {
        path.parent() == Some(&layout.manifests()) && path.extension().is_some_and(|e| e == "json")
    }

    /// The sum of these manifests. Their order does not tell which run came first: runs are named by what they read.
    pub fn of(manifests: Vec<Manifest>) -> State {
        let mut state = State { manifests, ..State::default() };
        for (m, manifest) in state.manifests.iter().enumerate() {
            state.removed.extend(manifest.removed.iter().cloned());
            state.superseded.extend(manifest.superseded.iter().cloned());
            let read: BTreeSet<String> = manifest.inputs.iter().map(InputEntry::key).collect();
            state.gone.extend(manifest.superseded.iter().filter(|key| !read.contains(*key)).cloned());
            for (i, input) in manifest.inputs.iter().enumerate() {
                // An input that was converted again is in several manifests: the one that holds its rows is the one
                // whose part files were not removed, and any will do to know that it was read.
                state.by_path.entry(input.path.clone()).or_default().push((m, i));
                if !input.sha256.is_empty() && input.status != Status::Rejected {
                    state.by_hash.insert(input.sha256.clone(), (m, i));
                    if !input.head.is_empty() || input.truncated {
                        state.by_head.entry(input.head.clone()).or_default().push((m, i));
                    }
                }
            }
        }
        state
    }

    /// Names of all runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.manifests.iter().map(|m| m.run.as_str())
    }

    fn at(&self, place: Place) -> (&Manifest, &InputEntry) {
        let manifest = &self.manifests[place.0];
        (manifest, &manifest.inputs[place.1])
    }

    /// All that was ever read under this path. Which came last nobody can tell.
    pub fn by_path(&self, path: &str) -> impl Iterator<Item = (&Manifest, &InputEntry)> {
        self.by_path.get(path).into_iter().flatten().map(|place| self.at(*place))
    }

    /// The entry of an input with this content.
    pub fn by_hash(&self, sha256: &str) -> Option<(&Manifest, &InputEntry)> {
        self.by_hash.get(sha256).map(|p| self.at(*p))
    }

    /// Inputs that a file with this head may have grown from, or may be the beginning of.
    pub fn by_head(&self, head: &str) -> impl Iterator<Item = &InputEntry> {
        let heads = [Some(head).filter(|head| !head.is_empty()), Some("")];
        let places = heads.into_iter().flatten().filter_map(|head| self.by_head.get(head)).flatten();
        places.map(|place| self.at(*place).1)
    }

    /// Whether other content took an input's place, as when it has grown.
    pub fn is_gone(&self, input: &InputEntry) -> bool {
        self.gone.contains(&input.key())
    }

    /// Whether a run replaced rows of an input, if only by rows of the same.
    pub fn is_superseded(&self, input: &InputEntry) -> bool {
        self.superseded.contains(&input.key())
    }

    /// The entry of the input with this key, of any run that read it.
    pub fn by_key(&self, key: &str) -> Option<&InputEntry> {
        self.manifests.iter().flat_map(|m| &m.inputs).find(|input| input.key() == key)
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
