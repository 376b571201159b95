//! An event or flow with what it refers to, on one line.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::flatten::entities::{Actor, Entities};
use crate::flatten::entity::{Container, File, Pod, Process};
use crate::flatten::{net, opflags};
use crate::text::Escaped;
use crate::time::iso;
use crate::trace::records::{Event, EventKind, Number, Record};

/// An event or flow, flattened as far as a line has room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlatEvent {
    pub record_no: i64,
    /// Nanoseconds since 1970.
    pub ts_uts: Option<i64>,
    /// `PE`, `FE`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Operations, or the action of a Kubernetes event.
    pub ops: Vec<String>,
    pub pid: Option<i64>,
    pub exe: Option<String>,
    pub args: Option<String>,
    pub container: Option<String>,
    /// `namespace/name`.
    pub pod: Option<String>,
    /// The file's path, the connection, or the kind of Kubernetes object.
    pub resource: Option<String>,
    pub ret: Option<i32>,
}

impl FlatEvent {
    /// Bytes of memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let texts = [&self.exe, &self.args, &self.container, &self.pod, &self.resource];
        let texts = texts.into_iter().flatten().chain(&self.ops);
        size_of::<FlatEvent>() + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>()
    }
}

/// Entities of the trace so far.
#[derive(Default)]
pub struct Flat(Entities);

impl Flat {
    /// Takes the next record; an event or flow comes out flattened.
    pub fn record(&mut self, record_no: i64, record: Record) -> Option<FlatEvent> {
        let entities = &mut self.0;
        match record {
            Record::Header(_) => drop(std::mem::take(entities)),
            Record::Pod(pod) => drop(entities.add_pod(Arc::new(Pod::new(record_no, *pod)))),
            Record::Container(c) => drop(entities.add_container(Arc::new(Container::new(record_no, *c)))),
            Record::Process(process) => drop(entities.add_process(Arc::new(Process::new(record_no, *process)))),
            Record::File(file) => drop(entities.add_file(Arc::new(File::new(record_no, *file)))),
            Record::Unknown(_) => {}
            Record::Event(kind, event) => return Some(self.event(record_no, kind, event)),
        }
        None
    }

    /// Bytes of memory that the entities take, roughly.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn event(&mut self, record_no: i64, kind: EventKind, event: &Event) -> FlatEvent {
        let entities = &mut self.0;
        let Actor { process, container, pod, .. } = entities.actor(event.process.as_ref());
        let pod = pod.index().map(|p| entities.pods.get_mut(p).entity.clone());
        let container = container.index().map(|c| entities.containers.get_mut(c).entity.clone());
        let process = process.index().map(|p| entities.processes.get_mut(p).entity.clone());
        let own = |text: Option<&str>| text.map(str::to_owned);
        let flags = opflags::of(event);
        FlatEvent {
            record_no,
            ts_uts: event.ts(),
            kind: kind.code(),
            ops: match kind {
                EventKind::K8sEvent => event.action.iter().map(|a| a.to_string()).collect(),
                _ => opflags::names(flags.unwrap_or(0)).map(String::from).collect(),
            },
            pid: event.process.as_ref().and_then(|oid| oid.hpid),
            exe: process.as_ref().and_then(|p| own(p.exe.as_deref())),
            args: process.as_ref().and_then(|p| own(p.args())).filter(|a| !a.is_empty()),
            container: container.and_then(|c| own(c.name().or(c.id()))),
            pod: pod.map(|p| format!("{}/{}", p.namespace().unwrap_or_default(), p.name().unwrap_or_default())),
            resource: resource(entities, kind, event),
            ret: event.int(Number::Ret),
        }
    }
}

fn resource(entities: &mut Entities, kind: EventKind, event: &Event) -> Option<String> {
    if kind == EventKind::K8sEvent {
        return event.kind.as_ref().map(|k| k.to_string());
    }
    if event.get(Number::Sip).is_some() || event.get(Number::Dip).is_some() {
        let end = |ip: Number, port: Number| {
            let ip = event.get(ip).map_or("?".into(), net::dotted);
            format!("{ip}:{}", event.get(port).unwrap_or(0))
        };
        let proto = match event.get(Number::Proto) {
            Some(6) => " tcp".to_owned(),
            Some(17) => " udp".to_owned(),
            Some(other) => format!(" protocol {other}"),
            None => String::new(),
        };
        let (source, destination) = (end(Number::Sip, Number::Sport), end(Number::Dip, Number::Dport));
        return Some(format!("{source} -> {destination}{proto}"));
    }
    let mut path = |oid: Option<&[u8; 20]>| {
        let file = entities.file(oid).index()?;
        entities.files.get_mut(file).entity.path().map(str::to_owned)
    };
    match (path(event.file.as_ref()), path(event.new_file.as_ref())) {
        (Some(old), Some(new)) => Some(format!("{old} -> {new}")),
        (old, new) => old.or(new),
    }
}

/// Time, type, operations, process, container, pod and resource, two blanks apart; `-` is what is missing. All text is
/// escaped.
impl fmt::Display for FlatEvent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let FlatEvent { record_no: _, ts_uts, kind, ops, pid, exe, args, container, pod, resource, ret } = self;
        let text = |text: &Option<String>| text.as_deref().map_or("-".into(), |t| Escaped(t).to_string());
        let time = ts_uts.map_or("-".into(), iso);
        let ops = if ops.is_empty() { "-".into() } else { Escaped(&ops.join(",")).to_string() };
        write!(f, "{time}  {kind}  {ops}")?;
        if let Some(ret) = ret.filter(|ret| *ret != 0) {
            write!(f, "={ret}")?;
        }
        write!(f, "  {}", text(exe))?;
        if let Some(args) = args {
            write!(f, " {}", Escaped(args))?;
        }
        if let Some(pid) = pid {
            write!(f, "[{pid}]")?;
        }
        write!(f, "  {}  {}  {}", text(container), text(pod), text(resource))
    }
}
