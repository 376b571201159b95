//! A first look at the manifests: which files were converted, by path, size and time. Most runs of a scheduled job find
//! nothing new; they end after this, which takes a third of the time of reading the manifests whole.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Deserialize;

use super::layout::Layout;
use super::manifest::{Content, FORMAT, State};

/// What is looked at of a manifest; the rest need only be JSON.
#[derive(Debug, Deserialize)]
struct Glance<'t> {
    format: u32,
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
}

/// The files that were read, by path.
#[derive(Debug, Default)]
pub struct Known {
    /// The manifests that say so.
    manifests: Vec<PathBuf>,
    contents: Vec<Content>,
    files: HashMap<Box<str>, File, RandomState>,
}

#[derive(Debug)]
struct File {
    size: u64,
    mtime: i64,
    /// Index of the run's options.
    content: usize,
    /// It could be opened.
    has_content: bool,
}

/// A look that is taken while the inputs are still looked for.
pub struct Early(Receiver<Option<Known>>);

impl Early {
    /// Begins it. What the pool is given later may wait for it, even where it has one thread.
    pub fn begin(pool: &ThreadPool, layout: Layout) -> Early {
        let (sender, receiver) = channel();
        // Nobody waits if the inputs cannot be found.
        pool.spawn(move || drop(sender.send(Known::read(&layout))));
        Early(receiver)
    }

    /// What was seen, if no run has ended since. The dataset must be locked.
    pub fn end(self, layout: &Layout) -> Option<Known> {
        let known = self.0.recv().ok()??;
        (State::paths(layout).ok()? == known.manifests).then_some(known)
    }
}

impl Known {
    /// What the manifests have of files, or nothing if something is wrong with one; reading it whole tells what.
    pub fn read(layout: &Layout) -> Option<Known> {
        let manifests = State::paths(layout).ok()?;
        let texts: Vec<Vec<u8>> = manifests.par_iter().map(|path| fs::read(path).ok()).collect::<Option<_>>()?;
        let known = Known::of(&texts)?;
        Some(Known { manifests, ..known })
    }

    fn of(texts: &[Vec<u8>]) -> Option<Known> {
        let glances: Vec<Glance> = texts.par_iter().map(|text| Glance::of(text)).collect::<Option<_>>()?;
        let count = glances.iter().map(|g| g.inputs.len()).sum();
        let mut files = HashMap::with_capacity_and_hasher(count, RandomState::default());
        let mut contents = Vec::with_capacity(glances.len());
        for (content, glance) in glances.into_iter().enumerate() {
            contents.push(glance.content);
            // Of several runs that read a path the last counts, as in `State`.
            files.extend(glance.inputs.into_iter().map(|seen| {
                let Seen { path, size, mtime, sha256 } = seen;
                (path.into(), File { size, mtime, content, has_content: !sha256.is_empty() })
            }));
        }
        Some(Known { manifests: Vec::new(), contents, files })
    }

    /// The options of the run that read a file, if the file was as large and as old.
    pub fn find(&self, path: &str, size: u64, mtime: i64) -> Option<&Content> {
        let file = self.files.get(path)?;
        (file.has_content && file.size == size && file.mtime == mtime).then(|| &self.contents[file.content])
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

    fn run(format: u32, table: &str, path: &str, size: u64, sha256: &str) -> Vec<u8> {
        json!({
            "format": format, "run": "r", "content": {"tables": [table], "since": null, "until": null}, "files": [{}],
            "inputs": [{"path": path, "mtime": 7, "size": size, "sha256": sha256, "rows": {"records": 1}}],
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_file_is_known_by_path_size_and_time_as_the_last_run_saw_it() {
        let texts = [run(1, "pods", "a\"b", 1, "x"), run(1, "files", "a\"b", 2, "y"), run(1, "files", "c", 2, "")];
        let known = Known::of(&texts).unwrap();
        assert_eq!(known.find("a\"b", 2, 7).unwrap().tables, ["files"]);
        for (path, size, mtime) in [("a\"b", 1, 7), ("a\"b", 2, 8), ("a", 2, 7), ("c", 2, 7)] {
            assert_eq!(known.find(path, size, mtime), None, "{path} {size} {mtime}");
        }
    }

    #[test]
    fn nothing_is_known_where_a_manifest_is_not_as_it_should_be() {
        let good = run(1, "pods", "a", 1, "x");
        for bad in [run(2, "pods", "a", 1, "x"), good[..good.len() - 1].into(), Vec::new()] {
            assert!(Known::of(&[good.clone(), bad]).is_none());
        }
        assert!(Known::of(&[good]).is_some());
    }

    #[test]
    fn an_early_look_counts_until_another_run_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        fs::create_dir_all(layout.manifests()).unwrap();
        fs::write(layout.manifest("r"), run(1, "pods", "a", 1, "x")).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let early = Early::begin(&pool, layout.clone());
        let known = pool.install(|| early.end(&layout)).unwrap();
        assert!(known.find("a", 1, 7).is_some());
        let early = Early::begin(&pool, layout.clone());
        pool.install(|| fs::write(layout.manifest("s"), run(1, "pods", "b", 1, "y")).unwrap());
        assert!(early.end(&layout).is_none());
    }
}
