//! `records`: every event and flow, flattened with its process, parent, files, container, pod and node.
//!
//! A batch keeps each entity once and a row as indexes of entities, so that the forty columns that describe entities
//! cost a shared array of keys and a few values each.

use std::borrow::Cow;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::chunk::Rows;
use super::column::Get::{Bool, I32, I64, Seq, Str, StrList, Time};
use super::column::{Column, ColumnData, Keys, Numbers, Values, column, record_no, trace_id};
use super::entity_row::{given, list, text};
use super::schema::ColumnInfo;
use super::spare::Recycle;
use crate::flatten::entities::{self, Latest};
use crate::flatten::entity::{Container, File, Pod, Process, Trace};
use crate::flatten::{net, opflags};
use crate::k8s::expand::KubernetesEvent;
use crate::trace::event::{self, Number};
use crate::trace::records::EventKind;

pub const DOC: &str = "an event or flow (PE, FE, NE, PF, FF, NF, KE), flattened with all that it refers to";

/// Values that many rows share: each once, and for each row the place of its value, if it has one.
#[derive(Debug)]
pub struct Role<E> {
    values: Vec<E>,
    keys: Keys,
}

impl<E> Role<E> {
    fn new(rows: usize) -> Self {
        Role { values: Vec::new(), keys: Keys::with_capacity(rows) }
    }

    /// Appends a value that no row has yet; the result is its key.
    pub fn add(&mut self, value: E) -> i32 {
        self.values.push(value);
        (self.values.len() - 1) as i32
    }

    /// The next row has the value with this key, or none.
    pub fn push(&mut self, key: Option<i32>) {
        self.keys.push(key);
    }

    fn clear(&mut self) {
        let Role { values, keys } = self;
        values.clear();
        keys.clear();
    }

    fn column(&self, column: &Column<E>) -> ColumnData<'_> {
        ColumnData { keys: Some(Cow::Borrowed(&self.keys)), values: column.get.build(self.values.iter()) }
    }
}

impl<E> Role<Arc<E>> {
    /// The next row has the entity, which knows its key in the batch with this number if it has one already. The result is
    /// the bytes that it takes, if it has not: nothing else keeps it in memory when the trace has many.
    pub fn push_entity(&mut self, latest: Option<&mut Latest<E>>, batch: u64, stamp: usize) -> usize {
        let mut bytes = 0;
        let key = latest.map(|latest| {
            if latest.stamp[stamp].batch != batch {
                let key = self.add(latest.entity.clone());
                bytes = latest.bytes;
                latest.stamp[stamp] = entities::Stamp { batch, key };
            }
            latest.stamp[stamp].key
        });
        self.push(key);
        bytes
    }
}

impl Role<Arc<Trace>> {
    /// The next row belongs to this trace; the result is its key. Rows of a trace follow each other.
    pub fn push_trace(&mut self, trace: &Arc<Trace>) -> i32 {
        let key = match self.values.last() {
            Some(last) if Arc::ptr_eq(last, trace) => (self.values.len() - 1) as i32,
            _ => self.add(trace.clone()),
        };
        self.push(Some(key));
        key
    }
}

/// Rows of a batch with the same of it have the same process, parent, container and pod.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorKey {
    /// The trace's key in the batch.
    pub trace: i32,
    /// [`entities::Entities::exports`] of the trace.
    pub exports: u64,
    pub actor: entities::Actor,
}

/// Values that rows share, found by their content.
fn distinct<V: Hash + Eq + Copy>(rows: impl ExactSizeIterator<Item = Option<V>>) -> Role<V> {
    let mut role = Role::new(rows.len());
    let mut known: HashMap<V, i32, RandomState> = HashMap::default();
    // Often the next row's, too.
    let mut last: Option<(V, i32)> = None;
    for row in rows {
        let key = row.map(|value| match last {
            Some((last, key)) if last == value => key,
            _ => {
                let key = *known.entry(value).or_insert_with(|| role.add(value));
                last.insert((value, key)).1
            }
        });
        role.push(key);
    }
    role
}

/// How large a batch is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    rows: usize,
    /// Rows that have each number.
    numbers: [usize; Number::COUNT],
}

impl Shape {
    /// Of a batch of so many rows, of which nothing is known yet.
    pub fn of_any(rows: usize) -> Shape {
        Shape { rows, numbers: [rows; Number::COUNT] }
    }
}

