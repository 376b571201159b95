//! Compression of pages, with the compressor's state kept by each thread.

use std::cell::RefCell;
use std::io;

use parquet::basic::Compression;

thread_local! {
    /// A zstd compressor and its level. Its state is large, and what it writes does not depend on it.
    static ZSTD: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
}

/// Compresses a page into `out`, which holds nothing else afterwards.
///
/// # Errors
/// The codec refuses, or is none that the command line offers.
pub fn compress(codec: Compression, page: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    match codec {
        Compression::UNCOMPRESSED => out.extend_from_slice(page),
        Compression::SNAPPY => {
            out.resize(snap::raw::max_compress_len(page.len()), 0);
            let len = snap::raw::Encoder::new().compress(page, out).map_err(io::Error::other)?;
            out.truncate(len);
        }
        Compression::LZ4_RAW => {
            out.resize(lz4_flex::block::get_maximum_output_size(page.len()), 0);
            let len = lz4_flex::block::compress_into(page, out).map_err(io::Error::other)?;
            out.truncate(len);
        }
        Compression::ZSTD(level) => ZSTD.with_borrow_mut(|kept| {
            let level = level.compression_level();
            let compressor = match kept {
                Some((kept_level, compressor)) if *kept_level == level => compressor,
                _ => &mut kept.insert((level, zstd::bulk::Compressor::new(level)?)).1,
            };
            out.reserve(zstd::zstd_safe::compress_bound(page.len()));
            compressor.compress_to_buffer(page, out).map(drop)
        })?,
        other => return Err(io::Error::other(format!("the compression {other} is not offered"))),
    }
    Ok(())
}
