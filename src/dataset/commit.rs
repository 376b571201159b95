//! Publishing: everything of a run becomes visible, or nothing.
//!
//! A run stages its files on the dataset's own filesystem, then writes a journal of what is to be moved and removed,
//! and from then on will be completed, by itself or by the next run. Before the journal exists, the next run throws
//! the staged files away. Every step is repeatable, and everything is synced to disk before the next step counts on it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::layout::{Layout, staged_name};
use super::manifest::Manifest;
use super::sync::Syncs;
use crate::error::{Error, IoContext, Result};
use crate::fault;

/// Longer than it takes to ask whether a dataset is locked.
const ASKING: Duration = Duration::from_millis(1);
/// Nobody asks for so long: another program shares the lock.
const ASKED: Duration = Duration::from_secs(1);
/// How long a run that waits for another sleeps before it looks again.
const WAITING: Duration = Duration::from_millis(50);

/// The exclusive right to change a dataset. It ends with the process, so none can be left behind.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A dataset is the same whoever wrote it last.
        let _ = self.0.set_len(0);
    }
}

impl Lock {
    /// Takes the lock, waiting for it if `wait`, until `stop` fails.
    ///
    /// # Errors
    /// [`Error::Locked`] with the number of the process that has it, and those of `stop`.
    pub fn take(layout: &Layout, wait: bool, stop: &dyn Fn() -> Result<()>) -> Result<Lock> {
        let (folder, path) = (layout.private(), layout.lock());
        fs::create_dir_all(&folder).during("create the folder", &folder)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).during("open", &path)?;
        let started = Instant::now();
        while let Err(e) = file.try_lock() {
            match e {
                // Asked again and again: a signal would not end a wait within the system.
                TryLockError::WouldBlock if wait => {
                    stop()?;
                    thread::sleep(WAITING);
                }
                // It can be shared, so no run has it: another process just asks, see `holder`.
                TryLockError::WouldBlock if started.elapsed() < ASKED && file.try_lock_shared().is_ok() => {
                    file.unlock().during("lock", &path)?;
                    stop()?;
                    thread::sleep(ASKING);
                }
                TryLockError::WouldBlock => {
                    let holder = Self::name_of_holder(&mut file);
                    return Err(Error::Locked { path: layout.root().to_owned(), holder });
                }
                TryLockError::Error(e) => return Err(e).during("lock", &path),
            }
        }
        file.set_len(0).during("write", &path)?;
        write!(file, "{}", std::process::id()).during("write", &path)?;
        Ok(Lock(file))
    }

    /// The process that has the lock, if one has. To find out it is taken for an instant, shared; a run that starts in
    /// that very instant tries again.
    ///
    /// # Errors
    /// The lock's file cannot be opened.
    pub fn holder(layout: &Layout) -> Result<Option<String>> {
        let path = layout.lock();
        let mut file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.during("open", &path)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(Self::name_of_holder(&mut file))),
            Err(TryLockError::Error(e)) => Err(e).during("lock", &path),
        }
    }

    fn name_of_holder(file: &mut File) -> String {
        let mut holder = String::new();
        // Who has it is a courtesy; that it is taken is what counts.
        let _ = file.read_to_string(&mut holder);
        if holder.is_empty() { "another process".into() } else { format!("process {holder}") }
    }
}

/// What is still to be done once everything is staged.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Journal<'m> {
    pub manifest: Cow<'m, Manifest>,
}

impl Journal<'static> {
    fn read(path: &Path) -> Result<Journal<'static>> {
        let bytes = fs::read(path).during("read the journal", path)?;
        Journal::parse(&bytes).map_err(|message| Error::Dataset { path: path.to_owned(), message })
    }

    /// Reads a journal's JSON.
    ///
    /// # Errors
    /// A sentence that says why it is none.
    pub fn parse(json: &[u8]) -> std::result::Result<Journal<'static>, String> {
        serde_json::from_slice(json).map_err(|e| format!("the journal is damaged: {e}"))
    }
}

