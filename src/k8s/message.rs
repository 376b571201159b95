//! The message of a KE record: a JSON object with the list of the items that an event is about.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::json::{List, Object, Odd};
use crate::text::hex;

/// Takes off what the collector leaves behind the JSON: NULs and white space at the end. All else is kept to the byte.
pub fn fix(message: &str) -> &str {
    message.trim_end_matches(|c: char| c == '\0' || c.is_whitespace())
}

/// 16 hex digits of the SHA-256 of a fixed message, the same on every machine.
pub fn hash(fixed: &str) -> String {
    hex(&Sha256::digest(fixed)[..8])
}

/// What the envelope of a fixed message says.
#[derive(Debug, Default)]
pub struct Message<'a> {
    pub api_version: Option<Cow<'a, str>>,
    /// `Pod`, `Service`, …
    pub kind: Option<Cow<'a, str>>,
    /// `ADDED`, `MODIFIED`, `DELETED`, …
    pub event: Option<Cow<'a, str>>,
    /// `None` where there is no list.
    pub items: Option<List<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a fixed message. Fields of an unexpected type are missing, and noted.
    ///
    /// # Errors
    /// It is no JSON object, and why.
    pub fn parse(fixed: &'a str, odd: &mut Odd) -> Result<Message<'a>, String> {
        if fixed.is_empty() {
            return Err("the message is empty".into());
        }
        // Names of an object are read as bytes, of which this alone makes sure.
        let json: &RawValue = serde_json::from_str(fixed).map_err(|e| e.to_string())?;
        let object: Object = serde_json::from_str(json.get()).map_err(|e| e.to_string())?;
        Ok(Message {
            api_version: object.string("apiVersion", odd),
            kind: object.string("kind", odd),
            event: object.string("type", odd),
            items: object.list("items", odd),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_end_is_fixed() {
        for end in ["", "\n\0", "\0\0\0", "\r\n\0", " \t\n"] {
            assert_eq!(fix(&format!("{{\"a\": \"\0 b\"}}{end}")), "{\"a\": \"\0 b\"}");
        }
        assert_eq!(fix("\n\0"), "");
    }

    #[test]
    fn the_hash_is_that_of_every_machine() {
        assert_eq!(hash(""), "e3b0c44298fc1c14");
    }

    #[test]
    fn odd_envelopes_are_read_as_far_as_they_go() {
        let mut odd = Odd::default();
        let text = r#"{"kind":7,"type":"ADDED","items":{"a":1},"type":"DELETED","apiVersion":null}"#;
        let message = Message::parse(text, &mut odd).unwrap();
        assert_eq!(message.event.as_deref(), Some("DELETED"), "the last one counts");
        assert!(message.kind.is_none() && message.items.is_none() && message.api_version.is_none());
        assert_eq!(odd.names, ["kind", "items"]);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["", "{", "[]", "nonsense", "{\"items\":[]} trailing", "{\"a\u{1}\":1}"] {
            assert!(Message::parse(text, &mut Odd::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("{{\"items\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        let message = Message::parse(&deep, &mut Odd::default()).unwrap();
        assert_eq!(message.items.map(|i| i.len), Some(1));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, end in "[\0 \r\n\t]*") {
            let message = format!("{text}x{end}");
            prop_assert_eq!(fix(&message), format!("{text}x"));
            let _ = Message::parse(fix(&message), &mut Odd::default());
        }
    }
}
