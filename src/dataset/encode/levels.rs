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
        let levels = keys.levels.get_or_init(|| {
            let flags: Vec<bool> = keys.places().map(|place| place.is_some()).collect();
            Presence::of(&flags).levels.into_owned()
        });
        Presence { rows: keys.places().len(), present: keys.present().len(), levels: levels.into() }
    }
}

/// The values of the rows that have one: `values` are those of the places that `present` tells of.
pub fn select<'v, T: Copy + PartialEq>(
    keys: Option<&'v Keys>,
    values: &'v [T],
    present: &[bool],
) -> (Presence<'v>, Cow<'v, [T]>) {
    let Some(keys) = keys else { return (Presence::of(present), values.into()) };
    let Some(first) = values.first() else { return (Presence::none(keys.places().len()), values.into()) };
    if values.len() == present.len() {
        let rows = match values.iter().all(|value| value == first) {
            true => vec![*first; keys.present().len()],
            false => keys.present().iter().map(|key| values[*key as usize]).collect(),
        };
        return (Presence::of_keys(keys), rows.into());
    }
    let mut values = values.iter().copied();
    let values: Vec<Option<T>> = present.iter().map(|present| if *present { values.next() } else { None }).collect();
    let rows: Vec<Option<T>> = keys.places().map(|place| values[place?]).collect();
    let flags: Vec<bool> = rows.iter().map(Option::is_some).collect();
    (Presence::of(&flags), rows.into_iter().flatten().collect())
}

/// The lists of a page.
pub struct Lists {
    pub rows: usize,
    /// Elements, and lists that have none.
    pub levels: usize,
    /// Levels of both kinds.
    pub bytes: Vec<u8>,
    /// Places of the elements, row after row.
    pub elements: Vec<usize>,
}

impl Lists {
    /// Of rows that have these ranges of elements, or NULL. No element is NULL.
    pub fn of(rows: impl Iterator<Item = Option<std::ops::Range<usize>>>) -> Lists {
        let (mut repetition, mut definition, mut elements) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for row in rows {
            count += 1;
            repetition.push(0);
            match row {
                None => definition.push(0),
                Some(list) if list.is_empty() => definition.push(1),
                Some(list) => {
                    repetition.resize(repetition.len() + list.len() - 1, 1);
                    definition.resize(definition.len() + list.len(), 3);
                    elements.extend(list);
                }
            }
        }
        let mut bytes = with_len(|out| hybrid::encode(&repetition, 1, out));
        bytes.append(&mut with_len(|out| hybrid::encode(&definition, 2, out)));
        Lists { rows: count, levels: definition.len(), bytes, elements }
    }
}

fn with_len(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    write(&mut out);
    let len = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}
