//! What a file system says of files that nobody has opened, by the ten thousand.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};

/// What identifies a file without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    pub size: u64,
    /// Nanoseconds since 1970. Those of years that have too many begin anew, so that two times differ.
    pub mtime: i64,
    /// Changes with every write, and nobody can set it back.
    ctime: i64,
}

impl Stat {
    /// # Errors
    /// The system does not say.
    pub fn of(file: &File) -> io::Result<Stat> {
        Ok(Stat::from(&rustix::fs::fstat(file)?))
    }

    /// Of the regular file at `path`, or where it links to.
    pub fn at(path: &Path) -> Option<Stat> {
        Looker::default().look(path).file()
    }

    /// Whether a file is as large and as old as one was.
    pub fn is(&self, size: u64, mtime: i64) -> bool {
        (self.size, self.mtime) == (size, mtime)
    }

    fn from(stat: &rustix::fs::Stat) -> Stat {
        let nanos = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
        Stat {
            size: stat.st_size as u64,
            mtime: nanos(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanos(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// What there is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Folder,
    File(Stat),
    Other,
    Nothing,
}

impl Look {
    /// The file, if it is a regular one.
    pub fn file(self) -> Option<Stat> {
        match self {
            Look::File(stat) => Some(stat),
            Look::Folder | Look::Other | Look::Nothing => None,
        }
    }
}

/// Looks at one path after the other. The folder of several that follow each other is opened, so that the system need not find
/// it for each: a quarter of the time.
#[derive(Default)]
pub struct Looker {
    /// Up to the last slash, of the last path.
    folder: Vec<u8>,
    open: Option<OwnedFd>,
}

impl Looker {
    /// What is at `path`, or where it links to.
    pub fn look(&mut self, path: &Path) -> Look {
        let bytes = path.as_os_str().as_bytes();
        let (folder, name) = bytes.split_at(memchr::memrchr(b'/', bytes).map_or(0, |slash| slash + 1));
        if folder != self.folder {
            self.folder = folder.to_owned();
            self.open = None;
        } else if self.open.is_none() && !folder.is_empty() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.open = rustix::fs::open(folder, flags, Mode::empty()).ok();
        }
        let stat = match &self.open {
            Some(folder) if !name.is_empty() => rustix::fs::statat(folder, name, AtFlags::empty()),
            _ => rustix::fs::statat(CWD, path, AtFlags::empty()),
        };
        match stat {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Look::Folder,
                FileType::RegularFile => Look::File(Stat::from(&stat)),
                _ => Look::Other,
            },
            Err(_) => Look::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_path_is_what_the_system_says_whatever_was_looked_at_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            std::fs::create_dir(at(name)).unwrap();
            for (i, file) in ["x", "y", "z"].iter().enumerate() {
                std::fs::write(at(name).join(file), vec![0; i + name.len()]).unwrap();
            }
        }
        std::os::unix::fs::symlink("../a/z", at("b/link")).unwrap();
        let names = "a/x a/y a/z a/none a a/ b b/x b/y b/z b/link b/z/ b/. b/.. b/ a/x c/x c/y c/z none a/y".split(' ');
        let mut paths: Vec<PathBuf> = names.map(at).collect();
        paths.extend(["/dev/null", "/dev/zero", "/", "Cargo.toml", "src", "", "."].map(PathBuf::from));
        let mut looker = Looker::default();
        for path in paths {
            let expected = match std::fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => Look::Folder,
                Ok(meta) if meta.is_file() => Look::File(Stat::of(&File::open(&path).unwrap()).unwrap()),
                Ok(_) => Look::Other,
                Err(_) => Look::Nothing,
            };
            assert_eq!(looker.look(&path), expected, "{path:?}");
            assert_eq!(expected.file().is_some(), matches!(expected, Look::File(_)));
        }
    }
}
