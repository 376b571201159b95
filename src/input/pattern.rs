//! Globs: which files a pattern means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::folder::is_hidden;
use super::natural::natural_key;
use crate::dataset::layout::{PRIVATE, is_ours, is_parquet};
use crate::error::{Error, Result};

const WILDCARDS: &[u8] = b"*?[";

/// The names that a path is made of.
fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter(|part| *part != Component::CurDir).map(Component::as_os_str)
}

/// A name with a lone bracket is a name.
pub fn is_pattern(path: &Path) -> bool {
    let has_wildcard = path.as_os_str().as_bytes().iter().any(|b| WILDCARDS.contains(b));
    has_wildcard && path.to_str().is_some_and(|text| glob::Pattern::new(text).is_ok())
}

pub fn expand(pattern: &Path) -> Result<Vec<PathBuf>> {
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
    // As in bash, no wildcard stands for the folder itself or the one it lies in.
    let most = dots(pattern);
    paths.retain(|path| {
        let is_shown = with_hidden || !names(path).skip(given).any(is_hidden);
        is_shown && dots(path) <= most && !is_of_a_dataset(path)
    });
    if paths.is_empty() {
        return Err(Error::Usage(format!("no file matches '{text}'")));
    }
    // Names of equal numbers (`01` and `1`) stay in the order of their bytes.
    paths.sort_by_cached_key(|path| natural_key(path.as_os_str()));
    Ok(paths)
}

/// How many names of a path are `.` or `..`.
fn dots(path: &Path) -> usize {
    path.as_os_str().as_bytes().split(|b| *b == b'/').filter(|name| matches!(*name, b"." | b"..")).count()
}

/// Whether a file belongs to a dataset, which `**` would find below the inputs: what lies beside the tables, and part files.
fn is_of_a_dataset(path: &Path) -> bool {
    path.ancestors().any(|folder| match (folder.file_name(), folder.parent()) {
        (Some(name), Some(root)) => name == PRIVATE || is_parquet(path) && is_ours(name) && root.join(PRIVATE).is_dir(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::find;

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
        assert_eq!(of(".*"), [".b", ".d/e"]);
        assert_eq!(of("ds/../.b*"), ["ds/../.b"]);
        assert_eq!(of("ds/f*"), ["ds/f", "ds/files/h.sf"]);
    }
}
