//! The tools around the conversion: what they find, write and keep.

mod support;
#[path = "tools/verify.rs"]
mod verify;
