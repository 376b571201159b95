//! An arbitrary schema, records of it, and schemas that these are brought into.

use sf_parquet::trace::decode::Cursor;
use sf_parquet::trace::records::Branches;
use sf_parquet::trace::schema::Schema;
use sf_parquet::trace::transcode::Transcoder;

use super::rows;
use super::schemas::SCHEMAS;

/// Up to the first NUL the schema's JSON, behind it a block.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (text, block) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(schema) = Schema::parse(text) else { return };
    rows::flatten(&schema, &Branches::of(&schema), block, false);

    let known = &SCHEMAS[0].0;
    // That a target of which no value can exist gets none is right, so what comes out is not decoded.
    for (source, target) in [(&schema, known), (known, &schema)] {
        let transcoder = Transcoder::new(source, target);
        let mut cur = Cursor::new(block);
        let mut out = Vec::new();
        while !cur.is_at_end() && transcoder.record(&mut cur, source, &mut out).is_ok() {
            out.clear();
        }
    }
}
