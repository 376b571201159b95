//! Whether a dataset is what its manifests say: every file there and whole, nothing else there, every record of every
//! input accounted for.
//!
//! `parts` looks at the files that the manifests name, `leftovers` at what else lies in the folder, `accounts`
//! at the numbers.

pub mod accounts;
mod leftovers;
mod parts;
mod remedy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::journal;
use super::layout::Layout;
use super::lock::Lock;
use super::manifest::Manifest;
use super::state::State;
use crate::error::{Error, Result};
use crate::progress::Meter;
use crate::text::path_text;

/// Something that is not as the manifests say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, for programs.
    pub code: &'static str,
    /// The file or input concerned; a file relative to the dataset.
    pub path: String,
    pub message: String,
    /// The command that mends it.
    pub remedy: String,
}

/// What a verification came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub dataset: String,
    /// Runs whose manifests the dataset has.
    pub runs: usize,
    /// The process that is writing to the dataset now; what it has not finished is not looked at.
    pub running: Option<String>,
    /// Part files that make up the dataset.
    pub files: usize,
    pub bytes: u64,
    /// Inputs whose rows the dataset has.
    pub inputs: usize,
    /// Records that were read of them.
    pub records: i64,
    /// Rows by table, as the manifests say.
    pub rows: BTreeMap<String, u64>,
    pub findings: Vec<Finding>,
}

/// Compares the dataset in `root` with its manifests. Files are read on the current rayon pool. Changes nothing.
///
/// # Errors
/// There is no dataset, a manifest cannot be read, a conversion changed the dataset meanwhile, or `meter` says to stop.
pub fn verify(root: &Path, meter: &Meter) -> Result<Report> {
    let layout = Layout::new(root);
    let manifests = layout.manifest_paths()?;
    let (state, damaged) = load(&layout, &manifests)?;
    let journaled = journal::unfinished(&layout)?;
    if state.manifests.is_empty() && damaged.is_empty() && journaled.is_empty() && layout.any_part()?.is_none() {
        let message = "it is no dataset: no conversion into it has ended".to_owned();
        return Err(Error::Dataset { path: root.to_owned(), message });
    }
    let unfinished = Unfinished(&journaled);
    let live = state.live();
    // What is in the way of a conversion comes first.
    let mut findings = damaged;
    findings.extend(leftovers::find(&layout, &state, &unfinished)?);
    findings.extend(parts::check(&layout, &state, &unfinished, meter)?);
    findings.extend(accounts::check(&layout, &state, &live));
    findings.extend(parts::lost_tables(&layout, &state, &unfinished));
    let running = Lock::holder(&layout)?;
    if running.is_some() {
        // What a run has not published yet is its own affair.
        findings.retain(|f| !leftovers::CODES.contains(&f.code));
    }
    // Journals first: one that goes leaves a manifest.
    let names = |runs: &[Manifest]| runs.iter().map(|run| run.run.clone()).collect::<Vec<_>>();
    let is_published = names(&journal::unfinished(&layout)?) != names(&journaled);
    if is_published || layout.manifest_paths()? != manifests {
        let message = "a conversion into it published while it was verified; verify it again".to_owned();
        return Err(Error::Dataset { path: root.to_owned(), message });
    }
    let mut rows = BTreeMap::new();
    state.files().for_each(|(_, f)| *rows.entry(f.table.clone()).or_default() += f.rows);
    Ok(Report {
        dataset: path_text(root).into_owned(),
        runs: state.manifests.len(),
        running,
        files: state.files().count(),
        bytes: state.files().map(|(_, f)| f.bytes).sum(),
        inputs: live.len(),
        records: live.iter().map(|read| read.input.records).sum(),
        rows,
        findings,
    })
}

/// The manifests that can be read, and those that are damaged.
fn load(layout: &Layout, paths: &[PathBuf]) -> Result<(State, Vec<Finding>)> {
    let (mut manifests, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        let mut bad = |message: String, remedy| {
            findings.push(Finding { code: "bad_manifest", path: leftovers::relative(layout, path), message, remedy });
        };
        match Manifest::read(path) {
            Ok(manifest) => {
                let its_own = layout.manifest(&manifest.run);
                if *path == its_own {
                    manifests.push(manifest);
                } else if its_own.exists() {
                    bad(format!("it is a second manifest of the run {}", manifest.run), remedy::remove(path));
                } else {
                    bad(format!("it is the manifest of the run {}", manifest.run), remedy::rename(path, &its_own));
                    manifests.push(manifest);
                }
            }
            Err(Error::Manifest { cause, .. }) if !cause.is_foreign() => {
                bad(cause.to_string(), remedy::remove_for_good(path));
            }
            Err(e) => return Err(e),
        }
    }
    Ok((State::of(manifests), findings))
}

/// Runs that have begun to publish and not ended: their files may be there already, what they replace may be gone.
struct Unfinished<'m>(&'m [Manifest]);

impl Unfinished<'_> {
    fn adds(&self, path: &str) -> bool {
        self.0.iter().any(|m| m.files.iter().any(|f| f.path == path))
    }

    fn removes(&self, path: &str) -> bool {
        self.0.iter().any(|m| m.removed.iter().any(|r| r == path))
    }
}
