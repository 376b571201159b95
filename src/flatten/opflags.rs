//! Operation flags (SysFlow specification, "Operation flags"; strings as in the reference's `sysflow.utils`).

use crate::trace::records::{Event, Number};

/// Names by bit. The set names of the list column `ops`. Bits that no version defines are `BIT_n`.
const NAMES: [&str; 32] = [
    "CLONE",
    "EXEC",
    "EXIT",
    "SETUID",
    "SETNS",
    "ACCEPT",
    "CONNECT",
    "OPEN",
    "READ_RECV",
    "WRITE_SEND",
    "CLOSE",
    "TRUNCATE",
    "SHUTDOWN",
    "MMAP",
    "DIGEST",
    "MKDIR",
    "RMDIR",
    "LINK",
    "UNLINK",
    "SYMLINK",
    "RENAME",
    "BIT_21",
    "BIT_22",
    "BIT_23",
    "BIT_24",
    "BIT_25",
    "BIT_26",
    "BIT_27",
    "BIT_28",
    "BIT_29",
    "BIT_30",
    "BIT_31",
];

/// File operations, which the reference prints before all else, in its order.
const FILE_OPS: [&str; 6] = ["MKDIR", "RMDIR", "LINK", "SYMLINK", "UNLINK", "RENAME"];
/// Process operations, printed if there is no file operation.
const PROCESS_OPS: [&str; 4] = ["CLONE", "EXEC", "EXIT", "SETUID"];
/// Flow operations, printed otherwise: a letter or a blank for each.
const FLOW_OPS: [(&str, char); 11] = [
    ("OPEN", 'O'),
    ("ACCEPT", 'A'),
    ("CONNECT", 'C'),
    ("WRITE_SEND", 'W'),
    ("READ_RECV", 'R'),
    ("SETNS", 'N'),
    ("MMAP", 'M'),
    ("SHUTDOWN", 'S'),
    ("CLOSE", 'C'),
    ("TRUNCATE", 'T'),
    ("DIGEST", 'D'),
];

/// The operations of an event as bits: its flags, or the one operation that the oldest layout names.
pub fn of(event: &Event) -> Option<i32> {
    event.int(Number::OpFlags).or_else(|| flag(event.op_name.as_deref()?))
}

/// The flag with this name, as the oldest layout gives operations.
pub fn flag(name: &str) -> Option<i32> {
    NAMES.iter().position(|n| *n == name).map(|bit| 1 << bit)
}

/// The set of operations as names, in bit order.
pub fn names(flags: i32) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().enumerate().filter(move |(bit, _)| flags as u32 >> bit & 1 == 1).map(|(_, name)| name)
}

/// The reference's string.
pub fn text(flags: i32) -> String {
    let set = |name: &str| flag(name).is_some_and(|f| flags & f != 0);
    for ops in [&FILE_OPS[..], &PROCESS_OPS[..]] {
        let text: String = ops.iter().copied().filter(|op| set(op)).collect();
        if !text.is_empty() {
            return text;
        }
    }
    FLOW_OPS.iter().map(|(op, letter)| if set(op) { *letter } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_the_references() {
        assert_eq!(text(2), "EXEC");
        assert_eq!(text(1 << 15 | 1), "MKDIR");
        assert_eq!(text(1 << 20 | 1 << 17), "LINKRENAME");
        assert_eq!(text(0), " ".repeat(11));
        assert_eq!(text(1 << 7 | 1 << 10 | 1 << 8), "O   R   C  ");
        assert_eq!(text(5920), " A WR  SC  ");
    }

    #[test]
    fn names_are_in_bit_order_and_none_is_dropped() {
        assert!(names(1 << 7 | 1 << 8 | 1 << 10).eq(["OPEN", "READ_RECV", "CLOSE"]));
        assert!(names(i32::MIN).eq(["BIT_31"]));
        assert_eq!(flag("EXIT"), Some(4));
    }
}
