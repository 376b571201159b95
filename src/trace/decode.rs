//! How a value of the writer's schema becomes a Rust value that borrows from the block.
//!
//! Decoding is driven by the writer's type and the wanted Rust type: an `int` fits where a `long` is wanted, a union
//! is looked through, an enum gives its symbol. What does not fit is skipped and comes out as missing.

use std::borrow::Cow;

use super::cursor::{Cursor, DecodeError, Result};
use super::schema::{Schema, Type, TypeId};

/// A Rust value that can be read from a value of the writer's schema; `None` where the value is null or of a type that
/// does not fit.
pub trait Decode<'a>: Sized {
    /// Reads a value of type `ty`.
    ///
    /// # Errors
    /// The bytes are none.
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>>;

    /// The SysFlow record that it is, or is a list of.
    const RECORD: Option<&'static str> = None;

    /// Whether a value of this type, which is no union, is one of ours.
    fn is_of(ty: &Type, types: &[Type]) -> bool;

    /// Whether values of the type may come out as something: those of some branch, if it is a union. Nothing is lost of null.
    fn fits(types: &[Type], ty: TypeId) -> bool {
        let fits = |ty: &TypeId| match &types[*ty as usize] {
            Type::Union(_) => Self::fits(types, *ty),
            ty => Self::is_of(ty, types),
        };
        let is_null = |ty: &TypeId| types[*ty as usize] == Type::Null;
        match &types[ty as usize] {
            Type::Union(branches) => branches.iter().any(fits) || branches.iter().all(is_null),
            _ => is_null(&ty) || fits(&ty),
        }
    }
}

/// Looks through a union, or skips what does not fit. Every scalar's last arm.
#[inline]
fn other<'a, T: Decode<'a>>(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<T>> {
    match schema.get(ty) {
        Type::Union(branches) => {
            let ty = cur.branch(branches)?;
            cur.nested(|cur| T::decode(cur, schema, ty))
        }
        _ => cur.miss(schema, ty).map(|()| None),
    }
}

impl<'a> Decode<'a> for i64 {
    #[inline]
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::Int | Type::Long => cur.long().map(Some),
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, _: &[Type]) -> bool {
        matches!(ty, Type::Int | Type::Long)
    }
}

/// An `int` of the schema. A `long` that does not fit is missing rather than wrong.
impl<'a> Decode<'a> for i32 {
    #[inline]
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        let long = i64::decode(cur, schema, ty)?;
        let int = long.and_then(|long| i32::try_from(long).ok());
        cur.oddities.too_long += u64::from(int.is_none() && long.is_some());
        Ok(int)
    }

    fn is_of(ty: &Type, types: &[Type]) -> bool {
        i64::is_of(ty, types)
    }
}

/// The code of a character.
impl<'a> Decode<'a> for char {
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        let code = i64::decode(cur, schema, ty)?;
        let letter = code.and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
        cur.oddities.odd += u64::from(letter.is_none() && code.is_some());
        Ok(letter)
    }

    fn is_of(ty: &Type, types: &[Type]) -> bool {
        i64::is_of(ty, types)
    }
}

/// An IPv4 address in 32 bits with or without a sign, lowest byte first. It may be given as a `long`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Address(i64);

impl Address {
    /// Whether a number is one.
    pub fn is(number: i64) -> bool {
        (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&number)
    }

    /// The number, if it is an address.
    pub fn get(self) -> Option<i64> {
        Some(self.0).filter(|number| Address::is(*number))
    }
}

impl<'a> Decode<'a> for Address {
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        let address = i64::decode(cur, schema, ty)?.map(Address);
        cur.oddities.too_long += u64::from(address.is_some_and(|address| address.get().is_none()));
        Ok(address)
    }

    fn is_of(ty: &Type, types: &[Type]) -> bool {
        i64::is_of(ty, types)
    }
}

impl<'a> Decode<'a> for bool {
    #[inline]
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::Boolean => Ok(Some(cur.take(1)?[0] != 0)),
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, _: &[Type]) -> bool {
        *ty == Type::Boolean
    }
}

