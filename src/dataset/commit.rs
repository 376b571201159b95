//! Publishing: everything of a run becomes visible, or nothing.
//!
//! A run stages its files on the dataset's own filesystem, then writes its manifest as a journal, which says what is to be moved
//! and removed, and from then on will be completed, by itself or by the next run. Before the journal exists, the next run throws
//! the staged files away. At last the journal moves to the manifests. Every step is repeatable, and everything is synced to disk
//! before the next step counts on it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags};
use rustix::io::Errno;

use super::journal;
use super::layout::{Layout, children, is_json, staged_name};
use super::manifest::Manifest;
use super::sync::{Syncs, sync_folder};
use crate::error::{Error, IoContext, Result};
use crate::fault;
use crate::progress::Meter;
use crate::tables::schema::TableId;
use crate::text::path_text;

/// Completes a run that was interrupted while it published, and throws away what one left that was not.
///
/// # Errors
/// A journal cannot be read, or a step of what it says failed.
pub fn recover(layout: &Layout) -> Result<()> {
    // What lies behind a link is not the dataset's.
    for folder in [layout.journals(), layout.all_staging()] {
        if folder.is_symlink() {
            return Err(Error::Dataset { path: folder, message: "it is a link; remove it".to_owned() });
        }
    }
    for path in children(&layout.journals())? {
        // A journal gets its name only when it is whole; a temporary one never counted.
        if !is_json(&path) {
            remove(&path);
            continue;
        }
        let manifest = journal::read(&path)?;
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

/// Publishes a run whose files are all staged, and on disk when `staged` is finished.
///
/// # Errors
/// A step failed, or the run was asked to stop before it had a journal. Until the journal has its name nothing has happened and
/// nothing stays; from then on it is
/// [`Error::HalfPublished`], and the next run goes on.
pub fn publish(layout: &Layout, manifest: &Manifest, staged: Syncs, meter: &Meter) -> Result<()> {
    let journal = layout.journal(&manifest.run);
    let undo = |error| {
        remove(&journal::temporary(&journal));
        unmake(layout, OsStr::new(&manifest.run));
        discard(layout, &manifest.run);
        error
    };
    let own = layout.manifest(&manifest.run);
    if own.exists() {
        let message = "a run of that name was published already, and nothing was changed; with another --memory the run has another name";
        return Err(undo(Error::Dataset { path: own, message: message.to_owned() }));
    }
    // While the disk writes.
    let ready = make_ready(layout, manifest).and_then(|()| staged.finish());
    ready.and_then(|()| meter.check()).map_err(undo)?;
    journal::write(layout, manifest).map_err(|error| match journal.try_exists() {
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
    let owner = fs::symlink_metadata(&at).during("look at", &at)?.uid();
    for path in manifest.files.iter().map(|file| &file.path).chain(&manifest.removed) {
        can_go(&layout.root().join(path), owner)?;
    }
    fs::remove_file(&at).during("remove", &at)
}

/// Whether a user can remove what is at a path, or move a file there, as far as the folder lets him.
///
/// # Errors
/// He cannot: it is a folder, is protected (`chattr +i`), or belongs to another in a folder like `/tmp` (unlink(2), "EPERM").
fn can_go(path: &Path, user: u32) -> Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there.during("look at", path)?,
    };
    if there.is_dir() {
        return Err(Error::Dataset {
            path: path.to_owned(),
            message: "a folder has the name of a file; remove it".into(),
        });
    }
    // Of a link, that goes and not what it leads to.
    let file = match there.is_file().then(|| File::open(path)).transpose() {
        // It need not be read.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => None,
        file => file.during("open", path)?,
    };
    // Few filesystems have such flags.
    let flags = file.and_then(|file| ioctl_getflags(file).ok()).unwrap_or(IFlags::empty());
    let is_protected = flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND);
    let is_others = || {
        let folder = path.parent()?.metadata().ok()?;
        Some(folder.mode() & STICKY != 0 && user != ROOT && ![there.uid(), folder.uid()].contains(&user))
    };
    match is_protected || is_others().unwrap_or_default() {
        true => Err(io::Error::from(Errno::PERM)).during("remove", path),
        false => Ok(()),
    }
}

/// The bit of a folder in which files can be removed by those only that they, or it, belong to.
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

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
        fault::point("part to be published");
        let mut moved = fs::rename(&from, &to);
        if moved.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
            && let Some(folder) = to.parent()
        {
            fs::create_dir_all(folder).during("create the folder", folder)?;
            moved = fs::rename(&from, &to);
        }
        match moved {
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
    // Where the rename is not one step on disk, the journal must not be gone before the manifest is there.
    sync_folder(&layout.manifests())?;
    fault::point("manifest there");
    // A journal that comes back has no effect: nobody waits for that to be on disk.
    let _ = Syncs::default().folder(&layout.journals());
    let _ = fs::remove_dir_all(&staging);
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).during("remove", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_run_is_stopped_until_it_has_a_journal_and_never_replaces_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let manifest = serde_json::json!({
            "format": 1, "run": "r", "program": "0.1.0", "compression": "zstd", "encodings": "default",
            "content": {"tables": [], "since": null, "until": null}, "inputs": [], "files": [], "removed": [],
            "superseded": []
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).unwrap();
        let publish = |meter: &Meter| {
            fs::create_dir_all(layout.staging("r")).unwrap();
            publish(&layout, &manifest, Syncs::default(), meter)
        };
        let stopped = Meter::default();
        stopped.stop(2);
        assert!(matches!(publish(&stopped), Err(Error::Interrupted(2))));
        assert!(!layout.journal("r").exists() && !layout.manifest("r").exists() && !layout.staging("r").exists());
        publish(&Meter::default()).unwrap();
        assert!(layout.manifest("r").exists());
        let twice = publish(&Meter::default()).unwrap_err().to_string();
        assert!(twice.contains("nothing was changed"), "{twice}");
    }

    #[test]
    fn what_belongs_to_another_stays_in_a_sticky_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let owner = folder.path().metadata().unwrap().uid();
        assert!(can_go(&path, owner + 1).is_ok(), "it is not there");
        fs::write(&path, "").unwrap();
        for (mode, is_sticky) in [(0o777, false), (0o1777, true)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(can_go(&path, owner).is_ok());
            assert_eq!(can_go(&path, owner + 1).is_err(), is_sticky);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(can_go(&link, owner).is_ok());
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(can_go(&folder.path().join("folder"), owner).is_err());
    }
}
