//! One column chunk: a dictionary page, a data page for each batch, statistics, page index and bloom filter.
//!
//! When a dictionary grows too large, the pages that follow hold their values themselves, as other writers do it.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ListArray};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::schema::types::ColumnDescPtr;

use super::dictionary::{Dictionary, plain_text};
use super::levels::{Lists, Presence, select};
use super::page::{FinishedPage, RawPage, dictionary_page};
use super::pages::Pages;
use super::range::Range;
use super::scratch::{self, Scratch};
use super::{Encodings, delta};
use crate::tables::column::{ColumnData, ColumnType, Keys, Numbers, Texts, Values};
use crate::tables::schema::{BLOOM_COLUMNS, ColumnInfo};

/// Bytes of a dictionary beyond which values are written themselves. The usual size: readers keep it in memory.
const MAX_DICTIONARY: usize = 1 << 20;
/// Bytes of values at which a page without dictionary ends.
const PLAIN_PAGE: usize = 1 << 20;
/// Strings that are longer, and batches whose strings take more than [`MAX_REPEATED`] and [`REPEATED`] times as much for all
/// rows as once, have keys in any case: a string of some megabytes must not be written for thousands of rows.
const LONG: usize = 64 << 10;
const REPEATED: usize = 16;
const MAX_REPEATED: usize = 8 << 20;
const BLOOM_FPP: f64 = 0.05;
/// Distinct values that a bloom filter is made for when nobody knows how many there will be; it is folded afterwards.
const BLOOM_UNKNOWN: u64 = 1 << 18;

/// Writes the chunk of a column of numbers, times, truth values, strings or lists of strings.
pub struct ChunkWriter {
    column: ColumnDescPtr,
    column_type: ColumnType,
    codec: Compression,
    form: Form,
    /// In order, compressed and with their headers.
    pages: Vec<Bytes>,
    /// Bytes of all pages.
    bytes: usize,
    offsets: OffsetIndexBuilder,
    index: Option<ColumnIndexBuilder>,
    /// Pages by the encoding of their values.
    page_counts: BTreeMap<Encoding, i32>,
    uncompressed: usize,
    /// Values and NULLs; of lists, elements and lists without any.
    values: u64,
    rows: u64,
    nulls: u64,
    range: Range,
    bloom: Option<Bloom>,
}

/// How a column's values are written.
enum Form {
    /// As a bit each.
    Bits,
    /// As differences.
    Delta,
    /// As they are.
    Plain,
    Dictionary(Dictionary),
    /// Mostly as they are, since the dictionary, which earlier pages use, is full.
    Full(Dictionary),
}

impl Form {
    fn dictionary(&self) -> Option<&Dictionary> {
        match self {
            Form::Dictionary(dictionary) | Form::Full(dictionary) => Some(dictionary),
            Form::Bits | Form::Delta | Form::Plain => None,
        }
    }
}

enum Bloom {
    /// All values are in the dictionary, and inserted at the end.
    OfDictionary,
    Filter(Sbbf),
}

impl Bloom {
    /// The filter of a finished chunk.
    fn filter(self, dictionary: Option<&Dictionary>) -> Result<Sbbf> {
        match self {
            Bloom::OfDictionary => {
                let mut filter = Sbbf::new_with_ndv_fpp(dictionary.map_or(1, Dictionary::len) as u64, BLOOM_FPP)?;
                if let Some(dictionary) = dictionary {
                    dictionary.for_each(|value| filter.insert(value));
                }
                Ok(filter)
            }
            Bloom::Filter(mut filter) => {
                filter.fold_to_target_fpp(BLOOM_FPP);
                Ok(filter)
            }
        }
    }
}

impl ChunkWriter {
    /// Whether columns of the type are written here.
    pub fn writes(column_type: ColumnType) -> bool {
        !matches!(column_type, ColumnType::ListInt64 | ColumnType::MapStringString)
    }

