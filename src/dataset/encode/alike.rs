//! Pages that columns share. Many columns of an entity divide its rows alike, such as the id and the name of a user: what
//! their dictionaries make of a batch's rows is the same to the byte, and is made once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::page::FinishedPage;

/// Pages of the keys of a dictionary that columns with the same rows may share.
#[derive(Debug, Default)]
pub struct Alike(Mutex<Vec<(Division, FinishedPage)>>);

/// How a column divides the rows of a batch: with it, and with which values each row has, a page is settled.
#[derive(Debug, PartialEq)]
struct Division {
    /// Keys of the values that are there.
    keys: Box<[i32]>,
    /// Which are.
    present: Box<[bool]>,
    /// Bits of a key.
    width: u32,
}

impl Alike {
    /// The page of a column whose values have these keys, if some column had the same.
    pub fn get(&self, keys: &[i32], present: &[bool], width: u32) -> Option<FinishedPage> {
        let is_same = |of: &Division| of.width == width && *of.keys == *keys && *of.present == *present;
        self.lock().iter().find(|(of, _)| is_same(of)).map(|(_, page)| page.clone())
    }

    pub fn put(&self, keys: &[i32], present: &[bool], width: u32, page: &FinishedPage) {
        self.lock().push((Division { keys: keys.into(), present: present.into(), width }, page.clone()));
    }

    pub fn clear(&mut self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Division, FinishedPage)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// They can be made again.
impl Clone for Alike {
    fn clone(&self) -> Self {
        Alike::default()
    }
}
