//! Writes Avro object container files.

use std::io::{self, Write};

use super::codec::Codec;
use super::compress::Compressor;
use super::container::MAGIC;
use crate::varint::{put_varint, zigzag};

/// Appends a zigzag variable-length integer.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    put_varint(zigzag(value), out);
}

/// Appends a string or bytes: its length, then itself.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // No slice is longer than i64::MAX.
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// Writes a container file from its blocks.
pub struct ContainerWriter<W> {
    out: W,
    compressor: Compressor,
    sync: [u8; 16],
    bytes: u64,
}

impl<W: Write> ContainerWriter<W> {
    /// Writes the header of a file with this schema.
    ///
    /// # Errors
    /// `out` fails, here and in all that follows.
    pub fn new(out: W, codec: Codec, schema_json: &[u8], sync: [u8; 16]) -> io::Result<Self> {
        let mut header = MAGIC.to_vec();
        put_long(&mut header, 2);
        put_bytes(&mut header, b"avro.codec");
        put_bytes(&mut header, codec.name().as_bytes());
        put_bytes(&mut header, b"avro.schema");
        put_bytes(&mut header, schema_json);
        put_long(&mut header, 0);
        header.extend(sync);
        Self::with_header(out, codec, &header, sync)
    }

    /// Writes a header that is already one.
    pub fn with_header(mut out: W, codec: Codec, header: &[u8], sync: [u8; 16]) -> io::Result<Self> {
        out.write_all(header)?;
        Ok(ContainerWriter { out, compressor: Compressor::new(codec), sync, bytes: header.len() as u64 })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes a block of `count` records.
    pub fn block(&mut self, count: u64, data: &[u8]) -> io::Result<()> {
        let compressed = self.compressor.compress(data)?;
        self.compressed_block(count, &compressed)
    }

    /// Writes a block of `count` records that is compressed already.
    pub fn compressed_block(&mut self, count: u64, compressed: &[u8]) -> io::Result<()> {
        let mut header = Vec::with_capacity(20);
        put_long(&mut header, count as i64);
        put_long(&mut header, compressed.len() as i64);
        self.piece(&header)?;
        self.piece(compressed)?;
        self.end_block()
    }

    /// Writes a piece of a block that is copied with its header.
    pub fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Ends a block that was written in pieces.
    pub fn end_block(&mut self) -> io::Result<()> {
        self.bytes += self.sync.len() as u64;
        self.out.write_all(&self.sync)
    }

    /// Ends the file and hands back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