    /// A writer of one of these.
    pub fn new(
        descriptor: ColumnDescPtr,
        column: &ColumnInfo,
        codec: Compression,
        encodings: Encodings,
    ) -> ChunkWriter {
        let form = match (column.column_type, encodings) {
            (ColumnType::Boolean, _) => Form::Bits,
            (ColumnType::Int64 | ColumnType::Timestamp, Encodings::Default) if column.sequence => Form::Delta,
            (ColumnType::Int64 | ColumnType::Timestamp, Encodings::Compatible) if column.sequence => Form::Plain,
            (ColumnType::Int32, _) => Form::Dictionary(Dictionary::numbers(4)),
            (ColumnType::Int64 | ColumnType::Timestamp, _) => Form::Dictionary(Dictionary::numbers(8)),
            (ColumnType::String | ColumnType::ListString, _) => Form::Dictionary(Dictionary::texts()),
            (ColumnType::ListInt64 | ColumnType::MapStringString, _) => unreachable!("they are not written here"),
        };
        // Other forms have no dictionary: an empty filter would hide their rows.
        let has_bloom = matches!(form, Form::Dictionary(_)) && BLOOM_COLUMNS.contains(&column.name);
        // The page index of strings costs more than it saves.
        let text = matches!(column.column_type, ColumnType::String | ColumnType::ListString);
        let index = (!text).then(|| ColumnIndexBuilder::new(descriptor.physical_type()));
        ChunkWriter {
            column: descriptor,
            column_type: column.column_type,
            codec,
            form,
            pages: Vec::new(),
            bytes: 0,
            offsets: OffsetIndexBuilder::new(),
            index,
            page_counts: BTreeMap::new(),
            uncompressed: 0,
            values: 0,
            rows: 0,
            nulls: 0,
            range: Range::None,
            bloom: has_bloom.then_some(Bloom::OfDictionary),
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.bytes + self.form.dictionary().map_or(0, Dictionary::memory)
    }

    /// Data pages so far.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Appends a batch.
    pub fn write(&mut self, data: &ColumnData) -> Result<()> {
        let keys = data.keys.as_deref();
        scratch::with(|scratch| match &data.values {
            Values::Numbers(numbers) => self.write_numbers(keys, numbers, scratch),
            Values::Texts(texts) => self.write_texts(keys, texts, scratch),
            Values::Array(lists) => self.write_lists(keys, lists.as_list(), scratch),
        })
    }

    fn write_numbers(&mut self, keys: Option<&Keys>, numbers: &Numbers, scratch: &mut Scratch) -> Result<()> {
        let range = Range::of_numbers(&numbers.values);
        self.range.include(&range);
        self.begin_batch(8 * numbers.values.len(), || false)?;
        let Numbers { values, present } = numbers;
        let Scratch { page, compressed, of_values, numbers, .. } = scratch;
        let page = match &mut self.form {
            Form::Dictionary(dictionary) => {
                dictionary.number_keys(values, of_values);
                let width = dictionary.width();
                return self.write_keys(keys, present, width, range, scratch);
            }
            Form::Bits => {
                let (presence, rows) = select(keys, values, present, numbers);
                let page = RawPage::new(&presence, Encoding::PLAIN, page);
                let byte = |bits: &[i64]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit != 0));
                page.bytes.extend(rows.chunks(8).map(byte));
                page
            }
            Form::Delta => {
                let (presence, rows) = select(keys, values, present, numbers);
                let page = RawPage::new(&presence, Encoding::DELTA_BINARY_PACKED, page);
                delta::encode(rows, page.bytes);
                page
            }
            Form::Plain | Form::Full(_) => {
                let (presence, rows) = select(keys, values, present, numbers);
                let width = if self.column_type == ColumnType::Int32 { 4 } else { 8 };
                let page = RawPage::new(&presence, Encoding::PLAIN, page);
                rows.iter().for_each(|value| page.bytes.extend_from_slice(&value.to_le_bytes()[..width]));
                if let Some(Bloom::Filter(filter)) = &mut self.bloom {
                    values.iter().for_each(|value| filter.insert(&value.to_le_bytes()[..width]));
                }
                page
            }
        };
        self.append(page.finish(self.codec, compressed)?, range);
        Ok(())
    }

    /// Appends the page of rows whose values have the keys that were found.
    fn write_keys(
        &mut self,
        keys: Option<&Keys>,
        present: &[bool],
        width: u32,
        range: Range,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { page, compressed, of_values, keys: of_rows, .. } = scratch;
        if let Some(page) = keys.and_then(|keys| keys.alike.get(of_values, present, width)) {
            self.append(page, range);
            return Ok(());
        }
        let page = RawPage::of_keys(keys, of_values, present, width, of_rows, page).finish(self.codec, compressed)?;
        if let Some(keys) = keys {
            keys.alike.put(of_values, present, width, &page);
        }
        self.append(page, range);
        Ok(())
    }

    fn write_texts(&mut self, keys: Option<&Keys>, texts: &Texts, scratch: &mut Scratch) -> Result<()> {
        let rows = || match keys {
            None => 0,
            Some(keys) => keys
                .places()
                .iter()
                .map(|at| *at as usize)
                .map(|at| texts[at].as_ref().map_or(0, |text| text.len()))
                .sum(),
        };
        let has_keys = self.begin_texts(texts.iter().flatten().map(|text| &**text), rows)?;
        let present: Vec<bool> = texts.iter().map(Option::is_some).collect();
        if let Form::Dictionary(dictionary) | Form::Full(dictionary) = &mut self.form
            && has_keys
        {
            dictionary.text_keys(texts.iter().flatten().map(|text| &**text), &mut scratch.of_values);
            let width = dictionary.width();
            return self.write_keys(keys, &present, width, Range::None, scratch);
        }
        let text = |place: Option<usize>| place.and_then(|at| texts[at].as_deref());
        let rows: Vec<Option<&str>> = match keys {
            None => texts.iter().map(Option::as_deref).collect(),
            Some(keys) => keys.rows().map(text).collect(),
        };
        // Several pages if the strings are long.
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let full = rest.iter().position(|text| {
                bytes += text.map_or(0, |text| 4 + text.len());
                bytes >= PLAIN_PAGE
            });
            let (rows, more) = rest.split_at(full.map_or(rest.len(), |last| last + 1));
            rest = more;
            let presence = Presence::of(&rows.iter().map(Option::is_some).collect::<Vec<_>>());
            let page = RawPage::new(&presence, Encoding::PLAIN, &mut scratch.page);
            page.bytes.reserve(bytes);
            rows.iter().flatten().for_each(|text| plain_text(text.as_bytes(), page.bytes));
            self.append(page.finish(self.codec, &mut scratch.compressed)?, Range::None);
        }
        Ok(())
    }

    fn write_lists(&mut self, keys: Option<&Keys>, lists: &ListArray, scratch: &mut Scratch) -> Result<()> {
        let texts = lists.values().as_string::<i32>();
        let offsets = lists.value_offsets();
        let elements = |at: usize| lists.is_valid(at).then(|| offsets[at]..offsets[at + 1]);
        let elements: Vec<_> = (0..lists.len()).map(elements).collect();
        let Scratch { page, compressed, of_values, keys: of_rows, levels, .. } = scratch;
        let rows = match keys {
            None => Lists::of(elements.into_iter(), page, levels, of_rows),
            Some(keys) => Lists::of(keys.rows().map(|place| elements[place?].clone()), page, levels, of_rows),
        };
        let text = |at: &i32| texts.value(*at as usize);
        let bytes = || rows.elements.iter().map(|at| text(at).len()).sum();
        let has_keys = self.begin_texts(texts.iter().flatten(), bytes)?;
        let page = if let Form::Dictionary(dictionary) | Form::Full(dictionary) = &mut self.form
            && has_keys
        {
            dictionary.text_keys(texts.iter().map(Option::unwrap_or_default), of_values);
            rows.elements.iter_mut().for_each(|at| *at = of_values[*at as usize]);
            let mut page = RawPage::of_lists(&rows, Encoding::RLE_DICTIONARY, page);
            page.put_keys(rows.elements, dictionary.width());
            page
        } else {
            let page = RawPage::of_lists(&rows, Encoding::PLAIN, page);
            rows.elements.iter().for_each(|at| plain_text(text(at).as_bytes(), page.bytes));
            page
        };
        self.append(page.finish(self.codec, compressed)?, Range::None);
        Ok(())
    }

    /// Begins a batch of strings, which take so many bytes for all rows; says whether they get keys. What is not in the
    /// dictionary, where all would be found at the end, counts at once.
    fn begin_texts<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t str> + Clone,
        of_rows: impl FnOnce() -> usize,
    ) -> Result<bool> {
        let bytes = texts.clone().map(|text| 4 + text.len()).sum();
        let repeated = || {
            let of_rows = of_rows();
            of_rows > MAX_REPEATED && of_rows / REPEATED > bytes
        };
        let has_keys = self.begin_batch(bytes, || texts.clone().any(|text| text.len() > LONG) || repeated())?;
        if let Form::Full(_) = self.form {
            self.range.include(&Range::of_texts(texts.clone().map(str::as_bytes)));
            if let Some(Bloom::Filter(filter)) = &mut self.bloom {
                texts.for_each(|text| filter.insert(text));
            }
        }
        Ok(has_keys)
    }

    /// Whether a batch gets keys whose values take so many bytes, or `in_any_case`. Gives the dictionary up if they make
    /// it too large.
    fn begin_batch(&mut self, bytes: usize, in_any_case: impl FnOnce() -> bool) -> Result<bool> {
        let dictionary = match &mut self.form {
            Form::Dictionary(dictionary) => dictionary,
            Form::Full(_) => return Ok(in_any_case()),
            Form::Bits | Form::Delta | Form::Plain => return Ok(false),
        };
        // Perhaps most of the values are known already: only then is the size what was feared.
        let feared = dictionary.bytes() + bytes > MAX_DICTIONARY;
        if !feared || (dictionary.bytes() <= MAX_DICTIONARY / 2 && bytes <= 8 * MAX_DICTIONARY) || in_any_case() {
            return Ok(true);
        }
        if let Some(bloom) = &mut self.bloom {
            let mut filter = Sbbf::new_with_ndv_fpp(BLOOM_UNKNOWN, BLOOM_FPP)?;
            dictionary.for_each(|value| filter.insert(value));
            *bloom = Bloom::Filter(filter);
        }
        self.form = Form::Full(std::mem::replace(dictionary, Dictionary::texts()));
        Ok(false)
    }

    fn append(&mut self, page: FinishedPage, range: Range) {
        let FinishedPage { bytes, uncompressed, encoding, rows, values, nulls } = page;
        self.uncompressed += uncompressed;
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(self.bytes as i64, bytes.len() as i32);
        self.bytes += bytes.len();
        self.pages.push(bytes);
        if let Some(index) = &mut self.index {
            let (min, max) = range.bytes(self.column_type);
            index.append(nulls == values, min, max, nulls as i64, None);
        }
        *self.page_counts.entry(encoding).or_default() += 1;
        self.rows += rows as u64;
        self.values += values as u64;
        self.nulls += nulls as u64;
    }

    /// The chunk's pages, and what a row group must know of it.
    pub fn close(mut self) -> Result<(Pages, ColumnCloseResult)> {
        let mut pages = Vec::with_capacity(1 + self.pages.len());
        let mut uncompressed = self.uncompressed;
        let mut encodings = BTreeSet::from([Encoding::RLE]);
        encodings.extend(self.page_counts.keys());
        let mut stats = Vec::new();
        let dictionary = self.form.dictionary().filter(|_| encodings.contains(&Encoding::RLE_DICTIONARY));
        if let Some(dictionary) = dictionary {
            let (page, of_dictionary) = dictionary_page(dictionary, self.codec)?;
            pages.push(page);
            uncompressed += of_dictionary;
            let encoding = Encoding::PLAIN;
            encodings.insert(encoding);
            stats.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding, count: 1 });
        }
        for (&encoding, &count) in &self.page_counts {
            stats.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count });
        }
        let mut range = self.range;
        if let Some(Dictionary::Text(texts)) = dictionary {
            range.include(&Range::of_texts(texts.iter()));
        }
        let dictionary_len = pages.iter().map(Bytes::len).sum::<usize>();
        let has_dictionary = dictionary.is_some();
        let bloom_filter = self.bloom.take().map(|bloom| bloom.filter(dictionary)).transpose()?;
        pages.append(&mut self.pages);
        let bytes = dictionary_len + self.bytes;
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(self.codec)
            .set_encodings(encodings.into_iter().collect())
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(bytes as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_num_values(self.values as i64)
            .set_data_page_offset(dictionary_len as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_statistics(range.statistics(self.nulls, self.column_type))
            .build()?;
        let mut offsets = self.offsets.build();
        for location in &mut offsets.page_locations {
            location.offset += dictionary_len as i64;
        }
        let close = ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: self.rows,
            metadata,
            bloom_filter,
            column_index: self.index.map(ColumnIndexBuilder::build).transpose()?,
            offset_index: Some(offsets),
        };
        Ok((Pages(pages), close))
    }
}
