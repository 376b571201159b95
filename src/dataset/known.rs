//! A first look at the manifests: which files were converted, by path, size and time. Most runs of a scheduled job find
//! nothing new; they end after this, which takes a third of the time of reading the manifests whole.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::layout::Layout;
use super::manifest::{Content, CopyEntry, FORMAT, InputKind, Status, key, rejected_key};
use crate::input;
use crate::time::Window;

/// What is looked at of a manifest; the rest need only be JSON.
#[derive(Debug, serde::Deserialize)]
struct Glance<'t> {
    format: u32,
    #[serde(default)]
    number: u64,
    content: Content,
    inputs: Inputs,
    #[serde(default)]
    copies: Vec<CopyEntry>,
    #[serde(borrow, default)]
    superseded: Vec<Cow<'t, str>>,
}

/// What is looked at of an input.
#[derive(Debug, serde::Deserialize)]
struct Seen<'t> {
    #[serde(borrow)]
    path: Cow<'t, str>,
    size: u64,
    mtime: i64,
    #[serde(borrow)]
    sha256: Cow<'t, str>,
    status: Status,
    #[serde(default)]
    kind: InputKind,
    #[serde(borrow, default)]
    head: Cow<'t, str>,
    #[serde(default)]
    doubtful: bool,
    #[serde(default)]
    window: Option<Window>,
    #[serde(default)]
    span: Option<Window>,
}

/// The files that were read, and what the dataset has of them. It is compact, since most of a run that finds nothing new is
/// waiting for memory.
#[derive(Debug, Default)]
pub struct Known {
    /// Of the run that read them.
    number: u64,
    contents: Vec<Content>,
    inputs: Inputs,
    /// As the last run saw them, by path.
    copies: HashMap<Box<str>, SeenCopy, RandomState>,
    /// Places of the last inputs with these keys, if there are copies.
    by_key: HashMap<u64, u32, RandomState>,
    /// Keys that a run replaced, see [`hash`], and the last that did: what an earlier one read under a key is not what the
    /// dataset has.
    superseded: HashMap<u64, u64, RandomState>,
}

#[derive(Debug, Default)]
struct Inputs {
    all: Vec<Input>,
    /// As the last run saw them, by path.
    by_path: HashMap<Box<str>, u32, RandomState>,
    /// Places of those that another may have begun with.
    doubtful: Vec<u32>,
}

#[derive(Debug)]
struct Input {
    size: u64,
    mtime: i64,
    key: u64,
    head: u64,
    /// Ordinal of the run.
    number: u64,
    /// Index of the run's options.
    content: u32,
    /// It could be opened.
    has_content: bool,
    kind: InputKind,
    /// Instead of the times in the options.
    window: Option<Box<Window>>,
    /// When its events and flows start, if not all of them are wanted.
    span: Option<Box<Window>>,
}

/// A [`CopyEntry`], without its path.
#[derive(Debug)]
struct SeenCopy {
    /// Ordinal of the run.
    number: u64,
    size: u64,
    mtime: i64,
    key: u64,
    beginning: bool,
}

