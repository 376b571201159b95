//! The entities of a trace, and which of them is in force when a record refers to it.
//!
//! Semantics of the reference (`sysflow.reader.FlattenedSFReader`): all state resets at a header, the latest export of
//! an entity counts, and a process is found by its creation time and process id, each clamped at 0. An entity keeps
//! its index when it is exported again, so that references are resolved once and stay right.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::entity::{Container, File, Pod, Process, ProcessId};
use super::spill::Spill;
pub use super::store::{Index, Latest, Stamp};
use super::store::{Link, Store};
use crate::error::{Error, Result};
use crate::trace::records;

/// What a reference leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ref {
    /// There is no reference.
    Absent,
    /// Nothing has been exported that it could mean.
    Dangling,
    To(Index),
}

impl Ref {
    pub fn index(self) -> Option<Index> {
        match self {
            Ref::To(index) => Some(index),
            _ => None,
        }
    }

    fn of(index: Option<Index>) -> Ref {
        index.map_or(Ref::Dangling, Ref::To)
    }
}

/// Memory for the entities of a trace, and where those go that it does not hold.
#[derive(Debug, Clone)]
pub struct Room {
    /// A folder on a disk with space.
    pub folder: PathBuf,
    /// Bytes for the exports in memory.
    pub exports: usize,
    /// Bytes for the keys and places of all.
    pub index: usize,
}

/// Room for all there may be.
impl Default for Room {
    fn default() -> Self {
        Room { folder: PathBuf::new(), exports: usize::MAX, index: usize::MAX }
    }
}

/// Ancestors of a process that are followed at most: a chain as long as a hostile trace must not cost its square.
const MAX_ANCESTORS: usize = 256;
/// Bytes of the ancestors' executables: room for as many paths as Linux allows to be long (PATH_MAX).
const MAX_ANCESTOR_TEXT: usize = MAX_ANCESTORS * 4096;

/// Where a process comes from.
#[derive(Debug, Default)]
pub struct Lineage {
    /// `record_no` of the parent.
    pub parent_no: Option<i64>,
    /// Parent first, to the root or to where a cycle closes.
    pub ancestors: Vec<Ancestor>,
}

/// What a process's row has of an ancestor.
#[derive(Debug)]
pub struct Ancestor {
    pub pid: Option<i64>,
    pub exe: Option<Arc<str>>,
}

impl Ancestor {
    /// Bytes that a row takes for it.
    pub fn bytes(&self) -> usize {
        64 + self.exe.as_ref().map_or(0, |exe| exe.len())
    }
}

/// The id of a container or pod, and its length: itself if it is short, or else its SHA-256.
type Name = ([u8; 32], usize);

fn name(id: &str) -> Name {
    let mut name = [0; 32];
    match name.get_mut(..id.len()) {
        Some(start) => start.copy_from_slice(id.as_bytes()),
        None => name = Sha256::digest(id).into(),
    }
    (name, id.len())
}

/// The id of a file as numbers, which are compared and hashed faster than bytes.
type FileKey = (u64, u64, u32);

fn file_key(oid: &[u8; 20]) -> FileKey {
    let (eights, last) = oid.as_chunks();
    let last = last.try_into().map_or(0, u32::from_le_bytes);
    (u64::from_le_bytes(eights[0]), u64::from_le_bytes(eights[1]), last)
}

/// All entities of a trace so far.
#[derive(Debug)]
pub struct Entities {
    pub processes: Store<(i64, i64), Process>,
    pub files: Store<FileKey, File>,
    pub containers: Store<Name, Container>,
    pub pods: Store<Name, Pod>,
    room: Room,
    spilled: bool,
    /// The process that was asked for last: most events come from the same as the one before.
    last: Option<(ProcessId, Actor)>,
    /// Exports so far, but for those of files.
    exports: u64,
}

/// What the process of an event leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    pub process: Ref,
    pub parent: Ref,
    pub container: Ref,
    pub pod: Ref,
}

impl Default for Entities {
    fn default() -> Self {
        Entities::new(Room::default())
    }
}

impl Entities {
    pub fn new(room: Room) -> Self {
        let spill = || Spill::within(&room.folder);
        Entities {
            processes: Store::new(spill()),
            files: Store::new(spill()),
            containers: Store::new(spill()),
            pods: Store::new(spill()),
            room,
            spilled: false,
            last: None,
            exports: 0,
        }
    }

    /// For the next trace, which knows nothing of this one: files of many short traces need no new memory for each.
    pub fn cleared(mut self) -> Self {
        if self.spilled {
            return Entities::new(self.room);
        }
        self.processes.clear();
        self.files.clear();
        self.containers.clear();
        self.pods.clear();
        Entities { last: None, exports: 0, ..self }
    }

    /// Makes room between two records. What a record leads to stays in memory until its rows are made.
    ///
    /// # Errors
    /// The file fails, or there are more entities than even their keys have room.
    #[inline]
    pub fn make_room(&mut self) -> Result<()> {
        if self.spilled || self.bytes() > self.room.exports { self.spill() } else { Ok(()) }
    }

    /// Bytes of memory that exports take, roughly.
    pub fn bytes(&self) -> usize {
        self.processes.bytes() + self.files.bytes() + self.containers.bytes() + self.pods.bytes()
    }

