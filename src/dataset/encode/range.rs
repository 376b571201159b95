//! Least and greatest values, as statistics and the page index have them.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use crate::tables::column::ColumnType;

/// Bytes of a string that statistics keep.
const STATISTICS_TEXT: usize = 64;

/// Least and greatest value.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    None,
    /// Integers, truth values (0 and 1) and times.
    Numbers(i64, i64),
    /// Of each as much as is kept.
    Text(Vec<u8>, Vec<u8>),
}

impl Range {
    pub fn of_numbers(values: &[i64]) -> Range {
        min_max(values).map_or(Range::None, |(min, max)| Range::Numbers(min, max))
    }

    pub fn of_texts<'t>(mut texts: impl Iterator<Item = &'t [u8]>) -> Range {
        let Some(first) = texts.next() else { return Range::None };
        let (min, max) = texts.fold((first, first), |(min, max), text| (min.min(text), max.max(text)));
        Range::Text(head(min), head(max))
    }

    pub fn include(&mut self, other: &Range) {
        match (&mut *self, other) {
            (_, Range::None) => {}
            (Range::None, other) => *self = other.clone(),
            (Range::Numbers(min, max), Range::Numbers(a, b)) => (*min, *max) = ((*min).min(*a), (*max).max(*b)),
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

    /// As the page index of a column of this type wants it.
    pub fn bytes(&self, column_type: ColumnType) -> (Vec<u8>, Vec<u8>) {
        let width = match column_type {
            ColumnType::Boolean => 1,
            ColumnType::Int32 => 4,
            _ => 8,
        };
        let plain = |number: &i64| number.to_le_bytes()[..width].to_vec();
        match self {
            Range::None => (Vec::new(), Vec::new()),
            Range::Numbers(min, max) => (plain(min), plain(max)),
            Range::Text(min, max) => (min.clone(), max.clone()),
        }
    }

    /// As the statistics of a chunk of this type want it.
    pub fn statistics(self, nulls: u64, column_type: ColumnType) -> Statistics {
        let (min, max) = match self {
            Range::None => (None, None),
            Range::Numbers(min, max) => (Some(min), Some(max)),
            Range::Text(min, max) => return text_statistics(&min, &max, nulls),
        };
        let (bool, int) = (|number: i64| number != 0, |number: i64| number as i32);
        match column_type {
            ColumnType::Boolean => Statistics::boolean(min.map(bool), max.map(bool), None, Some(nulls), false),
            ColumnType::Int32 => Statistics::int32(min.map(int), max.map(int), None, Some(nulls), false),
            ColumnType::Int64 | ColumnType::Timestamp => Statistics::int64(min, max, None, Some(nulls), false),
            _ => Statistics::byte_array(None, None, None, Some(nulls), false),
        }
    }
}

fn text_statistics(min: &[u8], max: &[u8], nulls: u64) -> Statistics {
    // A prefix is never greater than the whole.
    let least = ByteArray::from(prefix(min).to_vec());
    let greatest = increased(max).map(ByteArray::from);
    let statistics = ValueStatistics::new(Some(least), greatest, None, Some(nulls), false)
        .with_min_is_exact(min.len() <= STATISTICS_TEXT)
        .with_max_is_exact(max.len() <= STATISTICS_TEXT);
    Statistics::from(statistics)
}

/// Least and greatest number, if there is any.
pub fn min_max(values: &[i64]) -> Option<(i64, i64)> {
    let first = *values.first()?;
    // Four of each, as one would have to wait for itself.
    let (fours, rest) = values.as_chunks::<4>();
    let (mut min, mut max) = ([first; 4], [first; 4]);
    for four in fours {
        for (i, value) in four.iter().enumerate() {
            min[i] = min[i].min(*value);
            max[i] = max[i].max(*value);
        }
    }
    let all = |of: [i64; 4]| of.into_iter().chain(rest.iter().copied());
    Some((all(min).min()?, all(max).max()?))
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
