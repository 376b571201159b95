//! Which rows of a page have a value: definition levels, and repetition levels of lists (Parquet format, "Nulls",
//! "Nested Encoding"), with their length before them as data pages of version 1 have it.

use std::borrow::Cow;

use super::hybrid;
use crate::tables::column::Keys;

/// The rows of a page and their definition levels.
pub struct Presence<'k> {
    pub rows: usize,
    /// Rows that have a value.
    pub present: usize,
    pub levels: Cow<'k, [u8]>,
}

impl Presence<'static> {
    /// Of rows without a value.
    pub fn none(rows: usize) -> Presence<'static> {
        Presence { rows, present: 0, levels: with_len(|out| hybrid::run(0, rows, 1, out)).into() }
    }

    pub fn of(flags: &[bool]) -> Presence<'static> {
        let (rows, present) = (flags.len(), flags.iter().filter(|flag| **flag).count());
        let levels = if present == rows || present == 0 {
            with_len(|out| hybrid::run(i32::from(present > 0), rows, 1, out))
        } else {
            with_len(|out| hybrid::encode_flags(flags, out))
        };
        Presence { rows, present, levels: levels.into() }
    }
}

impl<'k> Presence<'k> {
    /// Of rows that have a value if they have a key.
    pub fn of_keys(keys: &'k Keys) -> Presence<'k> {
        let levels = keys.levels.get_or_init(|| Presence::of(keys.present()).levels.into_owned());
        Presence { rows: keys.present().len(), present: keys.places().len(), levels: levels.into() }
    }
}

/// The values of the rows that have one: `values` are those of the places that `present` tells of. Where they must be
/// collected, `rows` takes them.
pub fn select<'v, T: Copy>(
    keys: Option<&'v Keys>,
    values: &'v [T],
    present: &[bool],
    rows: &'v mut Vec<T>,
) -> (Presence<'v>, &'v [T]) {
    let Some(keys) = keys else { return (Presence::of(present), values) };
    if values.is_empty() {
        return (Presence::none(keys.present().len()), values);
    }
    rows.clear();
    if values.len() == present.len() {
        rows.extend(keys.places().iter().map(|place| values[*place as usize]));
        return (Presence::of_keys(keys), rows);
    }
    let mut values = values.iter().copied();
    let values: Vec<Option<T>> = present.iter().map(|present| if *present { values.next() } else { None }).collect();
    let flags: Vec<bool> = keys.rows().map(|place| place.is_some_and(|at| values[at].is_some())).collect();
    rows.extend(keys.places().iter().filter_map(|place| values[*place as usize]));
    (Presence::of(&flags), rows)
}

/// The value of all rows that have a key, if it is the same and none of them has NULL.
pub fn same<'k, T: Copy + PartialEq>(
    keys: Option<&'k Keys>,
    values: &[T],
    present: &[bool],
) -> Option<(Presence<'k>, T)> {
    let (keys, first) = (keys?, *values.first()?);
    let same = values.len() == present.len() && values.iter().all(|value| *value == first);
    same.then(|| (Presence::of_keys(keys), first))
}

/// Levels of lists before they are encoded.
#[derive(Default)]
pub struct Levels {
    /// Whether an element is of the same list as the one before.
    repetition: Vec<bool>,
    definition: Vec<i32>,
}

impl Levels {
    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.repetition.capacity() + 4 * self.definition.capacity()
    }
}

/// The lists of a page.
pub struct Lists<'s> {
    pub rows: usize,
    /// Elements, and lists that have none.
    pub levels: usize,
    /// Places of the elements, row after row.
    pub elements: &'s mut [i32],
}

impl<'s> Lists<'s> {
    /// Of rows that have these ranges of elements, or NULL. No element is NULL. The levels become the start of `page`.
    pub fn of(
        rows: impl Iterator<Item = Option<std::ops::Range<i32>>>,
        page: &mut Vec<u8>,
        Levels { repetition, definition }: &mut Levels,
        elements: &'s mut Vec<i32>,
    ) -> Lists<'s> {
        repetition.clear();
        definition.clear();
        elements.clear();
        let mut count = 0;
        for row in rows {
            count += 1;
            repetition.push(false);
            match row {
                None => definition.push(0),
                Some(list) if list.is_empty() => definition.push(1),
                Some(list) => {
                    repetition.resize(repetition.len() + list.len() - 1, true);
                    definition.resize(definition.len() + list.len(), 3);
                    elements.extend(list);
                }
            }
        }
        page.clear();
        put_with_len(page, |out| hybrid::encode_flags(repetition, out));
        put_with_len(page, |out| hybrid::encode(definition, 2, out));
        Lists { rows: count, levels: definition.len(), elements }
    }
}

fn with_len(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put_with_len(&mut out, write);
    out
}

fn put_with_len(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len() + 4;
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = (out.len() - start) as u32;
    out[start - 4..start].copy_from_slice(&len.to_le_bytes());
}
