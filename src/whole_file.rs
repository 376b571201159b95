//! A file that appears under its name only when it is whole and on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::dataset::sync::sync_folder;
use crate::error::{Error, IoContext, Result};

/// The open file that a name stands for, such as `/dev/stdout` or `/dev/fd/3`.
pub fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        name => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|folder| name.strip_prefix(folder))?.parse().ok(),
    }
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file in the making. It has a temporary name beside its own, and goes if it is not published. What is no regular file,
/// such as a pipe or `/dev/null`, cannot be replaced and is written to as it is, and so is `/dev/stderr`.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
    file: File,
}

impl WholeFile {
    /// Where `path` is a link, what it leads to is replaced.
    ///
    /// # Errors
    /// `path` names no file, or its folder cannot be written.
    pub fn create(path: &Path) -> Result<WholeFile> {
        if let Some(there) = WholeFile::there(path)? {
            return Ok(there);
        }
        let path = if path.is_symlink() { path.canonicalize().during("follow", path)? } else { path.to_owned() };
        if path.file_name().is_none() || path.is_dir() {
            return Err(Error::Usage(format!("'{}' is no name of a file", path.display())));
        }
        // In containers, every process may be the first.
        for number in 0.. {
            let temporary = path.with_file_name(format!(".sf-parquet.{}.{number}.tmp", std::process::id()));
            match File::create_new(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let file = WholeFile { file: file.during("create", &temporary)?, path, temporary: Some(temporary) };
                    return file.like_before();
                }
            }
        }
        unreachable!("no folder has so many files")
    }

    /// Who may read the file that it replaces may read it, and nobody else.
    fn like_before(self) -> Result<WholeFile> {
        if let Ok(before) = self.path.metadata() {
            self.file.set_permissions(before.permissions()).during("set who may read", &self.path)?;
        }
        Ok(self)
    }

    /// What is written to as it is, if it is there. A pipe without a reader is waited for.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn there(path: &Path) -> Result<Option<WholeFile>> {
        // Others may append to what a descriptor leads to.
        let is_it =
            descriptor(path).is_some() || path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir());
        let open = || File::options().append(true).open(path).during("open", path);
        let file = is_it.then(open).transpose()?;
        Ok(file.map(|file| WholeFile { path: path.to_owned(), temporary: None, file }))
    }

    /// Makes the file appear; one that has its name already is replaced.
    ///
    /// # Errors
    /// The file cannot be written to disk or renamed, or its folder cannot be synced.
    pub fn publish(mut self) -> Result<()> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        self.file.sync_all().during("write", temporary)?;
        fs::rename(temporary, &self.path).during("publish", &self.path)?;
        self.temporary = None;
        sync_folder(folder_of(&self.path))
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
        // Nothing is left to do if it does not go.
        let _ = self.temporary.as_ref().map(fs::remove_file);
    }
}
