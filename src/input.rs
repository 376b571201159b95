//! Which files are the input: paths, directories, globs and lists become files, in a fixed order; a file becomes a
//! fingerprint.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use rayon::prelude::*;

pub use self::fingerprint::{open, sha256, sha256_and_prefixes};
pub use self::folder::is_hidden;
pub use self::list::read_list;
pub use self::stat::{Look, Looker, Stat};
use crate::dataset::layout::Layout;
use crate::error::Result;

mod fingerprint;
mod folder;
mod list;
mod natural;
mod pattern;
mod stat;

/// What the inputs come to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// In the order of the arguments, natural order within a directory or glob, each once; with what is known already of
    /// regular ones that were named one by one, or by a glob.
    pub files: Vec<(PathBuf, Option<Stat>)>,
    /// The log of the experiment that was traced.
    pub experiment_log: Option<PathBuf>,
    /// Files in directories that are no traces by name and content.
    pub passed_over: Vec<PathBuf>,
}

impl Found {
    /// Takes what has a name: the files of a folder, or the file.
    fn take(&mut self, path: PathBuf, look: Look) {
        match look {
            Look::Folder => folder::walk(&path, self),
            look => self.files.push((path, look.file())),
        }
    }

    /// The files without what is known of them.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().map(|(path, _)| path)
    }

    /// An input that lies where a dataset has its files.
    pub fn within(&self, layout: &Layout) -> Option<&Path> {
        // Thousands of files have one folder, so their names are compared as bytes.
        let (mut last, mut is_within): (Option<&[u8]>, bool) = (None, false);
        self.paths().chain(&self.experiment_log).map(PathBuf::as_path).find(|path| {
            let name = path.as_os_str().as_bytes();
            let folder = &name[..memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1)];
            if last != Some(folder) {
                let path = if folder.is_empty() { b"." } else { folder };
                (last, is_within) = (Some(folder), layout.has_folder(Path::new(OsStr::from_bytes(path))));
            }
            is_within
        })
    }

    /// Whether a file is one that is read, by whatever name. Each is looked at, which need not be done again.
    pub fn has(&mut self, file: &Path) -> bool {
        let Some(stat) = Stat::at(file) else { return false };
        self.files.par_iter_mut().for_each_init(Looker::default, |looker, (path, known)| {
            *known = known.or_else(|| looker.look(path).file());
        });
        let alike = self.files.iter().filter(|(_, known)| *known == Some(stat)).map(|(path, _)| path);
        alike.chain(&self.experiment_log).any(|path| is_same_file(path, file))
    }

    /// Takes a file as the log of the experiment. It is no trace then, as it would be by a name without an extension.
    pub fn take_experiment_log(&mut self, log: PathBuf) {
        let real = log.canonicalize().ok();
        let is_same = |file: &PathBuf| real.is_some() && file.canonicalize().ok() == real;
        // Of thousands of files only those with such a name are looked at.
        let names = [Some(log.as_path()), real.as_deref()].map(|log| log.and_then(Path::file_name));
        let is_log = |file: &PathBuf| *file == log || names.contains(&file.file_name()) && is_same(file);
        self.files.retain(|(file, _)| !is_log(file));
        self.passed_over.retain(|file| !is_log(file));
        self.experiment_log = Some(log);
    }
}

/// Finds the files that `arguments` mean: files, directories (recursively), globs, `-` for a list on standard input; and those
/// of a list, in which a name is never a pattern. A file that is named and does not exist is among them, so that its absence
/// is accounted for like any damage.
///
/// # Errors
/// A list that cannot be read, a glob that is none or matches nothing. A directory that cannot be read is one of the files.
pub fn find(arguments: &[PathBuf], listed: Vec<PathBuf>, stdin: &mut dyn Read) -> Result<Found> {
    let mut named: Vec<(Cow<Path>, Named)> = Vec::with_capacity(arguments.len() + listed.len());
    let list = |names: Vec<PathBuf>| names.into_iter().map(|name| (Cow::Owned(name), Named::Listed));
    for argument in arguments {
        if argument.as_os_str() == "-" {
            named.extend(list(read_list(argument, stdin)?));
        } else {
            named.push((Cow::Borrowed(argument), Named::Given));
        }
    }
    named.extend(list(listed));
    let mut found = Found::default();
    let looks = look_at(&named, |(path, _)| path);
    for ((path, named), look) in named.into_iter().zip(looks) {
        match look {
            Look::Nothing if named == Named::Given && pattern::is_pattern(&path) => {
                let paths = pattern::expand(&path)?;
                let looks = look_at(&paths, |path| path);
                paths.into_iter().zip(looks).for_each(|(path, look)| found.take(path, look));
            }
            look => found.take(path.into_owned(), look),
        }
    }
    let mut seen = HashSet::with_capacity_and_hasher(found.files.len(), RandomState::default());
    let first: Vec<bool> = found.paths().map(|file| seen.insert(file.as_path())).collect();
    drop(seen);
    let mut is_first = first.into_iter();
    found.files.retain(|_| is_first.next() == Some(true));
    Ok(found)
}

/// Looks at many files on all threads.
fn look_at<T: Sync>(named: &[T], path: impl Fn(&T) -> &Path + Sync) -> Vec<Look> {
    named.par_iter().map_init(Looker::default, |looker, named| looker.look(path(named))).collect()
}

/// Where a name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Given,
    Listed,
}

/// Whether two names lead to the same file.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
