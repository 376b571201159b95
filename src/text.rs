//! Text for people: what comes from a trace or a file name reaches a terminal only escaped.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::path::Path;
use std::str::Utf8Chunk;

/// Shows text with its control characters, and the invisible ones that reorder text, as `\u{…}`.
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for c in self.0.chars() {
            match is_harmful(c) {
                true => write!(f, "{}", c.escape_default())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A path as text. Bytes that are no UTF-8 become `\xNN`, so that two such paths stay two.
pub fn path_text(path: &Path) -> Cow<'_, str> {
    let escaped = |chunk: Utf8Chunk| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        chunk.valid().to_owned() + &invalid
    };
    match path.to_str() {
        Some(text) => text.into(),
        None => path.as_os_str().as_encoded_bytes().utf8_chunks().map(escaped).collect(),
    }
}

/// Shows JSON with these characters as `\uXXXX` in its strings; a serializer leaves most of them.
pub struct EscapedJson<'t>(pub &'t str);

impl fmt::Display for EscapedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for c in self.0.chars() {
            match is_harmful(c) && c != '\n' {
                true => write!(f, "\\u{:04x}", u32::from(c))?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Controls, what reorders text or breaks lines, and the byte order mark.
fn is_harmful(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Characters of a text that people are shown.
const SHOWN: usize = 500;

/// The start of a text that is too long for people.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_shortened_between_characters() {
        let (fits, long) = ("é".repeat(SHOWN), "é".repeat(SHOWN + 1));
        assert_eq!((&*shortened(&fits), &*shortened(&long)), (&*fits, &*format!("{fits}…")));
    }

    #[test]
    fn no_control_sequence_comes_through() {
        let text = Escaped("a\x1b[31m\u{202e}b\0é").to_string();
        assert_eq!(text, "a\\u{1b}[31m\\u{202e}b\\u{0}é");
        let hostile = "\x1b[31m\u{9b}2J\x7f\u{202e}\u{2028}\r\n\"é";
        let json = serde_json::to_string_pretty(&[hostile]).unwrap();
        let shown = EscapedJson(&json).to_string();
        assert_eq!(shown.replace('\n', ""), r#"[  "\u001b[31m\u009b2J\u007f\u202e\u2028\r\n\"é"]"#);
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [hostile]);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
