//! `k8s_items`: every item of every KE record.

use super::column::Get::{I64, Map, Seq, Str, StrList, Time};
use super::column::{Column, column, trace_id};
use super::entity_row::{list, text};
use crate::k8s::expand::ItemRow;

pub const DOC: &str = "an item of a KE record";

pub type Row = ItemRow;

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| Some((&*r.event.trace.id).into())),
    column("record_no", "", Seq(|r| Some(r.event.record_no)), "record_no of the KE record"),
    column("item_no", "", I64(|r| Some(r.item_no)), "ordinal of the item in the message"),
    column("ts", "ts", Time(|r| r.event.ts), "time of the event, floored to microseconds"),
    column("ts_uts", "ts_uts", Seq(|r| r.event.ts), "the same in nanoseconds"),
    column("action", "k8s.action", Str(|r| text(&r.event.action)), "K8S_COMPONENT_ADDED, …"),
    column("k8s_kind", "k8s.kind", Str(|r| text(&r.event.kind)), "K8S_PODS, K8S_SERVICES, …"),
    column("kind", "msg.kind", Str(|r| text(&r.event.message_kind)), "Pod, Service, …"),
    column("type", "msg.type", Str(|r| text(&r.event.message_type)), "ADDED, MODIFIED, DELETED, NONEXISTENT, ERROR"),
    column("name", "item.name", Str(|r| text(&r.item.name)), "name"),
    column("namespace", "item.namespace", Str(|r| text(&r.item.namespace)), "namespace"),
    column("uid", "item.uid", Str(|r| text(&r.item.uid)), "identity"),
    column("ts_item", "item.timestamp", Str(|r| text(&r.item.timestamp)), "creation, as Kubernetes writes it"),
    column(
        "ip",
        "",
        Str(|r| r.item.ip().map(|(ip, _)| ip.into())),
        "podIP, else hostIP, else clusterIP unless headless",
    ),
    column("iptype", "", Str(|r| r.item.ip().map(|(_, kind)| kind.into())), "which of them it is"),
    column("pod_ip", "item.podIP", Str(|r| text(&r.item.pod_ip)), "address of a pod, else the first of podIPs"),
    column(
        "host_ip",
        "item.hostIP",
        Str(|r| text(&r.item.host_ip)),
        "address of a pod's host, else the first of hostIPs",
    ),
    column(
        "cluster_ip",
        "item.clusterIP",
        Str(|r| text(&r.item.cluster_ip)),
        "address of a service, else the first of clusterIPs; None if headless",
    ),
    column(
        "addresses",
        "item.addresses",
        StrList(|r, out| list(&r.item.addresses, out)),
        "addresses of a node, or all of a dual-stack pod (podIPs) or service (clusterIPs)",
    ),
    column("node_name", "item.nodeName", Str(|r| text(&r.item.node_name)), "node of a pod"),
    column("phase", "item.phase", Str(|r| text(&r.item.phase)), "phase of a pod"),
    column("labels", "item.labels", Map(|r| r.item.labels.as_deref()), "labels"),
    column("selector", "item.selector", Map(|r| r.item.selector.as_deref()), "selector, or its matchLabels"),
    column(
        "item",
        "item",
        Str(|r| Some((&*r.json).into())),
        "the item's JSON; null where the message says that there is none (NONEXISTENT)",
    ),
];
