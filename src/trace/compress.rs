//! Compresses blocks, the other way round than [`super::codec`].

use std::io::{self, Write};

use super::codec::Codec;

/// Compresses blocks with one codec, at the level that its tools take if they are not told.
pub struct Compressor {
    codec: Codec,
    deflate: libdeflater::Compressor,
}

impl Compressor {
    pub fn new(codec: Codec) -> Compressor {
        Compressor { codec, deflate: libdeflater::Compressor::new(libdeflater::CompressionLvl::default()) }
    }

    /// Compresses `data` to what an Avro block of this codec holds.
    ///
    /// # Errors
    /// The codec fails, as it may when memory is short.
    pub fn compress(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self.codec {
            Codec::Null => Ok(data.to_vec()),
            Codec::Deflate => {
                let mut out = vec![0; self.deflate.deflate_compress_bound(data.len())];
                let len = self.deflate.deflate_compress(data, &mut out).map_err(io::Error::other)?;
                out.truncate(len);
                Ok(out)
            }
            Codec::Snappy => {
                let mut out = snap::raw::Encoder::new().compress_vec(data).map_err(io::Error::other)?;
                // The Avro specification wants the checksum of the data behind it.
                out.extend(crc32fast::hash(data).to_be_bytes());
                Ok(out)
            }
            Codec::Zstandard => zstd::encode_all(data, 0),
            Codec::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                writer.write_all(data)?;
                writer.finish()
            }
            Codec::Xz => {
                let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default())?;
                writer.write_all(data)?;
                writer.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::Inflater;
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for codec in Codec::ALL {
            for data in [&data[..], b""] {
                let compressed = Compressor::new(codec).compress(data).unwrap();
                let mut out = Vec::new();
                Inflater::new(codec, 64 << 20).inflate(&compressed, &mut out).unwrap();
                assert!(out == data, "{codec:?}");
            }
        }
    }
}
