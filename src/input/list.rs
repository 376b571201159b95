//! Lists of file names.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// The file names in the file `path`, one on each line, or apart by NUL (`find -print0`); `-` is `stdin`.
///
/// # Errors
/// The list cannot be read.
pub fn read_list(path: &Path, stdin: &mut dyn Read) -> Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        stdin.read_to_end(&mut bytes).during("read the list of inputs on", Path::new("standard input"))?;
    } else {
        File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).during("read the list of inputs", path)?;
    }
    // The carriage return of a line is none of a name.
    let (separator, end): (u8, &[u8]) = if bytes.contains(&0) { (0, b"") } else { (b'\n', b"\r") };
    let names = bytes.split(|b| *b == separator).map(|name| name.strip_suffix(end).unwrap_or(name));
    Ok(names.filter(|n| !n.is_empty()).map(|n| PathBuf::from(OsString::from_vec(n.to_vec()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_lines_or_nul_separated() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let read = |mut list: &[u8]| read_list(Path::new("-"), &mut list).unwrap();
        assert_eq!(read(b"a\r\nb c\n\n"), paths(&["a", "b c"]));
        assert_eq!(read(b"a\nb\0c\r\0"), paths(&["a\nb", "c\r"]));
    }
}
