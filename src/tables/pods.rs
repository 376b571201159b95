//! `pods`: every export of a pod.

use super::column::Get::{I64, Map, Seq, Str, StrList, Time};
use super::column::{Column, column, record_no, trace_id};
use super::entity_row::{EntityRow, given, list};
use crate::flatten::entity::{Pod, Str as Text};

pub const DOC: &str = "an exported Pod";

#[derive(Debug)]
pub struct Row {
    pub base: EntityRow<Pod>,
    pub labels: Option<Vec<(Text, Text)>>,
    pub selectors: Option<Vec<(Text, Text)>>,
}

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| r.base.trace_id()),
    record_no(|r| Some(r.base.entity.record_no)),
    column("ts", "ts", Time(|r| r.base.entity.ts), "time of the export, floored to microseconds"),
    column("ts_uts", "ts", Seq(|r| r.base.entity.ts), "the same in nanoseconds"),
    column("id", "pod.id", Str(|r| given(r.base.entity.id())), "pod id"),
    column("name", "pod.name", Str(|r| given(r.base.entity.name())), "pod name"),
    column("nname", "pod.nname", Str(|r| given(r.base.entity.node_name())), "name of its node"),
    column("ns", "pod.ns", Str(|r| given(r.base.entity.namespace())), "namespace"),
    column("hostip", "pod.hostip", StrList(|r, out| list(&r.base.entity.host_ip, out)), "addresses of its host"),
    column(
        "internalip",
        "pod.internalip",
        StrList(|r, out| list(&r.base.entity.internal_ip, out)),
        "its addresses in the cluster",
    ),
    column("rstrtcnt", "pod.rstrtcnt", I64(|r| r.base.entity.restart_count), "restarts"),
    column("labels", "labels", Map(|r| r.labels.as_deref()), "labels"),
    column("selectors", "selectors", Map(|r| r.selectors.as_deref()), "selectors"),
    column("node_id", "exporter", Str(|r| r.base.node_id()), "node that exported the trace"),
];
