//! Journals: manifests of runs that are being published.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{Layout, children, is_json};
use super::manifest::Manifest;
use super::sync::{Syncs, sync_folder};
use crate::error::{Error, IoContext, Result};
use crate::fault;

/// Reads a journal.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(path: &Path) -> Result<Manifest> {
    Manifest::read(path).map_err(|error| match error {
        Error::Manifest { path, cause } => {
            let remedy = match cause.is_foreign() {
                true => cause.remedy(),
                false => "remove it, and 'sf-parquet verify' says what its run has left",
            };
            Error::Dataset { path, message: format!("{cause}; {remedy}") }
        }
        error => error,
    })
}

/// The runs that have begun to publish and not ended: interrupted, or at it right now.
///
/// # Errors
/// A journal cannot be read.
pub fn unfinished(layout: &Layout) -> Result<Vec<Manifest>> {
    let mut runs = Vec::new();
    for path in children(&layout.journals())?.iter().filter(|path| is_json(path)) {
        match read(path) {
            // With its manifest a run is published.
            Ok(run) if layout.manifest(&run.run).exists() => {}
            Ok(run) => runs.push(run),
            // The run has just ended.
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(runs)
}

/// Writes the manifest as the journal, when all that it counts on is on disk.
///
/// # Errors
/// It cannot be written or synced. It is there then if it has its name.
pub fn write(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let syncs = Syncs::default();
    for folder in [layout.staging(&manifest.run), layout.all_staging(), layout.private()] {
        syncs.folder(&folder)?;
    }
    let (journal, temporary) = (layout.journal(&manifest.run), temporary(&layout.journal(&manifest.run)));
    let mut file = BufWriter::new(File::create(&temporary).during("create", &temporary)?);
    fault::point("temporary created");
    // Without indentation, since every run reads all manifests.
    serde_json::to_writer(&mut file, manifest).map_err(io::Error::from).during("write", &temporary)?;
    file.write_all(b"\n").during("write", &temporary)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error).during("write", &temporary)?;
    syncs.file(Arc::new(file), temporary.clone());
    syncs.finish()?;
    fault::point("temporary written");
    fs::rename(&temporary, &journal).during("publish", &journal)?;
    sync_folder(&layout.journals())
}

/// The name that a file has until it is whole and on disk.
pub fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}
