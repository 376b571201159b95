//! `processes`: every export of a process.

use std::sync::Arc;

use super::column::Get::{Bool, I32, I64, I64List, Seq, Str, StrList, Time};
use super::column::{Column, column, record_no, trace_id};
use super::entity_row::{EntityRow, given, list, text};
use crate::flatten::entities::Lineage;
use crate::flatten::entity::{self, Process};

pub const DOC: &str = "an exported Process";

#[derive(Debug)]
pub struct Row {
    pub base: EntityRow<Process>,
    pub env: Option<Vec<entity::Str>>,
    pub lineage: Lineage,
    /// The container's pod.
    pub pod_id: Option<Arc<str>>,
}

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| r.base.trace_id()),
    record_no(|r| Some(r.base.entity.record_no)),
    column("state", "state", Str(|r| given(r.base.entity.state())), "CREATED, MODIFIED or REUP (exported again)"),
    column("ts", "ts", Time(|r| r.base.entity.ts), "time of the export, floored to microseconds"),
    column("ts_uts", "ts", Seq(|r| r.base.entity.ts), "the same in nanoseconds"),
    column("pid", "oid.hpid", I64(|r| r.base.entity.id.map(|id| id.pid)), "process id as the host sees it"),
    column("createts_uts", "oid.createTS", Seq(|r| r.base.entity.id.map(|id| id.create_ts)), "creation, nanoseconds"),
    column("ppid", "poid.hpid", I64(|r| r.base.entity.parent.map(|id| id.pid)), "parent's process id"),
    column(
        "pcreatets_uts",
        "poid.createTS",
        Seq(|r| r.base.entity.parent.map(|id| id.create_ts)),
        "parent's creation, nanoseconds",
    ),
    column("pproc_no", "", Seq(|r| r.lineage.parent_no), "record_no of the parent's row in processes"),
    column("exe", "exe", Str(|r| text(&r.base.entity.exe)), "executable"),
    column("args", "exeArgs", Str(|r| given(r.base.entity.args())), "arguments, joined by blanks"),
    column("uid", "uid", I32(|r| r.base.entity.uid), "user id"),
    column("user", "userName", Str(|r| given(r.base.entity.user())), "user name"),
    column("gid", "gid", I32(|r| r.base.entity.gid), "group id"),
    column("group", "groupName", Str(|r| given(r.base.entity.group())), "group name"),
    column("tty", "tty", Bool(|r| r.base.entity.tty), "has a terminal"),
    column("entry", "entry", Bool(|r| r.base.entity.entry), "is the entry point of its container"),
    column("cwd", "cwd", Str(|r| given(r.base.entity.cwd())), "working directory (schema 5 on)"),
    column("env", "env", StrList(|r, out| list(&r.env, out)), "environment as NAME=value (schema 5 on)"),
    column(
        "ancestor_pids",
        "proc.apid",
        I64List(|r, out| {
            out.extend(r.lineage.ancestors.iter().filter_map(|p| p.pid));
            true
        }),
        "process ids of the ancestors, parent first, to the root (256 and 1 MiB of names at most; a cycle ends it)",
    ),
    column(
        "ancestor_exes",
        "proc.aname",
        StrList(|r, out| {
            out.extend(r.lineage.ancestors.iter().map(|p| p.exe.as_deref().unwrap_or_default()));
            true
        }),
        "executables of the ancestors, in the same order; empty where one has none",
    ),
    column("container_id", "containerId", Str(|r| given(r.base.entity.container_id())), "container id"),
    column("container_no", "", Seq(|r| r.base.container_no), "record_no of the container's row in containers"),
    column("pod_id", "podId", Str(|r| text(&r.pod_id)), "the container's pod"),
    column("pod_no", "", Seq(|r| r.base.pod_no), "record_no of the pod's row in pods"),
    column("node_id", "exporter", Str(|r| r.base.node_id()), "node that exported the trace"),
];