    fn spill(&mut self) -> Result<()> {
        self.spilled = true;
        while self.bytes() > self.room.exports {
            let Entities { processes, files, containers, pods, .. } = self;
            let largest = processes.bytes().max(files.bytes()).max(containers.bytes()).max(pods.bytes());
            match largest {
                bytes if bytes == processes.bytes() => processes.evict(),
                bytes if bytes == files.bytes() => files.evict(),
                bytes if bytes == containers.bytes() => containers.evict(),
                _ => pods.evict(),
            }
        }
        let Entities { processes, files, containers, pods, room, .. } = self;
        let index = [processes.index_bytes(), files.index_bytes(), containers.index_bytes(), pods.index_bytes()];
        if index.iter().sum::<usize>() > room.index {
            let entities = processes.count() + files.count() + containers.count() + pods.count();
            return Err(Error::TooManyEntities { input: String::new(), entities });
        }
        let failure = processes.failure().or(files.failure()).or(containers.failure()).or(pods.failure());
        failure.map_or(Ok(()), Err)
    }

    /// What an actor is may have changed.
    fn exported(&mut self) {
        self.last = None;
        self.exports += 1;
    }

    /// Exports so far of processes, containers and pods: while there are no more, an actor has the same entities.
    pub fn exports(&self) -> u64 {
        self.exports
    }

    /// Takes an export of a process; the result is its index.
    pub fn add_process(&mut self, process: Arc<Process>) -> Index {
        self.exported();
        self.processes.insert(process.id.map(ProcessId::key), process)
    }

    /// The same of a file.
    pub fn add_file(&mut self, file: Arc<File>) -> Index {
        self.files.insert(file.oid.as_ref().map(file_key), file)
    }

    /// The same of a container.
    pub fn add_container(&mut self, container: Arc<Container>) -> Index {
        self.exported();
        self.containers.insert(container.id().map(name), container)
    }

    /// The same of a pod.
    pub fn add_pod(&mut self, pod: Arc<Pod>) -> Index {
        self.exported();
        self.pods.insert(pod.id().map(name), pod)
    }

    /// The process with this id, and what it leads to.
    pub fn actor(&mut self, oid: Option<&records::Oid>) -> Actor {
        let Some(id) = oid.and_then(ProcessId::of) else {
            return Actor { process: Ref::Absent, parent: Ref::Absent, container: Ref::Absent, pod: Ref::Absent };
        };
        if let Some((last, actor)) = self.last
            && last == id
        {
            return actor;
        }
        let process = Ref::of(self.processes.find(&id.key()));
        let parent = process.index().map_or(Ref::Absent, |p| self.parent(p));
        let container = process.index().map_or(Ref::Absent, |p| self.process_container(p));
        let pod = container.index().map_or(Ref::Absent, |c| self.pod(c));
        self.last.insert((id, Actor { process, parent, container, pod })).1
    }

    /// The last export of a file.
    pub fn file(&self, oid: Option<&[u8; 20]>) -> Ref {
        oid.map_or(Ref::Absent, |oid| Ref::of(self.files.find(&file_key(oid))))
    }

    /// The parent of the process at `index`.
    pub fn parent(&mut self, index: Index) -> Ref {
        let process = self.processes.get_mut(index);
        let Some(id) = process.entity.parent else { return Ref::Absent };
        let link = process.parent;
        if let Link::Found(parent) = link {
            return Ref::To(parent);
        }
        let link = self.processes.follow(link, |all| all.find(&id.key()));
        self.processes.get_mut(index).parent = link;
        Ref::of(link.found())
    }

    /// The container of the process at `index`.
    pub fn process_container(&mut self, index: Index) -> Ref {
        let process = self.processes.get_mut(index);
        let Some(id) = process.entity.container_id() else { return Ref::Absent };
        process.owner = self.containers.follow(process.owner, |all| all.find(&name(id)));
        Ref::of(process.owner.found())
    }

    /// The container with this id.
    pub fn container(&self, id: Option<&str>) -> Ref {
        id.map_or(Ref::Absent, |id| Ref::of(self.containers.find(&name(id))))
    }

    /// The pod of the container at `index`.
    pub fn pod(&mut self, index: Index) -> Ref {
        let container = self.containers.get_mut(index);
        let Some(id) = &container.entity.pod_id else { return Ref::Absent };
        container.owner = self.pods.follow(container.owner, |all| all.find(&name(id)));
        Ref::of(container.owner.found())
    }

    /// Where the process at `index` comes from.
    pub fn lineage(&mut self, index: Index) -> Lineage {
        let mut lineage = Lineage::default();
        let (mut seen, mut text, mut at) = (vec![index], 0, index);
        while let Ref::To(parent) = self.parent(at) {
            let Process { record_no, id, exe, .. } = &*self.processes.get_mut(parent).entity;
            lineage.parent_no.get_or_insert(*record_no);
            if seen.contains(&parent) {
                break;
            }
            text += exe.as_ref().map_or(0, |exe| exe.len());
            if lineage.ancestors.len() == MAX_ANCESTORS || text > MAX_ANCESTOR_TEXT {
                break;
            }
            lineage.ancestors.push(Ancestor { pid: id.map(|id| id.pid), exe: exe.clone() });
            seen.push(parent);
            at = parent;
        }
        lineage
    }
}
