//! Compression of pages, with the compressor's state kept by each thread.

use std::cell::RefCell;
use std::io;

use parquet::basic::Compression;

thread_local! {
    /// A zstd compressor and its level. Its state is large, and what it writes does not depend on it.
    static ZSTD: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
}

/// Compresses a page.
///
/// # Errors
/// The codec refuses, or is none that the command line offers.
pub fn compress(codec: Compression, page: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Compression::UNCOMPRESSED => Ok(page.to_vec()),
        Compression::SNAPPY => snap::raw::Encoder::new().compress_vec(page).map_err(io::Error::other),
        Compression::LZ4_RAW => Ok(lz4_flex::block::compress(page)),
        Compression::ZSTD(level) => ZSTD.with_borrow_mut(|kept| {
            let level = level.compression_level();
            let compressor = match kept {
                Some((kept_level, compressor)) if *kept_level == level => compressor,
                _ => &mut kept.insert((level, zstd::bulk::Compressor::new(level)?)).1,
            };
            compressor.compress(page)
        }),
        other => Err(io::Error::other(format!("the compression {other} is not offered"))),
    }
}
