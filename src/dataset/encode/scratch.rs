//! Memory that each thread uses again for every page: a page passes through half a dozen buffers of its own size, and fresh
//! memory is slow.

use std::cell::RefCell;

use super::levels::Levels;

/// Buffers of one thread. Nobody relies on what is in them.
#[derive(Default)]
pub struct Scratch {
    /// The page.
    pub page: Vec<u8>,
    pub compressed: Vec<u8>,
    /// The keys of a batch's values.
    pub of_values: Vec<i32>,
    /// What the page's rows have, as keys or as numbers.
    pub keys: Vec<i32>,
    pub numbers: Vec<i64>,
    pub levels: Levels,
}

/// Bytes of buffers that a thread keeps: several for all pages but those of long strings.
const KEPT: usize = 2 << 20;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Encodes with the buffers of this thread; `encode` must not come here again.
pub fn with<T>(encode: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        let result = encode(scratch);
        if scratch.bytes() > KEPT {
            *scratch = Scratch::default();
        }
        result
    })
}

impl Scratch {
    fn bytes(&self) -> usize {
        let Scratch { page, compressed, of_values, keys, numbers, levels } = self;
        page.capacity()
            + compressed.capacity()
            + 4 * (of_values.capacity() + keys.capacity())
            + 8 * numbers.capacity()
            + levels.memory()
    }
}
