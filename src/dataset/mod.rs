//! The dataset on disk: where things lie, how part files are written, and how a run becomes visible all at once.
//!
//! [`layout`] says where things lie, and [`lock`] that one run writes at a time. The [`writer`] has an [`open_part`] for each table and
//! date, whose columns [`encode`] and [`compression`] write; it becomes a [`part`] of the run's [`manifest`] and is on disk by
//! [`sync`]. [`commit`] publishes, by a [`journal`]. The manifests make up the [`state`]; [`known`] is a first look at them, and
//! [`part_reader`] reads rows that stay. [`verify`] checks it all.

pub mod commit;
pub mod compression;
pub mod encode;
pub mod journal;
pub mod known;
pub mod layout;
pub mod lock;
pub mod manifest;
pub mod open_part;
pub mod part;
pub mod part_reader;
pub mod state;
pub mod sync;
pub mod verify;
pub mod writer;
