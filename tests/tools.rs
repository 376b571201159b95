//! The tools around the conversion: what they find, write and keep.

#[path = "tools/concat.rs"]
mod concat;
#[path = "tools/inspect.rs"]
mod inspect;
mod support;
#[path = "tools/verify.rs"]
mod verify;
