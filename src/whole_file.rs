//! A file that appears under its name only when it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::dataset::commit::sync_folder;
use crate::error::{Error, IoContext, Result};

/// A file in the making. It has a temporary name beside its own, and goes if it is not published.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    published: bool,
}

impl WholeFile {
    /// # Errors
    /// `path` names no file, or its folder cannot be written.
    pub fn create(path: &Path) -> Result<WholeFile> {
        let name = path.file_name().filter(|_| !path.is_dir());
        let name = name.ok_or_else(|| Error::Usage(format!("'{}' is no name of a file", path.display())))?;
        let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let file = File::create(&temporary).during("create", &temporary)?;
        Ok(WholeFile { path: path.to_owned(), temporary, file, published: false })
    }

    /// Makes the file appear; one that has its name already is replaced.
    pub fn publish(mut self) -> Result<()> {
        self.file.sync_all().during("write", &self.temporary)?;
        fs::rename(&self.temporary, &self.path).during("publish", &self.path)?;
        self.published = true;
        let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_folder(folder)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.published {
            // Nothing is left to do if it does not go.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
