//! The entities of a trace as owned values, and which of them is in force when a record refers to it.
//!
//! Semantics of the reference (`sysflow.reader.FlattenedSFReader`): all state resets at a header, the latest export of
//! an entity counts, and a process is found by its creation time and process id, each clamped at 0. An entity keeps
//! its index when it is exported again, so that references are resolved once and stay right.

use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::trace::records;

pub type Str = Box<str>;

/// A header and its place, as all rows of the trace refer to it.
#[derive(Debug, Default, PartialEq)]
pub struct Trace {
    /// First 16 hex digits of the input's SHA-256, `-`, the header's ordinal in the file.
    pub id: String,
    pub node_id: Option<Str>,
    pub node_ip: Option<Str>,
    pub filename: Option<Str>,
    pub schema: Option<i64>,
}

/// Creation time in nanoseconds and process id as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    pub create_ts: i64,
    pub pid: i64,
}

impl ProcessId {
    fn of(oid: &records::Oid) -> Option<ProcessId> {
        Some(ProcessId { create_ts: oid.create_ts?, pid: oid.hpid? })
    }

    fn key(self) -> (i64, i64) {
        (self.create_ts.max(0), self.pid.max(0))
    }
}

#[derive(Debug, PartialEq)]
pub struct Process {
    pub record_no: i64,
    pub state: Option<Str>,
    pub ts: Option<i64>,
    pub id: Option<ProcessId>,
    pub parent: Option<ProcessId>,
    pub exe: Option<Str>,
    pub args: Option<Str>,
    pub uid: Option<i32>,
    pub user: Option<Str>,
    pub gid: Option<i32>,
    pub group: Option<Str>,
    pub tty: Option<bool>,
    pub entry: Option<bool>,
    pub cwd: Option<Str>,
    pub env: Option<Vec<Str>>,
    pub container_id: Option<Str>,
}

#[derive(Debug, PartialEq)]
pub struct File {
    pub record_no: i64,
    pub state: Option<Str>,
    pub ts: Option<i64>,
    pub oid: Option<[u8; 20]>,
    pub restype: Option<i32>,
    pub path: Option<Str>,
    pub container_id: Option<Str>,
}

#[derive(Debug, PartialEq)]
pub struct Container {
    pub record_no: i64,
    pub id: Option<Str>,
    pub name: Option<Str>,
    pub image: Option<Str>,
    pub image_id: Option<Str>,
    pub kind: Option<Str>,
    pub privileged: Option<bool>,
    pub pod_id: Option<Str>,
}

#[derive(Debug, PartialEq)]
pub struct Pod {
    pub record_no: i64,
    pub ts: Option<i64>,
    pub id: Option<Str>,
    pub name: Option<Str>,
    pub node_name: Option<Str>,
    pub namespace: Option<Str>,
    /// Dotted IPv4 addresses.
    pub host_ip: Option<Vec<Str>>,
    pub internal_ip: Option<Vec<Str>>,
    pub restart_count: Option<i64>,
    pub labels: Option<Vec<(Str, Str)>>,
    pub selectors: Option<Vec<(Str, Str)>>,
}

fn owned(text: Option<records::Text>) -> Option<Str> {
    text.map(|t| t.into_owned().into_boxed_str())
}

fn pairs(entries: Option<crate::trace::decode::Entries>) -> Option<Vec<(Str, Str)>> {
    entries.map(|e| e.0.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
}

fn addresses(ips: Option<&Vec<i64>>) -> Option<Vec<Str>> {
    ips.map(|ips| ips.iter().map(|&ip| super::net::dotted(ip).into()).collect())
}

impl Process {
    pub fn new(record_no: i64, p: records::Process) -> Process {
        Process {
            record_no,
            state: owned(p.state),
            ts: p.ts,
            id: p.oid.as_ref().and_then(ProcessId::of),
            parent: p.poid.as_ref().and_then(ProcessId::of),
            exe: owned(p.exe),
            args: owned(p.exe_args),
            uid: p.uid,
            user: owned(p.user_name),
            gid: p.gid,
            group: owned(p.group_name),
            tty: p.tty,
            entry: p.entry,
            cwd: owned(p.cwd),
            env: p.env.map(|env| env.into_iter().map(Str::from).collect()),
            container_id: owned(p.container_id),
        }
    }
}

impl File {
    pub fn new(record_no: i64, f: records::File) -> File {
        File {
            record_no,
            state: owned(f.state),
            ts: f.ts,
            oid: f.oid,
            restype: f.restype,
            path: owned(f.path),
            container_id: owned(f.container_id),
        }
    }

    /// The resource type, which the trace gives as the code of one character.
    pub fn kind(&self) -> Option<char> {
        self.restype.and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32)
    }
}

impl Container {
    pub fn new(record_no: i64, c: records::Container) -> Container {
        Container {
            record_no,
            id: owned(c.id),
            name: owned(c.name),
            image: owned(c.image),
            image_id: owned(c.image_id),
            kind: owned(c.kind),
            privileged: c.privileged,
            pod_id: owned(c.pod_id),
        }
    }
}

impl Pod {
    pub fn new(record_no: i64, p: records::Pod) -> Pod {
        Pod {
            record_no,
            ts: p.ts,
            host_ip: addresses(p.host_ip.as_ref()),
            internal_ip: addresses(p.internal_ip.as_ref()),
            id: owned(p.id),
            name: owned(p.name),
            node_name: owned(p.node_name),
            namespace: owned(p.namespace),
            restart_count: p.restart_count,
            labels: pairs(p.labels),
            selectors: pairs(p.selectors),
        }
    }
}

/// An index into one of the lists of [`Entities`].
pub type Index = u32;

