//! Waiting for the disk, on threads of its own: those that compute need not, and a disk takes as long for one file as for
//! some.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::fault;

/// Files that are synced at a time. As many more may wait: each is open.
const THREADS: usize = 8;

struct Job {
    file: Arc<File>,
    path: PathBuf,
    is_folder: bool,
    /// Until it is told how the job went.
    done: Option<Sender<Result<()>>>,
}

impl Job {
    fn run(mut self) {
        let synced = if self.is_folder { sync_open_folder(&self.file) } else { self.file.sync_all() };
        fault::point("synced");
        self.tell(synced);
    }

    fn tell(&mut self, synced: io::Result<()>) {
        if let Some(done) = self.done.take() {
            // Who has seen one error does not wait for the others.
            let _ = done.send(synced.during(if self.is_folder { SYNC_FOLDER } else { "sync" }, &self.path));
        }
    }
}

/// A job that nobody has done is not one that went well.
impl Drop for Job {
    fn drop(&mut self) {
        self.tell(Err(io::Error::other("the thread that should have done it ended")));
    }
}

/// Where the threads, which live as long as the process, take their jobs from.
static JOBS: LazyLock<SyncSender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = sync_channel(THREADS);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..THREADS {
        let queue = queue.clone();
        // If there is none, a job that cannot be sent is done where it comes from.
        let _ = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            while let Some(job) = next(&queue) {
                job.run()
            }
        });
    }
    jobs
});

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Files and folders on their way to the disk.
pub struct Syncs {
    done: Sender<Result<()>>,
    results: Mutex<Receiver<Result<()>>>,
}

impl Default for Syncs {
    fn default() -> Syncs {
        let (done, results) = channel();
        Syncs { done, results: Mutex::new(results) }
    }
}

impl Syncs {
    /// Begins to write a file to disk, as soon as few others wait.
    pub fn file(&self, file: Arc<File>, path: PathBuf) {
        self.begin(Job { file, path, is_folder: false, done: Some(self.done.clone()) });
    }

    /// Begins to make what was created, renamed or removed in a folder last.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn folder(&self, folder: &Path) -> Result<()> {
        let file = Arc::new(File::open(folder).during(SYNC_FOLDER, folder)?);
        self.begin(Job { file, path: folder.to_owned(), is_folder: true, done: Some(self.done.clone()) });
        Ok(())
    }

    fn begin(&self, job: Job) {
        if let Err(unsent) = JOBS.send(job) {
            unsent.0.run();
        }
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub fn finish(self) -> Result<()> {
        let Syncs { done, results } = self;
        drop(done);
        results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }
}

/// What errors call it.
const SYNC_FOLDER: &str = "sync the folder";

/// Makes what was created, renamed or removed in a folder last.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| sync_open_folder(&file)).during(SYNC_FOLDER, folder)
}

/// Some network filesystems cannot sync folders, nor need it.
fn sync_open_folder(folder: &File) -> io::Result<()> {
    folder.sync_all().or_else(|e| match Errno::from_io_error(&e) {
        Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        _ => Err(e),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn more_files_than_threads_are_synced() {
        let folder = tempfile::tempdir().unwrap();
        let syncs = Syncs::default();
        for i in 0..5 * THREADS {
            let path = folder.path().join(i.to_string());
            syncs.file(File::create(&path).unwrap().into(), path);
        }
        syncs.folder(folder.path()).unwrap();
        syncs.finish().unwrap();
        Syncs::default().finish().unwrap();
    }

    #[test]
    fn what_cannot_be_synced_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let syncs = Syncs::default();
        assert!(syncs.folder(&missing).unwrap_err().to_string().contains("missing"));
        let path = folder.path().join("file");
        syncs.file(File::create(&path).unwrap().into(), path);
        // Nobody can sync a pipe.
        let (pipe, _other) = std::io::pipe().unwrap();
        syncs.file(File::from(OwnedFd::from(pipe)).into(), "the pipe".into());
        assert!(syncs.finish().unwrap_err().to_string().contains("the pipe"));
    }

    #[test]
    fn what_nobody_has_synced_is_an_error() {
        let syncs = Syncs::default();
        let file = tempfile::tempfile().unwrap().into();
        drop(Job { file, path: "lost".into(), is_folder: false, done: Some(syncs.done.clone()) });
        assert!(syncs.finish().unwrap_err().to_string().starts_with("cannot sync lost: the thread"));
    }
}
