//! A file for what memory has no room for. It has no name, so that nothing is left of it however the process ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, IoContext, Result};

/// Bytes that are written together.
const BUFFER: usize = 64 << 10;
/// Bytes that are read at first; most values are shorter.
const READ: usize = 512;
/// Bytes before a value that say how long it is.
const LENGTH: usize = 4;

/// Values by their place in a file, which is made when it is first needed.
#[derive(Debug, Default)]
pub struct Spill {
    path: PathBuf,
    file: Option<File>,
    /// Bytes in the file; those behind them are in the buffer.
    written: u64,
    buffer: Vec<u8>,
    /// What went wrong first. Nothing that is read counts from then on.
    pub failure: Option<Error>,
}

impl Spill {
    /// A file in this folder, which must be there when the first value comes.
    pub fn within(folder: &Path) -> Spill {
        Spill { path: folder.join("spilled"), ..Spill::default() }
    }

    /// Appends a value and says where it is. Once something went wrong, there is no room for more.
    pub fn append(&mut self, value: &impl Serialize) -> u64 {
        if self.failure.is_some() {
            return 0;
        }
        let (place, start) = (self.written + self.buffer.len() as u64, self.buffer.len());
        let appended = self.try_append(value, start);
        self.note(appended);
        place
    }

    /// The value at a place, or an empty one if it cannot be read.
    pub fn read<T: DeserializeOwned + Default>(&mut self, place: u64) -> T {
        let read = self.try_read(place);
        self.note(read).unwrap_or_default()
    }

    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(e) => {
                self.failure.get_or_insert(e);
                None
            }
        }
    }

    fn try_append(&mut self, value: &impl Serialize, start: usize) -> Result<()> {
        self.buffer.extend_from_slice(&[0; LENGTH]);
        self.buffer =
            postcard::to_extend(value, std::mem::take(&mut self.buffer)).map_err(|e| self.broken("write", e))?;
        let len = (self.buffer.len() - start - LENGTH) as u32;
        self.buffer[start..start + LENGTH].copy_from_slice(&len.to_le_bytes());
        if self.buffer.len() < BUFFER {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.path)?),
        };
        file.write_all_at(&self.buffer, self.written).during("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        // One value may have been large.
        self.buffer.clear();
        self.buffer.shrink_to(2 * BUFFER);
        Ok(())
    }

    fn try_read<T: DeserializeOwned>(&self, place: u64) -> Result<T> {
        let decode = |bytes: &[u8]| postcard::from_bytes(bytes).map_err(|e| self.broken("read", e));
        if let Some(start) = place.checked_sub(self.written) {
            return decode(self.buffer.get(start as usize + LENGTH..).unwrap_or_default());
        }
        let Some(file) = &self.file else { return decode(&[]) };
        let mut first = [0; READ];
        let known = (self.written - place).min(READ as u64) as usize;
        let read = file.read_exact_at(&mut first[..known], place);
        read.during("read", &self.path)?;
        let len = u32::from_le_bytes([first[0], first[1], first[2], first[3]]) as usize;
        if LENGTH + len <= READ {
            return decode(&first[LENGTH..LENGTH + len]);
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, place + LENGTH as u64).during("read", &self.path)?;
        decode(&bytes)
    }

    fn broken(&self, action: &'static str, error: postcard::Error) -> Error {
        Error::Io { action, path: self.path.clone(), cause: io::Error::other(error) }
    }
}

/// A new file that has a name no longer.
fn create(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open(path).during("create", path)?;
    fs::remove_file(path).during("remove", path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_no_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::within(folder.path());
        let values: Vec<String> =
            (0..400).map(|i| "x".repeat(i * i % 1_000 + 300_000 * usize::from(i == 77))).collect();
        let places: Vec<u64> = values.iter().map(|v| spill.append(v)).collect();
        assert!(spill.written > 0 && !spill.buffer.is_empty());
        for (value, place) in values.iter().zip(places) {
            assert_eq!(spill.read::<String>(place), *value);
        }
        assert!(spill.failure.is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_failure() {
        let mut spill = Spill::within(Path::new("/there/is/no/such/folder"));
        spill.append(&"x".repeat(BUFFER));
        assert!(spill.failure.unwrap().to_string().starts_with("cannot create /there/is"));
    }

    #[test]
    fn a_disk_that_fails_makes_nothing_wait_in_memory() {
        let mut spill = Spill::within(Path::new("/missing"));
        for _ in 0..100 {
            spill.append(&vec![0_u8; BUFFER]);
        }
        assert!(spill.buffer.len() < 2 * BUFFER, "{}", spill.buffer.len());
        assert!(spill.failure.unwrap().to_string().contains("/missing/spilled"));
    }
}
