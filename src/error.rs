//! What can go wrong in a run, in one line each: what was tried, on which file, and why it failed.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use rustix::io::Errno;

use crate::dataset::manifest::NoManifest;
use crate::text::{Escaped, path_text};
use crate::trace::container::HeaderError;

/// An error that ends a command. Its text says it all, so causes are fields and not sources.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action} {}: {cause}{}", Escaped(&path_text(.path)), remedy(.cause))]
    Io { action: &'static str, path: PathBuf, cause: io::Error },

    #[error("cannot {action} {}: {cause}", Escaped(&path_text(.path)))]
    Parquet { action: &'static str, path: PathBuf, cause: ParquetError },

    /// The user asked for something that cannot be.
    #[error("{0}")]
    Usage(String),

    #[error("{}: {message}", Escaped(&path_text(.path)))]
    Dataset { path: PathBuf, message: String },

    #[error("{}: {cause}; {}", Escaped(&path_text(.path)), .cause.remedy())]
    Manifest { path: PathBuf, cause: NoManifest },

    /// Something of a trace that a command cannot go on with.
    #[error("{}: {message}", Escaped(&path_text(.path)))]
    Trace { path: PathBuf, message: String },

    #[error("another run is writing to {} ({holder}); wait for it with --wait", Escaped(&path_text(.path)))]
    Locked { path: PathBuf, holder: String },

    #[error("{} changed while it was read; run the command again", Escaped(&path_text(.0)))]
    InputChanged(PathBuf),

    /// More entities than their keys have room.
    #[error("{}: a trace has {entities} processes, files, containers and pods, more than --memory holds; give it more", Escaped(.input))]
    TooManyEntities { input: String, entities: usize },

    #[error("{0} of {1} inputs are damaged and --strict is given; nothing was published")]
    Strict(usize, usize),

    /// From the first step that readers see until the last one.
    #[error(
        "{0}; a run is published in part: until a conversion into the dataset succeeds, readers may miss rows or see some twice"
    )]
    HalfPublished(Box<Error>),

    /// A signal asked the program to stop.
    #[error("interrupted; nothing of this command was published or written, run it again")]
    Interrupted(i32),
}

impl Error {
    /// For a part file. An I/O error keeps its kind, so that its remedy can be named.
    pub fn of_parquet(action: &'static str, path: &Path, error: ParquetError) -> Error {
        let path = path.to_owned();
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(cause) => Error::Io { action, path, cause: *cause },
                Err(other) => Error::Parquet { action, path, cause: ParquetError::External(other) },
            },
            cause => Error::Parquet { action, path, cause },
        }
    }

    /// For a file. That the run was asked to stop is no error of it.
    pub fn of_io(action: &'static str, path: &Path, cause: io::Error) -> Error {
        match cause.downcast::<Error>() {
            Ok(error) => error,
            Err(cause) => Error::Io { action, path: path.to_owned(), cause },
        }
    }

    /// Of this input, where that was not known.
    pub fn of_input(self, name: &str) -> Error {
        match self {
            Error::TooManyEntities { entities, .. } => Error::TooManyEntities { input: name.to_owned(), entities },
            other => other,
        }
    }

    /// For a command that can do nothing without the header of the file at `path`.
    pub fn of_header(path: &Path, error: HeaderError) -> Error {
        match error {
            HeaderError::Io(cause) => Error::Io { action: "read", path: path.to_owned(), cause },
            damage => Error::Trace { path: path.to_owned(), message: damage.to_string() },
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space and run the command again",
        io::ErrorKind::PermissionDenied => "; check who may read and write it",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a folder on a writable filesystem",
        io::ErrorKind::FileTooLarge => "; raise the limit to the size of files (ulimit -f)",
        _ if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => "; raise the limit of open files (ulimit -n)",
        io::ErrorKind::CrossesDevices => "; the whole dataset must lie on one filesystem",
        _ => "",
    }
}

/// Adds what was tried and the file to an I/O error.
pub trait IoContext<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn during(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|cause| Error::of_io(action, path, cause))
    }
}
