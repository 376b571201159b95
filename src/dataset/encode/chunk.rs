//! One column chunk: a dictionary page, a data page for each batch, statistics, page index and bloom filter.
//!
//! When a dictionary grows too large, the pages that follow hold their values themselves, as other writers do it.

use std::io;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::compress::compress;
use super::dictionary::{Dictionary, NULL, plain_text};
use super::hybrid;
use crate::tables::column::{ColumnData, ColumnType};

/// Bytes of a dictionary beyond which values are written themselves. The usual size: readers keep it in memory.
const MAX_DICTIONARY: usize = 1 << 20;
/// Bytes of values at which a page without dictionary ends.
const PLAIN_PAGE: usize = 1 << 20;
/// Bytes of a string that statistics keep.
const STATISTICS_TEXT: usize = 64;
const BLOOM_FPP: f64 = 0.05;
/// Distinct values that a bloom filter is made for when nobody knows how many there will be; it is folded afterwards.
const BLOOM_UNKNOWN: u64 = 1 << 18;

/// Writes a column chunk of a flat, optional column.
pub struct ChunkWriter {
    column: ColumnDescPtr,
    column_type: ColumnType,
    codec: Compression,
    /// Absent for booleans, which are bits as they are.
    dictionary: Option<Dictionary>,
    /// Whether the dictionary is full, and values are written themselves.
    full: bool,
    pages: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    index: Option<ColumnIndexBuilder>,
    /// Pages with dictionary keys, and with values.
    page_counts: (i32, i32),
    uncompressed: usize,
    rows: u64,
    nulls: u64,
    range: Range,
    bloom: Option<Bloom>,
}

enum Bloom {
    /// All values are in the dictionary, and inserted at the end.
    OfDictionary,
    Filter(Sbbf),
}

/// Least and greatest value.
#[derive(Debug, Clone, PartialEq)]
enum Range {
    None,
    Bool(bool, bool),
    I32(i32, i32),
    I64(i64, i64),
    Text(Vec<u8>, Vec<u8>),
}

/// What the rows of a batch are: for each its place among the values, or [`NULL`].
struct Batch<'a> {
    keys: Option<&'a [i32]>,
    values: &'a ArrayRef,
}

impl ChunkWriter {
    /// A writer of the types that have dictionaries, and of booleans; `None` for others.
    pub fn new(column: ColumnDescPtr, column_type: ColumnType, codec: Compression, bloom: bool) -> Option<ChunkWriter> {
        let dictionary = match column_type {
            ColumnType::Boolean => None,
            ColumnType::Int32 => Some(Dictionary::I32(Default::default(), Vec::new())),
            ColumnType::Int64 => Some(Dictionary::I64(Default::default(), Vec::new())),
            ColumnType::String => Some(Dictionary::Text(Default::default())),
            _ => return None,
        };
        // The page index of strings costs more than it saves.
        let index = (column_type != ColumnType::String).then(|| ColumnIndexBuilder::new(column.physical_type()));
        Some(ChunkWriter {
            column,
            column_type,
            codec,
            dictionary,
            full: false,
            pages: TrackedWrite::new(Vec::new()),
            offsets: OffsetIndexBuilder::new(),
            index,
            page_counts: (0, 0),
            uncompressed: 0,
            rows: 0,
            nulls: 0,
            range: Range::None,
            bloom: bloom.then_some(Bloom::OfDictionary),
        })
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.pages.inner().capacity() + self.dictionary.as_ref().map_or(0, |d| 2 * d.bytes())
    }

