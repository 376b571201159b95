//! From records to flat rows.
//!
//! [`flattener`] takes the records of a trace in order: [`exports`] makes rows of entities and puts them in force, [`event`] a
//! row of an event or flow and what it refers to. [`entities`] knows which are in force, in a [`store`] for each kind that holds
//! an [`entity`] (its strings are [`texts`], in `pieces`) or lets it `spill` to disk. [`net`] and [`opflags`] say what addresses
//! and operation flags look like, `dateless` keeps rejects that have no date yet.

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
