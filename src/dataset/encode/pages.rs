//! The pages of a finished chunk, read one behind the other where they lie.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

/// Pages with their headers, in the order of the file.
pub struct Pages(pub Vec<Bytes>);

/// The bytes of pages that are left to read.
pub struct PageReader(VecDeque<Bytes>);

impl Length for Pages {
    fn len(&self) -> u64 {
        self.0.iter().map(|page| page.len() as u64).sum()
    }
}

impl ChunkReader for Pages {
    type T = PageReader;

    fn get_read(&self, start: u64) -> Result<PageReader> {
        let mut reader = PageReader(self.0.iter().cloned().collect());
        io::copy(&mut reader.by_ref().take(start), &mut io::sink())?;
        Ok(reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Read for PageReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.0.front().is_some_and(Bytes::is_empty) {
            self.0.pop_front();
        }
        let Some(page) = self.0.front_mut() else { return Ok(0) };
        let len = page.len().min(out.len());
        page.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_one_piece_from_anywhere() {
        let pages = Pages(["abc", "", "d", "efgh"].map(|page| Bytes::from_static(page.as_bytes())).into());
        assert_eq!(pages.len(), 8);
        for start in 0..=8 {
            let mut read = String::new();
            pages.get_read(start).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, "abcdefgh"[start as usize..]);
        }
        assert_eq!(pages.get_bytes(2, 4).unwrap(), "cdef");
        assert!(pages.get_bytes(6, 3).is_err());
    }
}
