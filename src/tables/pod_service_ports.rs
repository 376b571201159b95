//! `pod_service_ports`: the services of a pod, one row for each port and cluster IP.

use std::sync::Arc;

use super::column::Get::{I32, Seq, Str};
use super::column::{Column, column, trace_id};
use super::entity_row::{given, text};
use crate::flatten::entity::{self, Pod, Trace};
use crate::flatten::net;
use crate::trace::records::{Port, Service};

pub const DOC: &str = "a pod × service × port × cluster IP; a service without ports or cluster IP keeps one row";

#[derive(Debug)]
pub struct Row {
    trace: Arc<Trace>,
    pod: Arc<Pod>,
    service: Arc<Identity>,
    port: Option<i32>,
    target_port: Option<i32>,
    node_port: Option<i32>,
    proto: Option<entity::Str>,
    cluster_ip: Option<entity::Str>,
    service_no: usize,
    port_no: Option<usize>,
    cluster_ip_no: Option<usize>,
}

impl Row {
    /// Bytes of memory that it takes besides what it shares with others of the pod, roughly.
    pub fn bytes(&self) -> usize {
        128 + self.proto.as_ref().map_or(0, |proto| proto.len())
    }
}

#[derive(Debug)]
struct Identity {
    name: Option<entity::Str>,
    id: Option<entity::Str>,
    namespace: Option<entity::Str>,
}

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(|r| Some((&*r.trace.id).into())),
    column("record_no", "", Seq(|r| Some(r.pod.record_no)), "record_no of the pod's row in pods"),
    column("pod_id", "pod.id", Str(|r| given(r.pod.id())), "pod id"),
    column("pod_name", "pod.name", Str(|r| given(r.pod.name())), "pod name"),
    column("pod_ns", "pod.ns", Str(|r| given(r.pod.namespace())), "pod namespace"),
    column("service_name", "pod.services.name", Str(|r| text(&r.service.name)), "service name"),
    column("service_id", "pod.services.id", Str(|r| text(&r.service.id)), "service id"),
    column("service_ns", "pod.services.namespace", Str(|r| text(&r.service.namespace)), "service namespace"),
    column("port", "portList.port", I32(|r| r.port), "port that the service offers"),
    column("target_port", "portList.targetPort", I32(|r| r.target_port), "port of the pod"),
    column("node_port", "portList.nodePort", I32(|r| r.node_port), "port of every node, 0 for none"),
    column("proto", "portList.proto", Str(|r| text(&r.proto)), "TCP, UDP or SCTP"),
    column("cluster_ip", "pod.services.clusterIP", Str(|r| text(&r.cluster_ip)), "cluster address"),
    column("service_no", "", I32(|r| i32::try_from(r.service_no).ok()), "ordinal of the service in the pod"),
    column("port_no", "", I32(|r| r.port_no.and_then(|n| n.try_into().ok())), "ordinal of the port in the service"),
    column(
        "cluster_ip_no",
        "",
        I32(|r| r.cluster_ip_no.and_then(|n| n.try_into().ok())),
        "ordinal of the cluster address in the service",
    ),
];

/// The rows of a pod's services, in their order: ports within a service, cluster IPs within a port.
pub fn rows<'r>(trace: &'r Arc<Trace>, pod: &'r Arc<Pod>, services: &'r [Service]) -> impl Iterator<Item = Row> + 'r {
    services.iter().enumerate().flat_map(move |(service_no, service)| {
        let copy = |text: &Option<crate::trace::records::Text>| text.as_deref().map(entity::Str::from);
        let identity = Arc::new(Identity {
            name: copy(&service.name),
            id: copy(&service.id),
            namespace: copy(&service.namespace),
        });
        or_none(service.port_list.as_deref()).flat_map(move |port: Option<(usize, &Port)>| {
            let (port_no, port) = port.unzip();
            let identity = identity.clone();
            or_none(service.cluster_ip.as_deref()).map(move |ip| Row {
                service_no,
                port_no,
                cluster_ip_no: ip.map(|(no, _)| no),
                trace: trace.clone(),
                pod: pod.clone(),
                service: identity.clone(),
                port: port.and_then(|p| p.port),
                target_port: port.and_then(|p| p.target_port),
                node_port: port.and_then(|p| p.node_port),
                proto: port.and_then(|p| copy(&p.proto)),
                cluster_ip: ip.and_then(|(_, ip)| Some(net::dotted(ip.get()?).into())),
            })
        })
    })
}

/// The entries of a list with their ordinals, or one `None` for an empty or absent one.
fn or_none<T>(list: Option<&[T]>) -> impl Iterator<Item = Option<(usize, &T)>> {
    let list = list.unwrap_or_default();
    list.iter().enumerate().map(Some).chain(list.is_empty().then_some(None))
}
