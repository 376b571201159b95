//! The entities of a trace as owned values, and which of them is in force when a record refers to it.
//!
//! Semantics of the reference (`sysflow.reader.FlattenedSFReader`): all state resets at a header, the latest export of
//! an entity counts, and a process is found by its creation time and process id, each clamped at 0. An entity keeps
//! its index when it is exported again, so that references are resolved once and stay right.
//!
//! What only the row of an export needs (a process's environment, a pod's labels) is not kept.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use super::kind::{Index, Latest, Stamp};
use super::kind::{Kind, Link, Payload};
use super::spill::Spill;
use crate::error::{Error, Result};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub record_no: i64,
    pub state: Option<Str>,
    pub ts: Option<i64>,
    pub id: Option<ProcessId>,
    pub parent: Option<ProcessId>,
    /// Shared with the rows of descendants.
    pub exe: Option<Arc<str>>,
    pub args: Option<Str>,
    pub uid: Option<i32>,
    pub user: Option<Str>,
    pub gid: Option<i32>,
    pub group: Option<Str>,
    pub tty: Option<bool>,
    pub entry: Option<bool>,
    pub cwd: Option<Str>,
    pub container_id: Option<Str>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub record_no: i64,
    pub state: Option<Str>,
    pub ts: Option<i64>,
    pub oid: Option<[u8; 20]>,
    pub restype: Option<i32>,
    pub path: Option<Str>,
    pub container_id: Option<Str>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub record_no: i64,
    pub id: Option<Str>,
    pub name: Option<Str>,
    pub image: Option<Str>,
    pub image_id: Option<Str>,
    pub kind: Option<Str>,
    pub privileged: Option<bool>,
    /// Shared with the rows of processes.
    pub pod_id: Option<Arc<str>>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
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
}

fn owned(text: Option<records::Text>) -> Option<Str> {
    text.map(|t| t.into_owned().into_boxed_str())
}

fn shared(text: Option<records::Text>) -> Option<Arc<str>> {
    text.map(|t| Arc::from(&*t))
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
            exe: shared(p.exe),
            args: owned(p.exe_args),
            uid: p.uid,
            user: owned(p.user_name),
            gid: p.gid,
            group: owned(p.group_name),
            tty: p.tty,
            entry: p.entry,
            cwd: owned(p.cwd),
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
            pod_id: shared(c.pod_id),
        }
    }
}

impl Pod {
    /// Bytes that the addresses of the pod take in each row of it while the row is encoded.
    pub fn list_bytes(&self) -> usize {
        let lists = [&self.host_ip, &self.internal_ip].into_iter().flatten();
        2 * size_of::<usize>() * lists.map(Vec::len).sum::<usize>()
    }

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
        }
    }
}

/// Bytes of strings in memory.
fn text_bytes<const N: usize>(texts: [Option<&str>; N]) -> usize {
    texts.into_iter().flatten().map(|text| text.len() + 8).sum()
}

fn list_bytes(list: &Option<Vec<Str>>) -> usize {
    list.iter().flatten().map(|text| size_of::<Str>() + text.len() + 8).sum()
}

impl Payload for Process {
    fn heap(&self) -> usize {
        let Process { state, exe, args, user, group, cwd, container_id, .. } = self;
        let all = [state, args, user, group, cwd, container_id].map(Option::as_deref);
        text_bytes(all) + text_bytes([exe.as_deref()])
    }
}

impl Payload for File {
    fn heap(&self) -> usize {
        let File { state, path, container_id, .. } = self;
        text_bytes([state, path, container_id].map(Option::as_deref))
    }
}

impl Payload for Container {
    fn heap(&self) -> usize {
        let Container { id, name, image, image_id, kind, pod_id, .. } = self;
        text_bytes([id, name, image, image_id, kind].map(Option::as_deref)) + text_bytes([pod_id.as_deref()])
    }
}

impl Payload for Pod {
    fn heap(&self) -> usize {
        let Pod { id, name, node_name, namespace, host_ip, internal_ip, .. } = self;
        let texts = text_bytes([id, name, node_name, namespace].map(Option::as_deref));
        texts + list_bytes(host_ip) + list_bytes(internal_ip)
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

/// All entities of a trace so far.
#[derive(Debug)]
pub struct Entities {
    pub processes: Kind<(i64, i64), Process>,
    pub files: Kind<[u8; 20], File>,
    pub containers: Kind<Name, Container>,
    pub pods: Kind<Name, Pod>,
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
            processes: Kind::new(spill()),
            files: Kind::new(spill()),
            containers: Kind::new(spill()),
            pods: Kind::new(spill()),
            room,
            spilled: false,
            last: None,
            exports: 0,
        }
    }

    /// Makes room between two records. What a record leads to stays in memory until its rows are made.
    ///
    /// # Errors
    /// The file fails, or there are more entities than even their keys have room.
    #[inline]
    pub fn make_room(&mut self) -> Result<()> {
        if self.spilled || self.bytes() > self.room.exports { self.spill() } else { Ok(()) }
    }

    fn bytes(&self) -> usize {
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
            return Err(Error::TooManyEntities(processes.count() + files.count() + containers.count() + pods.count()));
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

    pub fn add_process(&mut self, process: Arc<Process>) -> Index {
        self.exported();
        self.processes.insert(process.id.map(ProcessId::key), process)
    }

    pub fn add_file(&mut self, file: Arc<File>) -> Index {
        self.files.insert(file.oid, file)
    }

    pub fn add_container(&mut self, container: Arc<Container>) -> Index {
        self.exported();
        self.containers.insert(container.id.as_deref().map(name), container)
    }

    pub fn add_pod(&mut self, pod: Arc<Pod>) -> Index {
        self.exported();
        self.pods.insert(pod.id.as_deref().map(name), pod)
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

    pub fn file(&self, oid: Option<&[u8; 20]>) -> Ref {
        oid.map_or(Ref::Absent, |oid| Ref::of(self.files.find(oid)))
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
        let Some(id) = &process.entity.container_id else { return Ref::Absent };
        process.owner = self.containers.follow(process.owner, |all| all.find(&name(id)));
        Ref::of(process.owner.found())
    }

    /// The container with this id.
    pub fn container(&self, id: Option<&Str>) -> Ref {
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
            if seen.contains(&parent) {
                break;
            }
            let Process { record_no, id, exe, .. } = &*self.processes.get_mut(parent).entity;
            lineage.parent_no.get_or_insert(*record_no);
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
