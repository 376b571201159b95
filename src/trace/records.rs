//! The records of a SysFlow trace (SysFlow specification, `SysFlow.avsc`, schema versions 1 to 5), borrowed from the
//! block that holds them.
//!
//! Every field is optional: old layouts lack fields, and a field of an unexpected type counts as missing. Times are
//! nanoseconds since 1970 UTC, whatever logical type the schema claims. IPv4 addresses have their lowest byte first.

use std::borrow::Cow;

use super::cursor::{Cursor, DecodeError};
use super::decode::{Address, Decode, Entries};
pub use super::event::{Event, Number};
use super::schema::{RecordType, Schema, Type, TypeId};

/// Text of a trace, invalid UTF-8 replaced by U+FFFD.
pub type Text<'a> = Cow<'a, str>;

/// A field of a SysFlow record.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub name: &'static str,
    pub slot: u8,
    /// See [`Decode::fits`].
    pub fits: fn(&[Type], TypeId) -> bool,
    /// See [`Decode::RECORD`].
    pub record: Option<&'static str>,
}

/// The fields of a SysFlow record.
#[derive(Clone, Copy)]
pub struct Slots {
    /// The record's name.
    pub record: &'static str,
    known: &'static [Known],
    /// Events and flows share theirs.
    kind: Option<EventKind>,
}

impl Slots {
    /// Those of the record with this short name; `None` for a record that is not SysFlow's.
    pub fn of(record: &str) -> Option<Slots> {
        let slots = |record, known| Some(Slots { record, known, kind: None });
        match record {
            "SFHeader" => slots("SFHeader", Header::SLOTS),
            "Pod" => slots("Pod", Pod::SLOTS),
            "Service" => slots("Service", Service::SLOTS),
            "Port" => slots("Port", Port::SLOTS),
            "Container" => slots("Container", Container::SLOTS),
            "OID" => slots("OID", Oid::SLOTS),
            "Process" => slots("Process", Process::SLOTS),
            "File" => slots("File", File::SLOTS),
            name => {
                let kind = event_kind(name)?;
                Some(Slots { record: kind.name(), known: Event::SLOTS, kind: Some(kind) })
            }
        }
    }

    /// The field with this name. An earlier name counts only where a record has no field with the later one.
    pub fn find(self, name: &str, has: impl Fn(&str) -> bool) -> Option<&'static Known> {
        let known = self.known.iter().find(|known| known.name == name)?;
        let later = self.known.iter().find(|later| later.slot == known.slot).unwrap_or(known);
        let is_of_kind = self.kind.is_none_or(|kind| kind.fields().split(' ').any(|field| field == name));
        (is_of_kind && (later.name == name || !has(later.name))).then_some(known)
    }
}

/// Declares a record once: the struct, the Avro names of each field, and how it is read.
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident = $record:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty = $($avro:literal)|+,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq)]
            pub struct $name<'a> {
                $($(#[$fdoc])* pub $field: Option<$ty>,)*
                /// Ties records without text to the same lifetime.
                pub marker: std::marker::PhantomData<&'a ()>,
            }

            impl<'a> Decode<'a> for $name<'a> {
                fn decode(cur: &mut Cursor<'a>, schema: &'a Schema, ty: TypeId) -> Result<Option<Self>, DecodeError> {
                    #[allow(non_camel_case_types)]
                    enum Slot { $($field,)* }
                    let mut record = Self::default();
                    cur.record(schema, ty, Self::RECORD, |cur, slot, ty| {
                        $(if slot == Slot::$field as u8 {
                            record.$field = <$ty>::decode(cur, schema, ty)?;
                            return Ok(());
                        })*
                        cur.skip(schema, ty)
                    })?;
                    Ok(Some(record))
                }

                const RECORD: Option<&'static str> = Some($record);

                fn is_of(ty: &Type, _: &[Type]) -> bool {
                    matches!(ty, Type::Record(record) if record.is == Self::RECORD)
                }
            }

            impl<'a> $name<'a> {
                const SLOTS: &'static [Known] = {
                    #[allow(non_camel_case_types)]
                    enum Slot { $($field,)* }
                    &[$($(Known {
                        name: $avro,
                        slot: Slot::$field as u8,
                        fits: <$ty as Decode<'a>>::fits,
                        record: <$ty as Decode<'a>>::RECORD,
                    },)+)*]
                };
            }
        )*
    };
}