/// A batch of rows.
#[derive(Debug)]
pub struct Batch {
    /// Distinguishes batches, so that entities know whether they are in this one. Starts at 1.
    pub number: u64,
    record_nos: Vec<i64>,
    /// Which numbers each row's event has, see [`Number::bit`].
    present: Vec<u32>,
    /// The last row's, and the bytes that the lists of its pod take.
    pub last_actor: Option<(ActorKey, usize)>,
    /// Those that the rows have, one behind the other.
    numbers: [Vec<i64>; Number::COUNT],
    pub traces: Role<Arc<Trace>>,
    pub processes: Role<Arc<Process>>,
    pub parents: Role<Arc<Process>>,
    pub files: Role<Arc<File>>,
    pub new_files: Role<Arc<File>>,
    pub containers: Role<Arc<Container>>,
    pub pods: Role<Arc<Pod>>,
    pub k8s: Role<Arc<KubernetesEvent>>,
    row_kinds: Vec<EventKind>,
    /// Made when they are first asked for, as the following.
    kinds: OnceLock<Role<EventKind>>,
    ops: OnceLock<Role<i32>>,
    sips: OnceLock<Role<i64>>,
    dips: OnceLock<Role<i64>>,
}

/// Where a column's values come from: the row, or something that many rows share.
pub(super) enum Source {
    RecordNo(Column<i64>),
    /// A number of the event itself.
    Number(Number, Column<i64>),
    /// The state of the process, or of the file where there is no process (as in the reference).
    State(Column<Arc<Process>>),
    Trace(Column<Arc<Trace>>),
    Process(Column<Arc<Process>>),
    Parent(Column<Arc<Process>>),
    File(Column<Arc<File>>),
    NewFile(Column<Arc<File>>),
    Container(Column<Arc<Container>>),
    Pod(Column<Arc<Pod>>),
    K8s(Column<Arc<KubernetesEvent>>),
    Kind(Column<EventKind>),
    Ops(Column<i32>),
    Sip(Column<i64>),
    Dip(Column<i64>),
}

use Source as S;

impl Source {
    /// The column's description.
    pub fn info(&self) -> ColumnInfo {
        match self {
            S::RecordNo(c) | S::Number(_, c) => c.info(),
            S::Trace(c) => c.info(),
            S::State(c) | S::Process(c) | S::Parent(c) => c.info(),
            S::File(c) | S::NewFile(c) => c.info(),
            S::Container(c) => c.info(),
            S::Pod(c) => c.info(),
            S::K8s(c) => c.info(),
            S::Kind(c) => c.info(),
            S::Ops(c) => c.info(),
            S::Sip(c) | S::Dip(c) => c.info(),
        }
    }
}

// The numbers of events are columns already; these only say of which type.
fn some(number: &i64) -> Option<i64> {
    Some(*number)
}

fn int(number: &i64) -> Option<i32> {
    i32::try_from(*number).ok()
}

fn operations(flags: &i32, names: &mut Vec<&str>) -> bool {
    opflags::names(*flags).for_each(|name| names.push(name));
    true
}