/// A reference from one entity to another, looked up when it is first needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Unresolved,
    /// Not found among the first `n` entities.
    MissingAmong(u32),
    Found(Index),
}

/// The latest export of an entity.
#[derive(Debug)]
pub struct Latest<E> {
    pub entity: Arc<E>,
    /// Where the current batch of rows has the entity, see [`crate::tables::records`].
    pub stamp: [Stamp; 2],
    /// The parent of a process.
    parent: Link,
    /// The container of a process or file, the pod of a container.
    owner: Link,
}

/// A place in a batch: valid while the batch is the one with this number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stamp {
    pub batch: u64,
    pub key: i32,
}

/// Entities of one kind, by key.
#[derive(Debug)]
pub struct Kind<K, E> {
    by_key: HashMap<K, Index, RandomState>,
    list: Vec<Latest<E>>,
}

impl<K, E> Default for Kind<K, E> {
    fn default() -> Self {
        Kind { by_key: HashMap::default(), list: Vec::new() }
    }
}

impl<K: Hash + Eq, E> Kind<K, E> {
    /// Takes over an export; it replaces an earlier one of the same key. Without a key nothing can refer to it.
    fn insert(&mut self, key: Option<K>, entity: Arc<E>) -> Index {
        let latest = Latest { entity, stamp: Default::default(), parent: Link::Unresolved, owner: Link::Unresolved };
        let next = self.list.len() as Index;
        let index = match key {
            Some(key) => *self.by_key.entry(key).or_insert(next),
            None => next,
        };
        if index == next {
            self.list.push(latest);
        } else {
            self.list[index as usize] = latest;
        }
        index
    }

    pub fn get(&self, index: Index) -> &Latest<E> {
        &self.list[index as usize]
    }

    pub fn get_mut(&mut self, index: Index) -> &mut Latest<E> {
        &mut self.list[index as usize]
    }

    fn find<Q: Hash + hashbrown::Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Index> {
        self.by_key.get(key).copied()
    }

    /// Follows a link: its target keeps its index, so a link once found is never looked up again, and one that was
    /// missing only after more entities have come.
    fn follow(&self, link: Link, find: impl FnOnce(&Self) -> Option<Index>) -> Link {
        match link {
            Link::Found(_) => link,
            Link::MissingAmong(n) if n as usize == self.list.len() => link,
            _ => find(self).map_or(Link::MissingAmong(self.list.len() as u32), Link::Found),
        }
    }
}

impl Link {
    fn found(self) -> Option<Index> {
        match self {
            Link::Found(index) => Some(index),
            _ => None,
        }
    }
}

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

/// Ancestors of a process that are followed at most: a chain as long as a hostile trace must not cost its square.
const MAX_ANCESTORS: usize = 256;

/// All entities of a trace so far.
#[derive(Debug, Default)]
pub struct Entities {
    pub processes: Kind<(i64, i64), Process>,
    pub files: Kind<[u8; 20], File>,
    pub containers: Kind<Str, Container>,
    pub pods: Kind<Str, Pod>,
}

impl Entities {
    pub fn add_process(&mut self, process: Arc<Process>) -> Index {
        self.processes.insert(process.id.map(ProcessId::key), process)
    }

    pub fn add_file(&mut self, file: Arc<File>) -> Index {
        self.files.insert(file.oid, file)
    }

    pub fn add_container(&mut self, container: Arc<Container>) -> Index {
        self.containers.insert(container.id.clone(), container)
    }

    pub fn add_pod(&mut self, pod: Arc<Pod>) -> Index {
        self.pods.insert(pod.id.clone(), pod)
    }

    pub fn process(&self, oid: Option<&records::Oid>) -> Ref {
        match oid.and_then(ProcessId::of) {
            None => Ref::Absent,
            Some(id) => Ref::of(self.processes.find(&id.key())),
        }
    }

    pub fn file(&self, oid: Option<&[u8; 20]>) -> Ref {
        oid.map_or(Ref::Absent, |oid| Ref::of(self.files.find(oid)))
    }

    /// The parent of the process at `index`.
    pub fn parent(&mut self, index: Index) -> Ref {
        let process = self.processes.get(index);
        let Some(id) = process.entity.parent else { return Ref::Absent };
        let link = self.processes.follow(process.parent, |all| all.find(&id.key()));
        self.processes.get_mut(index).parent = link;
        Ref::of(link.found())
    }

    /// The container of the process at `index`.
    pub fn process_container(&mut self, index: Index) -> Ref {
        let process = self.processes.get_mut(index);
        let Some(id) = &process.entity.container_id else { return Ref::Absent };
        process.owner = self.containers.follow(process.owner, |all| all.find(id));
        Ref::of(process.owner.found())
    }

    /// The container with this id.
    pub fn container(&self, id: Option<&Str>) -> Ref {
        id.map_or(Ref::Absent, |id| Ref::of(self.containers.find(id)))
    }

    /// The pod of the container at `index`.
    pub fn pod(&mut self, index: Index) -> Ref {
        let container = self.containers.get_mut(index);
        let Some(id) = &container.entity.pod_id else { return Ref::Absent };
        container.owner = self.pods.follow(container.owner, |all| all.find(id));
        Ref::of(container.owner.found())
    }

    /// The ancestors of the process at `index`, parent first, to the root or to where a cycle closes.
    pub fn ancestors(&mut self, index: Index) -> Vec<Arc<Process>> {
        let mut seen = vec![index];
        let mut ancestors = Vec::new();
        let mut at = index;
        while let Ref::To(parent) = self.parent(at) {
            if seen.contains(&parent) || ancestors.len() == MAX_ANCESTORS {
                break;
            }
            seen.push(parent);
            ancestors.push(self.processes.get(parent).entity.clone());
            at = parent;
        }
        ancestors
    }
}
