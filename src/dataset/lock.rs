//! The lock of a dataset: one run at a time changes it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::layout::Layout;
use crate::error::{Error, IoContext, Result};
use crate::input;
use crate::progress::Meter;

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
    /// Takes the lock, waiting for it if `wait`. Where the filesystem has none, nobody can hold it.
    ///
    /// # Errors
    /// [`Error::Locked`] with the number of the process that has it, or the run was asked to stop.
    pub fn take(layout: &Layout, wait: bool, meter: &Meter) -> Result<Lock> {
        let (folder, path) = (layout.private(), layout.lock());
        fs::create_dir_all(&folder).during("create the folder", &folder)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).during("open", &path)?;
        let (started, mut is_held) = (Instant::now(), true);
        while let Err(e) = file.try_lock() {
            match e {
                // Asked again and again: a signal would not end a wait within the system.
                TryLockError::WouldBlock if wait => {
                    meter.check()?;
                    thread::sleep(WAITING);
                }
                // It can be shared, so no run has it: another process just asks, see `holder`.
                TryLockError::WouldBlock if started.elapsed() < ASKED && file.try_lock_shared().is_ok() => {
                    file.unlock().during("lock", &path)?;
                    meter.check()?;
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
        let mut file = match input::open(&path) {
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