    /// Appends a batch.
    pub fn write(&mut self, data: &ColumnData) -> Result<()> {
        let batch = match data {
            ColumnData::Plain(values) => Batch { keys: None, values },
            ColumnData::Keyed { keys, values } => Batch { keys: Some(keys), values },
        };
        let range = Range::of(batch.values, self.column_type);
        self.range.include(&range);
        let Some(dictionary) = &mut self.dictionary else {
            return self.write_booleans(&batch, range);
        };
        if !self.full && dictionary.bytes() + text_bytes(batch.values) > MAX_DICTIONARY {
            // Perhaps most of the values are known already: only then is the size what was feared.
            self.full = dictionary.bytes() > MAX_DICTIONARY / 2 || text_bytes(batch.values) > 8 * MAX_DICTIONARY;
            if self.full
                && let Some(bloom) = &mut self.bloom
            {
                let mut filter = Sbbf::new_with_ndv_fpp(BLOOM_UNKNOWN, BLOOM_FPP)?;
                dictionary.for_each(|value| filter.insert(value));
                *bloom = Bloom::Filter(filter);
            }
        }
        if self.full {
            return self.write_values(&batch, range);
        }
        let of_values = dictionary.keys(batch.values);
        let mut rows: Vec<i32> = match batch.keys {
            None => of_values,
            Some(keys) => keys.iter().map(|key| usize::try_from(*key).map_or(NULL, |key| of_values[key])).collect(),
        };
        let width = hybrid::width((dictionary.len().max(1) - 1) as u32);
        let (len, nulls) = (rows.len(), rows.iter().filter(|key| **key == NULL).count());
        let mut page = Vec::with_capacity(64 + (len - nulls) * width as usize / 8);
        levels(len, len - nulls, rows.iter().map(|key| *key != NULL), &mut page);
        page.push(width as u8);
        if nulls > 0 {
            rows.retain(|key| *key != NULL);
        }
        hybrid::encode(&rows, width, &mut page);
        self.page_counts.0 += 1;
        self.finish_page(page, Encoding::RLE_DICTIONARY, len, nulls, range)
    }

    /// Pages of the values themselves, several if they are long.
    fn write_values(&mut self, batch: &Batch, range: Range) -> Result<()> {
        let rows = batch.len();
        let mut from = 0;
        while from < rows {
            let mut bytes = 0;
            let mut places = Vec::new();
            while from + places.len() < rows && (bytes < PLAIN_PAGE || places.is_empty()) {
                let value = batch.value(from + places.len());
                bytes += value.map_or(0, |at| value_bytes(batch.values, at));
                places.push(value);
            }
            let count = places.iter().flatten().count();
            let mut page = Vec::with_capacity(bytes + places.len() + 64);
            levels(places.len(), count, places.iter().map(Option::is_some), &mut page);
            for at in places.iter().flatten() {
                self.write_value(batch.values, *at, &mut page);
            }
            self.page_counts.1 += 1;
            self.finish_page(page, Encoding::PLAIN, places.len(), places.len() - count, range.clone())?;
            from += places.len();
        }
        Ok(())
    }

    fn write_value(&mut self, values: &ArrayRef, at: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let value = match self.column_type {
            ColumnType::Int32 => {
                out.extend_from_slice(&values.as_primitive::<Int32Type>().value(at).to_le_bytes());
                &out[start..]
            }
            ColumnType::Int64 => {
                out.extend_from_slice(&values.as_primitive::<Int64Type>().value(at).to_le_bytes());
                &out[start..]
            }
            _ => {
                let text = values.as_string::<i32>().value(at).as_bytes();
                plain_text(text, out);
                text
            }
        };
        if let Some(Bloom::Filter(filter)) = &mut self.bloom {
            filter.insert(value);
        }
    }

