//! `pods`: every export of a pod.

use super::column::Get::{I64, Map, Seq, Str, StrList, Time};
use super::column::{Column, column};
use super::entity_row::{EntityRow, list, text};
use crate::flatten::entities::Pod;

pub const DOC: &str = "an exported Pod";

pub type Row = EntityRow<Pod>;

pub const COLUMNS: &[Column<Row>] = &[
    column("trace_id", "", Str(Row::trace_id), "the trace: input hash and header ordinal"),
    column("record_no", "", Seq(|r| Some(r.entity.record_no)), "ordinal of the record in its file"),
    column("ts", "ts", Time(|r| r.entity.ts), "time of the export, floored to microseconds"),
    column("ts_uts", "ts", Seq(|r| r.entity.ts), "the same in nanoseconds"),
    column("id", "pod.id", Str(|r| text(&r.entity.id)), "pod id"),
    column("name", "pod.name", Str(|r| text(&r.entity.name)), "pod name"),
    column("nname", "pod.nname", Str(|r| text(&r.entity.node_name)), "name of its node"),
    column("ns", "pod.ns", Str(|r| text(&r.entity.namespace)), "namespace"),
    column("hostip", "pod.hostip", StrList(|r| list(&r.entity.host_ip)), "addresses of its host"),
    column("internalip", "pod.internalip", StrList(|r| list(&r.entity.internal_ip)), "its addresses in the cluster"),
    column("rstrtcnt", "pod.rstrtcnt", I64(|r| r.entity.restart_count), "restarts"),
    column("labels", "labels", Map(|r| r.entity.labels.as_deref()), "labels"),
    column("selectors", "selectors", Map(|r| r.entity.selectors.as_deref()), "selectors"),
    column("node_id", "exporter", Str(Row::node_id), "node that exported the trace"),
];
