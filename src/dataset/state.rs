//! What a dataset holds, by all of its manifests: every part file that some run wrote and none removed, of every input that a
//! run read and no later one superseded.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::Layout;
use super::manifest::{Content, CopyEntry, InputEntry, InputKind, Manifest, Sound, Status};
use super::part::PartFile;
use crate::error::{Error, Result};
use crate::input::Stat;
use crate::text::path_of;

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
    /// Those without a head are there if they have rows, or ended inside their first block.
    by_head: HashMap<String, Vec<Place>>,
    /// Those that are damaged inside and of which a block is known that has rows, by sync marker.
    by_sync: HashMap<String, Vec<Place>>,
    /// Part files that runs removed, and the index of the manifest of the last that did. One that comes later may be called as
    /// one was whose manifest is gone.
    removed: HashMap<String, usize>,
    /// Tables with rows of inputs whose manifest is gone, by the inputs' keys.
    kept: HashMap<String, BTreeSet<String>>,
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
    /// One cannot be read, is none, or is not called as its run.
    pub fn load(layout: &Layout, unfinished: Vec<Manifest>) -> Result<State> {
        let read = |path: &PathBuf| {
            let manifest = Manifest::read(path)?;
            // A copy of another: what is in both would be taken twice.
            if *path != layout.manifest(&manifest.run) {
                let message = format!(
                    "it is not called as its run, {}; 'sf-parquet verify' names the command that mends the dataset",
                    manifest.run
                );
                return Err(Error::Dataset { path: path.clone(), message });
            }
            Ok(manifest)
        };
        let manifests: Vec<Result<Manifest>> = layout.manifest_paths()?.par_iter().map(read).collect();
        // The first error, whichever was found first.
        let mut manifests = manifests.into_iter().collect::<Result<Vec<_>>>()?;
        let is_new = |run: &Manifest| manifests.iter().all(|manifest| manifest.run != run.run);
        let unfinished: Vec<_> = unfinished.into_iter().filter(is_new).collect();
        manifests.extend(unfinished);
        Ok(State::of(manifests))
    }

    /// The sum of these manifests.
    pub fn of(mut manifests: Vec<Manifest>) -> State {
        manifests.sort_by(|a, b| (a.number, &a.run).cmp(&(b.number, &b.run)));
        let mut state = State { manifests, ..State::default() };
        for (m, manifest) in state.manifests.iter().enumerate() {
            state.removed.extend(manifest.removed.iter().map(|path| (path.clone(), m)));
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
                let may_grow = !input.head.is_empty()
                    || input.kind == InputKind::ExperimentLog
                    || input.records > 0
                    || input.truncated;
                if let Some(Sound { sync, last: Some(_), .. }) = &input.sound {
                    state.by_sync.entry(sync.clone()).or_default().push(place);
                }
                if input.status != Status::Rejected && may_grow {
                    state.by_head.entry(input.head.clone()).or_default().push(place);
                }
            }
            for (c, copy) in manifest.copies.iter().enumerate() {
                state.copies.entry(copy.path.clone()).or_default().push((m, c));
            }
        }
        let mut kept: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (_, part) in state.files() {
            for key in part.kept.iter().filter(|key| !state.by_key.contains_key(*key)) {
                kept.entry(key.clone()).or_default().insert(part.table.clone());
            }
        }
        state.kept = kept;
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

    /// All copies that were ever found under this path, and the runs that did, the last at the end.
    pub fn copies(&self, path: &str) -> impl DoubleEndedIterator<Item = (&Manifest, &CopyEntry)> {
        self.copies.get(path).into_iter().flatten().map(|(m, c)| (&self.manifests[*m], &self.manifests[*m].copies[*c]))
    }

    /// Whether there are rows of inputs of which no manifest says anything.
    pub fn has_lost(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Tables that have rows of an input of which no manifest says anything: that of the run that read it is gone, but a later
    /// one took over its rows from part files that it wrote anew.
    pub fn tables_that_keep(&self, key: &str) -> Option<&BTreeSet<String>> {
        self.kept.get(key)
    }

    /// A file that is still what was read of an input: where it was, or a copy.
    pub fn at_hand<'s>(&'s self, input: &'s InputEntry) -> Option<Cow<'s, Path>> {
        let key = input.key();
        let copies = self.manifests.iter().flat_map(|run| &run.copies);
        let copies = copies.filter(|copy| copy.of == key && !copy.beginning);
        let copies = copies.map(|copy| (&*copy.path, copy.size, copy.mtime));
        let mut files = [(&*input.path, input.size, input.mtime)].into_iter().chain(copies);
        files.find_map(|(path, size, mtime)| {
            let path = path_of(path);
            let is_as_it_was = Stat::at(&path).is_some_and(|stat| stat.is(size, mtime));
            is_as_it_was.then_some(path)
        })
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

    /// Inputs that are damaged inside, of traces with this sync marker (as hex digits).
    pub fn by_sync(&self, sync: &str) -> impl Iterator<Item = Read<'_>> {
        self.by_sync.get(sync).into_iter().flatten().map(|place| self.read(*place))
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
        let removed = &self.removed;
        self.manifests.iter().enumerate().flat_map(move |(m, manifest)| {
            let stays = move |file: &&PartFile| removed.get(&file.path).is_none_or(|by| *by <= m);
            manifest.files.iter().filter(stays).map(move |file| (manifest, file))
        })
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
}
