//! A KE record as rows: one of `k8s_events`, one of `k8s_items` for each item, one of `k8s_service_ports` for each
//! port of each service.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::items::Item;
use super::json::Odd;
use super::message::{Message, fix, hash};
use super::service_ports::ServicePort;
use crate::flatten::entity::{Str, Trace};
use crate::reject::Code;
use crate::text::shortened;
use crate::trace::records::Event;

/// A KE record, as all rows of it refer to it.
#[derive(Debug)]
pub struct KubernetesEvent {
    pub trace: Arc<Trace>,
    pub record_no: i64,
    pub ts: Option<i64>,
    pub action: Option<Str>,
    pub kind: Option<Str>,
    /// Fixed.
    pub message: Option<Arc<str>>,
    pub fixed: bool,
    pub message_hash: Option<String>,
    pub message_kind: Option<Str>,
    pub message_type: Option<Str>,
    pub api_version: Option<Str>,
    pub item_count: Option<i64>,
    pub parse_error: Option<String>,
}

/// An item of an event.
#[derive(Debug)]
pub struct ItemRow {
    pub event: Arc<KubernetesEvent>,
    pub item_no: i64,
    pub item: Arc<Item>,
    /// Its JSON, to the byte.
    pub json: Str,
}

/// A port of a service item.
#[derive(Debug)]
pub struct PortRow {
    pub event: Arc<KubernetesEvent>,
    pub item_no: i64,
    pub port_no: i64,
    pub item: Arc<Item>,
    pub port: ServicePort,
}

/// Something to know about an event: a code and a sentence.
pub type Warning = (Code, String);

/// Where the rows of an event go.
pub trait Rows {
    fn item(&mut self, row: ItemRow);
    fn port(&mut self, row: PortRow);
    fn warn(&mut self, warning: Warning);
}

/// Expands a KE record. Whatever its message holds, there is an event, and no item or port is dropped.
pub fn expand(trace: &Arc<Trace>, record_no: i64, event: &Event, rows: &mut dyn Rows) -> Arc<KubernetesEvent> {
    let original = event.message.as_deref();
    let message = original.map(fix);
    let mut odd = Odd::default();
    let parsed = message.map(|m| Message::parse(m, &mut odd));
    let (parsed, parse_error) = match parsed {
        Some(Ok(parsed)) => (parsed, None),
        Some(Err(e)) => (Message::default(), Some(e)),
        None => (Message::default(), None),
    };
    let copy = |text: Option<&str>| text.map(Str::from);
    let event = Arc::new(KubernetesEvent {
        trace: trace.clone(),
        record_no,
        ts: event.ts(),
        action: copy(event.action.as_deref()),
        kind: copy(event.kind.as_deref()),
        message: message.map(Arc::from),
        fixed: message.map(str::len) != original.map(str::len),
        message_hash: message.map(hash),
        message_kind: copy(parsed.kind.as_deref()),
        message_type: copy(parsed.event.as_deref()),
        api_version: copy(parsed.api_version.as_deref()),
        item_count: parsed.items.map(|items| items.len as i64),
        parse_error,
    });
    if let Some(error) = &event.parse_error {
        rows.warn((Code::K8sNoJson, format!("the Kubernetes message is no JSON object that can be read: {error}")));
    }
    let (mut item_no, mut strays) = (0, 0);
    if let Some(items) = parsed.items {
        items.for_each(|json| {
            strays += usize::from(expand_item(&event, item_no, json, rows, &mut odd, strays < MAX_STRAYS));
            item_no += 1;
        });
    }
    if strays > MAX_STRAYS {
        rows.warn((
            Code::K8sClusterIp,
            format!("{} more items have a clusterIP and are no Service", strays - MAX_STRAYS),
        ));
    }
    if !odd.names.is_empty() {
        let count = odd.names.len() + odd.more;
        odd.names.sort();
        odd.names.dedup();
        odd.names.truncate(10);
        let names = odd.names.join(", ");
        rows.warn((
            Code::K8sOddField,
            format!("values that the columns cannot hold are NULL or left out ({count}): {names}"),
        ));
    }
    event
}

/// Items of a message that are named for a clusterIP that they should not have.
const MAX_STRAYS: usize = 1_000;

/// Adds the rows of an item; says whether it has a clusterIP that it should not have, and warns of it if `named`.
fn expand_item(
    event: &Arc<KubernetesEvent>,
    item_no: i64,
    json: &RawValue,
    rows: &mut dyn Rows,
    odd: &mut Odd,
    named: bool,
) -> bool {
    let (item, object) = Item::parse(json, odd);
    let item = Arc::new(item);
    let is_service = match event.message_kind.as_deref() {
        Some("List") => object.as_ref().and_then(|o| o.string("kind", odd)).as_deref() == Some("Service"),
        Some(kind) => kind == "Service" || kind == "ServiceList",
        None => event.kind.as_deref() == Some("K8S_SERVICES"),
    };
    let stray = item.has_cluster_ip() && !is_service;
    if stray && named {
        let name = shortened(item.name.as_deref().unwrap_or_default());
        rows.warn((Code::K8sClusterIp, format!("the item {item_no} ({name}) has a clusterIP and is no Service")));
    }
    if is_service && let Some(ports) = object.and_then(|o| o.list("ports", odd)) {
        let mut port_no = 0;
        ports.for_each(|json| {
            let port = ServicePort::parse(json, odd);
            rows.port(PortRow { event: event.clone(), item_no, port_no, item: item.clone(), port });
            port_no += 1;
        });
    }
    rows.item(ItemRow { event: event.clone(), item_no, item, json: json.get().into() });
    stray
}
