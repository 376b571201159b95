//! The strings of an entity.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::trace::records::Text;

/// Some strings in one piece of memory, each of which may be missing. Entities come by the million with several strings
/// each: in pieces of their own these would be slow to make and far apart when columns are built of them.
#[derive(Debug, PartialEq)]
pub struct Texts<const N: usize> {
    all: Box<str>,
    /// Where each ends; with [`MISSING`] if it is missing.
    ends: [usize; N],
}

const MISSING: usize = 1 << (usize::BITS - 1);

impl<const N: usize> Texts<N> {
    pub fn new(texts: [Option<Text>; N]) -> Self {
        let mut all = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        let ends = texts.map(|text| match text {
            Some(text) => {
                all.push_str(&text);
                all.len()
            }
            None => all.len() | MISSING,
        });
        Texts { all: all.into_boxed_str(), ends }
    }

    #[inline]
    pub fn get(&self, at: usize) -> Option<&str> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] & !MISSING };
        self.all.get(start..self.ends[at])
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.all.len()
    }
}

impl<const N: usize> Default for Texts<N> {
    fn default() -> Self {
        Texts { all: Box::default(), ends: [MISSING; N] }
    }
}

impl<const N: usize> Serialize for Texts<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.all, &self.ends[..]).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Texts<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (all, ends): (Box<str>, Vec<usize>) = Deserialize::deserialize(deserializer)?;
        let ends = ends.try_into().map_err(|_| D::Error::custom("another number of strings"))?;
        Ok(Texts { all, ends })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_what_it_was(given in prop::array::uniform5(prop::option::of(".{0,20}"))) {
            let texts = Texts::new(given.each_ref().map(|text| text.as_deref().map(Text::from)));
            let bytes = postcard::to_stdvec(&texts).unwrap();
            let again: Texts<5> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&again, &texts);
            for (at, text) in given.iter().enumerate() {
                prop_assert_eq!(texts.get(at), text.as_deref());
            }
            prop_assert_eq!(texts.bytes(), given.iter().flatten().map(String::len).sum::<usize>());
        }
    }

    #[test]
    fn none_are_there_at_first() {
        assert_eq!([0, 1, 2].map(|at| Texts::<3>::default().get(at).map(str::len)), [None; 3]);
    }
}
