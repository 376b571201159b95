//! Writes small traces with just the records that a test wants.

use std::path::Path;

use serde_json::{Value, json};

/// A trace in the making: records, and where blocks end.
pub struct Trace {
    blocks: Vec<(u64, Vec<u8>)>,
    header: Vec<u8>,
    pub sync: [u8; 16],
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    let mut n = ((value << 1) ^ (value >> 63)) as u64;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn text(out: &mut Vec<u8>, value: &[u8]) {
    zigzag(out, value.len() as i64);
    out.extend(value);
}

fn record(name: &str, fields: Value) -> Value {
    json!({"type": "record", "name": name, "namespace": "sysflow", "fields": fields})
}

/// Branches of the test schema, in order.
pub fn schema() -> Value {
    let oid = record("OID", json!([{"name": "createTS", "type": "long"}, {"name": "hpid", "type": "long"}]));
    json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        record("SFHeader", json!([
            {"name": "version", "type": "long"}, {"name": "exporter", "type": "string"},
            {"name": "ip", "type": "string"}, {"name": "filename", "type": "string"}])),
        record("Process", json!([
            {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["CREATED", "MODIFIED", "REUP"]}},
            {"name": "oid", "type": oid}, {"name": "poid", "type": ["null", "OID"]},
            {"name": "ts", "type": "long"}, {"name": "exe", "type": "string"}])),
        record("ProcessEvent", json!([
            {"name": "procOID", "type": "OID"}, {"name": "ts", "type": "long"}, {"name": "tid", "type": "long"},
            {"name": "opFlags", "type": "int"}, {"name": "ret", "type": "int"}])),
        record("K8sEvent", json!([
            {"name": "kind", "type": "string"}, {"name": "action", "type": "string"}, {"name": "ts", "type": "long"},
            {"name": "message", "type": "string"}])),
        record("Novelty", json!([{"name": "what", "type": "string"}]))
    ]}]})
}

impl Trace {
    /// A trace without compression.
    pub fn new() -> Trace {
        Trace::with_schema(&schema())
    }

    pub fn with_schema(schema: &Value) -> Trace {
        let sync = *b"0123456789abcdef";
        let mut header = b"Obj\x01".to_vec();
        zigzag(&mut header, 2);
        text(&mut header, b"avro.codec");
        text(&mut header, b"null");
        text(&mut header, b"avro.schema");
        text(&mut header, schema.to_string().as_bytes());
        zigzag(&mut header, 0);
        header.extend(sync);
        Trace { blocks: vec![(0, Vec::new())], header, sync }
    }

    fn push(mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Self {
        let (count, data) = self.blocks.last_mut().unwrap();
        *count += 1;
        encode(data);
        self
    }

    /// An SFHeader of schema version 4.
    pub fn header(self, exporter: &str) -> Self {
        self.push(|out| {
            zigzag(out, 0);
            zigzag(out, 4);
            text(out, exporter.as_bytes());
            text(out, b"10.0.0.1");
            text(out, b"/mnt/data/1");
        })
    }

    /// A process, created at its pid.
    pub fn process(self, pid: i64, parent: Option<i64>, ts: i64, exe: &[u8]) -> Self {
        self.push(|out| {
            zigzag(out, 1);
            zigzag(out, 0);
            zigzag(out, pid);
            zigzag(out, pid);
            match parent {
                None => zigzag(out, 0),
                Some(parent) => {
                    zigzag(out, 1);
                    zigzag(out, parent);
                    zigzag(out, parent);
                }
            }
            zigzag(out, ts);
            text(out, exe);
        })
    }

    /// An EXEC of a process.
    pub fn exec(self, pid: i64, ts: i64) -> Self {
        self.push(|out| {
            zigzag(out, 2);
            for value in [pid, pid, ts, pid, 2, 0] {
                zigzag(out, value);
            }
        })
    }

    /// A Kubernetes event.
    pub fn k8s(self, ts: i64, kind: &str, message: &str) -> Self {
        self.push(|out| {
            zigzag(out, 3);
            text(out, kind.as_bytes());
            text(out, b"K8S_COMPONENT_ADDED");
            zigzag(out, ts);
            text(out, message.as_bytes());
        })
    }

    /// A record as it is encoded.
    pub fn raw(self, record: &[u8]) -> Self {
        self.push(|out| out.extend(record))
    }

    /// A record that SysFlow does not have.
    pub fn novelty(self) -> Self {
        self.push(|out| {
            zigzag(out, 4);
            text(out, b"new");
        })
    }

    /// Ends the block.
    pub fn block(mut self) -> Self {
        self.blocks.push((0, Vec::new()));
        self
    }

    /// The file, and the offset at which each block starts.
    pub fn bytes(&self) -> (Vec<u8>, Vec<usize>) {
        let mut out = self.header.clone();
        let mut offsets = Vec::new();
        for (count, data) in self.blocks.iter().filter(|(count, _)| *count > 0) {
            offsets.push(out.len());
            zigzag(&mut out, *count as i64);
            zigzag(&mut out, data.len() as i64);
            out.extend(data);
            out.extend(self.sync);
        }
        (out, offsets)
    }

    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes().0).unwrap();
    }
}

/// 2022-03-17 18:00:00 UTC.
pub const T0: i64 = 1_647_540_000_000_000_000;
pub const SECOND: i64 = 1_000_000_000;

/// A trace of `events` events of one process, in blocks of ten.
pub fn simple(exporter: &str, events: i64) -> Trace {
    simple_at(exporter, events, T0, SECOND)
}

/// The same from a start on, an event every `step`.
pub fn simple_at(exporter: &str, events: i64, start: i64, step: i64) -> Trace {
    let mut trace = Trace::new().header(exporter).process(1, None, start, b"/bin/init");
    for i in 0..events {
        trace = trace.exec(1, start + i * step);
        if i % 10 == 9 {
            trace = trace.block();
        }
    }
    trace
}

/// Processes that have earlier ones as parents, are exported again, and have an event now and one long after.
pub fn many_processes(count: i64) -> Trace {
    let mut trace = Trace::new().header("node");
    let some = |i: i64| i * 7919 % (i + 1);
    for i in 1..=count {
        let exe = format!("/bin/{i}/{}", "x".repeat(400));
        trace = trace.process(i, Some(some(i)), T0 + i, exe.as_bytes()).exec(some(i), T0 + i);
        if i % 10 == 0 {
            trace = trace.process(some(i), None, T0 + i, b"/bin/again").block();
        }
    }
    for i in 1..=count {
        trace = trace.exec(some(i * 31 % count), T0 + SECOND + i);
    }
    trace
}
