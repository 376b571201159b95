//! `--memory`, and what has which share of it: all of them are in docs/operations.md. What is inflated ahead has a part of a
//! block's share ([`crate::trace`]), and what waits to be encoded or used again twice that of a batch ([`crate::tables`]).

/// Bytes of memory to stay within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct Memory(pub usize);

/// Bytes that an open file takes besides its pages: writers of a hundred columns, and their buffers.
const OPEN_FILE: usize = 2 << 20;

impl Memory {
    /// Unless something else is asked for.
    pub const USUAL: Memory = Memory(1 << 30);
    /// Less would not hold what any run takes: rows of two batches, a hundred columns that are encoded, and their buffers.
    pub const LEAST: Memory = Memory(256 << 20);
    /// Bytes that a block may have with any memory: pages count theirs with 31 bits.
    pub const MAX_BLOCK: usize = 1 << 30;

    /// Bytes that a block may have, compressed or inflated. One string may fill it, and is in memory some six times until
    /// its page is written.
    pub fn block(self) -> usize {
        (self.0 / 8).min(Memory::MAX_BLOCK)
    }

    /// Bytes of rows that are encoded together.
    pub fn batch(self) -> usize {
        (16 << 20).min(self.0 / 32)
    }

    /// Bytes of the exports of a trace's entities that stay in memory.
    pub fn exports(self) -> usize {
        self.0 / 8
    }

    /// Bytes of the keys and places of all entities of a trace.
    pub fn index(self) -> usize {
        self.0 / 8 * 3
    }

    /// Bytes of all open row groups.
    pub fn groups(self) -> usize {
        self.0 / 24
    }

    /// Bytes of one open row group.
    pub fn group(self) -> usize {
        (64 << 20).min(self.groups())
    }

    /// Bytes that the footers of all open files are made of.
    pub fn footers(self) -> usize {
        self.0 / 8
    }

    /// Part files that may be open.
    pub fn open_files(self) -> usize {
        500.min(self.0 / OPEN_FILE)
    }
}
