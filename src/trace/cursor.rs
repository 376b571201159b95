//! The bytes of a block, value by value as the writer's schema has them.
//!
//! Only bytes that are no Avro at all are an error. Every length is checked against the bytes that are left before it is
//! used.

use std::borrow::Cow;

use super::schema::{NO_SLOT, Schema, Type, TypeId};
use crate::varint::unzigzag;

/// Nested values deeper than this are an attack (SysFlow needs five levels).
const MAX_DEPTH: u8 = 32;
/// Entries of a record's lists and maps that are kept, or that an object of JSON may have: each may have a byte and take a
/// hundred in memory.
pub const MAX_ENTRIES: usize = 1 << 18;
/// Bytes of a variable-length integer of 64 bits.
const MAX_VARINT: usize = 10;

/// Why bytes are no value of the schema. The position is in [`Cursor::pos`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the data ends inside a value")]
    UnexpectedEnd,
    #[error("a variable-length integer is too long")]
    BadVarint,
    #[error("a length or count reaches beyond the data")]
    BadLength,
    #[error("a union or enum index is out of range")]
    BadIndex,
    #[error("values are nested too deeply")]
    TooDeep,
    #[error("more values without bytes than the data has bytes")]
    TooEmpty,
}

pub(super) type Result<T> = std::result::Result<T, DecodeError>;

/// The lower seven bits of each byte, one behind the other.
fn sevens(bytes: u64) -> u64 {
    let pairs = bytes & 0x007f_007f_007f_007f | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0000_0000_0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// A position in an inflated block.
#[derive(Debug)]
pub struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
    depth: u8,
    /// Values so far that have no bytes.
    empty: usize,
    /// Entries of the record's lists that may still be kept.
    room: usize,
    /// Of the record so far.
    pub oddities: Oddities,
}

