//! Two batches of traces for one dataset, for tests that disturb the second run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::trace::{SECOND, T0, simple, simple_at};
use super::{fast_folder, program, tree};

/// A folder with some traces, one of which has grown and one that is damaged since the dataset's first run.
pub struct Case {
    folder: tempfile::TempDir,
    /// Whole traces in each batch.
    traces: [i64; 2],
}

impl Case {
    /// Writes the first batch, of so many whole traces; the second batch has as many as said.
    pub fn new(traces: [i64; 2]) -> Case {
        let case = Case { folder: fast_folder(), traces };
        fs::create_dir(case.path("in")).unwrap();
        for i in 0..traces[0] {
            simple(&format!("node-{i}"), 30 + i).write(&case.path(&format!("in/{i}.sf")));
        }
        let (bytes, blocks) = simple("growing", 50).bytes();
        fs::write(case.path("in/growing.sf"), &bytes[..blocks[3]]).unwrap();
        case
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The second batch: more traces, a grown one, a damaged one.
    pub fn second_batch(&self) {
        for i in self.traces[0]..self.traces[0] + self.traces[1] {
            // Over several days, so that there are many partitions.
            simple_at(&format!("node-{i}"), 30 + i, T0, 12 * 3_600 * SECOND).write(&self.path(&format!("in/{i}.sf")));
        }
        fs::write(self.path("in/growing.sf"), simple("growing", 50).bytes().0).unwrap();
        let (bytes, blocks) = simple("damaged", 50).bytes();
        fs::write(self.path("in/damaged.sf"), &bytes[..blocks[2] + 20]).unwrap();
    }

    pub fn convert(&self, out: &Path) -> Command {
        let mut command = program(["convert", "-q", "--jobs", "2"]);
        command.arg(self.path("in")).arg("--out").arg(out);
        command
    }
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// What a reader of the tables sees: no hidden files.
pub fn tables(out: &Path) -> BTreeMap<String, String> {
    let is_seen = |path: &str| !path.starts_with("_sf_parquet") && !path.rsplit('/').next().unwrap().starts_with('.');
    tree(out).into_iter().filter(|(path, _)| is_seen(path)).collect()
}
