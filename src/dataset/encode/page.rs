//! One page: levels and what is encoded, compressed, behind its header.

use std::io;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::compress::compress;
use super::dictionary::Dictionary;
use super::hybrid;
use super::levels::{Lists, Presence, same, select};
use crate::tables::column::Keys;

/// Bytes that the header of a page takes, roughly.
const HEADER: usize = 48;

/// A page as it goes into the file.
#[derive(Debug, Clone)]
pub struct FinishedPage {
    /// Its header and what it holds, compressed.
    pub bytes: Bytes,
    /// Bytes of both, what it holds not compressed.
    pub uncompressed: usize,
    pub encoding: Encoding,
    pub rows: usize,
    /// Values and NULLs.
    pub values: usize,
    pub nulls: usize,
}

/// A page that is not yet compressed.
pub struct RawPage<'s> {
    pub bytes: &'s mut Vec<u8>,
    encoding: Encoding,
    rows: usize,
    /// Values and NULLs.
    values: usize,
    nulls: usize,
}

impl<'s> RawPage<'s> {
    /// A page that begins with its levels, in a buffer that holds something else.
    pub fn new(presence: &Presence, encoding: Encoding, bytes: &'s mut Vec<u8>) -> RawPage<'s> {
        bytes.clear();
        bytes.extend_from_slice(&presence.levels);
        let (rows, present) = (presence.rows, presence.present);
        RawPage { bytes, encoding, rows, values: rows, nulls: rows - present }
    }

    /// A page of lists whose levels are in the buffer.
    pub fn of_lists(lists: &Lists, encoding: Encoding, bytes: &'s mut Vec<u8>) -> RawPage<'s> {
        let Lists { rows, levels, ref elements } = *lists;
        RawPage { bytes, encoding, rows, values: levels, nulls: levels - elements.len() }
    }

    /// A page of keys of so many bits: `of_values` are those of the places that `present` tells of.
    pub fn of_keys(
        keys: Option<&Keys>,
        of_values: &[i32],
        present: &[bool],
        width: u32,
        of_rows: &mut Vec<i32>,
        bytes: &'s mut Vec<u8>,
    ) -> RawPage<'s> {
        if let Some((presence, key)) = same(keys, of_values, present) {
            let page = RawPage::new(&presence, Encoding::RLE_DICTIONARY, bytes);
            page.bytes.push(width as u8);
            hybrid::encode_same(key, presence.present, width, page.bytes);
            return page;
        }
        let (presence, rows) = select(keys, of_values, present, of_rows);
        let mut page = RawPage::new(&presence, Encoding::RLE_DICTIONARY, bytes);
        page.put_keys(rows, width);
        page
    }

    /// Appends keys of so many bits.
    pub fn put_keys(&mut self, keys: &[i32], width: u32) {
        self.bytes.push(width as u8);
        hybrid::encode(keys, width, self.bytes);
    }

    /// Compresses it, with a buffer that takes what is compressed.
    ///
    /// # Errors
    /// The codec refuses.
    pub fn finish(self, codec: Compression, compressed: &mut Vec<u8>) -> Result<FinishedPage> {
        let RawPage { bytes, encoding, rows, values, nulls } = self;
        compress(codec, bytes, compressed).map_err(external)?;
        let page = Page::DataPage {
            buf: Bytes::copy_from_slice(compressed),
            num_values: values as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let (bytes, uncompressed) = serialize(CompressedPage::new(page, bytes.len()))?;
        Ok(FinishedPage { bytes, uncompressed, encoding, rows, values, nulls })
    }
}

/// The page of a dictionary, and its bytes before compression.
///
/// # Errors
/// The codec refuses.
pub fn dictionary_page(dictionary: &Dictionary, codec: Compression) -> Result<(Bytes, usize)> {
    let mut plain = Vec::with_capacity(dictionary.bytes());
    dictionary.plain(&mut plain);
    let mut compressed = Vec::new();
    compress(codec, &plain, &mut compressed).map_err(external)?;
    let (buf, num_values) = (compressed.into(), dictionary.len() as u32);
    let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
    serialize(CompressedPage::new(page, plain.len()))
}

/// A page with its header, and its bytes before compression.
fn serialize(page: CompressedPage) -> Result<(Bytes, usize)> {
    let mut sink = TrackedWrite::new(Vec::with_capacity(page.compressed_size() + HEADER));
    let uncompressed = SerializedPageWriter::new(&mut sink).write_page(page)?.uncompressed_size;
    Ok((sink.into_inner()?.into(), uncompressed))
}

fn external(error: io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
