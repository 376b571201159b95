//! Publishing: everything of a run becomes visible, or nothing.
//!
//! A run stages its files on the dataset's own filesystem, then writes its manifest as a journal, which says what is to be moved
//! and removed, and from then on will be completed, by itself or by the next run. Before the journal exists, the next run throws
//! the staged files away. At last the journal moves to the manifests. Every step is repeatable, and everything is synced to disk
//! before the next step counts on it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::layout::{Layout, children, is_json, staged_name};
use super::manifest::Manifest;
use super::sync::{Syncs, sync_folder};
use crate::error::{Error, IoContext, Result};
use crate::fault;
use crate::tables::schema::TableId;
use crate::text::path_text;

/// Longer than it takes to ask whether a dataset is locked.
const ASKING: Duration = Duration::from_millis(1);
/// Nobody asks for so long: another program shares the lock.
const ASKED: Duration = Duration::from_secs(1);
const SHARED: &str = "another program shares its lock";
/// How long a run that waits for another sleeps before it looks again.
const WAITING: Duration = Duration::from_millis(50);

/// The exclusive right to change a dataset. It ends with the process, so none can be left behind.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The filesystem has locks.
    pub is_held: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A dataset is the same whoever wrote it last.
        let _ = self.file.set_len(0);
    }
}

impl Lock {
    /// Takes the lock, waiting for it if `wait`, until `stop` fails. Where the filesystem has none, nobody can hold it.
    ///
    /// # Errors
    /// [`Error::Locked`] with the number of the process that has it, and those of `stop`.
    pub fn take(layout: &Layout, wait: bool, stop: &dyn Fn() -> Result<()>) -> Result<Lock> {
        let (folder, path) = (layout.private(), layout.lock());
        fs::create_dir_all(&folder).during("create the folder", &folder)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).during("open", &path)?;
        let (started, mut is_held) = (Instant::now(), true);
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
                    let is_shared = file.try_lock_shared().is_ok();
                    let holder = if is_shared { SHARED.to_owned() } else { Self::name_of_holder(&mut file) };
                    return Err(Error::Locked { path: layout.root().to_owned(), holder });
                }
                TryLockError::Error(e) if are_no_locks(&e) => {
                    is_held = false;
                    break;
                }
                TryLockError::Error(e) => return Err(e).during("lock", &path),
            }
        }
        // Who has it is a courtesy, and the disk may be full of what a killed run has left.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Lock { file, is_held })
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
            Err(TryLockError::Error(e)) if are_no_locks(&e) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e).during("lock", &path),
        }
    }

    fn name_of_holder(file: &mut File) -> String {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        if holder.is_empty() { "another process".into() } else { format!("process {holder}") }
    }
}

/// Whether an error says that a filesystem has no locks, as some network filesystems do.
fn are_no_locks(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP))
}