impl<'a> Decode<'a> for Cow<'a, str> {
    #[inline]
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::String | Type::Bytes => cur.text().map(Some),
            Type::Enum(symbols) => {
                let index = usize::try_from(cur.long()?).map_err(|_| DecodeError::BadIndex)?;
                symbols.get(index).map(|s| Some(Cow::Borrowed(s.as_str()))).ok_or(DecodeError::BadIndex)
            }
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, _: &[Type]) -> bool {
        matches!(ty, Type::String | Type::Bytes | Type::Enum(_))
    }
}

/// A fixed of exactly `N` bytes.
impl<'a, const N: usize> Decode<'a> for [u8; N] {
    #[inline]
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::Fixed(size) if *size == N => Ok(cur.take(N)?.try_into().ok()),
            Type::Bytes => {
                let bytes = cur.bytes()?.try_into().ok();
                cur.oddities.odd += u64::from(bytes.is_none());
                Ok(bytes)
            }
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, _: &[Type]) -> bool {
        matches!(ty, Type::Bytes) || *ty == Type::Fixed(N)
    }
}

/// An array; entries that do not fit, or for which there is no room, are left out.
impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    const RECORD: Option<&'static str> = T::RECORD;

    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::Array(items) => cur.nested(|cur| {
                let mut list = Vec::new();
                cur.entries(|cur| {
                    if !cur.has_room() {
                        return cur.skip(schema, *items);
                    }
                    list.extend(T::decode(cur, schema, *items)?);
                    Ok(())
                })?;
                Ok(Some(list))
            }),
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, types: &[Type]) -> bool {
        matches!(ty, Type::Array(items) if T::fits(types, *items))
    }
}

/// A map's entries in the order of the data, each key once (the last value counts, as in the reference).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Decode<'a> for Entries<'a> {
    fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>> {
        match schema.get(ty) {
            Type::Map(values) => cur.nested(|cur| {
                let mut all = Vec::new();
                cur.entries(|cur| {
                    if !cur.has_room() {
                        cur.bytes()?;
                        return cur.skip(schema, *values);
                    }
                    let key = cur.text()?;
                    if let Some(value) = Cow::decode(cur, schema, *values)? {
                        all.push((key, value));
                    }
                    Ok(())
                })?;
                Ok(Some(Entries(last_of_each_key(all))))
            }),
            _ => other(cur, schema, ty),
        }
    }

    fn is_of(ty: &Type, types: &[Type]) -> bool {
        matches!(ty, Type::Map(values) if Cow::<str>::fits(types, *values))
    }
}

/// Keeps the last entry of each key, in the order of the last occurrences. DuckDB refuses maps with a key twice.
pub fn last_of_each_key<K: Eq + std::hash::Hash, V>(all: Vec<(K, V)>) -> Vec<(K, V)> {
    let mut last = std::collections::HashMap::with_capacity(all.len());
    for (i, (key, _)) in all.iter().enumerate() {
        last.insert(key, i);
    }
    if last.len() == all.len() {
        return all;
    }
    let keep: std::collections::HashSet<usize> = last.into_values().collect();
    all.into_iter().enumerate().filter(|(i, _)| keep.contains(i)).map(|(_, entry)| entry).collect()
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cursor::tests::{schema, zigzag};
    use super::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            for field in [
                r#"{"type":"array","items":{"type":"map","values":["null","string"]}}"#,
                r#"{"type":"record","name":"Tree","fields":[{"name":"next","type":["null","Tree"]}]}"#,
                r#"{"type":"array","items":"null"}"#,
            ] {
                let schema = schema(field);
                let _ = Cursor::new(&bytes).skip(&schema, schema.branches()[0]);
                let _ = Vec::<Entries>::decode(&mut Cursor::new(&bytes), &schema, schema.branches()[0]);
            }
        }
    }

    #[test]
    fn counts_beyond_the_data_are_refused_before_allocation() {
        let strings = schema(r#"{"type":"array","items":"string"}"#);
        let mut bytes = zigzag(i64::MAX);
        bytes.extend([0; 8]);
        let array = Vec::<Cow<str>>::decode(&mut Cursor::new(&bytes), &strings, strings.branches()[0]);
        assert_eq!(array, Err(DecodeError::BadLength));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        assert_eq!(last_of_each_key(vec![("a", 1), ("b", 2), ("a", 3)]), [("b", 2), ("a", 3)]);
    }
}
