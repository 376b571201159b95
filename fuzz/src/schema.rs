//! An arbitrary schema, records of it, and schemas that these are brought into.

use sf_parquet::trace::cursor::{Cursor, DecodeError};
use sf_parquet::trace::records::{Branches, Event, Record};
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
    for (source, target) in [(&schema, known), (known, &schema)] {
        let (transcoder, branches) = (Transcoder::new(source, target), Branches::of(target));
        let mut cur = Cursor::new(block);
        let mut out = Vec::new();
        while !cur.is_at_end()
            && let Ok(written) = transcoder.record(&mut cur, source, &mut out)
        {
            // Where the target wants a value that cannot exist, `concat` refuses the plan.
            if written && transcoder.impossible.is_empty() {
                let mut copy = Cursor::new(&out);
                match Record::decode(&mut copy, target, &branches, &mut Event::default()) {
                    Ok(_) => assert!(copy.is_at_end()),
                    // What is filled in may make a sound record exceed the limits of ours.
                    Err(e) => assert!(matches!(e, DecodeError::TooDeep | DecodeError::TooEmpty), "{e}"),
                }
            }
            out.clear();
        }
    }
}
