//! Arbitrary records of a known schema: decoded, flattened, and brought into the other schemas.

use sf_parquet::trace::cursor::Cursor;
use sf_parquet::trace::records::{Event, Record};
use sf_parquet::trace::transcode::Transcoder;

use super::rows;
use super::schemas::SCHEMAS;

/// The first byte's lowest two bits choose the schema, the next two the one to transcode to; if the others are set,
/// columns are built, which takes longer than all else. The rest is a block.
pub fn check(data: &[u8]) {
    let Some((&choice, block)) = data.split_first() else { return };
    let (schema, branches) = &SCHEMAS[choice as usize % SCHEMAS.len()];
    rows::flatten(schema, branches, block, choice >> 4 == 0xf);

    let (target, target_branches) = &SCHEMAS[(choice >> 2) as usize % SCHEMAS.len()];
    let transcoder = Transcoder::new(schema, target);
    let mut cur = Cursor::new(block);
    let mut out = Vec::new();
    while !cur.is_at_end() {
        out.clear();
        match transcoder.record(&mut cur, schema, &mut out) {
            Ok(true) => {
                let mut copy = Cursor::new(&out);
                Record::decode(&mut copy, target, target_branches, &mut Event::default())
                    .expect("a transcoded record is one");
                assert!(copy.is_at_end());
            }
            Ok(false) => assert!(out.is_empty()),
            Err(_) => break,
        }
    }
}
