//! Times: nanoseconds since 1970 UTC, and the days that partition tables.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400_000_000_000;

/// A day in UTC. Shown as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Date {
    /// Days since 1970.
    days: i32,
}

impl Date {
    /// The day in which a time falls; times before 1970 belong to the days before.
    pub fn of(nanos: i64) -> Date {
        // At most 106,752 days from 1970.
        Date { days: nanos.div_euclid(DAY) as i32 }
    }
}

impl std::str::FromStr for Date {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Date, chrono::ParseError> {
        let date: NaiveDate = text.parse()?;
        Ok(Date { days: date.to_epoch_days() })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let date = NaiveDate::from_epoch_days(self.days).unwrap_or_default();
        date.format("%Y-%m-%d").fmt(f)
    }
}

/// The times that are wanted: `since <= ts < until`, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    pub since: Option<i64>,
    pub until: Option<i64>,
}

impl Window {
    /// Whether an event or flow with this start is wanted. One without a time cannot be outside.
    pub fn contains(&self, ts: Option<i64>) -> bool {
        ts.is_none_or(|ts| self.since.is_none_or(|s| s <= ts) && self.until.is_none_or(|u| ts < u))
    }

    /// The times of both, if there are any.
    pub fn and(self, other: Window) -> Option<Window> {
        let since = self.since.into_iter().chain(other.since).max();
        let until = self.until.into_iter().chain(other.until).min();
        let is_empty = since.zip(until).is_some_and(|(since, until)| since >= until);
        (!is_empty).then_some(Window { since, until })
    }

    /// Both, and the times between them.
    pub fn with(self, other: Window) -> Window {
        Window {
            since: self.since.zip(other.since).map(|(a, b)| a.min(b)),
            until: self.until.zip(other.until).map(|(a, b)| a.max(b)),
        }
    }
}

/// Nanoseconds as microseconds, floored.
pub fn micros(nanos: i64) -> i64 {
    nanos.div_euclid(1_000)
}

/// A time as ISO 8601 in UTC with all nine digits of its fraction.
pub fn iso(nanos: i64) -> String {
    DateTime::from_timestamp_nanos(nanos).format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// Reads `2022-03-17`, `2022-03-17T18:47:15.845631` (both UTC), the same with an offset, or nanoseconds since 1970.
///
/// # Errors
/// A sentence that shows the forms.
pub fn parse(text: &str) -> Result<i64, String> {
    let nanos = if let Ok(nanos) = text.parse::<i64>() {
        // Seconds, milliseconds, microseconds and 20220317 would be times in 1970.
        Some(nanos).filter(|nanos| !(1..100_000_000_000_000_000).contains(nanos))
    } else if let Ok(date) = text.parse::<NaiveDate>() {
        Some(nanos(date.and_time(Default::default()).and_utc()))
    } else if let Ok(time) = text.parse::<NaiveDateTime>() {
        Some(nanos(time.and_utc()))
    } else {
        DateTime::parse_from_rfc3339(text).ok().map(|time| nanos(time.to_utc()))
    };
    nanos.ok_or_else(|| {
        format!("'{text}' is no time: give 2022-03-17, 2022-03-17T18:47:15.5Z or nanoseconds since 1970")
    })
}

/// Nanoseconds since 1970. Times such as 9999-12-31 that have too many are the last there is, or the first.
fn nanos(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or(if time.timestamp() < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_times() {
        for (nanos, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (1_647_542_835_845_631_000, "2022-03-17"),
            (951_868_799_999_999_999, "2000-02-29"),
            (i64::MAX, "2262-04-11"),
            (i64::MIN, "1677-09-21"),
        ] {
            assert_eq!(Date::of(nanos).to_string(), date);
        }
    }

    #[test]
    fn iso_has_nine_digits() {
        assert_eq!(iso(1_647_542_835_845_631_007), "2022-03-17T18:47:15.845631007Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn times_are_read_in_every_form_that_the_help_shows() {
        let nanos = 1_647_542_835_500_000_000;
        for text in ["2022-03-17T18:47:15.5Z", "2022-03-17T18:47:15.5", "2022-03-17T20:47:15.5+02:00"] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
        assert_eq!(parse("2022-03-17"), Ok(1_647_475_200_000_000_000));
        assert_eq!(parse("1647542835500000000"), Ok(nanos));
        assert_eq!((parse("0"), parse("-5")), (Ok(0), Ok(-5)));
        for (text, nanos) in [
            ("9999-12-31", i64::MAX),
            ("9999-12-31T23:59:59Z", i64::MAX),
            ("0001-01-01", i64::MIN),
            ("0001-01-01T00:00:00+01:00", i64::MIN),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
        for text in ["yesterday", "20220317", "1647542835", "1647542835500", "1647542835500000"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for nanos in [i64::MIN, -5, 0, 1, nanos, i64::MAX] {
            assert_eq!(parse(&iso(nanos)), Ok(nanos));
        }
    }
}
