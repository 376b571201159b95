//! Large traces from small ones.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::Result;
use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Reader, Schema, Writer};

/// Raw bytes of a block, as collectors write them.
const BLOCK: usize = 80 << 10;

/// Writes the records of a trace `times` times, with their header, each time later by the span of the trace: to the file
/// `out`, or spread over so many `files` in the folder `out`. Only one copy of the records is in memory.
pub fn tile(input: &Path, records: Option<usize>, times: u64, files: Option<u64>, out: &Path) -> Result<()> {
    let mut reader = Reader::new(BufReader::new(File::open(input)?))?;
    let mut records = reader.by_ref().take(records.unwrap_or(usize::MAX)).collect::<Result<Vec<Value>, _>>()?;
    let (mut first, mut last) = (i64::MAX, 0);
    for record in &mut records {
        each_time(record, &mut |ts| {
            first = first.min(*ts);
            last = last.max(*ts);
        });
    }
    let span = last.saturating_sub(first).max(0) / 1_000_000_000 * 1_000_000_000 + 1_000_000_000;
    let Some(files) = files else { return write(reader.writer_schema(), &mut records, span, times, out) };
    fs::create_dir_all(out)?;
    for file in 0..files {
        let share = times * (file + 1) / files - times * file / files;
        write(reader.writer_schema(), &mut records, span, share, &out.join(format!("{file:05}.sf")))?;
    }
    Ok(())
}

/// Writes a file, and leaves the records as the next one begins.
fn write(schema: &Schema, records: &mut [Value], span: i64, times: u64, out: &Path) -> Result<()> {
    let mut writer = Writer::builder()
        .schema(schema)
        .writer(BufWriter::with_capacity(1 << 20, File::create(out)?))
        .codec(Codec::Deflate(DeflateSettings::default()))
        .block_size(BLOCK)
        .marker([0x3c; 16])
        .build();
    for _ in 0..times {
        for record in records.iter_mut() {
            writer.append_value_ref(record)?;
            each_time(record, &mut |ts| *ts += span);
        }
    }
    writer.flush()?;
    Ok(())
}

/// Hands each `ts` and `endTs` of a record that is set to `change`.
fn each_time(record: &mut Value, change: &mut impl FnMut(&mut i64)) {
    match record {
        Value::Union(_, inner) => each_time(inner, change),
        Value::Record(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("ts" | "endTs", Value::Long(ts) | Value::TimestampMillis(ts)) if *ts > 0 => change(ts),
                    ("rec", value) => each_time(value, change),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}
