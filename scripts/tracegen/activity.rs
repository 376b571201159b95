//! What the node's collector exports: entities before what refers to them, flows and events over the timeline, and in each
//! rotated file the entities anew.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use apache_avro::types::Value;

use super::kubernetes::{self, uid};
use super::robot_shop::*;
use super::writer::{Branch, Record, int, ip, long, long_ip, optional, record, symbol, text, write};

const STATES: &str = "CREATED MODIFIED REUP";
const SECOND: i64 = 1_000_000_000;

/// Operations as bits (SysFlow specification).
mod op {
    pub const CLONE: i32 = 1;
    pub const EXEC: i32 = 2;
    pub const EXIT: i32 = 4;
    pub const SETUID: i32 = 8;
    pub const ACCEPT: i32 = 32;
    pub const CONNECT: i32 = 64;
    pub const OPEN: i32 = 128;
    pub const READ: i32 = 256;
    pub const WRITE: i32 = 512;
    pub const CLOSE: i32 = 1024;
    pub const MKDIR: i32 = 1 << 15;
    pub const UNLINK: i32 = 1 << 18;
    pub const RENAME: i32 = 1 << 20;
}

/// A process: creation and process id.
type Oid = (i64, i64);

fn oid((created, pid): Oid) -> Value {
    record(vec![("createTS", long(created)), ("hpid", long(pid))])
}

/// A file's identity, made of its path.
fn foid(path: &str) -> Value {
    let digits = uid(path).replace('-', "");
    let bytes: Vec<u8> = (0..20).map(|i| digits.as_bytes()[i] ^ (i as u8).wrapping_mul(37)).collect();
    Value::Fixed(20, bytes)
}

/// Collects the records of one trace.
struct Trace {
    records: Vec<Record>,
}

