//! A first look at the manifests: which files were converted, by path, size and time. Most runs of a scheduled job find
//! nothing new; they end after this, which takes a third of the time of reading the manifests whole.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Deserialize;

use super::layout::Layout;
use super::manifest::{Content, FORMAT, State};
use crate::flatten::time::Window;

/// What is looked at of a manifest; the rest need only be JSON.
#[derive(Debug, Deserialize)]
struct Glance<'t> {
    format: u32,
    #[serde(default)]
    number: u64,
    content: Content,
    #[serde(borrow)]
    inputs: Vec<Seen<'t>>,
}

/// What is looked at of an input.
#[derive(Debug, Deserialize)]
struct Seen<'t> {
    #[serde(borrow)]
    path: Cow<'t, str>,
    size: u64,
    mtime: i64,
    #[serde(borrow)]
    sha256: Cow<'t, str>,
    #[serde(default)]
    log: bool,
    #[serde(default)]
    window: Option<Window>,
}

/// The files that were read, by path.
#[derive(Debug)]
pub struct Known {
    /// Of the run that read them.
    number: u64,
    contents: Vec<Content>,
    files: HashMap<Box<str>, File, RandomState>,
}

#[derive(Debug)]
struct File {
    size: u64,
    mtime: i64,
    /// Index of the run's options.
    content: usize,
    /// Instead of the times in these.
    window: Option<Window>,
    /// It could be opened.
    has_content: bool,
    log: bool,
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
        let manifests = State::paths(layout).unwrap_or_default();
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
        (State::paths(layout).ok()? == self.manifests).then_some(known)
    }
}

impl Known {
    /// What the manifests have of files, or nothing if something is wrong with one; reading it whole tells what.
    pub fn read(layout: &Layout) -> Option<Known> {
        let manifests = State::paths(layout).ok()?;
        manifests.par_iter().map(|path| Known::of_file(path)).collect::<Option<_>>().map(Known::of_all)
    }

    fn of_file(path: &Path) -> Option<Known> {
        Known::of_text(&fs::read(path).ok()?)
    }

    fn of_text(text: &[u8]) -> Option<Known> {
        let Glance { number, inputs, content, .. } = Glance::of(text)?;
        let file = |Seen { path, size, mtime, sha256, log, window }: Seen| {
            (path.into(), File { size, mtime, content: 0, window, has_content: !sha256.is_empty(), log })
        };
        Some(Known { number, contents: vec![content], files: inputs.into_iter().map(file).collect() })
    }

    /// Of several runs that read a path the last counts.
    fn of_all(mut runs: Vec<Known>) -> Known {
        runs.sort_by_key(|run| run.number);
        let mut runs = runs.into_iter();
        let none = || Known { number: 0, contents: Vec::new(), files: HashMap::default() };
        let mut all = runs.next().unwrap_or_else(none);
        for Known { contents, files, .. } in runs {
            let content = all.contents.len();
            all.contents.extend(contents);
            all.files.extend(files.into_iter().map(|(path, file)| (path, File { content, ..file })));
        }
        all
    }

    /// The options of the run that read a file, as a trace or a log, if the file was as large and as old.
    pub fn find(&self, path: &str, size: u64, mtime: i64, log: bool) -> Option<Cow<'_, Content>> {
        let file = self.files.get(path)?;
        let is_same = file.has_content && file.size == size && file.mtime == mtime && file.log == log;
        let content = is_same.then(|| &self.contents[file.content])?;
        Some(file.window.map_or(Cow::Borrowed(content), |window| Cow::Owned(content.of_times(window))))
    }
}

impl<'t> Glance<'t> {
    fn of(text: &'t [u8]) -> Option<Glance<'t>> {
        serde_json::from_slice(text).ok().filter(|glance: &Glance| glance.format == FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The number of a run is the size of the file that it read.
    fn run(format: u32, table: &str, path: &str, size: u64, sha256: &str) -> Vec<u8> {
        json!({
            "format": format, "run": "r", "number": size, "files": [{}],
            "content": {"tables": [table], "since": null, "until": null},
            "inputs": [{"path": path, "mtime": 7, "size": size, "sha256": sha256, "rows": {"records": 1}}],
        })
        .to_string()
        .into_bytes()
    }

    fn known(texts: &[Vec<u8>]) -> Option<Known> {
        texts.iter().map(|text| Known::of_text(text)).collect::<Option<_>>().map(Known::of_all)
    }

    #[test]
    fn a_file_is_known_by_path_size_and_time_as_the_last_run_saw_it() {
        let texts = [run(1, "files", "a\"b", 2, "y"), run(1, "pods", "a\"b", 1, "x"), run(1, "files", "c", 2, "")];
        let known = known(&texts).unwrap();
        assert_eq!(known.find("a\"b", 2, 7, false).unwrap().tables, ["files"]);
        for (path, size, mtime, log) in
            [("a\"b", 1, 7, false), ("a\"b", 2, 8, false), ("a\"b", 2, 7, true), ("a", 2, 7, false), ("c", 2, 7, false)]
        {
            assert_eq!(known.find(path, size, mtime, log), None, "{path} {size} {mtime} {log}");
        }
    }

    #[test]
    fn nothing_is_known_where_a_manifest_is_not_as_it_should_be() {
        let good = run(1, "pods", "a", 1, "x");
        for bad in [run(2, "pods", "a", 1, "x"), good[..good.len() - 1].into(), Vec::new()] {
            assert!(known(&[good.clone(), bad]).is_none());
        }
        assert!(known(&[good]).is_some());
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
                assert!(known.find("39", 1, 7, false).is_some() && known.files.len() == 40);
            }
            let early = Early::begin(&pool, &layout);
            let another = layout.manifest(&format!("another-{threads}"));
            fs::write(&another, run(1, "pods", "b", 1, "y")).unwrap();
            assert!(pool.install(|| early.end(&layout)).is_none());
            fs::remove_file(another).unwrap();
        }
    }
}
