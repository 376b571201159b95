//! `traces`: every header, with what its trace held and what became of it.

use std::sync::Arc;

use super::column::Get::{Bool, I64, Seq, Str, Time};
use super::column::{Column, column, trace_id};
use super::entity_row::text;
use super::row_counts::RowCounts;
use super::schema::TableId;
use crate::flatten::entity::Trace;
use crate::trace::records::EventKind;

pub const DOC: &str = "a header, and the counts of its trace";

/// Counts of records by type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordCounts {
    pub headers: i64,
    pub pods: i64,
    pub containers: i64,
    pub processes: i64,
    pub files: i64,
    /// By [`EventKind`].
    pub events: [i64; EventKind::ALL.len()],
    pub unknown: i64,
}

impl RecordCounts {
    pub fn event(&mut self, kind: EventKind) -> &mut i64 {
        &mut self.events[kind as usize]
    }

    pub fn total(&self) -> i64 {
        self.headers
            + self.pods
            + self.containers
            + self.processes
            + self.files
            + self.events.iter().sum::<i64>()
            + self.unknown
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    pub trace: Arc<Trace>,
    pub input: Arc<str>,
    pub input_sha256: Arc<str>,
    pub input_bytes: i64,
    pub header_no: Option<i64>,
    pub first_ts: Option<i64>,
    pub last_ts: Option<i64>,
    pub records: RecordCounts,
    pub records_lost: i64,
    pub filtered: i64,
    pub dangling: i64,
    pub repaired: i64,
    pub truncated: bool,
    /// By [`TableId`].
    pub rows: RowCounts,
}

macro_rules! events {
    ($row:ident, $kind:ident) => {
        I64(|r: &$row| Some(r.records.events[EventKind::$kind as usize]))
    };
}

macro_rules! rows {
    ($name:literal, $table:ident) => {
        column(
            concat!("rows_", $name),
            "",
            I64(|r: &Row| Some(r.rows[TableId::$table])),
            concat!("rows for ", $name, ", whether --tables has it or not"),
        )
    };
}

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| Some((&*r.trace.id).into())),
    column("input", "", Str(|r| Some((&*r.input).into())), "the input as given"),
    column("input_sha256", "", Str(|r| Some((&*r.input_sha256).into())), "SHA-256 of the input, 64 hex digits"),
    column("input_bytes", "", I64(|r| Some(r.input_bytes)), "size of the input"),
    column("header_no", "", I64(|r| r.header_no), "ordinal of the header; NULL for records before any header"),
    column("filename", "filename", Str(|r| text(&r.trace.filename)), "file name that the header gives"),
    column("node_id", "node.id", Str(|r| text(&r.trace.node_id)), "node that exported the trace"),
    column("node_ip", "node.ip", Str(|r| text(&r.trace.node_ip)), "its address"),
    column("schema", "schema", I64(|r| r.trace.schema), "SysFlow schema version"),
    column("first_ts", "", Time(|r| r.first_ts), "earliest ts of an event or flow"),
    column("first_ts_uts", "", Seq(|r| r.first_ts), "the same in nanoseconds"),
    column("last_ts", "", Time(|r| r.last_ts), "latest ts or endts of an event or flow"),
    column("last_ts_uts", "", Seq(|r| r.last_ts), "the same in nanoseconds"),
    column("records", "", I64(|r| Some(r.records.total())), "records read, all types"),
    column("records_lost", "", I64(|r| Some(r.records_lost)), "records known to be lost to damage"),
    column("records_filtered", "", I64(|r| Some(r.filtered)), "events and flows outside --since/--until"),
    column("n_header", "", I64(|r| Some(r.records.headers)), "SFHeader records (1, or 0 if it is missing)"),
    column("n_pod", "", I64(|r| Some(r.records.pods)), "Pod records"),
    column("n_container", "", I64(|r| Some(r.records.containers)), "Container records"),
    column("n_process", "", I64(|r| Some(r.records.processes)), "Process records"),
    column("n_file", "", I64(|r| Some(r.records.files)), "File records"),
    column("n_pe", "", events!(Row, ProcessEvent), "ProcessEvent records"),
    column("n_fe", "", events!(Row, FileEvent), "FileEvent records"),
    column("n_ne", "", events!(Row, NetworkEvent), "NetworkEvent records"),
    column("n_pf", "", events!(Row, ProcessFlow), "ProcessFlow records"),
    column("n_ff", "", events!(Row, FileFlow), "FileFlow records"),
    column("n_nf", "", events!(Row, NetworkFlow), "NetworkFlow records"),
    column("n_ke", "", events!(Row, K8sEvent), "K8sEvent records"),
    column("n_unknown", "", I64(|r| Some(r.records.unknown)), "records of types that SysFlow 5 does not have"),
    rows!("records", Records),
    rows!("processes", Processes),
    rows!("files", Files),
    rows!("containers", Containers),
    rows!("pods", Pods),
    rows!("pod_service_ports", PodServicePorts),
    rows!("k8s_events", K8sEvents),
    rows!("k8s_items", K8sItems),
    rows!("k8s_service_ports", K8sServicePorts),
    rows!("rejects", Rejects),
    column(
        "dangling_references",
        "",
        I64(|r| Some(r.dangling)),
        "references of events and flows (process, parent, container, pod, files) to what was never exported",
    ),
    column("repaired_strings", "", I64(|r| Some(r.repaired)), "strings in which invalid UTF-8 was replaced"),
    column("truncated", "", Bool(|r| Some(r.truncated)), "the file ends inside a block"),
];
