//! The compression of a block: every codec that `avro-tools recodec` writes, with a bound on what comes out.

use std::io::{self, Read};

/// An Avro block codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
    Bzip2,
    Xz,
}

/// Why a block could not be inflated.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    #[error("its compressed data is damaged: {0}")]
    Damaged(String),
    #[error("it needs more than the limit of {0} bytes to inflate")]
    TooLarge(usize),
}

impl Codec {
    pub const ALL: [Codec; 6] = [Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2, Codec::Xz, Codec::Null];

    /// The codec by its name in `avro.codec`.
    pub fn by_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// Its name in `avro.codec`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Null => "null",
            Codec::Deflate => "deflate",
            Codec::Snappy => "snappy",
            Codec::Zstandard => "zstandard",
            Codec::Bzip2 => "bzip2",
            Codec::Xz => "xz",
        }
    }
}

/// Inflates blocks of one codec, keeping its state and buffers.
pub struct Inflater {
    codec: Codec,
    deflate: libdeflater::Decompressor,
    /// What comes out of the codecs that inflate piece by piece.
    piece: Vec<u8>,
    /// Bytes at most that a block may inflate to.
    limit: usize,
}

/// Bytes that come out at once. zstd inflates a block for which this is enough in one step, and others in many, with other
/// limits and errors: it must be the same for a block whatever was inflated before.
const PIECE: usize = 128 << 10;
/// The window of zstd's highest level, whose frames need not say how large they are.
const ZSTD_WINDOW: usize = 128 << 20;
/// zstd's `ZSTD_WINDOWLOG_MAX`.
const ZSTD_WINDOW_LOG_MAX: u32 = 31;
/// zstd's `ZSTD_error_frameParameter_windowTooLarge`.
const ZSTD_WINDOW_TOO_LARGE: usize = 16_usize.wrapping_neg();

impl Inflater {
    pub fn new(codec: Codec, limit: usize) -> Self {
        Inflater { codec, deflate: libdeflater::Decompressor::new(), piece: Vec::new(), limit }
    }

    /// Inflates `input` into `out`, which holds exactly the result afterwards.
    ///
    /// # Errors
    /// It is damaged, or inflates to more than the limit.
    pub fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), InflateError> {
        let damaged = |e: &dyn std::fmt::Display| InflateError::Damaged(e.to_string());
        match self.codec {
            Codec::Null if input.len() > self.limit => Err(InflateError::TooLarge(self.limit)),
            Codec::Null => {
                out.clear();
                out.extend_from_slice(input);
                Ok(())
            }
            Codec::Deflate => self.raw_deflate(input, out),
            Codec::Snappy => {
                let (input, crc) = input.split_last_chunk::<4>().ok_or_else(|| damaged(&"no checksum"))?;
                let len = snap::raw::decompress_len(input).map_err(|e| damaged(&e))?;
                if len > self.limit {
                    return Err(InflateError::TooLarge(self.limit));
                }
                out.resize(len, 0);
                let len = snap::raw::Decoder::new().decompress(input, out).map_err(|e| damaged(&e))?;
                out.truncate(len);
                match crc32fast::hash(out) == u32::from_be_bytes(*crc) {
                    true => Ok(()),
                    false => Err(damaged(&"wrong checksum")),
                }
            }
            Codec::Zstandard => {
                let decoder = self.zstd(input).map_err(|e| damaged(&e))?;
                self.stream(decoder, out)
            }
            Codec::Bzip2 => self.stream(bzip2::read::BzDecoder::new(input), out),
            Codec::Xz => self.stream(self.xz(input), out),
        }
    }

    /// Inflates the start of a block that ends too soon: `out` holds what comes out before the end. Snappy only inflates
    /// whole blocks.
    pub fn inflate_start(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.clear();
        // The end that is missing is an error each time.
        let _ = match self.codec {
            Codec::Null => self.stream(input, out),
            Codec::Deflate => self.stream(flate2::read::DeflateDecoder::new(input), out),
            Codec::Snappy => Ok(()),
            Codec::Zstandard => self.zstd(input).map_or(Ok(()), |decoder| self.stream(decoder, out)),
            Codec::Bzip2 => self.stream(bzip2::read::BzDecoder::new(input), out),
            Codec::Xz => self.stream(self.xz(input), out),
        };
        out.truncate(self.limit);
    }

    fn zstd<'i>(&self, input: &'i [u8]) -> io::Result<zstd::stream::read::Decoder<'static, &'i [u8]>> {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
        decoder.window_log_max(self.limit.max(ZSTD_WINDOW).ilog2().min(ZSTD_WINDOW_LOG_MAX))?;
        Ok(decoder)
    }

    fn xz<'i>(&self, input: &'i [u8]) -> lzma_rust2::XzReader<&'i [u8]> {
        // Its usual dictionary has 8 MiB, however small the block.
        let limit = u32::try_from(2 * self.limit / 1024).unwrap_or(u32::MAX);
        lzma_rust2::XzReader::new_mem_limit(input, true, limit)
    }

    /// Raw deflate needs a buffer that is large enough, and the block does not say how large: double until it is. A larger
    /// buffer is a new one, whose pages the system gives only when they are written.
    fn raw_deflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), InflateError> {
        use libdeflater::DecompressionError;
        let mut capacity = input.len().saturating_mul(4).max(64 << 10).min(self.limit);
        loop {
            if capacity > out.capacity() {
                drop(std::mem::take(out));
                *out = vec![0; capacity];
            } else {
                out.resize(capacity, 0);
            }
            match self.deflate.deflate_decompress(input, out) {
                Ok(len) => {
                    out.truncate(len);
                    return Ok(());
                }
                Err(DecompressionError::InsufficientSpace) if capacity < self.limit => {
                    capacity = capacity.saturating_mul(2).min(self.limit);
                }
                Err(DecompressionError::InsufficientSpace) => return Err(InflateError::TooLarge(self.limit)),
                Err(e) => return Err(InflateError::Damaged(e.to_string())),
            }
        }
    }

    fn stream(&mut self, decoder: impl Read, out: &mut Vec<u8>) -> Result<(), InflateError> {
        let mut decoder = decoder.take(self.limit as u64 + 1);
        out.clear();
        self.piece.resize(PIECE, 0);
        loop {
            match decoder.read(&mut self.piece) {
                Ok(0) if out.len() > self.limit => return Err(InflateError::TooLarge(self.limit)),
                Ok(0) => return Ok(()),
                Ok(len) => out.extend_from_slice(&self.piece[..len]),
                Err(e) if needs_too_much(&e) => return Err(InflateError::TooLarge(self.limit)),
                Err(e) => return Err(InflateError::Damaged(e.to_string())),
            }
        }
    }
}

