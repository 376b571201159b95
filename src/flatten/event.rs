//! An event or flow as rows: of `records`, and of the Kubernetes tables if it is a KE.

use std::borrow::Cow;
use std::sync::Arc;

use super::entities::{Actor, Entities, Ref};
use super::entity::Trace;
use super::opflags;
use crate::k8s::expand::{self, ItemRow, KubernetesEvent, PortRow, Warning};
use crate::tables::pending::{Pending, TEXT, TableRow};
use crate::tables::records::ActorKey;
use crate::tables::row_counts::RowCounts;
use crate::tables::schema::TableId;
use crate::time::Date;
use crate::trace::reader::Place;
use crate::trace::records::{Event, EventKind, Number};

/// Where the rows of an event go.
pub struct Target<'t> {
    pub trace: &'t Arc<Trace>,
    /// Counts of rows by table.
    pub rows: &'t mut RowCounts,
    pub pending: &'t mut Pending,
    /// Ordinal of the input.
    pub input: u32,
    /// The rows' date.
    pub date: Date,
}

/// Rows of a KE, and what is to be said of it.
struct KubernetesRows<'r, 't> {
    target: &'r mut Target<'t>,
    /// Whether it has items.
    has_items: bool,
    /// The last item with ports.
    last_item: Option<i64>,
    warnings: Vec<Warning>,
}

/// Bytes of memory behind the first row of an event, which all of its rows share.
fn event_bytes(event: &KubernetesEvent) -> usize {
    TEXT * event.message.as_ref().map_or(0, |message| message.len())
}

impl expand::Rows for KubernetesRows<'_, '_> {
    fn item(&mut self, row: ItemRow) {
        let shared = if std::mem::replace(&mut self.has_items, true) { 0 } else { event_bytes(&row.event) };
        let bytes = TEXT * row.json.len() + row.item.entry_bytes() + shared;
        self.target.push(row, bytes);
    }

    fn port(&mut self, row: PortRow) {
        let shared = match self.last_item.replace(row.item_no) {
            Some(item_no) if item_no == row.item_no => 0,
            Some(_) => row.item.entry_bytes(),
            None => event_bytes(&row.event) + row.item.entry_bytes(),
        };
        let bytes = 256 + TEXT * row.port.text_bytes() + shared;
        self.target.push(row, bytes);
    }

    fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

impl Target<'_> {
    /// Adds a row to its table, with about `bytes` bytes of memory behind it.
    pub(super) fn push<R: TableRow>(&mut self, row: R, bytes: usize) {
        self.rows[R::TABLE] += 1;
        self.pending.push(self.date, self.input, row, bytes);
    }

    /// Adds a KE's rows to `k8s_events`, `k8s_items` and `k8s_service_ports`.
    pub fn push_kubernetes(&mut self, record_no: i64, event: &Event) -> (Option<Arc<KubernetesEvent>>, Vec<Warning>) {
        let trace = self.trace;
        let mut rows = KubernetesRows { target: self, has_items: false, last_item: None, warnings: Vec::new() };
        let k8s = expand::expand(trace, record_no, event, &mut rows);
        let warnings = rows.warnings;
        self.push(k8s.clone(), event_bytes(&k8s));
        (Some(k8s), warnings)
    }

    /// Adds an event's row to `records`. Returns the number of references that lead nowhere.
    pub fn push_event(
        &mut self,
        entities: &mut Entities,
        place: Place,
        kind: EventKind,
        event: &Event,
        k8s: Option<Arc<KubernetesEvent>>,
    ) -> i64 {
        self.rows[TableId::Records] += 1;
        let actor = entities.actor(event.process.as_ref());
        let Actor { process, parent, container, pod } = actor;
        let file = entities.file(event.file.as_ref());
        let new_file = entities.file(event.new_file.as_ref());
        let all = [process, parent, container, pod, file, new_file];
        let dangling = all.iter().filter(|r| **r == Ref::Dangling).count() as i64;

        let pending = &mut *self.pending;
        let batch = pending.records.batch(self.date, self.input);
        let number = batch.number;
        let trace = batch.traces.push_trace(self.trace);
        let key = ActorKey { trace, exports: entities.exports(), actor };
        // Those of the record, and of entities that come into the batch with it.
        let mut bytes = place.size;
        match batch.repeat_actor(&key) {
            Some(lists) => bytes += lists,
            None => {
                let latest = process.index().map(|i| entities.processes.get_mut(i));
                bytes += batch.processes.push_entity(latest, number, 0);
                let latest = parent.index().map(|i| entities.processes.get_mut(i));
                bytes += batch.parents.push_entity(latest, number, 1);
                let latest = container.index().map(|i| entities.containers.get_mut(i));
                bytes += batch.containers.push_entity(latest, number, 0);
                let latest = pod.index().map(|i| entities.pods.get_mut(i));
                let lists = latest.as_ref().map_or(0, |pod| pod.entity.list_bytes());
                bytes += batch.pods.push_entity(latest, number, 0);
                bytes += lists;
                batch.last_actor = Some((key, lists));
            }
        }
        let latest = file.index().map(|i| entities.files.get_mut(i));
        bytes += batch.files.push_entity(latest, number, 0);
        let latest = new_file.index().map(|i| entities.files.get_mut(i));
        bytes += batch.new_files.push_entity(latest, number, 1);
        let k8s = k8s.map(|k8s| batch.k8s.add(k8s));
        batch.k8s.push(k8s);
        let mut numbers = Cow::Borrowed(&event.numbers);
        if event.get(Number::OpFlags).is_none()
            && let Some(flags) = opflags::of(event)
        {
            numbers.to_mut().set(Number::OpFlags, flags.into());
        }
        batch.push(place.record_no as i64, kind, &numbers);
        pending.records.added(bytes, &mut pending.ready);
        dangling
    }
}