/// What is odd about a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Strings in which invalid UTF-8 was replaced.
    pub repaired: u64,
    /// Entries of lists that were left out, because they are more than [`MAX_ENTRIES`].
    pub left_out: u64,
    /// Numbers that are missing, since they have more bits than SysFlow's.
    pub too_long: u64,
    /// Values that are missing, since they are none that SysFlow has there.
    pub odd: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Cursor { data, pos: 0, depth: 0, empty: 0, room: MAX_ENTRIES, oddities: Oddities::default() }
    }

    /// Byte offset in the inflated block.
    pub fn pos(&self) -> usize {
        self.pos
    }

    pub fn is_at_end(&self) -> bool {
        self.pos >= self.data.len()
    }

    pub fn remaining(&self) -> usize {
        self.data.len() - self.pos
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// There are fewer.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.pos.checked_add(len).ok_or(DecodeError::BadLength)?;
        let bytes = self.data.get(self.pos..end).ok_or(DecodeError::BadLength)?;
        self.pos = end;
        Ok(bytes)
    }

    /// A zigzag variable-length integer of at most ten bytes (Avro specification, "Binary Encoding").
    ///
    /// # Errors
    /// There is none.
    #[inline]
    pub fn long(&mut self) -> Result<i64> {
        match self.data.get(self.pos) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(unzigzag(u64::from(byte)))
            }
            _ => self.longer().ok_or_else(|| self.no_long()),
        }
    }

    /// The same, of several bytes: times have nine. An `Option` comes back in registers, a [`Result`] would not.
    #[inline(never)]
    fn longer(&mut self) -> Option<i64> {
        /// The bits that say that a byte is not the last.
        const MORE: u64 = 0x8080_8080_8080_8080;
        let Some((eight, &[ninth, tenth, ..])) = self.rest().split_first_chunk() else {
            return self.longer_at_the_end();
        };
        let eight = u64::from_le_bytes(*eight);
        let ends = !eight & MORE;
        let (value, len) = if ends != 0 {
            // The bits up to the first that is not set.
            (sevens(eight & (ends ^ (ends - 1)) & !MORE), ends.trailing_zeros() / 8 + 1)
        } else if ninth < 0x80 {
            (sevens(eight & !MORE) | u64::from(ninth) << 56, 9)
        } else if tenth <= 1 {
            (sevens(eight & !MORE) | u64::from(ninth & 0x7f) << 56 | u64::from(tenth) << 63, 10)
        } else {
            return None;
        };
        self.pos += len as usize;
        Some(unzigzag(value))
    }

    /// The same, of less than ten bytes that are left.
    #[cold]
    fn longer_at_the_end(&mut self) -> Option<i64> {
        let mut value = 0;
        for (i, &byte) in self.rest().iter().enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.pos += i + 1;
                return Some(unzigzag(value));
            }
        }
        None
    }

    /// Why there is no variable-length integer here.
    #[cold]
    fn no_long(&self) -> DecodeError {
        if self.remaining() < MAX_VARINT { DecodeError::UnexpectedEnd } else { DecodeError::BadVarint }
    }

    #[inline]
    fn length(&mut self) -> Result<usize> {
        let len = usize::try_from(self.long()?).map_err(|_| DecodeError::BadLength)?;
        if len > self.remaining() { Err(DecodeError::BadLength) } else { Ok(len) }
    }

    /// What is left of the data.
    pub fn rest(&self) -> &'a [u8] {
        &self.data[self.pos.min(self.data.len())..]
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.length()?;
        self.take(len)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        let bytes = self.bytes()?;
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.oddities.repaired += 1;
                Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
            }
        })
    }

    /// Runs `item` for every entry of an array or map. A count may not exceed the bytes left, since no entry of
    /// interest is empty and an attacker's would be.
    pub(super) fn entries(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            let mut count = self.long()?;
            if count < 0 {
                count = count.checked_neg().ok_or(DecodeError::BadLength)?;
                self.long()?; // The block's size in bytes, which only skipping readers want.
            }
            if count == 0 {
                return Ok(());
            }
            if count as u64 > self.remaining() as u64 {
                return Err(DecodeError::BadLength);
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    /// A new record begins.
    pub(super) fn begin_record(&mut self) {
        (self.room, self.oddities) = (MAX_ENTRIES, Oddities::default());
    }

    /// Whether there is room for one more entry of the record's lists; if not, it is left out.
    pub(super) fn has_room(&mut self) -> bool {
        let room = self.room.checked_sub(1);
        self.room = room.unwrap_or(0);
        self.oddities.left_out += u64::from(room.is_none());
        room.is_some()
    }

    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    #[inline]
    pub(super) fn branch(&mut self, branches: &[TypeId]) -> Result<TypeId> {
        let index = self.long()?;
        usize::try_from(index).ok().and_then(|i| branches.get(i)).copied().ok_or(DecodeError::BadIndex)
    }

    /// Takes note of a null or an empty record. A few lines of schema can make billions of them of one byte; those that
    /// a union leads to have a byte each.
    #[inline]
    pub(super) fn nothing(&mut self) -> Result<()> {
        self.empty += 1;
        if self.empty > self.data.len() { Err(DecodeError::TooEmpty) } else { Ok(()) }
    }

    /// Passes over a value of type `ty`.
    ///
    /// # Errors
    /// There is none.
    pub fn skip(&mut self, schema: &Schema, ty: TypeId) -> Result<()> {
        match schema.get(ty) {
            Type::Null => self.nothing(),
            Type::Boolean => self.take(1).map(drop),
            Type::Int | Type::Long | Type::Enum(_) => self.long().map(drop),
            Type::Float => self.take(4).map(drop),
            Type::Double => self.take(8).map(drop),
            Type::Bytes | Type::String => self.bytes().map(drop),
            Type::Fixed(size) => self.take(*size).map(drop),
            Type::Array(items) => self.nested(|cur| cur.entries(|cur| cur.skip(schema, *items))),
            Type::Map(values) => self.nested(|cur| {
                cur.entries(|cur| {
                    cur.bytes()?;
                    cur.skip(schema, *values)
                })
            }),
            Type::Union(branches) => {
                let ty = self.branch(branches)?;
                self.nested(|cur| cur.skip(schema, ty))
            }
            Type::Record(record) if record.fields.is_empty() => self.nothing(),
            Type::Record(record) => self.nested(|cur| record.fields.iter().try_for_each(|f| cur.skip(schema, f.ty))),
        }
    }

    /// Passes over a value of type `ty` where another is wanted. Of null nothing is missing.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn miss(&mut self, schema: &Schema, ty: TypeId) -> Result<()> {
        self.oddities.odd += u64::from(*schema.get(ty) != Type::Null);
        self.skip(schema, ty)
    }

    /// Reads the fields of a record: `set(slot, type)` for those that have a slot, the others are skipped. A value
    /// that is not this SysFlow record is skipped.
    ///
    /// # Errors
    /// There is no such value, and those of `set`.
    #[inline]
    pub fn record(
        &mut self,
        schema: &'a Schema,
        ty: TypeId,
        wanted: Option<&str>,
        mut set: impl FnMut(&mut Self, u8, TypeId) -> Result<()>,
    ) -> Result<()> {
        self.nested(|cur| match schema.get(ty) {
            Type::Record(record) if record.is != wanted => cur.miss(schema, ty),
            Type::Record(record) if record.fields.is_empty() => cur.nothing(),
            Type::Record(record) => record.fields.iter().try_for_each(|field| match field.slot {
                NO_SLOT => cur.skip(schema, field.ty),
                slot => set(cur, slot, field.ty),
            }),
            Type::Union(branches) => {
                let ty = cur.branch(branches)?;
                cur.record(schema, ty, wanted, set)
            }
            _ => cur.miss(schema, ty),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::write::put_long;

    pub fn zigzag(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_long(&mut out, value);
        out
    }

    /// A schema whose records are of this type.
    pub fn schema(field: &str) -> Schema {
        let text = format!(r#"{{"type":"record","name":"SysFlow","fields":[{{"name":"rec","type":[{field}]}}]}}"#);
        Schema::parse(text.as_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn longs_come_back(value: i64, shift in 0u32..64, mut more in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut bytes = zigzag(value >> shift);
            let len = bytes.len();
            bytes.append(&mut more);
            let mut cur = Cursor::new(&bytes);
            prop_assert_eq!(cur.long(), Ok(value >> shift));
            prop_assert_eq!(cur.pos(), len);
        }
    }

    #[test]
    fn a_varint_of_eleven_bytes_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 11]).long(), Err(DecodeError::BadVarint));
        assert_eq!(Cursor::new(&[0xff; 3]).long(), Err(DecodeError::UnexpectedEnd));
    }

    #[test]
    fn lengths_beyond_the_data_are_refused() {
        let mut bytes = zigzag(i64::MAX);
        bytes.extend([0; 8]);
        assert_eq!(Cursor::new(&bytes).text(), Err(DecodeError::BadLength));
        let minimum = zigzag(i64::MIN);
        assert_eq!(Cursor::new(&minimum).entries(|_| Ok(())), Err(DecodeError::BadLength));
    }

    #[test]
    fn invalid_utf8_is_replaced_and_counted() {
        let mut cur = Cursor::new(b"\x06a\xffb");
        assert_eq!(cur.text().unwrap(), "a\u{fffd}b");
        assert_eq!(cur.oddities.repaired, 1);
    }

    #[test]
    fn a_self_referential_value_stops_at_the_depth_limit() {
        let tree = schema(r#"{"type":"record","name":"Tree","fields":[{"name":"next","type":["null","Tree"]}]}"#);
        let endless = vec![2u8; 1_000_000];
        assert_eq!(Cursor::new(&endless).skip(&tree, tree.branches()[0]), Err(DecodeError::TooDeep));
    }

    #[test]
    fn values_without_bytes_do_not_multiply() {
        let mut ten = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
        for level in 1..10 {
            let fields: Vec<String> =
                (1..10).map(|i| format!(r#"{{"name":"f{i}","type":"R{}"}}"#, level - 1)).collect();
            let fields = fields.join(",");
            ten = format!(r#"{{"type":"record","name":"R{level}","fields":[{{"name":"f0","type":{ten}}},{fields}]}}"#);
        }
        let nulls = r#"{"type":"array","items":"null"}"#;
        for (field, bytes) in [(ten.as_str(), vec![0; 100]), (nulls, [0x80, 0x80, 0x08].repeat(100_000))] {
            let schema = schema(field);
            let ty = schema.branches()[0];
            assert_eq!(Cursor::new(&bytes).skip(&schema, ty), Err(DecodeError::TooEmpty));
            assert_eq!(Cursor::new(&bytes).record(&schema, ty, None, |_, _, _| Ok(())), Err(DecodeError::TooEmpty));
        }
    }
}
