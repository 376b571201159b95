//! The log of an experiment: what was done to a cluster while it was traced.
//!
//! Lines look like `2022-03-17 18:48:40,736 main INFO     ----- create project robot-shop`; between them stands what the
//! commands printed. As in the notebook, only the lines that announce a step (`-----`) or a wait count, and their text
//! is cleaned up. Times are UTC.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use chrono::NaiveDateTime;

use crate::error::{IoContext, Result};

/// A step of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Ordinal of the line in the file, from 0.
    pub line_no: i64,
    /// Nanoseconds since 1970.
    pub ts: Option<i64>,
    pub level: Option<String>,
    pub event: String,
    pub line: String,
}

/// What the lines that count contain.
const SELECTED: [&str; 2] = ["----- ", "waiting"];

impl Step {
    /// The step that a line tells of. One without a time that can be read keeps its line.
    pub fn of(line_no: i64, line: &str) -> Option<Step> {
        if !SELECTED.iter().any(|s| line.contains(s)) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let time = |words: &[&str]| {
            let text = words.get(..2)?.join(" ");
            let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S,%f").ok()?;
            fraction(time, words[1])
        };
        let ts = time(&words);
        // What a command printed has neither.
        let (level, rest) = match ts {
            Some(_) => (words.get(3), words.get(4..).unwrap_or_default()),
            None => (None, &words[..]),
        };
        let rest = rest.join(" ");
        Some(Step {
            line_no,
            ts,
            level: level.map(|word| (*word).to_owned()),
            event: rest.replace("----- ", "").replace("... ", "").replace(" seconds", "s"),
            line: line.trim_end().to_owned(),
        })
    }
}

/// Bytes of a line of a log that are looked at; no step has so many.
const LINE: usize = 1 << 20;

/// Hands out the lines in the first `size` bytes of a log, which lies at `path`, with their numbers and how many bytes each has in
/// the file, while `each` wants more. Of one longer than 1 MiB there is but the start.
///
/// # Errors
/// The file cannot be read, and those of `each`.
pub fn lines(
    mut file: &File,
    size: u64,
    path: &Path,
    mut each: impl FnMut(i64, &str, usize) -> Result<bool>,
) -> Result<()> {
    file.rewind().during("read", path)?;
    let mut log = BufReader::new(file.take(size));
    let mut line = Vec::new();
    for line_no in 0.. {
        line.clear();
        let mut read = log.by_ref().take(LINE as u64).read_until(b'\n', &mut line).during("read", path)?;
        if read == LINE && line.last() != Some(&b'\n') {
            read += log.skip_until(b'\n').during("read", path)?;
        }
        let text = String::from_utf8_lossy(&line);
        if read == 0 || !each(line_no, text.trim_end_matches(['\n', '\r']), read)? {
            break;
        }
    }
    Ok(())
}

/// chrono takes the digits of `%f` for nanoseconds; behind Python's comma stand milliseconds.
fn fraction(time: NaiveDateTime, clock: &str) -> Option<i64> {
    let digits = clock.rsplit(',').next()?;
    let seconds = time.and_utc().timestamp();
    let scale = 10_i64.checked_pow(9_u32.checked_sub(digits.len() as u32)?)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(digits.parse::<i64>().ok()?.checked_mul(scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_waits_are_selected_and_cleaned() {
        let log = "2022-03-17 18:48:40,736 main INFO     ----- create project robot-shop\n\
                   namespace/robot-shop created\n\
                   2022-03-17 18:48:40,991 main INFO     ... waiting for 60 seconds\n\
                   no time but waiting\n";
        let steps: Vec<Step> = (0..).zip(log.lines()).filter_map(|(no, line)| Step::of(no, line)).collect();
        assert_eq!(
            steps.iter().map(|s| &*s.event).collect::<Vec<_>>(),
            ["create project robot-shop", "waiting for 60s", "no time but waiting"]
        );
        assert_eq!(steps[0].ts, Some(1_647_542_920_736_000_000));
        assert_eq!(steps[0].level.as_deref(), Some("INFO"));
        assert_eq!((steps[1].line_no, steps[2].ts, &steps[2].level), (2, None, &None));
    }
}