/// The runs that have begun to publish and not ended: interrupted, or at it right now.
///
/// # Errors
/// A journal cannot be read.
pub fn journaled(layout: &Layout) -> Result<Vec<Manifest>> {
    let mut runs = Vec::new();
    for path in children(&layout.journals())?.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        match Journal::read(path) {
            Ok(journal) => runs.push(journal.manifest.into_owned()),
            // The run has just ended.
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(runs)
}

/// Completes a run that was interrupted while it published, and throws away what one left that was not.
/// Returns whether there was anything to do.
pub fn recover(layout: &Layout) -> Result<bool> {
    let mut found = false;
    for path in children(&layout.journals())? {
        found = true;
        // A journal gets its name only when it is whole; a temporary one never counted.
        if path.extension().is_some_and(|e| e == "json") {
            complete(layout, &Journal::read(&path)?.manifest)?;
        } else {
            fs::remove_file(&path).during("remove", &path)?;
        }
    }
    for path in children(&layout.all_staging())? {
        found = true;
        fs::remove_dir_all(&path).during("remove", &path)?;
    }
    // A manifest that was being written when the machine stopped; its journal has just written it anew.
    for path in children(&layout.manifests())? {
        if path.extension().is_some_and(|e| e == "tmp") {
            found = true;
            fs::remove_file(&path).during("remove", &path)?;
        }
    }
    Ok(found)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths =
                entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>().during("list", folder)?;
            paths.sort();
            Ok(paths)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).during("list", folder),
    }
}

/// Publishes a run whose files are all staged and synced.
///
/// # Errors
/// A step failed. Until the journal has its name nothing has happened and nothing stays; from then on the next run goes on.
pub fn publish(layout: &Layout, manifest: &Manifest) -> Result<()> {
    write_journal(layout, manifest).inspect_err(|_| {
        if let Ok(false) = layout.journal(&manifest.run).try_exists() {
            discard(layout, &manifest.run);
        }
    })?;
    fault::point("journal written");
    complete(layout, manifest)
}

fn write_journal(layout: &Layout, manifest: &Manifest) -> Result<()> {
    for folder in [layout.journals(), layout.manifests()] {
        fs::create_dir_all(&folder).during("create the folder", &folder)?;
    }
    let folders = [layout.staging(&manifest.run), layout.all_staging(), layout.private()];
    write_whole(&layout.journal(&manifest.run), &Journal { manifest: Cow::Borrowed(manifest) }, folders)
}

/// Throws away what a run has staged, that has no journal. What cannot be removed is left to the next run.
pub fn discard(layout: &Layout, run: &str) {
    let _ = fs::remove_dir_all(layout.staging(run));
}

/// The folders that a run's files lie in, and those that it took files from.
fn folders(layout: &Layout, manifest: &Manifest) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::from([layout.root().to_owned()]);
    for file in &manifest.files {
        let path = layout.root().join(&file.path);
        folders.extend(path.ancestors().skip(1).take(2).map(Path::to_owned));
    }
    for path in &manifest.removed {
        let folder = layout.root().join(path).parent().map(Path::to_owned);
        // After a crash, someone may have removed a folder that was left empty.
        folders.extend(folder.filter(|folder| folder.is_dir()));
    }
    folders
}

/// Does what a journal says. Each step may have been done before.
fn complete(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let staging = layout.staging(&manifest.run);
    for file in &manifest.files {
        let (from, to) = (staging.join(staged_name(&file.path)), layout.root().join(&file.path));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).during("create the folder", folder)?;
        }
        fault::point("part to be published");
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound && to.exists() => {}
            Err(e) => return Err(e).during("publish", &to),
        }
        fault::point("part published");
    }
    for path in &manifest.removed {
        remove_if_there(&layout.root().join(path))?;
        fault::point("part removed");
    }
    write_whole(&layout.manifest(&manifest.run), manifest, folders(layout, manifest))?;
    fault::point("manifest written");
    remove_if_there(&layout.journal(&manifest.run))?;
    sync_folder(&layout.journals())?;
    fault::point("journal removed");
    match fs::remove_dir_all(&staging) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).during("remove", &staging),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).during("remove", path),
        _ => Ok(()),
    }
}

/// Writes a JSON file that appears only when it is whole and on disk, and so is what it counts on in these folders.
fn write_whole(path: &Path, value: &impl Serialize, folders: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let syncs = Syncs::default();
        folders.into_iter().try_for_each(|folder| syncs.folder(&folder))?;
        let file = write_json(&temporary, value)?;
        syncs.file(file, temporary.clone());
        syncs.finish()?;
        fault::point("temporary written");
        fs::rename(&temporary, path).during("publish", path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn write_json(temporary: &Path, value: &impl Serialize) -> Result<File> {
    let mut file = BufWriter::new(File::create(temporary).during("create", temporary)?);
    fault::point("temporary created");
    // Without indentation, since every run reads all manifests.
    serde_json::to_writer(&mut file, value).map_err(io::Error::from).during("write", temporary)?;
    file.write_all(b"\n").during("write", temporary)?;
    file.into_inner().map_err(io::IntoInnerError::into_error).during("write", temporary)
}

/// Makes what was created, renamed or removed in a folder last.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).during("sync the folder", folder)
}