    fn write_booleans(&mut self, batch: &Batch, range: Range) -> Result<()> {
        let values = batch.values.as_boolean();
        let rows: Vec<Option<bool>> = (0..batch.len()).map(|row| batch.value(row).map(|at| values.value(at))).collect();
        let present: Vec<bool> = rows.iter().copied().flatten().collect();
        let mut page = Vec::with_capacity(64 + present.len() / 8);
        levels(rows.len(), present.len(), rows.iter().map(Option::is_some), &mut page);
        page.extend(present.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))));
        self.page_counts.1 += 1;
        self.finish_page(page, Encoding::PLAIN, rows.len(), rows.len() - present.len(), range)
    }

    fn finish_page(
        &mut self,
        page: Vec<u8>,
        encoding: Encoding,
        rows: usize,
        nulls: usize,
        range: Range,
    ) -> Result<()> {
        let uncompressed_size = page.len();
        let buf = Bytes::from(compress(self.codec, &page).map_err(external)?);
        let page = Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, uncompressed_size);
        let spec = SerializedPageWriter::new(&mut self.pages).write_page(page)?;
        self.uncompressed += spec.uncompressed_size;
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
        if let Some(index) = &mut self.index {
            let (min, max) = range.bytes();
            index.append(nulls == rows, min, max, nulls as i64, None);
        }
        self.rows += rows as u64;
        self.nulls += nulls as u64;
        Ok(())
    }

    /// The chunk's bytes, and what a row group must know of it.
    pub fn close(self) -> Result<(Bytes, ColumnCloseResult)> {
        let mut chunk = TrackedWrite::new(Vec::new());
        let mut uncompressed = self.uncompressed;
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        let mut stats = Vec::new();
        let dictionary = self.dictionary.as_ref().filter(|_| self.page_counts.0 > 0);
        if let Some(dictionary) = dictionary {
            let mut page = Vec::with_capacity(dictionary.bytes());
            dictionary.plain(&mut page);
            let uncompressed_size = page.len();
            let buf = Bytes::from(compress(self.codec, &page).map_err(external)?);
            let num_values = dictionary.len() as u32;
            let page = Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
            let page = CompressedPage::new(page, uncompressed_size);
            uncompressed += SerializedPageWriter::new(&mut chunk).write_page(page)?.uncompressed_size;
            encodings.push(Encoding::RLE_DICTIONARY);
            let encoding = Encoding::PLAIN;
            stats.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding, count: 1 });
        }
        for (encoding, count) in [(Encoding::RLE_DICTIONARY, self.page_counts.0), (Encoding::PLAIN, self.page_counts.1)]
        {
            if count > 0 {
                stats.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count });
            }
        }
        let dictionary_len = chunk.bytes_written();
        let mut bytes = chunk.into_inner()?;
        bytes.append(&mut self.pages.into_inner()?);
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(self.codec)
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(dictionary_len as i64)
            .set_dictionary_page_offset(dictionary.map(|_| 0))
            .set_statistics(self.range.statistics(self.nulls, self.column_type))
            .build()?;
        let mut offsets = self.offsets.build();
        for location in &mut offsets.page_locations {
            location.offset += dictionary_len as i64;
        }
        let bloom_filter = match self.bloom {
            None => None,
            Some(Bloom::OfDictionary) => {
                let distinct = self.dictionary.as_ref().map_or(0, Dictionary::len);
                let mut filter = Sbbf::new_with_ndv_fpp(distinct.max(1) as u64, BLOOM_FPP)?;
                if let Some(dictionary) = &self.dictionary {
                    dictionary.for_each(|value| filter.insert(value));
                }
                Some(filter)
            }
            Some(Bloom::Filter(mut filter)) => {
                filter.fold_to_target_fpp(BLOOM_FPP);
                Some(filter)
            }
        };
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter,
            column_index: self.index.map(ColumnIndexBuilder::build).transpose()?,
            offset_index: Some(offsets),
        };
        Ok((Bytes::from(bytes), close))
    }
}

fn external(error: io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl Batch<'_> {
    fn len(&self) -> usize {
        self.keys.map_or(self.values.len(), <[i32]>::len)
    }

    /// The place of a row's value, `None` for NULL.
    fn value(&self, row: usize) -> Option<usize> {
        let at = match self.keys {
            None => row,
            Some(keys) => usize::try_from(keys[row]).ok()?,
        };
        self.values.is_valid(at).then_some(at)
    }
}

fn text_bytes(values: &ArrayRef) -> usize {
    match values.as_string_opt::<i32>() {
        Some(texts) => texts.value_data().len() + 4 * texts.len(),
        None => 8 * values.len(),
    }
}

/// Bytes of a value in PLAIN encoding.
fn value_bytes(values: &ArrayRef, at: usize) -> usize {
    values.as_string_opt::<i32>().map_or(8, |texts| 4 + texts.value_length(at) as usize)
}

