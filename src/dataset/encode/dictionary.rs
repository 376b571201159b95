//! Distinct values of a column chunk, numbered as they come.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, StringArray};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

/// The key of NULL.
pub const NULL: i32 = -1;

/// Distinct values of one type.
#[derive(Debug)]
pub enum Dictionary {
    I32(HashMap<i32, i32, FixedState>, Vec<i32>),
    I64(HashMap<i64, i32, FixedState>, Vec<i64>),
    Text(Texts),
}

/// Distinct strings, one behind the other.
#[derive(Debug, Default)]
pub struct Texts {
    table: HashTable<i32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hasher: FixedState,
}

impl Texts {
    fn get(&self, key: i32) -> &[u8] {
        get(&self.bytes, &self.ends, key)
    }

    fn key(&mut self, text: &[u8]) -> i32 {
        let Texts { table, bytes, ends, hasher } = self;
        let next = ends.len() as i32;
        let entry = table.entry(
            hasher.hash_one(text),
            |key| get(bytes, ends, *key) == text,
            |key| hasher.hash_one(get(bytes, ends, *key)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(next);
                bytes.extend_from_slice(text);
                ends.push(bytes.len());
                next
            }
        }
    }
}

fn get<'b>(bytes: &'b [u8], ends: &[usize], key: i32) -> &'b [u8] {
    let key = key as usize;
    let start = if key == 0 { 0 } else { ends[key - 1] };
    &bytes[start..ends[key]]
}

impl Dictionary {
    pub fn len(&self) -> usize {
        match self {
            Dictionary::I32(_, values) => values.len(),
            Dictionary::I64(_, values) => values.len(),
            Dictionary::Text(texts) => texts.ends.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the dictionary page, and roughly of memory.
    pub fn bytes(&self) -> usize {
        match self {
            Dictionary::I32(_, values) => values.len() * 4,
            Dictionary::I64(_, values) => values.len() * 8,
            Dictionary::Text(texts) => texts.bytes.len() + texts.ends.len() * 4,
        }
    }

    /// The keys of an array's values, [`NULL`] for nulls. New values are added.
    pub fn keys<'a>(&mut self, array: &'a ArrayRef) -> Vec<i32> {
        match self {
            Dictionary::I32(keys, values) => primitive_keys::<Int32Type>(array.as_primitive(), keys, values),
            Dictionary::I64(keys, values) => primitive_keys::<Int64Type>(array.as_primitive(), keys, values),
            Dictionary::Text(texts) => {
                let array: &StringArray = array.as_string();
                // Neighbours are often alike, and comparing is cheaper than hashing.
                let mut last: Option<(&'a str, i32)> = None;
                let mut key = |text: &'a str| match last {
                    Some((before, key)) if text == before => key,
                    _ => {
                        let key = texts.key(text.as_bytes());
                        last = Some((text, key));
                        key
                    }
                };
                array.iter().map(|text| text.map_or(NULL, &mut key)).collect()
            }
        }
    }

    /// Appends all values in PLAIN encoding: the dictionary page.
    pub fn plain(&self, out: &mut Vec<u8>) {
        match self {
            Dictionary::I32(_, values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
            Dictionary::I64(_, values) => values.iter().for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
            Dictionary::Text(_) => self.for_each(|text| plain_text(text, out)),
        }
    }

    /// Hands each value to `each` as the bytes that bloom filters hash.
    pub fn for_each(&self, mut each: impl FnMut(&[u8])) {
        match self {
            Dictionary::I32(_, values) => values.iter().for_each(|v| each(&v.to_le_bytes())),
            Dictionary::I64(_, values) => values.iter().for_each(|v| each(&v.to_le_bytes())),
            Dictionary::Text(texts) => (0..texts.ends.len()).for_each(|key| each(texts.get(key as i32))),
        }
    }
}

/// A string in PLAIN encoding.
pub fn plain_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn primitive_keys<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    keys: &mut HashMap<T::Native, i32, FixedState>,
    values: &mut Vec<T::Native>,
) -> Vec<i32>
where
    T::Native: std::hash::Hash + Eq,
{
    let mut key = |value: T::Native| {
        *keys.entry(value).or_insert_with(|| {
            values.push(value);
            (values.len() - 1) as i32
        })
    };
    if array.null_count() == array.len() {
        return vec![NULL; array.len()];
    }
    array.iter().map(|value| value.map_or(NULL, &mut key)).collect()
}
