//! Records to rows, and what must hold for these.

use sf_parquet::flatten::entities::Room;
use sf_parquet::flatten::flattener::{Flattener, InputInfo};
use sf_parquet::tables::chunk::Chunk;
use sf_parquet::tables::column::ColumnData;
use sf_parquet::tables::pending::Pending;
use sf_parquet::time::Window;
use sf_parquet::trace::cursor::Cursor;
use sf_parquet::trace::reader::Place;
use sf_parquet::trace::records::{Branches, Event, Record};
use sf_parquet::trace::schema::{LeftOut, Schema};

use super::reading::balance;

/// Decodes and flattens all records up to the first that is none, and builds every column of their rows if wanted.
pub fn flatten(schema: &Schema, branches: &Branches, data: &[u8], columns: bool) {
    let mut flattener = Flattener::new(Pending::new(1 << 20, None), Room::default());
    let (name, sha256, window) = ("fuzzed".into(), "0".repeat(64).into(), Window::default());
    flattener.begin_input(InputInfo { index: 0, name, sha256, bytes: 0, window });
    let left_out_fields: Vec<LeftOut> = schema.left_out().take(10).collect();
    let mut cur = Cursor::new(data);
    let mut event = Event::default();
    let mut records = 0;
    while !cur.is_at_end() {
        let start = cur.pos();
        let Ok(record) = Record::decode(&mut cur, schema, branches, &mut event) else { break };
        assert!(start < cur.pos() && cur.pos() <= data.len());
        if flattener.starts_trace(&record) {
            let header = if let Record::Header(header) = &record { Some(&**header) } else { None };
            flattener.begin_trace(header, Default::default(), &left_out_fields);
        }
        let (size, oddities) = (cur.pos() - start, cur.oddities);
        let place = Place { record_no: records, size, oddities, rest: cur.rest() };
        flattener.record(place, record).expect("nothing is spilled");
        records += 1;
    }
    let counts = flattener.end_input();
    flattener.finish().unwrap();
    assert_eq!(counts.records as u64, records);
    let chunks = &flattener.pending.ready.chunks;
    balance(&counts, chunks);
    if columns {
        chunks.iter().for_each(build);
    }
}

/// Builds every column, which must have a value for each row.
fn build(chunk: &Chunk) {
    for column in 0..chunk.table.info().columns.len() {
        let ColumnData { keys, values } = chunk.rows.column(column);
        let len = ColumnData::from(values.clone()).len();
        if let Some(keys) = &keys {
            assert!(keys.rows().flatten().all(|place| place < len));
        }
        assert_eq!(ColumnData { keys, values }.len(), chunk.rows.len());
    }
}
