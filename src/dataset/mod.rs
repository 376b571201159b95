//! The dataset on disk: where things lie, how part files are written, and how a run becomes visible all at once.

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