records! {
    /// `SFHeader`: starts a trace; all entity state resets here.
    Header = "SFHeader" {
        version: i64 = "version",
        exporter: Text<'a> = "exporter",
        ip: Text<'a> = "ip",
        filename: Text<'a> = "filename",
    }

    /// `Pod`: a Kubernetes pod with the services that select it.
    Pod = "Pod" {
        ts: i64 = "ts",
        id: Text<'a> = "id",
        name: Text<'a> = "name",
        node_name: Text<'a> = "nodeName",
        host_ip: Vec<Address> = "hostIP",
        internal_ip: Vec<Address> = "internalIP",
        namespace: Text<'a> = "namespace",
        restart_count: i64 = "restartCount",
        labels: Entries<'a> = "labels",
        selectors: Entries<'a> = "selectors",
        services: Vec<Service<'a>> = "services",
    }

    /// A service of a pod.
    Service = "Service" {
        name: Text<'a> = "name",
        id: Text<'a> = "id",
        namespace: Text<'a> = "namespace",
        port_list: Vec<Port<'a>> = "portList",
        cluster_ip: Vec<Address> = "clusterIP",
    }

    /// A port of a service.
    Port = "Port" {
        port: i32 = "port",
        target_port: i32 = "targetPort",
        node_port: i32 = "nodePort",
        proto: Text<'a> = "proto",
    }

    /// `Container`.
    Container = "Container" {
        id: Text<'a> = "id",
        name: Text<'a> = "name",
        image: Text<'a> = "image",
        image_id: Text<'a> = "imageid",
        kind: Text<'a> = "type",
        privileged: bool = "privileged",
        pod_id: Text<'a> = "podId",
    }

    /// `OID`: a process is its creation time and the process id that the host sees.
    Oid = "OID" {
        create_ts: i64 = "createTS",
        hpid: i64 = "hpid",
    }

    /// `Process`. The oldest layout calls its state `type`.
    Process = "Process" {
        state: Text<'a> = "state" | "type",
        oid: Oid<'a> = "oid",
        poid: Oid<'a> = "poid",
        ts: i64 = "ts",
        exe: Text<'a> = "exe",
        exe_args: Text<'a> = "exeArgs",
        uid: i32 = "uid",
        user_name: Text<'a> = "userName",
        gid: i32 = "gid",
        group_name: Text<'a> = "groupName",
        tty: bool = "tty",
        container_id: Text<'a> = "containerId",
        entry: bool = "entry",
        cwd: Text<'a> = "cwd",
        env: Vec<Text<'a>> = "env",
    }

    /// `File`: anything with a path or a descriptor.
    File = "File" {
        state: Text<'a> = "state",
        oid: [u8; 20] = "oid",
        ts: i64 = "ts",
        restype: char = "restype",
        path: Text<'a> = "path",
        container_id: Text<'a> = "containerId",
    }
}

/// Declares the kinds of events and flows by the Avro names of their records: with the reference's two letters, and the Avro names
/// of their fields in all schema versions.
macro_rules! kinds {
    ($($kind:ident = $code:literal { $fields:literal })*) => {
        /// The kinds of events and flows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind {
            $($kind,)*
        }

        impl EventKind {
            pub const ALL: &[EventKind] = &[$(EventKind::$kind),*];

            /// The Avro name of the record.
            pub fn name(self) -> &'static str {
                match self {
                    $(EventKind::$kind => stringify!($kind),)*
                }
            }

            /// `PE`, `FE`, `NE`, `PF`, `FF`, `NF` or `KE`.
            pub fn code(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $code,)*
                }
            }

            fn fields(self) -> &'static str {
                match self {
                    $(EventKind::$kind => $fields,)*
                }
            }
        }
    };
}

// The oldest layout of a process event is called a flow.
kinds! {
    ProcessEvent = "PE" { "procOID ts tid opFlags args ret type" }
    FileEvent = "FE" { "procOID ts tid opFlags fileOID newFileOID ret type" }
    NetworkEvent = "NE" { "procOID ts tid opFlags sip sport dip dport proto ret type" }
    ProcessFlow = "PF" { "procOID ts endTs opFlags numThreadsCloned numThreadsExited numCloneErrors tid args ret type" }
    FileFlow = "FF" {
        "procOID ts endTs tid opFlags openFlags fileOID fd numRRecvOps numRRecvBytes numWSendOps numWSendBytes type"
    }
    NetworkFlow = "NF" {
        "procOID ts endTs tid opFlags sip sport dip dport proto fd numRRecvOps numRRecvBytes numWSendOps numWSendBytes type"
    }
    K8sEvent = "KE" { "kind action ts message" }
}

