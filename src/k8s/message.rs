//! The message of a KE record.

/// Takes off what the collector leaves behind the JSON: NULs and white space at the end. All else is kept to the byte.
pub fn fix(message: &str) -> &str {
    message.trim_end_matches(|c: char| c == '\0' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_fixed() {
        for end in ["", "\n\0", "\0\0\0", "\r\n\0", " \t\n"] {
            assert_eq!(fix(&format!("{{\"a\": \"\0 b\"}}{end}")), "{\"a\": \"\0 b\"}");
        }
        assert_eq!(fix("\n\0"), "");
    }
}
