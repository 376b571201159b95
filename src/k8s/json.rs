//! JSON read field by field and only as deep as wanted: what is not looked at stays text.
//!
//! A field of an unexpected type is missing and noted, never an error. `serde_json` checks the whole document once;
//! it does so without recursion, so that nesting costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::trace::cursor::MAX_ENTRIES;
use crate::trace::decode::last_of_each_key;

/// An object's fields in order, their values still text.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    if fields.len() == MAX_ENTRIES {
                        return Err(A::Error::custom(format_args!("an object has more than {MAX_ENTRIES} fields")));
                    }
                    fields.push((key, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A string that borrows where it has no escapes. An escape that is no Unicode becomes U+FFFD: the rest is none the worse for it.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(without_surrogates(bytes).into()))
            }
        }
        // Only so does serde_json give such escapes away.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A lone surrogate has three bytes, of which the first stands for all.
fn without_surrogates(bytes: &[u8]) -> String {
    const FIRST: u8 = 0xed;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().contains(&FIRST).then_some(char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Fields that were not of the expected type.
#[derive(Debug, Default)]
pub struct Odd {
    pub names: Vec<String>,
    /// How many there are beside those that are named.
    pub more: usize,
}

/// Odd fields that are named.
const MAX_ODD: usize = 1_000;

impl Odd {
    pub fn push(&mut self, name: &str) {
        match self.names.len() {
            MAX_ODD.. => self.more += 1,
            _ => self.names.push(name.to_owned()),
        }
    }

    fn note<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.push(name);
        }
        value
    }
}

impl<'a> Object<'a> {
    /// Reads an object; `None` for any other value.
    pub fn of(json: &'a RawValue) -> Option<Object<'a>> {
        serde_json::from_str(json.get()).ok()
    }

    /// Reads an entry of the list `name`, which is missing if it is null.
    pub fn of_entry(json: &'a RawValue, name: &str, odd: &mut Odd) -> Option<Object<'a>> {
        if is_null(json) { None } else { odd.note(name, Object::of(json)) }
    }

    /// The field's value; the last one counts if there are several, null counts as missing.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.value(name).filter(|value| !is_null(value))
    }

    /// The names of all fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The field's value, null or not.
    pub fn value(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    pub fn string(&self, name: &str, odd: &mut Odd) -> Option<Cow<'a, str>> {
        let value = self.get(name)?;
        odd.note(name, string(value))
    }

    /// A number, also one that is written as a string or with a fraction of 0.
    pub fn integer(&self, name: &str, odd: &mut Odd) -> Option<i32> {
        let value = self.get(name)?;
        odd.note(name, integer(value))
    }

    /// A string, or a number as its text.
    pub fn string_or_number(&self, name: &str, odd: &mut Odd) -> Option<Cow<'a, str>> {
        let value = self.get(name)?;
        // However large: it stays a text.
        let number = || value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| value.get().into());
        odd.note(name, string(value).or_else(number))
    }

    /// A list and how long it is.
    pub fn list(&self, name: &str, odd: &mut Odd) -> Option<List<'a>> {
        let value = self.get(name)?;
        odd.note(name, List::of(value))
    }

    pub fn object(&self, name: &str, odd: &mut Odd) -> Option<Object<'a>> {
        let value = self.get(name)?;
        odd.note(name, Object::of(value))
    }

    /// The fields that are strings. Of a key that is there twice the last value counts.
    pub fn string_pairs(&self, name: &str, odd: &mut Odd) -> Vec<(Box<str>, Box<str>)> {
        let last = last_of_each_key(self.0.iter().map(|(key, value)| (&**key, *value)).collect());
        let pairs = last.into_iter().filter(|(_, value)| !is_null(value)).filter_map(|(key, value)| {
            let value = odd.note(name, string(value))?;
            Some((key.into(), Box::from(&*value)))
        });
        pairs.collect()
    }
}

/// A list whose entries are still text: millions of them may be a few bytes each.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    json: &'a RawValue,
    pub len: usize,
}

impl<'a> List<'a> {
    fn of(json: &'a RawValue) -> Option<List<'a>> {
        let mut len = 0;
        visit(json, &mut |_| len += 1)?;
        Some(List { json, len })
    }

    pub fn for_each(self, mut each: impl FnMut(&'a RawValue)) {
        // It was read before.
        let _ = visit(self.json, &mut each);
    }
}

/// Hands each entry of a list to `each`; `None` for any other value.
fn visit<'a>(json: &'a RawValue, each: &mut dyn FnMut(&'a RawValue)) -> Option<()> {
    struct EntriesOf<'e, 'a>(&'e mut dyn FnMut(&'a RawValue));
    impl<'a> Visitor<'a> for EntriesOf<'_, 'a> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
            while let Some(entry) = list.next_element()? {
                (self.0)(entry);
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_str(json.get()).deserialize_seq(EntriesOf(each)).ok()
}

/// Whether it is `null`, with which Kubernetes says that something is missing.
pub fn is_null(json: &RawValue) -> bool {
    json.get() == "null"
}

/// A string; `None` for any other value.
pub fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text>(json.get()).ok().map(|Text(text)| text)
}

fn integer(json: &RawValue) -> Option<i32> {
    let text = string(json).unwrap_or(Cow::Borrowed(json.get()));
    if let Ok(integer) = text.parse() {
        return Some(integer);
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)).then_some(number as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_unicode_hides_no_other_field() {
        let json = r#"{"\ud800":"1\udfffx","a\ud83d\ude00":"2","b\u0063":"3","ü":"4"}"#;
        let json: &RawValue = serde_json::from_str(json).unwrap();
        let (object, mut odd) = (Object::of(json).unwrap(), Odd::default());
        for (name, value) in [("\u{fffd}", "1\u{fffd}x"), ("a😀", "2"), ("bc", "3"), ("ü", "4")] {
            assert_eq!(object.string(name, &mut odd).as_deref(), Some(value), "{name}");
        }
        assert!(odd.names.is_empty());
    }
}
