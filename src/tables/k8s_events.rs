//! `k8s_events`: every KE record.

use std::sync::Arc;

use super::column::Get::{Bool, I64, Seq, Str, Time};
use super::column::{Column, column, record_no, trace_id};
use super::entity_row::text;
use crate::k8s::expand::KubernetesEvent;

pub const DOC: &str = "a KE record";

pub type Row = Arc<KubernetesEvent>;

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| Some((&*r.trace.id).into())),
    record_no(|r| Some(r.record_no)),
    column("ts", "ts", Time(|r| r.ts), "time, floored to microseconds"),
    column("ts_uts", "ts_uts", Seq(|r| r.ts), "the same in nanoseconds"),
    column("action", "k8s.action", Str(|r| text(&r.action)), "K8S_COMPONENT_ADDED, …"),
    column("kind", "k8s.kind", Str(|r| text(&r.kind)), "K8S_PODS, K8S_SERVICES, …"),
    column("msg", "k8s.msg", Str(|r| r.message.as_deref().map(Into::into)), "message without what trails the JSON"),
    column("msg_fixed", "", Bool(|r| Some(r.fixed)), "something trailed the JSON"),
    column(
        "msg_hash",
        "",
        Str(|r| r.message_hash.as_deref().map(Into::into)),
        "16 hex digits of the SHA-256 of the fixed message",
    ),
    column("msg_kind", "msg.kind", Str(|r| text(&r.message_kind)), "Pod, Service, …"),
    column("msg_type", "msg.type", Str(|r| text(&r.message_type)), "ADDED, MODIFIED, DELETED, NONEXISTENT, ERROR"),
    column("api_version", "msg.apiVersion", Str(|r| text(&r.api_version)), "version of the Kubernetes API"),
    column("item_count", "", I64(|r| r.item_count), "items of the message; NULL if it has no list"),
    column(
        "parse_error",
        "",
        Str(|r| r.parse_error.as_deref().map(Into::into)),
        "why the message is no JSON object that can be read",
    ),
    column("node_id", "node.id", Str(|r| text(&r.trace.node_id)), "node that exported the trace"),
    column("node_ip", "node.ip", Str(|r| text(&r.trace.node_ip)), "its address"),
    column("filename", "filename", Str(|r| text(&r.trace.filename)), "file name that the header gives"),
    column("schema", "schema", I64(|r| r.trace.schema), "SysFlow schema version"),
];
