//! The entities of a trace as owned values: what is kept of each export.
//!
//! What only the row of an export needs (a process's environment, a pod's labels) is not kept.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::store::Payload;
use super::texts::Texts;
use crate::trace::decode::Address;
use crate::trace::records;

/// A string that is never added to.
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

impl Trace {
    /// Bytes of its strings.
    pub fn text_bytes(&self) -> usize {
        let texts = [&self.node_id, &self.node_ip, &self.filename];
        self.id.len() + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }
}

/// Creation time in nanoseconds and process id as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub create_ts: i64,
    pub pid: i64,
}

impl ProcessId {
    pub fn of(oid: &records::Oid) -> Option<ProcessId> {
        Some(ProcessId { create_ts: oid.create_ts?, pid: oid.hpid? })
    }

    pub fn key(self) -> (i64, i64) {
        (self.create_ts.max(0), self.pid.max(0))
    }
}

/// An exported process. Times are nanoseconds since 1970.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub record_no: i64,
    pub ts: Option<i64>,
    pub id: Option<ProcessId>,
    pub parent: Option<ProcessId>,
    /// Shared with the rows of descendants.
    pub exe: Option<Arc<str>>,
    pub uid: Option<i32>,
    pub gid: Option<i32>,
    pub tty: Option<bool>,
    pub entry: Option<bool>,
    texts: Texts<6>,
}

/// An exported file, socket, pipe or directory.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub record_no: i64,
    pub ts: Option<i64>,
    pub oid: Option<[u8; 20]>,
    pub restype: Option<char>,
    texts: Texts<3>,
}

/// An exported container.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    pub record_no: i64,
    pub privileged: Option<bool>,
    /// Shared with the rows of processes.
    pub pod_id: Option<Arc<str>>,
    texts: Texts<5>,
}

/// An exported Kubernetes pod.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    pub record_no: i64,
    pub ts: Option<i64>,
    /// Dotted IPv4 addresses.
    pub host_ip: Option<Vec<Str>>,
    pub internal_ip: Option<Vec<Str>>,
    pub restart_count: Option<i64>,
    texts: Texts<4>,
}

/// Names the strings of an entity, and says which fields of the record they are.
macro_rules! texts {
    ($entity:ident { $($name:ident = $field:ident),* }) => {
        const _: () = {
            #[allow(non_camel_case_types)]
            enum At { $($name,)* }

            impl $entity {
                $(
                    #[doc = concat!("The record's `", stringify!($field), "`.")]
                    pub fn $name(&self) -> Option<&str> {
                        self.texts.get(At::$name as usize)
                    }
                )*

                fn texts(record: &mut records::$entity) -> Texts<{ [$(At::$name),*].len() }> {
                    Texts::new([$(record.$field.take()),*])
                }
            }
        };
    };
}

texts!(Process {
    state = state,
    args = exe_args,
    user = user_name,
    group = group_name,
    cwd = cwd,
    container_id = container_id
});
texts!(File { state = state, path = path, container_id = container_id });
texts!(Container { id = id, name = name, image = image, image_id = image_id, kind = kind });
texts!(Pod { id = id, name = name, node_name = node_name, namespace = namespace });

/// Each of its characters by its code.
const ASCII: &str = {
    const BYTES: [u8; 128] = {
        let (mut bytes, mut code) = ([0; 128], 0);
        while code < 128 {
            bytes[code] = code as u8;
            code += 1;
        }
        bytes
    };
    match str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
};

fn shared(text: Option<records::Text>) -> Option<Arc<str>> {
    text.map(|t| Arc::from(&*t))
}

/// Numbers that are no addresses are left out.
fn addresses(ips: Option<&Vec<Address>>) -> Option<Vec<Str>> {
    ips.map(|ips| ips.iter().filter_map(|ip| ip.get()).map(|ip| super::net::dotted(ip).into()).collect())
}

impl Process {
    pub fn new(record_no: i64, mut p: records::Process) -> Process {
        Process {
            record_no,
            ts: p.ts,
            id: p.oid.as_ref().and_then(ProcessId::of),
            parent: p.poid.as_ref().and_then(ProcessId::of),
            exe: shared(p.exe.take()),
            uid: p.uid,
            gid: p.gid,
            tty: p.tty,
            entry: p.entry,
            texts: Process::texts(&mut p),
        }
    }
}

impl File {
    pub fn new(record_no: i64, mut f: records::File) -> File {
        File { record_no, ts: f.ts, oid: f.oid, restype: f.restype, texts: File::texts(&mut f) }
    }

    /// The resource type.
    pub fn kind(&self) -> Option<Cow<'static, str>> {
        let letter = self.restype?;
        let code = letter as usize;
        Some(ASCII.get(code..=code).map_or_else(|| letter.to_string().into(), Cow::Borrowed))
    }
}

impl Container {
    pub fn new(record_no: i64, mut c: records::Container) -> Container {
        Container {
            record_no,
            privileged: c.privileged,
            pod_id: shared(c.pod_id.take()),
            texts: Container::texts(&mut c),
        }
    }
}

impl Pod {
    /// Bytes that the addresses of the pod take in each row of it while the row is encoded.
    pub fn list_bytes(&self) -> usize {
        let lists = [&self.host_ip, &self.internal_ip].into_iter().flatten();
        2 * size_of::<usize>() * lists.map(Vec::len).sum::<usize>()
    }

    pub fn new(record_no: i64, mut p: records::Pod) -> Pod {
        Pod {
            record_no,
            ts: p.ts,
            host_ip: addresses(p.host_ip.as_ref()),
            internal_ip: addresses(p.internal_ip.as_ref()),
            restart_count: p.restart_count,
            texts: Pod::texts(&mut p),
        }
    }
}

fn list_bytes(list: &Option<Vec<Str>>) -> usize {
    list.iter().flatten().map(|text| size_of::<Str>() + text.len() + 8).sum()
}

fn shared_bytes(text: &Option<Arc<str>>) -> usize {
    text.as_ref().map_or(0, |text| text.len() + 24)
}

impl Payload for Process {
    fn heap(&self) -> usize {
        self.texts.bytes() + shared_bytes(&self.exe)
    }
}

impl Payload for File {
    fn heap(&self) -> usize {
        self.texts.bytes()
    }
}

impl Payload for Container {
    fn heap(&self) -> usize {
        self.texts.bytes() + shared_bytes(&self.pod_id)
    }
}

impl Payload for Pod {
    fn heap(&self) -> usize {
        self.texts.bytes() + list_bytes(&self.host_ip) + list_bytes(&self.internal_ip)
    }
}
