//! `k8s_service_ports`: every port of every service in a KE record.

use super::column::Get::{I32, I64, Seq, Str, Time};
use super::column::{Column, column, trace_id};
use super::entity_row::text;
use crate::k8s::expand::PortRow;

pub const DOC: &str = "a port of a service item of a KE record, of headless services, too";

pub type Row = PortRow;

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| Some((&*r.event.trace.id).into())),
    column("record_no", "", Seq(|r| Some(r.event.record_no)), "record_no of the KE record"),
    column("item_no", "", I64(|r| Some(r.item_no)), "ordinal of the item in the message"),
    column("port_no", "", I64(|r| Some(r.port_no)), "ordinal of the port in the item"),
    column("ts", "ts", Time(|r| r.event.ts), "time of the event, floored to microseconds"),
    column("ts_uts", "ts_uts", Seq(|r| r.event.ts), "the same in nanoseconds"),
    column("action", "k8s.action", Str(|r| text(&r.event.action)), "K8S_COMPONENT_ADDED, …"),
    column("type", "msg.type", Str(|r| text(&r.event.message_type)), "ADDED, MODIFIED, DELETED"),
    column("name", "item.name", Str(|r| text(&r.item.name)), "name of the service"),
    column("namespace", "item.namespace", Str(|r| text(&r.item.namespace)), "its namespace"),
    column("uid", "item.uid", Str(|r| text(&r.item.uid)), "its identity"),
    column("cluster_ip", "item.clusterIP", Str(|r| text(&r.item.cluster_ip)), "its address; None if headless"),
    column("portname", "ports.name", Str(|r| text(&r.port.name)), "name of the port"),
    column("port", "ports.port", I32(|r| r.port.port), "port that the service offers"),
    column("target_port", "ports.targetPort", Str(|r| text(&r.port.target_port)), "port of the pod, number or name"),
    column("node_port", "ports.nodePort", I32(|r| r.port.node_port), "port of every node"),
    column("proto", "ports.protocol", Str(|r| text(&r.port.protocol)), "TCP, UDP or SCTP"),
];
