//! From records to flat rows: entities in force, references, operation flags, addresses, times.

mod dateless;
pub mod entities;
pub mod entity;
pub mod event;
pub mod exports;
pub mod flattener;
#[cfg(test)]
mod model;
pub mod net;
pub mod opflags;
mod pieces;
mod spill;
pub mod store;
pub mod texts;
pub mod time;