pub(super) const COLUMNS: &[Source] = &[
    S::Trace(trace_id(|t| Some((&*t.id).into()))),
    S::RecordNo(record_no(some)),
    S::Kind(column("type", "type", Str(|k| Some(k.code().into())), "PE, FE, NE, PF, FF, NF or KE")),
    S::State(column(
        "state",
        "state",
        Str(|p| given(p.state())),
        "state of the process, or of the file if there is no process",
    )),
    S::Ops(column("opflags", "opflags", Str(|o| Some(opflags::text(*o).into())), "operations, the reference's text")),
    S::Ops(column("opflags_bitmap", "opflags_bitmap", I32(|o| Some(*o)), "operations as bits")),
    S::Ops(column("ops", "", StrList(operations), "operations by name, in bit order; a bit without a name is `BIT_n`")),
    S::Number(Number::Ret, column("ret", "ret", I32(int), "return code of an event")),
    S::Number(Number::Ts, column("ts", "ts", Time(some), "start, floored to microseconds")),
    S::Number(Number::Ts, column("ts_uts", "ts_uts", Seq(some), "start in nanoseconds")),
    S::Number(Number::EndTs, column("endts", "endts", Time(some), "end of a flow, floored to microseconds")),
    S::Number(Number::EndTs, column("endts_uts", "endts_uts", Seq(some), "end of a flow in nanoseconds")),
    S::Process(column("proc_pid", "proc.pid", I64(|p| p.id.map(|i| i.pid)), "process id as the host sees it")),
    S::Number(Number::Tid, column("proc_tid", "proc.tid", I64(some), "thread id")),
    S::Process(column("proc_uid", "proc.uid", I32(|p| p.uid), "user id")),
    S::Process(column("proc_user", "proc.user", Str(|p| given(p.user())), "user name")),
    S::Process(column("proc_gid", "proc.gid", I32(|p| p.gid), "group id")),
    S::Process(column("proc_group", "proc.group", Str(|p| given(p.group())), "group name")),
    S::Process(column("proc_cwd", "proc.cwd", Str(|p| given(p.cwd())), "working directory (schema 5 on)")),
    S::Process(column("proc_exe", "proc.exe", Str(|p| text(&p.exe)), "executable")),
    S::Process(column("proc_args", "proc.args", Str(|p| given(p.args())), "arguments")),
    S::Process(column("proc_tty", "proc.tty", Bool(|p| p.tty), "has a terminal")),
    S::Process(column("proc_entry", "proc.entry", Bool(|p| p.entry), "is the entry point of its container")),
    S::Process(column("proc_createts", "proc.createts", I64(|p| p.id.map(|i| i.create_ts)), "creation, nanoseconds")),
    S::Parent(column("pproc_pid", "pproc.pid", I64(|p| p.id.map(|i| i.pid)), "parent: process id")),
    S::Parent(column("pproc_uid", "pproc.uid", I32(|p| p.uid), "parent: user id")),
    S::Parent(column("pproc_user", "pproc.user", Str(|p| given(p.user())), "parent: user name")),
    S::Parent(column("pproc_gid", "pproc.gid", I32(|p| p.gid), "parent: group id")),
    S::Parent(column("pproc_group", "pproc.group", Str(|p| given(p.group())), "parent: group name")),
    S::Parent(column("pproc_cwd", "pproc.cwd", Str(|p| given(p.cwd())), "parent: working directory")),
    S::Parent(column("pproc_exe", "pproc.exe", Str(|p| text(&p.exe)), "parent: executable")),
    S::Parent(column("pproc_args", "pproc.args", Str(|p| given(p.args())), "parent: arguments")),
    S::Parent(column("pproc_tty", "pproc.tty", Bool(|p| p.tty), "parent: has a terminal")),
    S::Parent(column("pproc_entry", "pproc.entry", Bool(|p| p.entry), "parent: is an entry point")),
    S::Parent(column("pproc_createts", "pproc.createts", I64(|p| p.id.map(|i| i.create_ts)), "parent: creation")),
    S::Number(Number::Fd, column("file_fd", "file.fd", I32(int), "descriptor of a file or network flow")),
    S::File(column("file_path", "file.path", Str(|f| given(f.path())), "path")),
    S::NewFile(column("file_newpath", "file.newpath", Str(|f| given(f.path())), "new path of a rename or link")),
    S::File(column("file_type", "file.type", Str(|f| f.kind()), "f, d, p, u, …")),
    S::Number(Number::OpenFlags, column("file_openflags", "file.openflags", I32(int), "open flags as bits")),
    S::Number(Number::Proto, column("net_proto", "net.proto", I32(int), "IP protocol number: 6 TCP, 17 UDP")),
    S::Number(Number::Sport, column("net_sport", "net.sport", I32(int), "source port")),
    S::Number(Number::Dport, column("net_dport", "net.dport", I32(int), "destination port")),
    S::Sip(column("net_sip", "net.sip", Str(|ip| Some(net::dotted(*ip).into())), "source address")),
    S::Dip(column("net_dip", "net.dip", Str(|ip| Some(net::dotted(*ip).into())), "destination address")),
    S::Sip(column("net_sip_int", "net.sip", I64(|ip| Some(net::host_order(*ip))), "source, host byte order")),
    S::Dip(column("net_dip_int", "net.dip", I64(|ip| Some(net::host_order(*ip))), "destination, host byte order")),
    S::Number(Number::ReadBytes, column("flow_rbytes", "flow.rbytes", I64(some), "bytes read or received")),
    S::Number(Number::Reads, column("flow_rops", "flow.rops", I64(some), "reads")),
    S::Number(Number::WrittenBytes, column("flow_wbytes", "flow.wbytes", I64(some), "bytes written or sent")),
    S::Number(Number::Writes, column("flow_wops", "flow.wops", I64(some), "writes")),
    S::Number(Number::ThreadsCloned, column("pf_nthreads", "pf.nthreads", I64(some), "threads created")),
    S::Number(Number::ThreadsExited, column("pf_nexits", "pf.nexits", I64(some), "threads exited")),
    S::Number(Number::CloneErrors, column("pf_nerrors", "pf.nerrors", I64(some), "clone errors")),
    S::Container(column("container_id", "container.id", Str(|c| given(c.id())), "container id")),
    S::Container(column("container_name", "container.name", Str(|c| given(c.name())), "container name")),
    S::Container(column("container_imageid", "container.imageid", Str(|c| given(c.image_id())), "image id")),
    S::Container(column("container_image", "container.image", Str(|c| given(c.image())), "image name")),
    S::Container(column("container_type", "container.type", Str(|c| given(c.kind())), "CT_DOCKER, CT_CRIO, …")),
    S::Container(column("container_privileged", "container.privileged", Bool(|c| c.privileged), "runs privileged")),
    S::Pod(column("pod_id", "pod.id", Str(|p| given(p.id())), "pod id")),
    S::Pod(column("pod_name", "pod.name", Str(|p| given(p.name())), "pod name")),
    S::Pod(column("pod_nname", "pod.nname", Str(|p| given(p.node_name())), "name of the pod's node")),
    S::Pod(column("pod_hostip", "pod.hostip", StrList(|p, out| list(&p.host_ip, out)), "addresses of the pod's host")),
    S::Pod(column(
        "pod_internalip",
        "pod.internalip",
        StrList(|p, out| list(&p.internal_ip, out)),
        "the pod's addresses",
    )),
    S::Pod(column("pod_ns", "pod.ns", Str(|p| given(p.namespace())), "pod namespace")),
    S::Pod(column("pod_rstrtcnt", "pod.rstrtcnt", I64(|p| p.restart_count), "restarts of the pod")),
    S::Trace(column("node_id", "node.id", Str(|t| text(&t.node_id)), "node that exported the trace")),
    S::Trace(column("node_ip", "node.ip", Str(|t| text(&t.node_ip)), "its address")),
    S::Trace(column("filename", "filename", Str(|t| text(&t.filename)), "file name that the header gives")),
    S::Trace(column("schema", "schema", I64(|t| t.schema), "SysFlow schema version")),
    S::K8s(column("k8s_action", "k8s.action", Str(|k| text(&k.action)), "what happened, of a KE")),
    S::K8s(column("k8s_kind", "k8s.kind", Str(|k| text(&k.kind)), "to which kind of component")),
    S::K8s(column("k8s_msg", "k8s.msg", Str(|k| k.message.as_deref().map(Into::into)), "message, fixed")),
    S::Process(column("proc_no", "", Seq(|p| Some(p.record_no)), "record_no of the process's row in processes")),
    S::Parent(column("pproc_no", "", Seq(|p| Some(p.record_no)), "record_no of the parent's row in processes")),
    S::File(column("file_no", "", Seq(|f| Some(f.record_no)), "record_no of the file's row in files")),
    S::NewFile(column("newfile_no", "", Seq(|f| Some(f.record_no)), "record_no of the new file's row in files")),
    S::Container(column("container_no", "", Seq(|c| Some(c.record_no)), "record_no of the row in containers")),
    S::Pod(column("pod_no", "", Seq(|p| Some(p.record_no)), "record_no of the pod's row in pods")),
];

