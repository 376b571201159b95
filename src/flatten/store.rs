//! Entities of one kind: which are known, and the latest export of each, in memory or in a file.
//!
//! Of each entity a key and a place stay in memory, some 32 bytes. Exports that were not used for long go to the file when
//! memory is short (the clock algorithm), and come back when something refers to them.

use std::hash::{BuildHasher, Hash};
use std::mem::size_of;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pieces::Pieces;
use super::spill::Spill;

/// An index into the entities of a kind. It stays when the entity is exported again.
pub type Index = u32;

/// What is kept of an entity.
pub trait Payload: Default + Serialize + DeserializeOwned {
    /// Bytes of memory behind it, such as its strings.
    fn heap(&self) -> usize;
}

/// A reference from one entity to another, looked up when it is first needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Unresolved,
    /// Not found among the first `n` entities.
    MissingAmong(u32),
    Found(Index),
}

impl Link {
    pub fn found(self) -> Option<Index> {
        match self {
            Link::Found(index) => Some(index),
            _ => None,
        }
    }
}

/// A place in a batch: valid while the batch is the one with this number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stamp {
    pub batch: u64,
    pub key: i32,
}

/// The latest export of an entity, in memory.
#[derive(Debug)]
pub struct Latest<E> {
    pub entity: Arc<E>,
    /// Bytes of memory that it takes.
    pub bytes: usize,
    /// Where the current batch of rows has the entity, see [`crate::tables::records`].
    pub stamp: [Stamp; 2],
    /// The parent of a process.
    pub parent: Link,
    /// The container of a process, the pod of a container.
    pub owner: Link,
    /// Whether it was used since the clock's hand came by.
    used: bool,
}

impl<E> Latest<E> {
    fn new(entity: Arc<E>, bytes: usize) -> Self {
        Latest { entity, bytes, stamp: Default::default(), parent: Link::default(), owner: Link::default(), used: true }
    }
}

/// Room for an export.
#[derive(Debug)]
struct Slot<E> {
    latest: Latest<E>,
    /// Whose it is; [`NOBODY`] if it is free.
    index: Index,
    /// Where the file has it, too.
    in_file: Option<u64>,
}

const NOBODY: Index = Index::MAX;

/// Keys for which a table keeps its room from trace to trace.
const KEPT: usize = 1 << 14;

/// An entity that is known.
#[derive(Debug)]
struct Known<K> {
    key: K,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
struct Place(u64);

impl Place {
    const SLOT: u64 = 1 << 63;

    fn slot(slot: u32) -> Place {
        Place(Place::SLOT | u64::from(slot))
    }

    fn file(offset: u64) -> Place {
        Place(offset)
    }
}

/// The entities of one kind, `E`, by keys `K`.
#[derive(Debug)]
pub struct Store<K, E> {
    by_key: HashTable<Index>,
    hasher: RandomState,
    known: Pieces<Known<K>>,
    slots: Pieces<Slot<E>>,
    free: Vec<u32>,
    /// Whether an export had to leave its slot. Until then each entity has the slot of its index, which spares a look.
    evicted: bool,
    hand: usize,
    /// Bytes that the exports in memory take.
    bytes: usize,
    spill: Spill,
    /// Stands in free slots.
    nothing: Arc<E>,
}

impl<K: Hash + Eq + Default, E: Payload> Store<K, E> {
    pub fn new(spill: Spill) -> Self {
        Store {
            by_key: HashTable::new(),
            hasher: RandomState::default(),
            known: Pieces::default(),
            slots: Pieces::default(),
            free: Vec::new(),
            evicted: false,
            hand: 0,
            bytes: 0,
            spill,
            nothing: Arc::default(),
        }
    }

    /// Forgets all entities, of which the file must have none. Room for some stays.
    pub fn clear(&mut self) {
        match self.by_key.capacity() {
            0..=KEPT => self.by_key.clear(),
            _ => self.by_key = HashTable::new(),
        }
        self.known.clear();
        self.slots.clear();
        self.bytes = 0;
    }

    /// Entities so far.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Bytes that the exports in memory take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that keys and places take, also while the table of keys grows.
    pub fn index_bytes(&self) -> usize {
        // An entry of the table is an index and a byte, and at most 7 of 8 are full. The old table is half of the new one.
        let table = self.by_key.capacity() / 7 * 8 * (size_of::<Index>() + 1);
        self.known.len() * size_of::<Known<K>>() + table * 3 / 2
    }

