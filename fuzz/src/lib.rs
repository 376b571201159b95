//! What must hold for any input at all. The fuzz targets and tests/fuzz_corpus.rs run the same checks: a function
//! `check` for each target, which panics where something does not hold.

pub mod container;
pub mod k8s_message;
pub mod manifest;
#[path = "../../tests/support/reading.rs"]
mod reading;
pub mod records;
mod rows;
pub mod schema;
mod schemas;

/// A check of one input.
pub type Check = fn(&[u8]);

/// All targets by name.
pub const ALL: [(&str, Check); 5] = [
    ("container", container::check),
    ("k8s_message", k8s_message::check),
    ("manifest", manifest::check),
    ("records", records::check),
    ("schema", schema::check),
];