/// The numbers that columns are made of, see [`Number::bit`].
const NUMBERS: u32 = {
    let (mut numbers, mut i) = (0, 0);
    while i < COLUMNS.len() {
        numbers |= match COLUMNS[i] {
            S::Number(number, _) => number.bit(),
            S::Ops(_) => Number::OpFlags.bit(),
            S::Sip(_) => Number::Sip.bit(),
            S::Dip(_) => Number::Dip.bit(),
            _ => 0,
        };
        i += 1;
    }
    numbers
};

/// A number for each batch.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

impl Batch {
    /// A batch that will probably have as many rows as one of this shape, and of each kind.
    pub fn new(like: &Shape) -> Batch {
        Batch {
            number: next_number(),
            last_actor: None,
            record_nos: Vec::with_capacity(like.rows),
            present: Vec::with_capacity(like.rows),
            // Kinds of records come in waves.
            numbers: like.numbers.map(|len| Vec::with_capacity((len + len / 8).min(like.rows))),
            traces: Role::new(like.rows),
            processes: Role::new(like.rows),
            parents: Role::new(like.rows),
            files: Role::new(like.rows),
            new_files: Role::new(0),
            containers: Role::new(like.rows),
            pods: Role::new(like.rows),
            k8s: Role::new(0),
            row_kinds: Vec::with_capacity(like.rows),
            kinds: OnceLock::new(),
            ops: OnceLock::new(),
            sips: OnceLock::new(),
            dips: OnceLock::new(),
        }
    }

    /// How large it has become.
    pub fn shape(&self) -> Shape {
        Shape { rows: self.len(), numbers: self.numbers.each_ref().map(Vec::len) }
    }

