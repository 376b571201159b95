//! Distinct values of a column chunk, numbered as they come.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};

use super::hybrid;

/// Distinct values of one type.
#[derive(Debug)]
pub enum Dictionary {
    Numbers(Numbers),
    Text(Texts),
}

/// Distinct integers.
#[derive(Debug)]
pub struct Numbers {
    keys: HashMap<i64, i32, FixedState>,
    /// Keys of small numbers, which are the most, where these come, else [`NO_KEY`]: a look here is no search.
    small: Box<[i32; 256]>,
    values: Vec<i64>,
    /// Bytes of one in PLAIN encoding.
    width: usize,
}

const NO_KEY: i32 = -1;

/// Distinct strings, one behind the other.
#[derive(Debug, Default)]
pub struct Texts {
    table: HashTable<i32>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hasher: FixedState,
}

impl Texts {
    /// All strings, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|key| get(&self.bytes, &self.ends, key as i32))
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
    /// Of integers of so many bytes.
    pub fn numbers(width: usize) -> Dictionary {
        let (keys, small) = (HashMap::default(), Box::new([NO_KEY; 256]));
        Dictionary::Numbers(Numbers { keys, small, values: Vec::new(), width })
    }

    pub fn texts() -> Dictionary {
        Dictionary::Text(Texts::default())
    }

    pub fn len(&self) -> usize {
        match self {
            Dictionary::Numbers(numbers) => numbers.values.len(),
            Dictionary::Text(texts) => texts.ends.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits of a key.
    pub fn width(&self) -> u32 {
        hybrid::width((self.len().max(1) - 1) as u32)
    }

    /// Bytes of the dictionary page.
    pub fn bytes(&self) -> usize {
        match self {
            Dictionary::Numbers(numbers) => numbers.values.len() * numbers.width,
            Dictionary::Text(texts) => texts.bytes.len() + texts.ends.len() * 4,
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        match self {
            // A byte of each slot tells whether it is taken; some slots are free.
            Dictionary::Numbers(Numbers { keys, small, values, .. }) => {
                size_of_val(&**small) + values.capacity() * 8 + keys.capacity() * (16 + 1) * 8 / 7
            }
            Dictionary::Text(texts) => {
                texts.bytes.capacity() + texts.ends.capacity() * 8 + texts.table.capacity() * (4 + 1) * 8 / 7
            }
        }
    }

    /// Puts the keys of numbers into `found`. New ones are added.
    pub fn number_keys(&mut self, numbers: &[i64], found: &mut Vec<i32>) {
        let Dictionary::Numbers(Numbers { keys, small, values, .. }) = self else {
            unreachable!("a column has one type")
        };
        let mut add = |number| {
            values.push(number);
            (values.len() - 1) as i32
        };
        runs(numbers.iter().copied(), found, i64::eq, |number| {
            match usize::try_from(number).ok().and_then(|at| small.get_mut(at)) {
                None => *keys.entry(number).or_insert_with(|| add(number)),
                Some(key) => {
                    if *key == NO_KEY {
                        *key = add(number);
                    }
                    *key
                }
            }
        });
    }

    /// Puts the keys of strings into `found`. New ones are added.
    pub fn text_keys<'t>(&mut self, strings: impl Iterator<Item = &'t str>, found: &mut Vec<i32>) {
        let Dictionary::Text(texts) = self else { unreachable!("a column has one type") };
        // Strings of the same entity are one and the same.
        runs(strings, found, |a, b| std::ptr::eq(*a, *b) || a == b, |text| texts.key(text.as_bytes()));
    }

    /// Appends all values in PLAIN encoding: the dictionary page.
    pub fn plain(&self, out: &mut Vec<u8>) {
        match self {
            Dictionary::Numbers(_) => self.for_each(|number| out.extend_from_slice(number)),
            Dictionary::Text(_) => self.for_each(|text| plain_text(text, out)),
        }
    }

    /// Hands each value to `each` as the bytes that bloom filters hash.
    pub fn for_each(&self, mut each: impl FnMut(&[u8])) {
        match self {
            Dictionary::Numbers(Numbers { values, width, .. }) => {
                values.iter().for_each(|v| each(&v.to_le_bytes()[..*width]));
            }
            Dictionary::Text(texts) => texts.iter().for_each(each),
        }
    }
}

/// The keys of values. Neighbours are often alike, and comparing is cheaper than hashing.
fn runs<V: Copy>(
    values: impl Iterator<Item = V>,
    found: &mut Vec<i32>,
    alike: impl Fn(&V, &V) -> bool,
    mut key: impl FnMut(V) -> i32,
) {
    let mut last: Option<(V, i32)> = None;
    let find = |value: V| match last {
        Some((before, key)) if alike(&value, &before) => key,
        _ => last.insert((value, key(value))).1,
    };
    found.clear();
    found.extend(values.map(find));
}

/// A string in PLAIN encoding.
pub fn plain_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}
