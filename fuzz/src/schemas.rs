//! Schemas that collectors write, and one that none does.

use std::sync::LazyLock;

use serde_json::{Value, json};
use sf_parquet::trace::container::FileHeader;
use sf_parquet::trace::records::Branches;
use sf_parquet::trace::schema::Schema;

/// The generator's schema of version 4; all that newer versions add, with types that no version has; the oldest layout;
/// the first one with every field in a union with null.
pub static SCHEMAS: LazyLock<Vec<(Schema, Branches)>> = LazyLock::new(|| {
    let header = FileHeader::parse(include_bytes!("../../testdata/1647545115.sf")).unwrap();
    let (newest, oldest) = (include_bytes!("../schemas/newest.json"), include_bytes!("../schemas/oldest.json"));
    let nullable = nullable(serde_json::from_slice(&header.schema_json).unwrap());
    let compile = |json: &[u8]| {
        let schema = Schema::parse(json).unwrap();
        let branches = Branches::of(&schema);
        (schema, branches)
    };
    vec![compile(&header.schema_json), compile(newest), compile(oldest), compile(nullable.to_string().as_bytes())]
});

/// The schema with the type of each field of its records in a union with null, but for the top union.
fn nullable(mut schema: Value) -> Value {
    for record in schema["fields"][0]["type"].as_array_mut().unwrap() {
        for field in record["fields"].as_array_mut().into_iter().flatten() {
            if !field["type"].is_array() {
                field["type"] = json!(["null", field["type"].take()]);
            }
        }
    }
    schema
}
