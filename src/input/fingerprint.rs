//! What tells the content of a file apart, read once.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::progress::Meter;
use crate::text::hex;

/// Opens a regular file. Pipes and devices would never end.
///
/// # Errors
/// It is not there or no regular file, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        // One that cannot be listed says why.
        let what =
            if meta.is_dir() { std::fs::read_dir(path).map(|_| "it is a directory")? } else { "it is no regular file" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    File::open(path)
}

/// Bytes that are hashed together: enough to share the work, and little memory.
const HASHED: u64 = 256 << 10;

/// SHA-256 of some bytes of a file as hex digits.
///
/// # Errors
/// The file cannot be read, is shorter, or the run was asked to stop.
pub fn sha256(file: &File, bytes: Range<u64>, meter: &Meter) -> io::Result<String> {
    Ok(hashes(file, bytes, &[], meter)?.0)
}

/// SHA-256 of the first `size` bytes of a file as hex digits, and of each shorter prefix in `prefixes` (ascending).
///
/// # Errors
/// As [`sha256`].
pub fn sha256_and_prefixes(
    file: &File,
    size: u64,
    prefixes: &[u64],
    meter: &Meter,
) -> io::Result<(String, Vec<String>)> {
    hashes(file, 0..size, prefixes, meter)
}

/// The hash of some bytes, and of those up to each of some `ends` (ascending) before the last. Bytes are read while those
/// before them are hashed.
fn hashes(file: &File, bytes: Range<u64>, ends: &[u64], meter: &Meter) -> io::Result<(String, Vec<String>)> {
    let Range { start, end } = bytes;
    let mut pos = start;
    let mut read = |buffer: &mut Vec<u8>| -> io::Result<()> {
        meter.check_io()?;
        buffer.resize((end - pos).min(HASHED) as usize, 0);
        file.read_exact_at(buffer, pos)?;
        pos += buffer.len() as u64;
        Ok(())
    };
    let (mut hash, mut hashed, mut hashes) = (Sha256::new(), start, Vec::new());
    let mut ends = ends.iter().copied().filter(|before| *before < end).peekable();
    let mut take = |mut bytes: &[u8]| {
        while let Some(end) = ends.next_if(|end| *end <= hashed + bytes.len() as u64) {
            let (before, rest) = bytes.split_at((end - hashed) as usize);
            hash.update(before);
            hashes.push(hex(&hash.clone().finalize()));
            (hashed, bytes) = (end, rest);
        }
        hash.update(bytes);
        hashed += bytes.len() as u64;
    };
    let (mut now, mut next) = (Vec::new(), Vec::new());
    read(&mut now)?;
    // The last bytes are hashed alone: nothing is read beside them.
    let mut left = end - start;
    while left > now.len() as u64 {
        left -= now.len() as u64;
        rayon::join(|| take(&now), || read(&mut next)).1?;
        std::mem::swap(&mut now, &mut next);
    }
    take(&now);
    Ok((hex(&hash.finalize()), hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_the_hash_of_the_shorter_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"hello world").unwrap();
        let file = open(&path).unwrap();
        let never = Meter::default();
        let (whole, prefixes) = sha256_and_prefixes(&file, 11, &[0, 5, 11], &never).unwrap();
        assert_eq!(prefixes.len(), 2);
        assert_eq!(sha256(&file, 0..5, &never).unwrap(), prefixes[1]);
        assert_eq!(whole, "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
        assert!(open(folder.path()).is_err());
    }

    #[test]
    fn a_long_file_is_hashed_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let bytes: Vec<u8> = (0..3 * HASHED + 5).map(|i| (i * i / 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let ends = [0, 1, HASHED - 1, HASHED, 2 * HASHED + 3, 3 * HASHED];
        let file = open(&path).unwrap();
        let (whole, prefixes) = sha256_and_prefixes(&file, bytes.len() as u64, &ends, &Meter::default()).unwrap();
        assert_eq!(whole, hex(&Sha256::digest(&bytes)));
        assert_eq!(prefixes, ends.map(|end| hex(&Sha256::digest(&bytes[..end as usize]))));
        let stopped = Meter::default();
        stopped.stop(15);
        assert!(sha256(&file, 0..bytes.len() as u64, &stopped).is_err());
        assert!(sha256(&file, 0..bytes.len() as u64 + 1, &Meter::default()).is_err());
        for range in [0..0, 5..HASHED + 5, 3..3 * HASHED] {
            let expected = hex(&Sha256::digest(&bytes[range.start as usize..range.end as usize]));
            assert_eq!(sha256(&file, range, &Meter::default()).unwrap(), expected);
        }
    }
}