/// Definition levels with their length before them, as data pages of version 1 have it.
fn levels(rows: usize, present: usize, is_present: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if present == rows || present == 0 {
        hybrid::run(i32::from(present > 0), rows, 1, out);
    } else {
        let levels: Vec<i32> = is_present.map(i32::from).collect();
        hybrid::encode(&levels, 1, out);
    }
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

impl Range {
    /// Of the values that are there; every value of a batch belongs to some row.
    fn of(values: &ArrayRef, column_type: ColumnType) -> Range {
        fn ends<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> Option<(T, T)> {
            values.fold(None, |range, v| match range {
                None => Some((v, v)),
                Some((min, max)) => Some((if v < min { v } else { min }, if v > max { v } else { max })),
            })
        }
        let range = match column_type {
            ColumnType::Boolean => ends(values.as_boolean().iter().flatten()).map(|(a, b)| Range::Bool(a, b)),
            ColumnType::Int32 => {
                ends(values.as_primitive::<Int32Type>().iter().flatten()).map(|(a, b)| Range::I32(a, b))
            }
            ColumnType::Int64 => {
                ends(values.as_primitive::<Int64Type>().iter().flatten()).map(|(a, b)| Range::I64(a, b))
            }
            _ => ends(values.as_string::<i32>().iter().flatten())
                .map(|(a, b)| Range::Text(head(a.as_bytes()), head(b.as_bytes()))),
        };
        range.unwrap_or(Range::None)
    }

    fn include(&mut self, other: &Range) {
        match (&mut *self, other) {
            (_, Range::None) => {}
            (Range::None, other) => *self = other.clone(),
            (Range::Bool(min, max), Range::Bool(a, b)) => (*min, *max) = (*min & a, *max | b),
            (Range::I32(min, max), Range::I32(a, b)) => (*min, *max) = ((*min).min(*a), (*max).max(*b)),
            (Range::I64(min, max), Range::I64(a, b)) => (*min, *max) = ((*min).min(*a), (*max).max(*b)),
            (Range::Text(min, max), Range::Text(a, b)) => {
                if a < min {
                    min.clone_from(a);
                }
                if b > max {
                    max.clone_from(b);
                }
            }
            _ => unreachable!("a column has one type"),
        }
    }

    /// As the page index wants it.
    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Range::None => (Vec::new(), Vec::new()),
            Range::Bool(min, max) => (vec![u8::from(*min)], vec![u8::from(*max)]),
            Range::I32(min, max) => (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec()),
            Range::I64(min, max) => (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec()),
            Range::Text(min, max) => (min.clone(), max.clone()),
        }
    }

    fn statistics(self, nulls: u64, column_type: ColumnType) -> Statistics {
        match (self, column_type) {
            (Range::Bool(min, max), _) => Statistics::boolean(Some(min), Some(max), None, Some(nulls), false),
            (Range::I32(min, max), _) => Statistics::int32(Some(min), Some(max), None, Some(nulls), false),
            (Range::I64(min, max), _) => Statistics::int64(Some(min), Some(max), None, Some(nulls), false),
            (Range::Text(min, max), _) => {
                // A prefix is never greater than the whole.
                let least = ByteArray::from(prefix(&min).to_vec());
                let greatest = increased(&max).map(ByteArray::from);
                let statistics = ValueStatistics::new(Some(least), greatest, None, Some(nulls), false)
                    .with_min_is_exact(min.len() <= STATISTICS_TEXT)
                    .with_max_is_exact(max.len() <= STATISTICS_TEXT);
                Statistics::from(statistics)
            }
            (Range::None, ColumnType::Boolean) => Statistics::boolean(None, None, None, Some(nulls), false),
            (Range::None, ColumnType::Int32) => Statistics::int32(None, None, None, Some(nulls), false),
            (Range::None, ColumnType::Int64) => Statistics::int64(None, None, None, Some(nulls), false),
            (Range::None, _) => Statistics::byte_array(None, None, None, Some(nulls), false),
        }
    }
}

/// As much of a string as tells what its prefix is and that there is more: strings can be very long.
fn head(text: &[u8]) -> Vec<u8> {
    text[..text.len().min(STATISTICS_TEXT + 1)].to_vec()
}

/// A prefix whose last character is replaced by the next one is greater than the whole.
fn increased(text: &[u8]) -> Option<Vec<u8>> {
    let start = prefix(text);
    if start.len() == text.len() {
        return Some(text.to_vec());
    }
    let mut chars: Vec<char> = std::str::from_utf8(start).ok()?.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last as u32 + 1..=last as u32 + 0x801).find_map(char::from_u32) {
            chars.push(next);
            return Some(chars.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

/// At most [`STATISTICS_TEXT`] bytes, up to the end of a character.
fn prefix(text: &[u8]) -> &[u8] {
    if text.len() <= STATISTICS_TEXT {
        return text;
    }
    let end = (0..=STATISTICS_TEXT).rev().find(|i| text[*i] & 0xc0 != 0x80).unwrap_or(0);
    &text[..end]
}