/// Reads a journal: the manifest of a run that is being published.
fn read_journal(path: &Path) -> Result<Manifest> {
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
pub fn journaled(layout: &Layout) -> Result<Vec<Manifest>> {
    let mut runs = Vec::new();
    for path in children(&layout.journals())?.iter().filter(|path| is_json(path)) {
        match read_journal(path) {
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

/// Completes a run that was interrupted while it published, and throws away what one left that was not.
///
/// # Errors
/// A journal cannot be read, or a step of what it says failed.
pub fn recover(layout: &Layout) -> Result<()> {
    for path in children(&layout.journals())? {
        // A journal gets its name only when it is whole; a temporary one never counted.
        if !is_json(&path) {
            remove(&path);
            continue;
        }
        let manifest = read_journal(&path)?;
        // A filesystem may show both after a crash. With its manifest a run is published, and others may have replaced files of
        // it since.
        if layout.manifest(&manifest.run).exists() {
            // Its name may not be on disk yet.
            sync_folder(&layout.manifests())?;
            remove(&path);
        } else {
            complete(layout, &manifest).map_err(half_published)?;
        }
    }
    for path in children(&layout.all_staging())? {
        unmake(layout, path.file_name().unwrap_or_default());
        remove(&path);
    }
    Ok(())
}

/// Removes what a killed run has left, or a network filesystem. Where that cannot be, it is in nobody's way.
fn remove(path: &PathBuf) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Publishes a run whose files are all staged and synced.
///
/// # Errors
/// A step failed. Until the journal has its name nothing has happened and nothing stays; from then on it is
/// [`Error::HalfPublished`], and the next run goes on.
pub fn publish(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let journal = layout.journal(&manifest.run);
    let undo = |error| {
        remove(&temporary(&journal));
        unmake(layout, OsStr::new(&manifest.run));
        discard(layout, &manifest.run);
        error
    };
    make_ready(layout, manifest).map_err(undo)?;
    write_journal(layout, manifest).map_err(|error| match journal.try_exists() {
        Ok(false) => undo(error),
        _ => half_published(error),
    })?;
    fault::point("journal written");
    complete(layout, manifest).map_err(half_published)
}

fn half_published(error: Error) -> Error {
    Error::HalfPublished(Box::new(error))
}

/// Makes the folders that a run's files will lie in, and sees while nothing has happened whether files can be moved into them
/// and out of those it takes files from: one may be on another filesystem or someone else's, or the disk full.
fn make_ready(layout: &Layout, manifest: &Manifest) -> Result<()> {
    let name = probe(OsStr::new(&manifest.run));
    let mut at = layout.staging(&manifest.run).join(&name);
    File::create(&at).during("create", &at)?;
    let mut move_to = |folder: &Path| {
        let to = folder.join(&name);
        fs::rename(&at, &to).during("move files to", folder)?;
        at = to;
        Ok(())
    };
    for folder in [layout.journals(), layout.manifests()] {
        fs::create_dir_all(&folder).during("create the folder", &folder)?;
        move_to(&folder)?;
        File::open(&folder).during("sync the folder", &folder)?;
    }
    let dates = dates(layout, manifest);
    for folder in folders(layout, manifest) {
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).during("create the folder", &folder),
            _ => {}
        }
        if dates.contains(&folder) {
            move_to(&folder)?;
            fault::point("probe moved");
        }
        File::open(&folder).during("sync the folder", &folder)?;
    }
    fs::remove_file(&at).during("remove", &at)
}

/// The name of the empty file that a run moves through its folders.
fn probe(run: &OsStr) -> OsString {
    [OsStr::new("."), run, OsStr::new(".probe")].into_iter().collect()
}

/// Removes what a run has made that did not come to publish: the probe, and empty folders.
fn unmake(layout: &Layout, run: &OsStr) {
    for folder in [layout.journals(), layout.manifests()] {
        let _ = fs::remove_file(folder.join(probe(run)));
    }
    for table in TableId::ALL.map(|table| layout.root().join(table.name())) {
        for date in children(&table).unwrap_or_default() {
            let _ = fs::remove_file(date.join(probe(run)));
            let _ = fs::remove_dir(date);
        }
        let _ = fs::remove_dir(table);
    }
}

/// Writes the manifest as the journal.
fn write_journal(layout: &Layout, manifest: &Manifest) -> Result<()> {
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

/// Throws away what a run has staged, that has no journal. What cannot be removed is left to the next run.
pub fn discard(layout: &Layout, run: &str) {
    let _ = fs::remove_dir_all(layout.staging(run));
}

/// The folders that a run's files lie in, and those that it took files from.
fn dates(layout: &Layout, manifest: &Manifest) -> BTreeSet<PathBuf> {
    let folder = |path: &String| layout.root().join(path).parent().map(Path::to_owned);
    // After a crash, someone may have removed a folder that was left empty.
    let of_removed = manifest.removed.iter().filter_map(folder).filter(|folder| folder.is_dir());
    manifest.files.iter().filter_map(|file| folder(&file.path)).chain(of_removed).collect()
}

/// These folders, and those that they lie in.
fn folders(layout: &Layout, manifest: &Manifest) -> BTreeSet<PathBuf> {
    let mut folders = dates(layout, manifest);
    let tables: Vec<PathBuf> = folders.iter().filter_map(|date| Some(date.parent()?.to_owned())).collect();
    folders.extend(tables);
    folders.insert(layout.root().to_owned());
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
            Err(e) if e.kind() == io::ErrorKind::NotFound && !from.exists() => {
                let journal = layout.journal(&manifest.run);
                let remedy = format!(
                    "put it back, or remove {}, and 'sf-parquet verify' says what its run has left",
                    path_text(&journal)
                );
                return Err(Error::Dataset {
                    path: from,
                    message: format!("a file to be published is gone; {remedy}"),
                });
            }
            Err(e) => return Err(e).during("publish", &to),
        }
        fault::point("part published");
    }
    for path in &manifest.removed {
        remove_if_there(&layout.root().join(path))?;
        fault::point("part removed");
    }
    let syncs = Syncs::default();
    folders(layout, manifest).iter().try_for_each(|folder| syncs.folder(folder))?;
    syncs.finish()?;
    let own = layout.manifest(&manifest.run);
    fs::rename(layout.journal(&manifest.run), &own).during("publish", &own)?;
    sync_folder(&layout.manifests())?;
    fault::point("manifest there");
    // The run is published. A journal that comes back has no effect any more.
    let _ = sync_folder(&layout.journals());
    let _ = fs::remove_dir_all(&staging);
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).during("remove", path),
        _ => Ok(()),
    }
}

/// The name that a file has until it is whole and on disk.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}
