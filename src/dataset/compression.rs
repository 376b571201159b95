//! What the command line calls the compressions of pages.

use parquet::basic::{Compression, ZstdLevel};

/// The usual one.
pub const DEFAULT: &str = "zstd:1";

const NAMES: [(&str, Compression); 3] =
    [("snappy", Compression::SNAPPY), ("lz4", Compression::LZ4_RAW), ("none", Compression::UNCOMPRESSED)];

/// The compression of a name.
///
/// # Errors
/// A sentence that says why it is none.
pub fn parse(text: &str) -> Result<Compression, String> {
    if let Some((_, compression)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*compression);
    }
    let level = match text.split_once(':') {
        None if text == "zstd" => "1",
        Some(("zstd", level)) => level,
        _ => return Err(format!("'{text}' is no compression: give zstd, zstd:LEVEL, snappy, lz4 or none")),
    };
    let level = level.parse().ok().filter(|level| *level > 0).and_then(|level| ZstdLevel::try_new(level).ok());
    level.map(Compression::ZSTD).ok_or_else(|| format!("'{text}': levels are 1 to 22"))
}

/// The name of a compression that a manifest has, which is what the parquet crate calls it.
pub fn name(in_manifest: &str) -> String {
    match NAMES.iter().find(|(_, compression)| compression.to_string() == in_manifest) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("zstd:{}", in_manifest.chars().filter(char::is_ascii_digit).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_what_was_asked_for() {
        for text in ["snappy", "lz4", "none", DEFAULT, "zstd:22"] {
            assert_eq!(name(&parse(text).unwrap().to_string()), text);
        }
        assert_eq!(parse("zstd"), parse(DEFAULT));
        for text in ["", "zip", "zstd:", "zstd:99", "zstd:0", "zstd:-5", "snappy:1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
