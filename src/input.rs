//! Which files are the input: paths, directories, globs and lists become files, in a fixed order; a file becomes a
//! fingerprint.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use rayon::prelude::*;

pub use self::fingerprint::{open, sha256, sha256_of};
pub use self::stat::{Look, Looker, Stat};
use crate::dataset::layout::{Layout, PRIVATE, is_ours};
use crate::error::{Error, IoContext, Result};

mod fingerprint;
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
            Look::Folder => walk(&path, self),
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
        let Some(stat) = Looker::default().look(file).file() else { return false };
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
pub fn find(arguments: &[PathBuf], listed: Vec<PathBuf>, stdin: &mut dyn BufRead) -> Result<Found> {
    let mut named: Vec<(Cow<Path>, Named)> = Vec::with_capacity(arguments.len() + listed.len());
    let list = |names: Vec<PathBuf>| names.into_iter().map(|name| (Cow::Owned(name), Named::Listed));
    for argument in arguments {
        if argument.as_os_str() == "-" {
            let names = read_list(stdin).during("read the list of inputs on", Path::new("standard input"))?;
            named.extend(list(names));
        } else {
            named.push((Cow::Borrowed(argument), Named::Given));
        }
    }
    named.extend(list(listed));
    let mut found = Found::default();
    let looks = look_at(&named, |(path, _)| path);
    for ((path, named), look) in named.into_iter().zip(looks) {
        match look {
            Look::Nothing if named == Named::Given && is_pattern(&path) => {
                let paths = expand(&path)?;
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

/// File names, one on each line, or apart by NUL (`find -print0`).
///
/// # Errors
/// The list cannot be read.
pub fn read_list(list: &mut dyn BufRead) -> io::Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    list.read_to_end(&mut bytes)?;
    // The carriage return of a line is none of a name.
    let (separator, end): (u8, &[u8]) = if bytes.contains(&0) { (0, b"") } else { (b'\n', b"\r") };
    let names = bytes.split(|b| *b == separator).map(|name| name.strip_suffix(end).unwrap_or(name));
    Ok(names.filter(|n| !n.is_empty()).map(|n| PathBuf::from(OsString::from_vec(n.to_vec()))).collect())
}

const WILDCARDS: &[u8] = b"*?[";

/// The names that a path is made of.
fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter(|part| *part != Component::CurDir).map(Component::as_os_str)
}

/// A name with a lone bracket is a name.
fn is_pattern(path: &Path) -> bool {
    let has_wildcard = path.as_os_str().as_bytes().iter().any(|b| WILDCARDS.contains(b));
    has_wildcard && path.to_str().is_some_and(|text| glob::Pattern::new(text).is_ok())
}

fn expand(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_str().ok_or_else(|| Error::Usage(format!("{pattern:?} is no pattern: it is not UTF-8")))?;
    // Folders alone would match, as would what is in them.
    let all = if text.ends_with("/**") || text == "**" { "/*" } else { "" };
    let paths =
        glob::glob(&format!("{text}{all}")).map_err(|e| Error::Usage(format!("'{text}' is no pattern: {e}")))?;
    // A folder that cannot be listed is an input that cannot be read, beside others that can.
    let mut paths: Vec<PathBuf> = paths.map(|path| path.unwrap_or_else(|e| e.path().to_owned())).collect();
    // What is left out of a folder that is given is left out here, unless the pattern says otherwise.
    let is_literal = |name: &&OsStr| !name.as_bytes().iter().any(|b| WILDCARDS.contains(b));
    let given = names(pattern).take_while(is_literal).count();
    let with_hidden = names(pattern).skip(given).any(is_hidden);
    paths.retain(|path| (with_hidden || !names(path).skip(given).any(is_hidden)) && !is_of_a_dataset(path));
    if paths.is_empty() {
        return Err(Error::Usage(format!("no file matches '{text}'")));
    }
    // Names of equal numbers (`01` and `1`) stay in the order of their bytes.
    paths.sort_by_cached_key(|path| natural_key(path.as_os_str()));
    Ok(paths)
}

/// Collects a directory's files. Hidden files, links to directories and what a dataset keeps beside its tables are left out:
/// its lock would be taken for a trace.
fn walk(folder: &Path, found: &mut Found) {
    // The listing tells files and folders apart, so that they need not be looked at one by one.
    let entry = |entry: DirEntry| {
        let name = entry.file_name();
        (natural_key(&name), name, entry.file_type().ok())
    };
    let listed =
        std::fs::read_dir(folder).and_then(|entries| entries.map(|e| e.map(entry)).collect::<io::Result<Vec<_>>>());
    let Ok(mut entries) = listed else {
        // It is an input that cannot be read, beside others that can.
        found.files.push((folder.to_owned(), None));
        return;
    };
    entries.retain(|(_, name, _)| !is_hidden(name) && name != PRIVATE);
    entries.sort_unstable_by(|(a, x, _), (b, y, _)| a.cmp(b).then_with(|| x.cmp(y)));
    found.files.reserve(entries.len());
    for (_, name, listed) in entries {
        let path = folder.join(name);
        let named = is_trace_name(&path);
        let kind = match listed {
            Some(kind) if !kind.is_symlink() => Ok(kind),
            _ => path.metadata().map(|meta| meta.file_type()),
        };
        match kind {
            Ok(kind) if kind.is_dir() => {
                if !path.is_symlink() {
                    walk(&path, found);
                }
            }
            Ok(kind) if kind.is_file() && (named || starts_like_avro(&path)) => found.files.push((path, None)),
            Err(e) if named || e.kind() != io::ErrorKind::NotFound => found.files.push((path, None)),
            _ => found.passed_over.push(path),
        }
    }
}

/// Whether two names lead to the same file.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether a file belongs to a dataset, which `**` would find below the inputs: what lies beside the tables, and part files.
fn is_of_a_dataset(path: &Path) -> bool {
    let is_part = path.extension().is_some_and(|e| e == "parquet");
    path.ancestors().any(|folder| match (folder.file_name(), folder.parent()) {
        (Some(name), Some(root)) => name == PRIVATE || is_part && is_ours(name) && root.join(PRIVATE).is_dir(),
        _ => false,
    })
}

/// Whether listings leave a file out, by its name.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Collectors name traces by a time without an extension, people add `.sf` or `.avro`.
fn is_trace_name(path: &Path) -> bool {
    match path.extension().and_then(|e| e.to_str()) {
        None => true,
        Some(extension) => matches!(extension, "sf" | "avro") || extension.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Whether a file is a trace by its content. One that cannot be read might be, so that the run accounts for it.
fn starts_like_avro(path: &Path) -> bool {
    let mut magic = [0; 4];
    match File::open(path).and_then(|f| f.read_exact_at(&mut magic, 0)) {
        Ok(()) => &magic == b"Obj\x01",
        Err(e) => !matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound),
    }
}

/// Sorts names in natural order, as bytes: numbers in them count as numbers, so that `trace-9` comes before `trace-10`. A
/// number becomes a zero, how many digits it has, and these.
fn natural_key(name: &OsStr) -> Vec<u8> {
    let mut rest = name.as_bytes();
    let mut key = Vec::with_capacity(rest.len() + 8);
    while let Some((first, others)) = rest.split_first() {
        if first.is_ascii_digit() {
            let number = digits(&mut rest);
            key.push(b'0');
            key.extend_from_slice(&(number.len() as u16).to_be_bytes());
            key.extend_from_slice(number);
        } else {
            key.push(*first);
            rest = others;
        }
    }
    key
}

/// Takes the digits at the start, and returns them without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at(len);
    *text = rest;
    &number[number.iter().take_while(|b| **b == b'0').count()..]
}

/// Reads a file of file names; `-` is `stdin`.
///
/// # Errors
/// The list cannot be read.
pub fn read_list_file(path: &Path, stdin: &mut dyn BufRead) -> Result<Vec<PathBuf>> {
    if path.as_os_str() == "-" {
        return read_list(stdin).during("read the list of inputs on", Path::new("standard input"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).during("read the list of inputs", path)?;
    read_list(&mut &bytes[..]).during("read the list of inputs", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natural_order_counts_numbers() {
        let mut names = ["t-10", "t-9", "t-1/b", "t-01", "t-1", "t", "t-a", "t-", "a10b2", "a10b10", "a9"];
        names.sort();
        names.sort_by_cached_key(|name| natural_key(OsStr::new(name)));
        assert_eq!(names, ["a9", "a10b2", "a10b10", "t", "t-", "t-01", "t-1", "t-1/b", "t-9", "t-10", "t-a"]);
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_an_input_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Found::default();
        walk(&folder.path().join("gone"), &mut found);
        assert_eq!(found.files, [(folder.path().join("gone"), None)]);
    }

    #[test]
    fn a_glob_leaves_out_what_a_folder_leaves_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "a",
            ".b",
            "c.sf",
            ".d/e",
            "ds/_sf_parquet/lock",
            "ds/records/date=1/a.parquet",
            "ds/f",
            "ds/files/h.sf",
            "pods/g",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let of = |name: &str| {
            let found = find(&[folder.path().join(name)], Vec::new(), &mut io::empty()).unwrap();
            found.paths().map(|path| path.strip_prefix(&folder).unwrap().display().to_string()).collect::<Vec<_>>()
        };
        for all in ["", "*", "**/*", "**"] {
            let mut found = of(all);
            found.sort();
            assert_eq!(found, ["a", "c.sf", "ds/f", "ds/files/h.sf", "pods/g"], "{all}");
        }
        assert_eq!(of(".[bd]*"), [".b", ".d/e"]);
        assert_eq!(of(".d/*"), [".d/e"]);
        assert_eq!(of("ds/f*"), ["ds/f", "ds/files/h.sf"]);
    }

    #[test]
    fn lists_may_be_lines_or_nul_separated() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(read_list(&mut &b"a\r\nb c\n\n"[..]).unwrap(), paths(&["a", "b c"]));
        assert_eq!(read_list(&mut &b"a\nb\0c\r\0"[..]).unwrap(), paths(&["a\nb", "c\r"]));
    }
}