/// What a dataset has of a file that did not change.
#[derive(Debug, PartialEq)]
pub enum Had<'k> {
    /// Its rows, by these options; and when its events and flows start, if not all of them were wanted.
    Rows(Cow<'k, Content>, Option<Window>),
    /// It is the beginning of what it has rows of, by these.
    More(Cow<'k, Content>, Option<Window>),
}

impl Inputs {
    fn push(&mut self, seen: Seen) {
        let Seen { path, size, mtime, sha256, status, kind, head, doubtful, window, span } = seen;
        let key = match status {
            Status::Rejected => hash(&rejected_key(&sha256, &path)),
            _ if kind == InputKind::Trace => hash(&sha256),
            _ => hash(&key(&sha256, kind)),
        };
        let head = hash(&head);
        let (has_content, window, span) = (!sha256.is_empty(), window.map(Box::new), span.map(Box::new));
        let place = self.all.len() as u32;
        self.doubtful.extend(Some(place).filter(|_| doubtful));
        self.all.push(Input { size, mtime, key, head, number: 0, content: 0, has_content, kind, window, span });
        self.by_path.insert(path.into(), place);
    }
}

/// One by one: a list of all that is seen would be larger than what is kept of it.
impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Inputs, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of inputs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs, A::Error> {
                let mut inputs = Inputs::default();
                while let Some(seen) = list.next_element()? {
                    inputs.push(seen);
                }
                Ok(inputs)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// Stands for a key or a head: where two are the same, less is known.
fn hash(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

/// A look that is taken while the inputs are still looked for.
pub struct Early {
    manifests: Vec<PathBuf>,
    looks: Receiver<(usize, Option<Known>)>,
}

impl Early {
    /// Begins it. Each manifest is a job that waits for no other: a thread that waited could begin with what the pool is given
    /// later, and that waits for the job.
    pub fn begin(pool: &ThreadPool, layout: &Layout) -> Early {
        let manifests = layout.manifest_paths().unwrap_or_default();
        let (sender, looks) = channel();
        for (number, path) in manifests.iter().cloned().enumerate() {
            let sender = sender.clone();
            // Nobody listens if the inputs cannot be found.
            pool.spawn(move || drop(sender.send((number, Known::of_file(&path)))));
        }
        Early { manifests, looks }
    }

    /// What was seen, if no run has ended since. The dataset should be locked.
    pub fn end(self, layout: &Layout) -> Option<Known> {
        let mut looks: Vec<(usize, Option<Known>)> = self.looks.iter().collect();
        looks.sort_unstable_by_key(|(number, _)| *number);
        let known = Known::of_all(looks.into_iter().map(|(_, known)| known).collect::<Option<_>>()?);
        (layout.manifest_paths().ok()? == self.manifests).then_some(known)
    }
}

impl Known {
    /// What the manifests have of files, or nothing if something is wrong with one; reading it whole tells what.
    pub fn read(layout: &Layout) -> Option<Known> {
        let manifests = layout.manifest_paths().ok()?;
        manifests.par_iter().map(|path| Known::of_file(path)).collect::<Option<_>>().map(Known::of_all)
    }

    fn of_file(path: &Path) -> Option<Known> {
        let mut text = String::new();
        input::open(path).and_then(|mut file| file.read_to_string(&mut text)).ok()?;
        Known::of_text(&text)
    }

    fn of_text(text: &str) -> Option<Known> {
        let Glance { number, inputs, content, copies, superseded, .. } = Glance::of(text)?;
        let superseded = superseded.iter().map(|key| (hash(key), number)).collect();
        let copy = |CopyEntry { path, size, mtime, of, beginning }: CopyEntry| {
            (path.into(), SeenCopy { number, size, mtime, key: hash(&of), beginning })
        };
        let copies = copies.into_iter().map(copy).collect();
        Some(Known { number, contents: vec![content], inputs, copies, superseded, ..Known::default() })
    }

    /// Of several runs the last counts.
    fn of_all(mut runs: Vec<Known>) -> Known {
        runs.sort_by_key(|run| run.number);
        let mut runs = runs.into_iter();
        let mut all = runs.next().unwrap_or_default();
        all.inputs.all.iter_mut().for_each(|input| input.number = all.number);
        for Known { number, contents, inputs, copies, superseded, .. } in runs {
            let (content, place) = (all.contents.len() as u32, all.inputs.all.len() as u32);
            all.contents.extend(contents);
            all.inputs.all.extend(inputs.all.into_iter().map(|input| Input { number, content, ..input }));
            all.inputs.by_path.extend(inputs.by_path.into_iter().map(|(path, at)| (path, place + at)));
            all.inputs.doubtful.extend(inputs.doubtful.iter().map(|at| place + at));
            all.copies.extend(copies);
            all.superseded.extend(superseded);
        }
        if !all.copies.is_empty() {
            all.by_key = all.inputs.all.iter().zip(0..).map(|(input, place)| (input.key, place)).collect();
        }
        all
    }

    fn is_replaced(&self, seen: &Input) -> bool {
        self.superseded.get(&seen.key).is_some_and(|by| seen.number < *by)
    }

    /// What the dataset has of a file, a trace or a log, if it is as large and as old as when it was read, and nothing speaks
    /// against it: a later run that replaced its rows, or rows of its beginning that the dataset may have, too.
    pub fn find(&self, path: &str, size: u64, mtime: i64, kind: InputKind) -> Option<Had<'_>> {
        let Inputs { all, by_path, doubtful } = &self.inputs;
        let input = by_path.get(path).map(|place| &all[*place as usize]);
        let is_same = |seen: &&Input| seen.has_content && seen.kind == kind && (seen.size, seen.mtime) == (size, mtime);
        // What was seen last counts.
        let copy = self.copies.get(path).filter(|copy| input.is_none_or(|input| input.number < copy.number));
        let (seen, beginning) = match copy {
            None => (input.filter(is_same)?, false),
            Some(copy) if (copy.size, copy.mtime) == (size, mtime) => {
                (&all[*self.by_key.get(&copy.key)? as usize], copy.beginning)
            }
            Some(_) => return None,
        };
        let is_beginning = |at: &u32| {
            let other = &all[*at as usize];
            other.head == seen.head && other.size < seen.size && !self.is_replaced(other)
        };
        if seen.kind != kind || self.is_replaced(seen) || !beginning && doubtful.iter().any(is_beginning) {
            return None;
        }
        let content = || self.contents[seen.content as usize].of_times(seen.window.as_deref().copied());
        let span = seen.span.as_deref().copied();
        Some(if beginning { Had::More(content(), span) } else { Had::Rows(content(), span) })
    }
}

impl<'t> Glance<'t> {
    fn of(text: &'t str) -> Option<Glance<'t>> {
        serde_json::from_str(text).ok().filter(|glance: &Glance| glance.format == FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use std::fs;

    use super::*;

    /// The number of a run is the size of the file that it read.
    fn run(format: u32, table: &str, path: &str, size: u64, sha256: &str) -> String {
        json!({
            "format": format, "run": "r", "number": size, "files": [{}],
            "content": {"tables": [table], "since": null, "until": null},
            "inputs": [{
                "path": path, "mtime": 7, "size": size, "sha256": sha256, "status": "converted", "rows": {"records": 1},
            }],
        })
        .to_string()
    }

    fn known(texts: &[String]) -> Option<Known> {
        texts.iter().map(|text| Known::of_text(text)).collect::<Option<_>>().map(Known::of_all)
    }

    fn tables(known: &Known, path: &str, size: u64) -> Vec<String> {
        match known.find(path, size, 7, InputKind::Trace) {
            Some(Had::Rows(content, _)) => content.tables.clone(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn a_file_is_known_by_path_size_and_time_as_the_last_run_saw_it() {
        let texts = [run(1, "files", "a\"b", 2, "y"), run(1, "pods", "a\"b", 1, "x"), run(1, "files", "c", 2, "")];
        let known = known(&texts).unwrap();
        assert_eq!(tables(&known, "a\"b", 2), ["files"]);
        for (path, size, mtime, kind) in [
            ("a\"b", 1, 7, InputKind::Trace),
            ("a\"b", 2, 8, InputKind::Trace),
            ("a\"b", 2, 7, InputKind::ExperimentLog),
            ("a", 2, 7, InputKind::Trace),
            ("c", 2, 7, InputKind::Trace),
        ] {
            assert_eq!(known.find(path, size, mtime, kind), None, "{path} {size} {mtime} {kind:?}");
        }
    }

    #[test]
    fn what_was_replaced_or_begins_alike_is_not_known() {
        let input = |path: &str, size: u64, sha256: &str| {
            json!({
                "path": path, "mtime": 7, "size": size, "sha256": sha256, "status": "converted", "head": "h",
                "doubtful": size == 5, "rows": {"records": 1},
            })
        };
        let run = |number: u64, input: Value, superseded: &[&str]| {
            let content = json!({"tables": [number.to_string()], "since": null, "until": null});
            json!({
                "format": 1, "run": "r", "number": number, "files": [{}], "content": content, "inputs": [input],
                "superseded": superseded,
            })
            .to_string()
        };
        let (short, long) = (run(1, input("a", 6, "x"), &[]), run(2, input("a", 9, "y"), &["x"]));
        let copied = run(3, input("b", 9, "y"), &["y"]);
        let all = known(&[copied.clone(), long.clone(), short.clone()]).unwrap();
        assert!(all.find("a", 6, 7, InputKind::Trace).is_none());
        // The last run that read this content read it elsewhere.
        assert!(all.find("a", 9, 7, InputKind::Trace).is_none());
        assert_eq!(tables(&all, "b", 9), ["3"]);
        assert_eq!(tables(&known(&[long.clone(), short.clone()]).unwrap(), "a", 9), ["2"]);
        let gone = run(4, input("c", 20, "z"), &["y"]);
        assert!(known(&[short.clone(), long.clone(), gone]).unwrap().find("a", 9, 7, InputKind::Trace).is_none());
        // The beginning has rows of its own.
        let (first, second) = (run(1, input("a", 9, "y"), &[]), run(2, input("b", 5, "x"), &[]));
        let both = known(&[first, second]).unwrap();
        assert!(both.find("a", 9, 7, InputKind::Trace).is_none() && both.find("b", 5, 7, InputKind::Trace).is_some());
    }

    #[test]
    fn nothing_is_known_where_a_manifest_is_not_as_it_should_be() {
        let good = run(1, "pods", "a", 1, "x");
        for bad in [run(2, "pods", "a", 1, "x"), good[..good.len() - 1].into(), String::new()] {
            assert!(known(&[good.clone(), bad]).is_none());
        }
        assert!(known(&[good]).is_some());
    }

    #[test]
    fn a_copy_is_known_as_long_as_its_input_is() {
        let copied = |number: u64, of: &str, beginning: bool| {
            let mut run: Value = serde_json::from_str(&run(1, "pods", "b", number, "y")).unwrap();
            run["copies"] = json!([{"path": "copy", "size": 5, "mtime": 7, "of": of, "beginning": beginning}]);
            run.to_string()
        };
        let first = run(1, "files", "a", 1, "x");
        assert_eq!(tables(&known(&[first.clone(), copied(2, "x", false)]).unwrap(), "copy", 5), ["files"]);
        assert_eq!(tables(&known(&[copied(2, "y", false)]).unwrap(), "copy", 5), ["pods"]);
        let begins = known(&[first.clone(), copied(2, "x", true)]).unwrap();
        assert!(matches!(begins.find("copy", 5, 7, InputKind::Trace), Some(Had::More(..))));
        for (size, mtime, kind) in
            [(6, 7, InputKind::Trace), (5, 8, InputKind::Trace), (5, 7, InputKind::ExperimentLog)]
        {
            assert_eq!(begins.find("copy", size, mtime, kind), None);
        }
        assert_eq!(known(&[first, copied(2, "z", false)]).unwrap().find("copy", 5, 7, InputKind::Trace), None);
    }

    #[test]
    fn an_early_look_counts_until_another_run_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        fs::create_dir_all(layout.manifests()).unwrap();
        for number in 0..40 {
            let path = format!("{number}").repeat(1 + 2_000 * usize::from(number % 7 == 0));
            fs::write(layout.manifest(&format!("{number:02}")), run(1, "pods", &path, 1, "x")).unwrap();
        }
        // What comes after the look must never be done in the middle of it by a thread that waits.
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..100 {
                let early = Early::begin(&pool, &layout);
                let known = pool.install(|| early.end(&layout)).unwrap();
                assert!(known.find("39", 1, 7, InputKind::Trace).is_some() && known.inputs.by_path.len() == 40);
            }
            let early = Early::begin(&pool, &layout);
            let another = layout.manifest(&format!("another-{threads}"));
            fs::write(&another, run(1, "pods", "b", 1, "y")).unwrap();
            assert!(pool.install(|| early.end(&layout)).is_none());
            fs::remove_file(another).unwrap();
        }
    }
}
