//! The order of files in a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Sorts names in natural order, as bytes: numbers in them count as numbers, so that `trace-9` comes before `trace-10`. A
/// number becomes a zero, how many digits it has, and these.
pub fn natural_key(name: &OsStr) -> Vec<u8> {
    let mut rest = name.as_bytes();
    let mut key = Vec::with_capacity(rest.len() + 8);
    while let Some((first, others)) = rest.split_first() {
        if first.is_ascii_digit() {
            let number = digits(&mut rest);
            key.push(b'0');
            key.extend_from_slice(&(number.len() as u16).to_be_bytes());
            key.extend_from_slice(number);
        } else {
            key.push(*first);
            rest = others;
        }
    }
    key
}

/// Takes the digits at the start, and returns them without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = text.split_at(len);
    *text = rest;
    &number[number.iter().take_while(|b| **b == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natural_order_counts_numbers() {
        let mut names = ["t-10", "t-9", "t-1/b", "t-01", "t-1", "t", "t-a", "t-", "a10b2", "a10b10", "a9"];
        names.sort();
        names.sort_by_cached_key(|name| natural_key(OsStr::new(name)));
        assert_eq!(names, ["a9", "a10b2", "a10b10", "t", "t-", "t-01", "t-1", "t-1/b", "t-9", "t-10", "t-a"]);
    }
}
