//! The tools around the conversion: what they find, write and keep.

#[path = "tools/cli.rs"]
mod cli;
#[path = "tools/concat.rs"]
mod concat;
#[path = "tools/inspect.rs"]
mod inspect;
#[path = "tools/man.rs"]
mod man;
#[path = "tools/repair.rs"]
mod repair;
mod support;
#[path = "tools/verify.rs"]
mod verify;