impl Trace {
    fn push(&mut self, branch: Branch, fields: Vec<(&'static str, Value)>) {
        self.records.push((branch, fields));
    }

    #[allow(clippy::too_many_arguments)]
    fn process(
        &mut self,
        state: &str,
        id: Oid,
        parent: Option<Oid>,
        ts: i64,
        exe: &str,
        args: &str,
        user: (i32, &str),
        container: Option<&str>,
        entry: bool,
    ) {
        let fields = vec![
            ("state", symbol(STATES, "", state)),
            ("oid", oid(id)),
            ("poid", optional(parent.map(oid))),
            ("ts", long(ts)),
            ("exe", text(exe)),
            ("exeArgs", text(args)),
            ("uid", int(user.0)),
            ("userName", text(user.1)),
            ("gid", int(user.0)),
            ("groupName", text(user.1)),
            ("tty", Value::Boolean(false)),
            ("containerId", optional(container.map(text))),
            ("entry", Value::Boolean(entry)),
        ];
        self.push(Branch::Process, fields);
    }

    fn container(&mut self, id: &str, name: &str, image: &str, pod: Option<&str>) {
        let fields = vec![
            ("id", text(id)),
            ("name", text(name)),
            ("image", text(image)),
            ("imageid", text(uid(image).replace('-', ""))),
            ("type", symbol("DOCKER", "CT_", "DOCKER")),
            ("privileged", Value::Boolean(false)),
            ("podId", optional(pod.map(|name| text(uid(name))))),
        ];
        self.push(Branch::Container, fields);
    }

    fn pod(&mut self, ts: i64, name: &str, ip: &str, namespace: &str, labels: Option<&str>, service: Option<&Service>) {
        let services = service.map(|service| {
            let ports = service.ports.iter().map(|&(port, _, node_port)| {
                let fields = vec![
                    ("port", int(port)),
                    ("targetPort", int(port)),
                    ("nodePort", int(node_port)),
                    ("proto", text("TCP")),
                ];
                record(fields)
            });
            record(vec![
                ("name", text(service.name)),
                ("id", text(service.id)),
                ("namespace", text(namespace)),
                ("portList", Value::Array(ports.collect())),
                ("clusterIP", Value::Array(vec![long_ip(service.cluster_ip)])),
            ])
        });
        // One label at most: the order of a map's entries is not fixed.
        let labels: HashMap<String, Value> = labels.map(|l| ("service".to_owned(), text(l))).into_iter().collect();
        let fields = vec![
            ("ts", long(ts)),
            ("id", text(uid(name))),
            ("name", text(name)),
            ("nodeName", text(NODE)),
            ("hostIP", Value::Array(vec![long_ip(NODE_IP)])),
            ("internalIP", Value::Array(vec![long_ip(ip)])),
            ("namespace", text(namespace)),
            ("restartCount", long(0)),
            ("labels", Value::Map(labels.clone())),
            ("selectors", Value::Map(labels)),
            ("services", Value::Array(services.into_iter().collect())),
        ];
        self.push(Branch::Pod, fields);
    }

    fn file(&mut self, ts: i64, path: &str, kind: u8, container: Option<&str>) {
        let fields = vec![
            ("state", symbol(STATES, "", "REUP")),
            ("oid", foid(path)),
            ("ts", long(ts)),
            ("restype", int(i32::from(kind))),
            ("path", text(path)),
            ("containerId", optional(container.map(text))),
        ];
        self.push(Branch::File, fields);
    }

    fn process_event(&mut self, process: Oid, ts: i64, flags: i32, ret: i32) {
        let args = Value::Array(Vec::new());
        let fields = vec![
            ("procOID", oid(process)),
            ("ts", long(ts)),
            ("tid", long(process.1)),
            ("opFlags", int(flags)),
            ("args", args),
            ("ret", int(ret)),
        ];
        self.push(Branch::ProcessEvent, fields);
    }

    fn file_event(&mut self, process: Oid, ts: i64, flags: i32, path: &str, new: Option<&str>) {
        let fields = vec![
            ("procOID", oid(process)),
            ("ts", long(ts)),
            ("tid", long(process.1)),
            ("opFlags", int(flags)),
            ("fileOID", foid(path)),
            ("ret", int(0)),
            ("newFileOID", optional(new.map(foid))),
        ];
        self.push(Branch::FileEvent, fields);
    }

    fn file_flow(&mut self, process: Oid, ts: i64, end: i64, path: &str, bytes: i64) {
        let mut fields = vec![
            ("procOID", oid(process)),
            ("ts", long(ts)),
            ("tid", long(process.1 + 1)),
            ("opFlags", int(op::OPEN | op::READ | op::CLOSE)),
            ("openFlags", int(4097)),
            ("endTs", long(end)),
            ("fileOID", foid(path)),
            ("fd", int(7)),
        ];
        fields.extend(counters(bytes / 512 + 1, bytes, 0, 0));
        self.push(Branch::FileFlow, fields);
    }

    fn network_flow(&mut self, process: Oid, ts: i64, end: i64, from: (&str, i32), to: (&str, i32), counts: [i64; 4]) {
        let flags = if from.0 == GATEWAY { op::ACCEPT } else { op::CONNECT } | op::READ | op::WRITE | op::CLOSE;
        let proto = if to.1 == 53 { 17 } else { 6 };
        let mut fields = vec![
            ("procOID", oid(process)),
            ("ts", long(ts)),
            ("tid", long(process.1)),
            ("opFlags", int(flags)),
            ("endTs", long(end)),
            ("sip", int(ip(from.0))),
            ("sport", int(from.1)),
            ("dip", int(ip(to.0))),
            ("dport", int(to.1)),
            ("proto", int(proto)),
            ("fd", int(11)),
        ];
        fields.extend(counters(counts[0], counts[1], counts[2], counts[3]));
        self.push(Branch::NetworkFlow, fields);
    }

    fn process_flow(&mut self, process: Oid, ts: i64, end: i64) {
        let fields = vec![
            ("procOID", oid(process)),
            ("ts", long(ts)),
            ("numThreadsCloned", long(4)),
            ("opFlags", int(op::CLONE | op::EXIT)),
            ("endTs", long(end)),
            ("numThreadsExited", long(3)),
            ("numCloneErrors", long(0)),
        ];
        self.push(Branch::ProcessFlow, fields);
    }
}

fn counters(rops: i64, rbytes: i64, wops: i64, wbytes: i64) -> [(&'static str, Value); 4] {
    [
        ("numRRecvOps", long(rops)),
        ("numWSendOps", long(wops)),
        ("numRRecvBytes", long(rbytes)),
        ("numWSendBytes", long(wbytes)),
    ]
}

const INIT: Oid = (START - 8_000 * SECOND, 1);
const SHIM: Oid = (START - 7_900 * SECOND, 2_101);

/// The entry process of a pod's container, and its child.
fn processes(pod: &Pod, number: usize) -> (Oid, Oid) {
    let created = pod.before.map_or(pod.first, |(first, _)| first) - 40_000_000;
    let pid = 20_000 + 100 * number as i64;
    ((created, pid), (created + 20_000_000, pid + 1))
}

fn container_name(pod: &Pod, what: &str) -> String {
    format!("k8s_{what}_{}_robot-shop_{}_0", pod.name, uid(pod.name))
}

/// Writes the three rotated files of the experiment.
pub fn robot_shop(out: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(out)?;
    let kubernetes = kubernetes::events();
    for (i, &(start, number)) in FILES.iter().enumerate() {
        let end = FILES.get(i + 1).map_or(i64::MAX, |f| f.0);
        let mut trace = Trace { records: Vec::new() };
        let inside = |ts: i64| start <= ts && ts < end;
        header(&mut trace, start, number);
        let mut reported: Vec<_> = kubernetes.iter().filter(|(ts, _)| inside(*ts)).collect();
        reported.sort_by_key(|(ts, _)| *ts);
        // As the collector does it, what Kubernetes reports comes before what processes do.
        trace.records.extend(reported.into_iter().map(|(_, record)| record.clone()));
        node_activity(&mut trace, start, end.min(END));
        for (number, pod) in PODS.iter().enumerate() {
            if pod.before.map_or(pod.first, |b| b.0) < end && pod.last + 2 * SECOND >= start {
                pod_activity(&mut trace, pod, number, &inside);
            }
        }
        write(&out.join(format!("{number}.sf")), seed + i as u64, trace.records)?;
    }
    Ok(())
}

fn header(trace: &mut Trace, start: i64, number: u64) {
    let filename = format!("/mnt/data/{number}");
    let fields =
        vec![("version", long(4)), ("exporter", text(NODE)), ("ip", text(NODE_IP)), ("filename", text(filename))];
    trace.push(Branch::Header, fields);
    for (name, ip) in SYSTEM_PODS {
        trace.pod(start, name, ip, "kube-system", None, None);
    }
    let state = if start == START { "CREATED" } else { "REUP" };
    trace.process(state, INIT, None, start, "/usr/lib/systemd/systemd", "noembed norestore", (0, "root"), None, true);
    trace.process(
        state,
        SHIM,
        Some(INIT),
        start,
        "/usr/bin/containerd-shim-runc-v2",
        "-namespace moby",
        (0, "root"),
        None,
        false,
    );
}

/// The node itself and kube-system: system containers, files of every kind, references that lead nowhere.
fn node_activity(trace: &mut Trace, start: i64, end: i64) {
    for (path, kind) in
        [("/etc/ld.so.cache", b'f'), ("/var/log/journal", b'd'), ("/run/docker.sock", b'u'), ("pipe:[40140]", b'p')]
    {
        trace.file(start, path, kind, None);
    }
    trace.file(start, "/tmp/work", b'd', None);
    trace.file(start, "/tmp/work/new.log", b'f', None);
    trace.file(start, "/tmp/work/old.log", b'f', None);
    let mut entries = Vec::new();
    for (i, (name, _)) in SYSTEM_PODS.iter().enumerate() {
        let short = name.trim_end_matches("-minikube").split("-64897985d").next().unwrap_or(name);
        let container = &uid(name).replace('-', "")[..12];
        trace.container(
            container,
            &format!("k8s_{short}_{name}_kube-system_{}_0", uid(name)),
            &format!("k8s.gcr.io/{short}:v1.23.3"),
            Some(name),
        );
        let entry = (START - 7_000 * SECOND + i as i64, 3_000 + i as i64);
        trace.process(
            "REUP",
            entry,
            Some(SHIM),
            start,
            &format!("/usr/local/bin/{short}"),
            "--v=2",
            (0, "root"),
            Some(container),
            true,
        );
        entries.push(entry);
    }
    // Its parent was never exported.
    let orphan = (START - 100 * SECOND, 4_242);
    trace.process(
        "REUP",
        orphan,
        Some((START - 200 * SECOND, 4_000)),
        start,
        "/usr/bin/orphan",
        "",
        (1000, "docker"),
        None,
        false,
    );
    let shell = (start + SECOND, 5_000);
    trace.process("CREATED", shell, Some(INIT), start + SECOND, "/bin/sh", "-c logrotate", (0, "root"), None, false);
    trace.process_event(INIT, start + SECOND, op::CLONE, 5_000);
    trace.process_event(shell, start + SECOND + 1_000, op::CLONE, 0);
    trace.process(
        "MODIFIED",
        shell,
        Some(INIT),
        start + SECOND + 2_000,
        "/usr/sbin/logrotate",
        "/etc/logrotate.conf",
        (0, "root"),
        None,
        false,
    );
    trace.process_event(shell, start + SECOND + 3_000, op::EXEC, 0);
    trace.process_event(shell, start + SECOND + 4_000, op::SETUID, 0);
    trace.file_event(shell, start + SECOND + 5_000, op::MKDIR, "/tmp/work", None);
    trace.file_event(shell, start + SECOND + 6_000, op::RENAME, "/tmp/work/new.log", Some("/tmp/work/old.log"));
    trace.file_event(shell, start + SECOND + 7_000, op::UNLINK, "/tmp/work/old.log", None);
    trace.file_flow(shell, start + SECOND + 3_500, start + SECOND + 3_900, "/etc/ld.so.cache", 40_960);
    trace.process_event(shell, start + SECOND + 9_000, op::EXIT, 0);
    trace.process_event(orphan, start + 2 * SECOND, op::EXIT, 1);
    // Nobody ever exported this process, nor this file.
    trace.process_event((start, 66_666), start + 2 * SECOND + 1, op::EXIT, 137);
    trace.file_flow(INIT, start + 3 * SECOND, start + 3 * SECOND + 77, "/never/exported", 1);
    let mut ts = start + 4 * SECOND + 421;
    while ts < end {
        for (i, entry) in entries.iter().enumerate() {
            let ts = ts + i as i64 * 1_001;
            let ports = [40_000 + (ts % 20_000) as i32, 2_379];
            trace.network_flow(
                *entry,
                ts,
                ts + SECOND + 333,
                ("127.0.0.1", ports[0]),
                ("127.0.0.1", ports[1]),
                [2, 118, 1, 92],
            );
            trace.file_flow(*entry, ts + 7, ts + 9_007, "pipe:[40140]", 324);
        }
        trace.process_flow(INIT, ts, ts + 5 * SECOND);
        ts += 60 * SECOND;
    }
}

/// A pod of the application: its container before and after its pod is known, its traffic, its end.
fn pod_activity(trace: &mut Trace, pod: &Pod, number: usize, inside: &dyn Fn(i64) -> bool) {
    let (entry, child) = processes(pod, number);
    let image = format!("sha256:{}:robotshop/rs-{}", uid(pod.service).replace('-', ""), pod.service);
    let name = container_name(pod, pod.service);
    let exe = format!("/usr/bin/{}", pod.service);
    let path = format!("/data/{}/journal", pod.service);
    let export = |trace: &mut Trace, state: &str, ts: i64| {
        trace.process(state, entry, Some(SHIM), ts, &exe, "--serve", (0, "root"), Some(pod.container), true);
        trace.process(state, child, Some(entry), ts, &exe, "--worker 1", (1000, "shop"), Some(pod.container), false);
        trace.file(ts, &path, b'f', Some(pod.container));
    };
    if let Some((first, last)) = pod.before.filter(|(first, _)| inside(*first)) {
        trace.container(pod.container, &name, &image, None);
        export(trace, "CREATED", first);
        trace.process_event(entry, first, op::EXEC, 0);
        trace.process_event(child, last, op::CLONE, 0);
    }
    let born = inside(pod.first);
    let service = SERVICES.iter().find(|s| s.name == pod.service).filter(|s| s.attached && number < SERVICES.len());
    trace.pod(pod.first, pod.name, pod.ip, "robot-shop", Some(pod.service), service);
    trace.container(pod.container, &name, &image, Some(pod.name));
    export(trace, if born && pod.before.is_none() { "CREATED" } else { "REUP" }, pod.first);
    let mut step = pod.first;
    while step < pod.last {
        if inside(step) {
            trace.file_flow(entry, step, (step + SECOND / 2).min(pod.last), &path, 4_096);
            trace.process_event(child, (step + 1).min(pod.last), op::CLONE, child.1 as i32 + 1);
        }
        step += 120 * SECOND + 1_017;
    }
    traffic(trace, pod, entry, inside);
    if inside(pod.last) {
        trace.process_event(entry, pod.last, op::EXIT, 0);
    }
    pause(trace, pod, inside);
}

/// The pod's traffic in three flows that add up.
fn traffic(trace: &mut Trace, pod: &Pod, process: Oid, inside: &dyn Fn(i64) -> bool) {
    for (i, &(name, from, to, port, rops, rbytes, wops, wbytes)) in TRAFFIC.iter().enumerate() {
        if name != pod.name {
            continue;
        }
        let thirds = |n: i64| [n / 3, n / 3, n - 2 * (n / 3)];
        for part in 0..3 {
            let ts = pod.first + (pod.last - pod.first) * (1 + part as i64) / 4 + i as i64;
            if inside(ts) {
                let counts = [rops, rbytes, wops, wbytes].map(|n| thirds(n)[part]);
                trace.network_flow(
                    process,
                    ts,
                    (ts + 3 * SECOND).min(pod.last),
                    (from, 30_000 + i as i32 * 7 + part as i32),
                    (to, port),
                    counts,
                );
            }
        }
    }
}

/// When a container ends, its pause container is seen for a moment.
fn pause(trace: &mut Trace, pod: &Pod, inside: &dyn Fn(i64) -> bool) {
    let (first, second) = match pod.container {
        "cd4ea3f3e8ae" => (at(19, 4, 49, 484_837), at(19, 4, 49, 485_062)),
        "4269f06be75a" => (at(19, 20, 40, 328_251), at(19, 20, 40, 328_324)),
        _ => (pod.last + 700_000_000, pod.last + 700_090_000),
    };
    if !inside(first) {
        return;
    }
    let process = (first - SECOND, 50_000 + (first % 10_000));
    trace.container(pod.pause, &container_name(pod, "POD"), "k8s.gcr.io/pause:3.6:3.6", None);
    trace.process("CREATED", process, Some(SHIM), first, "/pause", "", (65535, "65535"), Some(pod.pause), true);
    trace.process_event(process, first, op::EXEC, 0);
    trace.process_event(process, second, op::EXIT, 0);
}
