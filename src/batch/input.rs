//! What a run reads, and what it cannot read.

use std::path::PathBuf;

use crate::dataset::manifest::{CopyEntry, InputEntry, InputKind, Rank, Start, key};
use crate::input::Stat;
use crate::text::Escaped;
use crate::time::Window;

/// An input that will be read.
#[derive(Debug, Clone, Default)]
pub struct Input {
    pub path: PathBuf,
    /// The path as text, see [`crate::text::path_text`].
    pub name: String,
    pub stat: Stat,
    pub sha256: String,
    pub kind: InputKind,
    /// See [`super::outline::Outline::head`].
    pub head: String,
    /// It is no trace, or its header is damaged.
    pub broken: bool,
    /// The file ends inside a block, so it will probably grow.
    pub incomplete: bool,
    /// See [`InputEntry::whole`].
    pub whole: Option<Start>,
    /// Events and flows that are wanted: those of the options, and if it has grown those that the dataset has of it.
    pub window: Window,
    /// Name of an input of an earlier run that may have begun with it: then the dataset has its rows already.
    pub doubtful: Option<String>,
    /// Name of an input that starts alike and keeps its rows: nobody can tell which records both have.
    pub alike: Option<String>,
    /// Another file was converted under its name and keeps its rows: if this one is damaged, it may be what is left of that.
    pub was_other: bool,
}

impl Input {
    /// What tells it apart, unless it is rejected.
    pub fn key(&self) -> String {
        key(&self.sha256, self.kind)
    }

    /// See [`InputEntry::extent`].
    pub fn extent(&self) -> (u64, &str) {
        Start::or(&self.whole, self.stat.size, &self.sha256)
    }

    /// See [`InputEntry::rank`].
    pub fn rank(&self) -> Rank {
        (self.extent().0, self.stat.size)
    }

    /// What is to be said of it if the dataset perhaps has some of its rows twice.
    pub fn perhaps_twice(&self) -> Option<String> {
        self.doubtful.as_ref().or(self.alike.as_ref()).map(|other| perhaps_twice(other))
    }

    /// Its entry in a run whose manifest is gone: but what its key needs, see [`crate::dataset::state::State::tables_that_keep`].
    pub fn as_kept(&self) -> InputEntry {
        let (path, sha256) = (self.name.clone(), self.sha256.clone());
        InputEntry { path, sha256, kind: self.kind, ..InputEntry::default() }
    }

    /// Its entry among the copies of the input with the key `of`, or the beginnings of that.
    pub fn copy_of(&self, of: String, beginning: bool) -> CopyEntry {
        CopyEntry { path: self.name.clone(), size: self.stat.size, mtime: self.stat.mtime, of, beginning }
    }
}

/// An input of which nothing can be read, and why.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub name: String,
    pub message: String,
}

impl Unreadable {
    /// What is wrong with it.
    pub fn what(&self) -> String {
        format!("the file cannot be read: {}", self.message)
    }

    /// The same as a line for people.
    pub fn problem(&self) -> String {
        format!("error: {}: {}", Escaped(&self.name), Escaped(&self.what()))
    }
}

/// What is to be said of an input that may have rows which the dataset has of the `other`.
pub fn perhaps_twice(other: &str) -> String {
    format!(
        "it may be a copy of {other}, older, damaged or repaired: if it is, the dataset has its rows twice, and a new dataset of either has not"
    )
}