    /// Adds a row, after all that it shares with others.
    pub fn push(&mut self, record_no: i64, kind: EventKind, numbers: &event::Numbers) {
        self.record_nos.push(record_no);
        self.row_kinds.push(kind);
        self.present.push(numbers.present());
        let mut left = numbers.present() & NUMBERS;
        while left != 0 {
            let number = left.trailing_zeros() as usize;
            self.numbers[number].push(numbers.values()[number]);
            left &= left - 1;
        }
    }

    /// If the next row has the same process, parent, container and pod as the last one, takes them over. The result is the
    /// bytes that the lists of the pod take.
    pub fn repeat_actor(&mut self, key: &ActorKey) -> Option<usize> {
        let (_, lists) = self.last_actor.as_ref().filter(|(last, _)| last == key)?;
        self.processes.keys.repeat();
        self.parents.keys.repeat();
        self.containers.keys.repeat();
        self.pods.keys.repeat();
        Some(*lists)
    }

    /// A number of each row.
    fn numbers(&self, number: Number) -> impl ExactSizeIterator<Item = Option<i64>> {
        let mut values = self.numbers[number as usize].iter().copied();
        self.present.iter().map(move |present| if present & number.bit() != 0 { values.next() } else { None })
    }

    /// The operations of each row as bits.
    fn ops(&self) -> impl ExactSizeIterator<Item = Option<i32>> {
        self.numbers(Number::OpFlags).map(|ops| ops.as_ref().and_then(int))
    }

    fn states<'r>(&'r self, column: &Column<Arc<Process>>) -> ColumnData<'r> {
        let Values::Texts(mut states) = column.get.build(self.processes.values.iter()) else {
            unreachable!("a state is a string")
        };
        // Of the files only those of rows without a process.
        let mut places = vec![None; self.files.values.len()];
        let rows = self.processes.keys.rows().zip(self.files.keys.rows());
        let keys = rows.map(|(process, file)| match (process, file) {
            (None, Some(file)) => Some(*places[file].get_or_insert_with(|| {
                states.push(given(self.files.values[file].state()));
                (states.len() - 1) as i32
            })),
            _ => process.map(|place| place as i32),
        });
        let keys: Keys = keys.collect();
        ColumnData { keys: Some(Cow::Owned(keys)), values: Values::Texts(states) }
    }
}

impl Rows for Batch {
    fn len(&self) -> usize {
        self.record_nos.len()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        match &COLUMNS[index] {
            S::RecordNo(c) => {
                let present = vec![true; self.len()];
                Values::Numbers(Numbers { values: c.get.take(&self.record_nos), present }).into()
            }
            S::Number(number, c) => {
                let present = self.present.iter().map(|numbers| numbers & number.bit() != 0).collect();
                Values::Numbers(Numbers { values: c.get.take(&self.numbers[*number as usize]), present }).into()
            }
            S::State(c) => self.states(c),
            S::Trace(c) => self.traces.column(c),
            S::Process(c) => self.processes.column(c),
            S::Parent(c) => self.parents.column(c),
            S::File(c) => self.files.column(c),
            S::NewFile(c) => self.new_files.column(c),
            S::Container(c) => self.containers.column(c),
            S::Pod(c) => self.pods.column(c),
            S::K8s(c) => self.k8s.column(c),
            S::Kind(c) => self.kinds.get_or_init(|| distinct(self.row_kinds.iter().copied().map(Some))).column(c),
            S::Ops(c) => self.ops.get_or_init(|| distinct(self.ops())).column(c),
            S::Sip(c) => self.sips.get_or_init(|| distinct(self.numbers(Number::Sip))).column(c),
            S::Dip(c) => self.dips.get_or_init(|| distinct(self.numbers(Number::Dip))).column(c),
        }
    }
}

impl Recycle for Batch {
    /// It is another batch then.
    fn clear(&mut self) {
        let Batch { number, record_nos, present, last_actor, numbers, .. } = self;
        *number = next_number();
        record_nos.clear();
        present.clear();
        *last_actor = None;
        numbers.iter_mut().for_each(Vec::clear);
        let Batch { traces, processes, parents, files, new_files, containers, pods, k8s, .. } = self;
        traces.clear();
        processes.clear();
        parents.clear();
        files.clear();
        new_files.clear();
        containers.clear();
        pods.clear();
        k8s.clear();
        let Batch { row_kinds, kinds, ops, sips, dips, .. } = self;
        row_kinds.clear();
        kinds.take();
        ops.take();
        sips.take();
        dips.take();
    }
}
