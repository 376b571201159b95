//! JSON read field by field and only as deep as wanted: what is not looked at stays text.
//!
//! A field of an unexpected type is missing and noted, never an error. `serde_json` checks the whole document once;
//! it does so without recursion, so that nesting costs no stack.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
                    fields.push((key, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A string that borrows where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names of fields that were not of the expected type.
#[derive(Debug, Default)]
pub struct Odd(pub Vec<String>);

impl Odd {
    fn note<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.0.push(name.to_owned());
        }
        value
    }
}

impl<'a> Object<'a> {
    /// Reads an object; `None` for any other value.
    pub fn of(json: &'a RawValue) -> Option<Object<'a>> {
        serde_json::from_str(json.get()).ok()
    }

    /// The field's value; the last one counts if there are several, null counts as missing.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let value = self.0.iter().rev().find(|(key, _)| key == name)?.1;
        (value.get() != "null").then_some(value)
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
        let number = || serde_json::from_str::<serde_json::Number>(value.get()).ok().map(|_| value.get().into());
        odd.note(name, string(value).or_else(number))
    }

    pub fn list(&self, name: &str, odd: &mut Odd) -> Option<Vec<&'a RawValue>> {
        let value = self.get(name)?;
        odd.note(name, serde_json::from_str(value.get()).ok())
    }

    pub fn object(&self, name: &str, odd: &mut Odd) -> Option<Object<'a>> {
        let value = self.get(name)?;
        odd.note(name, Object::of(value))
    }

    /// The fields that are strings, each key once.
    pub fn string_pairs(&self, name: &str, odd: &mut Odd) -> Vec<(Box<str>, Box<str>)> {
        let strings = self.0.iter().filter(|(_, v)| v.get() != "null").filter_map(|(key, value)| {
            let value = odd.note(name, string(value))?;
            Some((Box::from(&**key), Box::from(&*value)))
        });
        crate::trace::decode::last_of_each_key(strings.collect())
    }
}

/// A string; `None` for any other value, and for escapes that are no Unicode.
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
