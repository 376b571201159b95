//! Reading SysFlow traces: Avro object container files, block by block, into borrowed typed records.
//!
//! [`container`] knows the file (header, blocks, sync markers, damage), [`codec`] the compression of a block,
//! [`schema`] the writer's schema, [`cursor`] where in a block the next value of it is, [`decode`] how that becomes a Rust
//! value, [`records`] the SysFlow records ([`event`] those that happen), and [`reader`] strings these together, with blocks
//! that `ahead` inflates while others are read. The other way go [`compress`] and [`mod@write`]; [`transcode`] brings
//! records from one schema into another.

mod ahead;
pub mod codec;
pub mod compress;
pub mod container;
pub mod cursor;
pub mod decode;
pub mod event;
pub mod reader;
pub mod records;
pub mod schema;
pub mod transcode;
pub mod write;
