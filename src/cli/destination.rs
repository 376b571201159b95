//! Where a trace goes that a command makes, or a summary.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::is_stdout;
use crate::error::Error;
use crate::whole_file::WholeFile;

pub enum Destination {
    Stdout,
    /// Perhaps something that is there already and no regular file.
    File(PathBuf, Option<WholeFile>),
}

impl Destination {
    /// What `path` means. A pipe is opened here: while that waits for its reader, a signal ends the process.
    ///
    /// # Errors
    /// Standard output is to get a summary as `json`, too; or what is there cannot be opened.
    pub fn of(path: PathBuf, json: bool) -> Result<Destination, Error> {
        if !is_stdout(&path) {
            let there = WholeFile::there(&path)?;
            return Ok(Destination::File(path, there));
        }
        match json {
            true => Err(Error::Usage("--json and the trace cannot both go to standard output".into())),
            false => Ok(Destination::Stdout),
        }
    }

    pub fn is_stdout(&self) -> bool {
        matches!(self, Destination::Stdout)
    }

    /// Whether what is written is seen at once, whatever becomes of the command.
    pub fn is_open(&self) -> bool {
        matches!(self, Destination::Stdout | Destination::File(_, Some(_)))
    }

    /// Sees whether a file can be made, without making it.
    ///
    /// # Errors
    /// It cannot.
    pub fn try_out(&self) -> Result<(), Error> {
        match self {
            Destination::File(path, None) => WholeFile::create(path).map(drop),
            _ => Ok(()),
        }
    }

    /// Has it written, to what has the name that errors give it. A file appears when it is whole.
    ///
    /// # Errors
    /// Those of `write`, or the file cannot be made.
    pub fn write<T>(self, write: impl FnOnce(&mut dyn Write, &Path) -> Result<T, Error>) -> Result<T, Error> {
        let Destination::File(path, there) = self else {
            return write(&mut io::stdout().lock(), Path::new("standard output"));
        };
        let mut file = there.map_or_else(|| WholeFile::create(&path), Ok)?;
        let result = write(&mut file, &path)?;
        file.publish()?;
        Ok(result)
    }
}