impl EventKind {
    /// A flow lasts, an event happens.
    pub fn is_flow(self) -> bool {
        matches!(self, EventKind::ProcessFlow | EventKind::FileFlow | EventKind::NetworkFlow)
    }
}

/// One record of a trace. Small, since it is moved from hand to hand.
#[derive(Debug)]
pub enum Record<'a> {
    Header(Box<Header<'a>>),
    Pod(Box<Pod<'a>>),
    Container(Box<Container<'a>>),
    Process(Box<Process<'a>>),
    File(Box<File<'a>>),
    Event(EventKind, &'a Event<'a>),
    /// A branch that no SysFlow version up to 5 has, with its name.
    Unknown(&'a str),
}

fn event_kind(record: &str) -> Option<EventKind> {
    let name = if record == "NetEvent" { EventKind::NetworkEvent.name() } else { record };
    EventKind::ALL.iter().copied().find(|kind| kind.name() == name)
}

/// The name under which the newest schema has a record: the oldest collectors called a process event a flow (a real
/// flow has an end), and the reference's table has a second name for a network event, which no collector is known to
/// write.
pub fn role(record: &RecordType) -> &str {
    match record.name.as_str() {
        "ProcessFlow" if !record.fields.iter().any(|f| f.name == "endTs") => "ProcessEvent",
        "NetEvent" => "NetworkEvent",
        name => name,
    }
}

/// What each branch of the top union is, found once per file.
#[derive(Debug, Clone)]
pub struct Branches(Vec<(TypeId, Branch)>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Branch {
    Header,
    Pod,
    Container,
    Process,
    File,
    Event(EventKind),
    Unknown,
}

impl Branches {
    pub fn of(schema: &Schema) -> Branches {
        Branches(schema.branches().iter().map(|&ty| (ty, Branch::of(schema.get(ty)))).collect())
    }
}

impl Branch {
    fn of(ty: &Type) -> Branch {
        let Type::Record(record) = ty else { return Branch::Unknown };
        match role(record) {
            "SFHeader" => Branch::Header,
            "Pod" => Branch::Pod,
            "Container" => Branch::Container,
            "Process" => Branch::Process,
            "File" => Branch::File,
            name => event_kind(name).map_or(Branch::Unknown, Branch::Event),
        }
    }
}

impl<'a> Record<'a> {
    /// Reads the next record at the cursor; an event or flow into `event`.
    ///
    /// # Errors
    /// The bytes are no value of the schema.
    pub fn decode<'d: 'a>(
        cur: &mut Cursor<'d>,
        schema: &'d Schema,
        branches: &Branches,
        event: &'a mut Event<'d>,
    ) -> Result<Record<'a>, DecodeError> {
        cur.begin_record();
        let index = cur.long()?;
        let &(ty, branch) = usize::try_from(index).ok().and_then(|i| branches.0.get(i)).ok_or(DecodeError::BadIndex)?;
        Ok(match branch {
            Branch::Event(kind) => {
                event.read(cur, schema, ty, kind.is_flow())?;
                Record::Event(kind, event)
            }
            Branch::Header => Record::Header(boxed(cur, schema, ty)?),
            Branch::Pod => Record::Pod(boxed(cur, schema, ty)?),
            Branch::Container => Record::Container(boxed(cur, schema, ty)?),
            Branch::Process => Record::Process(boxed(cur, schema, ty)?),
            Branch::File => Record::File(boxed(cur, schema, ty)?),
            Branch::Unknown => {
                cur.skip(schema, ty)?;
                Record::Unknown(match schema.get(ty) {
                    Type::Record(record) => &record.name,
                    Type::Enum(_) => "enum",
                    _ => "value",
                })
            }
        })
    }
}

fn boxed<'d, R: Decode<'d> + Default>(
    cur: &mut Cursor<'d>,
    schema: &'d Schema,
    ty: TypeId,
) -> Result<Box<R>, DecodeError> {
    Ok(Box::new(R::decode(cur, schema, ty)?.unwrap_or_default()))
}
