//! What lies in a dataset's folder and belongs to no run: readers would take strange files for rows, and what an
//! interrupted run left takes space.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, Unfinished, remedy};
use crate::dataset::layout::{self, Layout, is_parquet, is_part_path, part_run};
use crate::dataset::state::State;
use crate::error::{IoContext, Result};
use crate::input::is_hidden;
use crate::text::path_text;

/// Codes of findings that a running conversion explains.
pub const CODES: [&str; 2] = ["interrupted_run", "leftover"];

const LINK: &str = "it is a link, and a dataset has none: a later run may fail to move files there";
const STRANGE: &str = "no manifest names this file; readers would take its rows for the dataset's";

/// Finds strange files below the folders of tables, journals, staged and temporary files.
///
/// # Errors
/// A folder cannot be listed.
pub fn find(layout: &Layout, state: &State, unfinished: &Unfinished) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = unfinished
        .0
        .iter()
        .map(|run| Finding {
            code: "interrupted_run",
            path: relative(layout, &layout.journal(&run.run)),
            message: format!("the run {} was interrupted while it published", run.run),
            remedy: remedy::convert_again(layout, state, run),
        })
        .collect();
    let known: HashSet<&str> = state.files().map(|(_, f)| f.path.as_str()).collect();
    let private = layout.private();
    for path in files_of(layout)? {
        let name = relative(layout, &path);
        if path.starts_with(&private) {
            findings.extend(private_file(layout, unfinished, &path, &name));
        } else if !known.contains(name.as_str()) && !unfinished.adds(&name) && !is_unseen(&path) {
            let below = format!("{name}/");
            let (message, remedy) = match part_run(&name) {
                // What lay behind it is missing, and converted again.
                _ if path.is_symlink() && !path.exists() => (LINK.to_owned(), remedy::remove(&path)),
                _ if path.is_symlink() && known.iter().any(|part| part.starts_with(&below)) => {
                    (LINK.to_owned(), remedy::replace_link(layout, &path, &name))
                }
                _ if path.is_dir() => (STRANGE.to_owned(), remedy::move_away(layout, &path, &name)),
                Some(run) if state.runs().all(|known| known != run) => {
                    let message = format!("{STRANGE}; the run {run} wrote it, whose manifest is lost");
                    (message, remedy::remove_for_good(&path))
                }
                Some(_) => (STRANGE.to_owned(), remedy::remove(&path)),
                None => (STRANGE.to_owned(), remedy::move_away(layout, &path, &name)),
            };
            findings.push(Finding { code: "strange_file", path: name, message, remedy });
        }
    }
    Ok(findings)
}

fn private_file(layout: &Layout, unfinished: &Unfinished, path: &Path, name: &str) -> Option<Finding> {
    let is = |known: PathBuf| path == known;
    let expected = is_unseen(path)
        || is(layout.lock())
        || layout.is_manifest(path)
        || unfinished.0.iter().any(|run| is(layout.journal(&run.run)));
    let of_a_run = [layout.all_staging(), layout.journals()].iter().any(|folder| path.starts_with(folder));
    let folders = [layout.private(), layout.all_staging(), layout.journals(), layout.manifests()];
    let is_link = path.is_symlink() && folders.iter().any(|folder| path == folder);
    let finding =
        |code, message: &str, remedy| Finding { code, path: name.to_owned(), message: message.to_owned(), remedy };
    match of_a_run {
        // Nothing behind it is the dataset's.
        true if is_link => Some(finding("strange_file", LINK, remedy::remove(path))),
        _ if is_link => Some(finding("strange_file", LINK, remedy::replace_link(layout, path, name))),
        _ if expected => None,
        true => Some(finding("leftover", "an interrupted run left this file", remedy::any_convert(layout))),
        false => {
            let remedy = remedy::move_away(layout, path, name);
            Some(finding("strange_file", "no run writes such a file", remedy))
        }
    }
}

/// Whether no reader takes a file for rows, by its name. Network filesystems keep removed files for a while under such names, and
/// a run has some.
fn is_unseen(path: &Path) -> bool {
    path.file_name().is_some_and(is_hidden) && !is_parquet(path)
}

/// All files of a dataset in the order of their names. What lies beside the tables is not the dataset's, and no reader takes it
/// for rows. Links are not followed: a dataset has none.
fn files_of(layout: &Layout) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![layout.root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).during("list", &folder)? {
            let entry = entry.during("list", &folder)?;
            if folder == layout.root() && !layout::is_ours(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            // A folder in the place of a part file is in the way of one.
            let is_folder = entry.file_type().during("look at", &folder)?.is_dir();
            let list = if is_folder && !is_part_path(&relative(layout, &path)) { &mut folders } else { &mut files };
            list.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A path as manifests write it.
pub(super) fn relative(layout: &Layout, path: &Path) -> String {
    path_text(path.strip_prefix(layout.root()).unwrap_or(path)).into_owned()
}
