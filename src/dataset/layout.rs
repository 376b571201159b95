//! Where everything lies in a dataset folder. Readers glob `<table>/*/*.parquet`; what is ours lies beside the tables.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::error::{IoContext, Result};
use crate::input::is_hidden;
use crate::tables::schema::TableId;
use crate::time::Date;

/// The folder of a dataset that holds everything that is not a table.
pub const PRIVATE: &str = "_sf_parquet";

/// Paths of one dataset.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is not a table.
    pub fn private(&self) -> PathBuf {
        self.root.join(PRIVATE)
    }

    /// The folder of all manifests.
    pub fn manifests(&self) -> PathBuf {
        self.private().join("manifest")
    }

    /// The manifest of a run.
    pub fn manifest(&self, run: &str) -> PathBuf {
        self.manifests().join(format!("{run}.json"))
    }

    /// The folder of journals: manifests of runs that are being published.
    pub fn journals(&self) -> PathBuf {
        self.private().join("journal")
    }

    /// The journal of a run.
    pub fn journal(&self, run: &str) -> PathBuf {
        self.journals().join(format!("{run}.json"))
    }

    /// The folder of what runs stage.
    pub fn all_staging(&self) -> PathBuf {
        self.private().join("staging")
    }

    /// Where a run's files are until it is published.
    pub fn staging(&self, run: &str) -> PathBuf {
        self.all_staging().join(run)
    }

    /// Whether files in `folder` lie among those of the dataset.
    pub fn has_folder(&self, folder: &Path) -> bool {
        let below = |root: PathBuf| Some(folder.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned());
        let below = self.root.canonicalize().ok().and_then(below);
        below.is_some_and(|path| path.components().next().is_some_and(|first| is_ours(first.as_os_str())))
    }

    /// Where the manifests are, in order.
    ///
    /// # Errors
    /// Their folder cannot be listed.
    pub fn manifest_paths(&self) -> Result<Vec<PathBuf>> {
        let mut paths = children(&self.manifests())?;
        paths.retain(|p| self.is_manifest(p));
        Ok(paths)
    }

    /// Whether a file is taken for a manifest.
    pub fn is_manifest(&self, path: &Path) -> bool {
        path.parent() == Some(&self.manifests()) && is_json(path)
    }

    /// A part file, if any lies there.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn any_part(&self) -> Result<Option<PathBuf>> {
        for table in TableId::ALL {
            for date in children(&self.root.join(table.name()))? {
                let parts = if date.is_dir() { children(&date)? } else { Vec::new() };
                if let Some(part) = parts.into_iter().find(|path| is_parquet(path)) {
                    return Ok(Some(part));
                }
            }
        }
        Ok(None)
    }

    /// The file that is locked, see [`super::lock::Lock`].
    pub fn lock(&self) -> PathBuf {
        self.private().join("lock")
    }
}

/// What lies in a folder of a dataset, in the order of the names; nothing if there is no such folder.
///
/// # Errors
/// It cannot be listed.
pub fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths =
                entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>().during("list", folder)?;
            paths.sort();
            Ok(paths)
        }
        // What a link leads to may be away for a while.
        Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => Ok(Vec::new()),
        Err(e) => Err(e).during("list", folder),
    }
}

/// Whether a file is taken for a manifest or journal, by its name. Hidden ones are of other programs.
pub fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json") && !path.file_name().is_some_and(is_hidden)
}

/// Whether readers take a file for rows, by its name.
pub fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "parquet")
}

/// Whether what has this name in the folder of a dataset is part of it.
pub fn is_ours(name: &OsStr) -> bool {
    name == PRIVATE || name.to_str().is_some_and(|name| TableId::by_name(name).is_some())
}

/// Path of a part file relative to the dataset, always with `/`.
pub fn part_path(table: TableId, date: Date, run: &str, number: usize) -> String {
    format!("{}/date={date}/part-{run}-{number:05}.parquet", table.name())
}

/// Whether a path has the form of [`part_path`]: of a table, a date and a file.
pub fn is_part_path(path: &str) -> bool {
    let [table, date, file] = path.split('/').collect::<Vec<_>>()[..] else { return false };
    let is_table = !["", ".", "..", PRIVATE].contains(&table);
    is_table && date.starts_with("date=") && file.starts_with("part-") && file.ends_with(".parquet")
}

/// The date of a part file, by its path.
pub fn part_date(path: &str) -> Option<Date> {
    path.split('/').nth(1)?.strip_prefix("date=")?.parse().ok()
}

/// The name that a part file has while it is staged: all of a run lie in one folder, which is on disk with one sync.
pub fn staged_name(path: &str) -> String {
    path.replace('/', ",")
}

/// The run that wrote a part file, by its path.
pub fn part_run(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_prefix("part-")?;
    let (run, _) = name.strip_suffix(".parquet")?.rsplit_once('-')?;
    Some(run)
}
