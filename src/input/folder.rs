//! Which files of a folder are traces.

use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Found;
use super::natural::natural_key;
use crate::dataset::layout::PRIVATE;
use crate::trace::container::MAGIC;

/// Collects a directory's files. Hidden files, links to directories and what a dataset keeps beside its tables are left out:
/// its lock would be taken for a trace.
pub fn walk(folder: &Path, found: &mut Found) {
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
    let mut magic = [0; MAGIC.len()];
    match File::open(path).and_then(|f| f.read_exact_at(&mut magic, 0)) {
        Ok(()) => magic == *MAGIC,
        Err(e) => !matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_is_an_input_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Found::default();
        walk(&folder.path().join("gone"), &mut found);
        assert_eq!(found.files, [(folder.path().join("gone"), None)]);
    }
}