    /// What went wrong with the file.
    pub fn failure(&mut self) -> Option<crate::error::Error> {
        self.spill.failure.take()
    }

    /// Takes over an export; it replaces an earlier one of the same key. Without a key nothing can refer to it.
    pub fn insert(&mut self, key: Option<K>, entity: Arc<E>) -> Index {
        let index = match key {
            None => self.add(K::default()),
            Some(key) => self.find(&key).unwrap_or_else(|| {
                let hash = self.hasher.hash_one(&key);
                let index = self.add(key);
                let (known, hasher) = (&self.known, &self.hasher);
                self.by_key.insert_unique(hash, index, |i| hasher.hash_one(&known.get(*i as usize).key));
                index
            }),
        };
        self.put(index, entity, None);
        index
    }

    fn add(&mut self, key: K) -> Index {
        self.known.push(Known { key, place: Place::file(0) });
        (self.known.len() - 1) as Index
    }

    /// Puts an export into the entity's slot, or into a free one if it has none.
    fn put(&mut self, index: Index, entity: Arc<E>, in_file: Option<u64>) -> u32 {
        let bytes = size_of::<Slot<E>>() + size_of::<E>() + entity.heap();
        let slot = Slot { latest: Latest::new(entity, bytes), index, in_file };
        self.bytes += bytes;
        let place = self.known.get(index as usize).place;
        let at = match place.0 & Place::SLOT {
            0 => self.free.pop(),
            _ => Some(place.0 as u32),
        };
        let Some(at) = at else {
            self.slots.push(slot);
            let at = (self.slots.len() - 1) as u32;
            self.known.get_mut(index as usize).place = Place::slot(at);
            return at;
        };
        let before = std::mem::replace(self.slots.get_mut(at as usize), slot);
        self.bytes -= before.latest.bytes;
        self.known.get_mut(index as usize).place = Place::slot(at);
        at
    }

    /// The latest export of an entity, from the file if it is there. If the file fails, it is an empty one, and
    /// [`Store::failure`] tells.
    #[inline]
    pub fn get_mut(&mut self, index: Index) -> &mut Latest<E> {
        debug_assert!(self.evicted || self.known.get(index as usize).place.0 == Place::slot(index).0);
        let slot = if self.evicted { self.slot(index) } else { index };
        let latest = &mut self.slots.get_mut(slot as usize).latest;
        latest.used = true;
        latest
    }

    /// Where the export is in memory, to which it comes back if need be.
    fn slot(&mut self, index: Index) -> u32 {
        let place = self.known.get(index as usize).place.0;
        if place & Place::SLOT != 0 { place as u32 } else { self.read_back(index, place) }
    }

    #[cold]
    fn read_back(&mut self, index: Index, offset: u64) -> u32 {
        let entity = self.spill.read(offset);
        self.put(index, Arc::new(entity), Some(offset))
    }

    pub fn find(&self, key: &K) -> Option<Index> {
        self.by_key.find(self.hasher.hash_one(key), |i| self.known.get(*i as usize).key == *key).copied()
    }

    /// Follows a link: its target keeps its index, so a link once found is never looked up again, and one that was
    /// missing only after more entities have come.
    pub fn follow(&self, link: Link, find: impl FnOnce(&Self) -> Option<Index>) -> Link {
        match link {
            Link::Found(_) => link,
            Link::MissingAmong(n) if n as usize == self.known.len() => link,
            _ => find(self).map_or(Link::MissingAmong(self.known.len() as u32), Link::Found),
        }
    }

    /// Moves an export that was not used for long to the file. There must be one in memory.
    pub fn evict(&mut self) {
        self.evicted = true;
        loop {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = self.slots.get_mut(self.hand);
            if slot.index != NOBODY && !std::mem::take(&mut slot.latest.used) {
                break;
            }
        }
        let nothing = Slot { latest: Latest::new(self.nothing.clone(), 0), index: NOBODY, in_file: None };
        let Slot { latest, index, in_file } = std::mem::replace(self.slots.get_mut(self.hand), nothing);
        self.bytes -= latest.bytes;
        self.free.push(self.hand as u32);
        let offset = in_file.unwrap_or_else(|| self.spill.append(&*latest.entity));
        self.known.get_mut(index as usize).place = Place::file(offset);
    }
}