/// Whether an error of xz or zstd says that more memory is needed than there may be, which may be more than the block has.
fn needs_too_much(error: &io::Error) -> bool {
    let window =
        || error.get_ref().is_some_and(|e| e.to_string() == zstd::zstd_safe::get_error_name(ZSTD_WINDOW_TOO_LARGE));
    error.kind() == io::ErrorKind::OutOfMemory || window()
}

#[cfg(test)]
mod tests {
    use super::super::compress::Compressor;
    use super::*;

    #[test]
    fn every_codec_comes_back_and_bombs_are_stopped() {
        let bomb = vec![b'a'; 1 << 20];
        for codec in Codec::ALL {
            let input = Compressor::new(codec).compress(&bomb).unwrap();
            let mut out = Vec::new();
            // As much as any memory is, too.
            for limit in [16 << 20, 4 << 30, isize::MAX as usize] {
                Inflater::new(codec, limit).inflate(&input, &mut out).unwrap();
                assert_eq!(out, bomb, "{codec:?}");
            }
            let refused = Inflater::new(codec, (1 << 20) - 1).inflate(&input, &mut out);
            assert!(matches!(refused, Err(InflateError::TooLarge(_))), "{codec:?}");
            assert_eq!(Codec::by_name(codec.name()), Some(codec));
        }
    }

    #[test]
    fn xz_that_wants_too_much_memory_is_not_called_damaged() {
        let input = Compressor::new(Codec::Xz).compress(b"small").unwrap();
        let refused = Inflater::new(Codec::Xz, 1 << 20).inflate(&input, &mut Vec::new());
        assert!(matches!(refused, Err(InflateError::TooLarge(_))), "{refused:?}");
        Inflater::new(Codec::Xz, 16 << 20).inflate(&input, &mut Vec::new()).unwrap();
    }

    /// A frame of zeros in one block that wants a window of `1 << log` bytes and says how much it holds.
    fn zstd_frame(log: u8, len: u32) -> Vec<u8> {
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0x80, (log - 10) << 3];
        let mut frame = [&header[..], &len.to_le_bytes()].concat();
        let mut left = len;
        while left > 0 {
            let block = left.min(128 << 10);
            left -= block;
            // A block of one byte, repeated; the last one says so.
            frame.extend_from_slice(&(block << 3 | 0b010 | u32::from(left == 0)).to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    #[test]
    fn what_becomes_of_a_block_does_not_depend_on_the_room_there_is() {
        for (log, len) in [(20, 100), (28, 100), (28, PIECE as u32), (27, 1 << 20), (28, 1 << 20)] {
            let frame = zstd_frame(log, len);
            for damage in 0..frame.len() {
                let mut frame = frame.clone();
                // The first one is none.
                frame[damage] ^= if damage == 0 { 0 } else { 0x10 };
                let mut outcomes = [0, 100, 1 << 18, 1 << 21].map(|room| {
                    let mut out = Vec::with_capacity(room);
                    let outcome = Inflater::new(Codec::Zstandard, 1 << 21).inflate(&frame, &mut out);
                    outcome.map(|()| out.len()).map_err(|e| e.to_string())
                });
                if damage == 0 {
                    match log == 28 && len > PIECE as u32 {
                        true => assert!(outcomes[0].as_ref().unwrap_err().contains("more than the limit")),
                        false => assert_eq!(outcomes[0], Ok(len as usize)),
                    }
                }
                outcomes.sort();
                assert_eq!(outcomes[0], outcomes[3], "{log} {len} {damage}");
            }
        }
    }

    #[test]
    fn damage_is_an_error() {
        for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::Null) {
            let damaged = Inflater::new(codec, 16 << 20).inflate(&[0xff; 8], &mut Vec::new());
            assert!(matches!(damaged, Err(InflateError::Damaged(_))), "{codec:?}");
        }
    }
}
