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
    /// The codec by its name in `avro.codec`.
    pub fn by_name(name: &str) -> Option<Codec> {
        Some(match name {
            "null" => Codec::Null,
            "deflate" => Codec::Deflate,
            "snappy" => Codec::Snappy,
            "zstandard" => Codec::Zstandard,
            "bzip2" => Codec::Bzip2,
            "xz" => Codec::Xz,
            _ => return None,
        })
    }

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
    /// Bytes at most that a block may inflate to.
    limit: usize,
}

impl Inflater {
    pub fn new(codec: Codec, limit: usize) -> Self {
        Inflater { codec, deflate: libdeflater::Decompressor::new(), limit }
    }

    /// Inflates `input` into `out`, which holds exactly the result afterwards.
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
                let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|e| damaged(&e))?;
                self.stream(decoder, out)
            }
            Codec::Bzip2 => self.stream(bzip2::read::BzDecoder::new(input), out),
            Codec::Xz => self.stream(self.xz(input), out),
        }
    }

    /// Inflates the start of a block that ends too soon: `out` holds what comes out before the end. Snappy only inflates
    /// whole blocks.
    pub fn inflate_start(&self, input: &[u8], out: &mut Vec<u8>) {
        out.clear();
        // The end that is missing is an error each time.
        let _ = match self.codec {
            Codec::Null => self.stream(input, out),
            Codec::Deflate => self.stream(flate2::read::DeflateDecoder::new(input), out),
            Codec::Snappy => Ok(()),
            Codec::Zstandard => {
                zstd::stream::read::Decoder::with_buffer(input).map_or(Ok(()), |decoder| self.stream(decoder, out))
            }
            Codec::Bzip2 => self.stream(bzip2::read::BzDecoder::new(input), out),
            Codec::Xz => self.stream(self.xz(input), out),
        };
        out.truncate(self.limit);
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

    fn stream(&self, decoder: impl Read, out: &mut Vec<u8>) -> Result<(), InflateError> {
        out.clear();
        match decoder.take(self.limit as u64 + 1).read_to_end(out) {
            Ok(len) if len > self.limit => Err(InflateError::TooLarge(self.limit)),
            Ok(_) => Ok(()),
            // xz says how much memory it needs, which may be more than the block does.
            Err(e) if e.kind() == io::ErrorKind::OutOfMemory => Err(InflateError::TooLarge(self.limit)),
            Err(e) => Err(InflateError::Damaged(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compressed(codec: Codec, data: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Null => data.to_vec(),
            Codec::Deflate => {
                let mut c = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
                let mut out = vec![0; c.deflate_compress_bound(data.len())];
                let len = c.deflate_compress(data, &mut out).unwrap();
                out.truncate(len);
                out
            }
            Codec::Snappy => {
                let mut out = snap::raw::Encoder::new().compress_vec(data).unwrap();
                out.extend(crc32fast::hash(data).to_be_bytes());
                out
            }
            Codec::Zstandard => zstd::encode_all(data, 1).unwrap(),
            Codec::Bzip2 => {
                let mut w = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                w.write_all(data).unwrap();
                w.finish().unwrap()
            }
            // A stream of xz-utils: "aaaa…" cannot be made here without the encoder.
            Codec::Xz => unreachable!("xz is tested on traces"),
        }
    }

    #[test]
    fn every_codec_comes_back_and_bombs_are_stopped() {
        let bomb = vec![b'a'; 1 << 20];
        for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2] {
            let input = compressed(codec, &bomb);
            let mut out = Vec::new();
            Inflater::new(codec, 1 << 20).inflate(&input, &mut out).unwrap();
            assert_eq!(out, bomb, "{codec:?}");
            let refused = Inflater::new(codec, (1 << 20) - 1).inflate(&input, &mut out);
            assert!(matches!(refused, Err(InflateError::TooLarge(_))), "{codec:?}");
            assert_eq!(Codec::by_name(codec.name()), Some(codec));
        }
    }

    #[test]
    fn xz_that_wants_too_much_memory_is_not_called_damaged() {
        let input = super::super::compress::Compressor::new(Codec::Xz).compress(b"small").unwrap();
        let refused = Inflater::new(Codec::Xz, 1 << 20).inflate(&input, &mut Vec::new());
        assert!(matches!(refused, Err(InflateError::TooLarge(_))), "{refused:?}");
        Inflater::new(Codec::Xz, 16 << 20).inflate(&input, &mut Vec::new()).unwrap();
    }

    #[test]
    fn damage_is_an_error() {
        for codec in [Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2, Codec::Xz] {
            let mut out = Vec::new();
            for garbage in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
                let result = Inflater::new(codec, 1 << 20).inflate(garbage, &mut out);
                assert!(result.is_err() || out.is_empty(), "{codec:?}");
            }
        }
    }
}
