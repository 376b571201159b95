//! The date under which a trace's entities lie.

use std::io;

use crate::progress::Meter;
use crate::time::Date;
use crate::trace::container::FileHeader;
use crate::trace::cursor::Cursor;
use crate::trace::reader::{Blocks, Item};
use crate::trace::records::{Event, Record};

/// The trace's date: that of the first event or flow (its end, if it is a flow) before the next header, or else of the
/// first record with a time. 1970-01-01 if nothing in the trace has a time.
pub fn trace_date(
    header: &FileHeader,
    first: &Record,
    rest: &[u8],
    ahead: impl FnOnce() -> Blocks,
    meter: &Meter,
) -> io::Result<Date> {
    let mut fallback = None;
    if let Some(date) = date_of(first, &mut fallback) {
        return Ok(date);
    }
    let mut cur = Cursor::new(rest);
    let mut event = Event::default();
    while !cur.is_at_end() {
        match Record::decode(&mut cur, &header.schema, &header.branches, &mut event) {
            Ok(Record::Header(_)) => return Ok(fallback.unwrap_or_default()),
            Ok(record) => {
                if let Some(date) = date_of(&record, &mut fallback) {
                    return Ok(date);
                }
            }
            Err(_) => break,
        }
    }
    // Seldom: a trace usually has an event in the block of its header.
    let mut blocks = ahead();
    let mut buffer = Vec::new();
    while let Some(item) = blocks.next(header, &mut buffer)? {
        meter.check_io()?;
        let Item::Block(block) = item else { continue };
        let found = blocks.records(header, block, &buffer, |_, record| match record {
            Record::Header(_) => Err(None),
            record => date_of(&record, &mut fallback).map_or(Ok(()), |date| Err(Some(date))),
        });
        if let Err(date) = found {
            return Ok(date.or(fallback).unwrap_or_default());
        }
    }
    Ok(fallback.unwrap_or_default())
}

/// The date that a record gives its trace. A time that counts only if nothing else has one goes to `fallback`.
fn date_of(record: &Record, fallback: &mut Option<Date>) -> Option<Date> {
    let ts = match record {
        Record::Event(_, event) => return event.end().map(Date::of),
        Record::Pod(pod) => pod.ts,
        Record::Process(process) => process.ts,
        Record::File(file) => file.ts,
        Record::Header(_) | Record::Container(_) | Record::Unknown(_) => None,
    };
    if fallback.is_none() {
        *fallback = ts.map(Date::of);
    }
    None
}
