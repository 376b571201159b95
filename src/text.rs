//! Text for people: what comes from a trace or a file name reaches a terminal only escaped.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
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

/// A path as text, of which [`path_of`] makes it again: bytes that are no UTF-8 become `\xNN`, and so does a backslash before
/// an `x`.
pub fn path_text(path: &Path) -> Cow<'_, str> {
    let escaped = |chunk: Utf8Chunk| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        chunk.valid().replace(r"\x", r"\x5cx") + &invalid
    };
    match path.to_str() {
        Some(text) if !text.contains('\\') => text.into(),
        _ => path.as_os_str().as_bytes().utf8_chunks().map(escaped).collect(),
    }
}

/// The path that has become such a text.
pub fn path_of(text: &str) -> Cow<'_, Path> {
    let Some((start, escaped)) = text.split_once(r"\x") else { return Path::new(text).into() };
    let mut bytes = start.as_bytes().to_owned();
    for piece in escaped.split(r"\x") {
        match piece.split_at_checked(2).and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest))) {
            Some((byte, rest)) => bytes.extend([&[byte], rest.as_bytes()].concat()),
            // A version that did not escape backslashes wrote it.
            None => bytes.extend([br"\x", piece.as_bytes()].concat()),
        }
    }
    PathBuf::from(OsString::from_vec(bytes)).into()
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
pub fn is_harmful(c: char) -> bool {
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
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]);
    String::from_utf8(digits.collect()).unwrap_or_else(|_| unreachable!("digits are ASCII"))
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
    fn each_path_has_a_text_of_its_own_and_comes_back() {
        let names: [(&[u8], &str); 7] = [
            (b"a b", "a b"),
            (b"a\xff", r"a\xff"),
            (br"a\xff", r"a\x5cxff"),
            (b"\\\xfe\\x\\", r"\\xfe\x5cx\"),
            (br"\\x", r"\\x5cx"),
            (br"\n", r"\n"),
            ("\u{e4}\\x".as_bytes(), "\u{e4}\\x5cx"),
        ];
        for (name, text) in names {
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            assert_eq!((&*path_text(path), &*path_of(text)), (text, path));
        }
        assert_eq!(path_of(r"old\xyz\x1"), Path::new(r"old\xyz\x1"));
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
