//! What a trace holds, at a glance: its form, headers, records by type, times, pods, containers and damage.

pub mod event;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::error::Result;
use crate::input;
use crate::progress::Meter;
use crate::text::path_text;
use crate::time::iso;
use crate::trace::container::FileHeader;
use crate::trace::reader::{BLOCK_LIMIT, Blocks, Damage, Item};
use crate::trace::records::{Header, Record, Text};
use crate::trace::schema::LeftOut;
use event::{Flat, FlatEvent};

/// What a trace file holds. Text is as it is in the trace, so it may have control characters.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inspection {
    /// As given.
    pub input: String,
    pub bytes: u64,
    /// Why nothing of the file could be read.
    pub error: Option<String>,
    pub codec: Option<&'static str>,
    /// Versions that the headers give.
    pub schema_versions: BTreeSet<i64>,
    /// Fields of the schema that `convert` leaves out, as `Record.field`: those that SysFlow does not have.
    pub unknown_fields: Vec<String>,
    /// Those that it has with another type.
    pub odd_fields: Vec<String>,
    pub headers: Vec<HeaderInfo>,
    pub blocks: u64,
    pub records: u64,
    /// By the Avro name of the type.
    pub records_by_type: BTreeMap<String, u64>,
    /// Start of the earliest event or flow, and the latest start or end of one.
    pub first_ts: Option<String>,
    pub last_ts: Option<String>,
    /// The same in nanoseconds since 1970.
    pub first_ts_uts: Option<i64>,
    pub last_ts_uts: Option<i64>,
    /// `namespace/name`, each once.
    pub pods: BTreeSet<String>,
    /// Names, or ids of those that have none, each once.
    pub containers: BTreeSet<String>,
    pub damage: Vec<Damage>,
    /// How often there was one more for a list or set (`headers`, `pods`, `containers`, `damage`, `events`) that had no
    /// room left.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<&'static str, u64>,
    /// The first events and flows, as many as were asked for.
    pub events: Vec<FlatEvent>,
}

/// A header of the file.
#[derive(Debug, Clone, Serialize)]
pub struct HeaderInfo {
    pub exporter: Option<String>,
    pub ip: Option<String>,
    pub filename: Option<String>,
    pub version: Option<i64>,
    /// Records from this header to the next, with it.
    pub records: u64,
}

impl Inspection {
    /// Whether all of the file could be read.
    pub fn is_whole(&self) -> bool {
        self.error.is_none() && self.damage.is_empty()
    }
}

/// Reads the trace at `path` and flattens its first `events` events and flows. What is wrong with the file is part of
/// the result.
///
/// # Errors
/// `meter` says to stop.
pub fn inspect(path: &Path, events: usize, meter: &Meter) -> Result<Inspection> {
    let mut inspection = Inspection { input: path_text(path).into_owned(), ..Inspection::default() };
    let opened = input::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Err(e) => inspection.error = Some(e.to_string()),
        Ok((size, file)) => {
            inspection.bytes = size;
            match FileHeader::read(&file, size) {
                Err(e) => inspection.error = Some(e.to_string()),
                Ok(header) => Inspector {
                    inspection: &mut inspection,
                    room: MAX_KEPT,
                    wanted: events,
                    flat: Some(Flat::default()),
                }
                .read(file.into(), size, &header, meter)?,
            }
        }
    }
    meter.files.fetch_add(1, Relaxed);
    Ok(inspection)
}

/// Bytes of all headers, names, damage and events that are kept: a trace can have one of them in a few of its bytes.
const MAX_KEPT: usize = 32 << 20;
/// Bytes of the entities that events may refer to; behind more of them, no event is flattened.
const MAX_ENTITIES: usize = 64 << 20;

struct Inspector<'i> {
    inspection: &'i mut Inspection,
    /// Bytes that may still be kept.
    room: usize,
    /// Events that are still to be flattened.
    wanted: usize,
    /// Until there are too many entities.
    flat: Option<Flat>,
}

impl Inspector<'_> {
    fn read(&mut self, file: Arc<File>, size: u64, header: &FileHeader, meter: &Meter) -> Result<()> {
        self.inspection.codec = Some(header.codec.name());
        for LeftOut { field, is_known } in header.schema.left_out() {
            let fields = if is_known { &mut self.inspection.odd_fields } else { &mut self.inspection.unknown_fields };
            fields.push(field);
        }
        let mut blocks = Blocks::new(file, header, size, BLOCK_LIMIT, meter.stopper());
        let mut buffer = Vec::new();
        loop {
            meter.check()?;
            let before = blocks.pos();
            let item = match blocks.next(header, &mut buffer) {
                Ok(item) => item,
                Err(e) => {
                    meter.check()?;
                    self.inspection.error = Some(format!("it cannot be read from byte {before} on: {e}"));
                    break;
                }
            };
            meter.bytes.fetch_add(blocks.pos() - before, Relaxed);
            let block = match item {
                None => break,
                Some(Item::Damage(damage)) => {
                    self.damage(damage);
                    continue;
                }
                Some(Item::Block(block)) => block,
            };
            self.inspection.blocks += 1;
            meter.records.fetch_add(block.count, Relaxed);
            let Ok(damage) = blocks.records(header, block, &buffer, |place, record| {
                self.record(place.record_no, record);
                Ok::<_, Infallible>(())
            });
            damage.into_iter().for_each(|damage| self.damage(damage));
        }
        self.inspection.first_ts = self.inspection.first_ts_uts.map(iso);
        self.inspection.last_ts = self.inspection.last_ts_uts.map(iso);
        Ok(())
    }

    /// Whether there is room for another entry of a list, with so many bytes of text.
    fn has_room(&mut self, list: &'static str, text: usize) -> bool {
        let room = self.room.checked_sub(size_of::<HeaderInfo>() + text);
        match room {
            Some(room) => self.room = room,
            None => {
                // What is full stays full, so that of each list the beginning is there.
                self.room = 0;
                *self.inspection.more.entry(list).or_default() += 1;
            }
        }
        room.is_some()
    }

    fn damage(&mut self, damage: Damage) {
        // The first is kept in any case, so that damage is not taken for none.
        if self.inspection.damage.is_empty() || self.has_room("damage", damage.message.len()) {
            self.inspection.damage.push(damage);
        }
    }

    fn record(&mut self, record_no: u64, record: Record) {
        match &record {
            Record::Header(header) => {
                let text = [&header.exporter, &header.ip, &header.filename].into_iter().flatten();
                if self.has_room("headers", text.map(|text| text.len()).sum()) {
                    self.inspection.begin_trace(header);
                }
            }
            Record::Pod(pod) => {
                let name = pod.name.as_ref().or(pod.id.as_ref()).map_or("?", |n| n);
                let name = format!("{}/{name}", pod.namespace.as_deref().unwrap_or_default());
                if !self.inspection.pods.contains(&name) && self.has_room("pods", name.len()) {
                    self.inspection.pods.insert(name);
                }
            }
            Record::Container(container) => {
                let name = container.name.as_ref().filter(|n| !n.is_empty()).or(container.id.as_ref());
                if let Some(name) = name.filter(|name| !self.inspection.containers.contains(&***name))
                    && self.has_room("containers", name.len())
                {
                    self.inspection.containers.insert(name.to_string());
                }
            }
            Record::Event(_, event) => {
                event.widen(&mut self.inspection.first_ts_uts, &mut self.inspection.last_ts_uts);
            }
            Record::Process(_) | Record::File(_) | Record::Unknown(_) => {}
        }
        let inspection = &mut *self.inspection;
        inspection.records += 1;
        // Without allocating a name for every record.
        match inspection.records_by_type.get_mut(type_name(&record)) {
            Some(count) => *count += 1,
            None => drop(inspection.records_by_type.insert(type_name(&record).to_owned(), 1)),
        }
        // Behind a header without room there is none to count for.
        if let Some(trace) = inspection.headers.last_mut().filter(|_| !inspection.more.contains_key("headers")) {
            trace.records += 1;
        }
        // Entities are only needed as long as events that may refer to them are flattened.
        if self.wanted == 0 {
            return;
        }
        if let Some(flat) = &mut self.flat {
            let event = flat.record(record_no as i64, record);
            if flat.bytes() > MAX_ENTITIES {
                self.flat = None;
            }
            if let Some(event) = event {
                self.wanted -= 1;
                if self.has_room("events", event.bytes()) {
                    self.inspection.events.push(event);
                }
            }
        } else if let Record::Event(..) = record {
            self.wanted -= 1;
            *self.inspection.more.entry("events").or_default() += 1;
        }
        if self.wanted == 0 {
            self.flat = None;
        }
    }
}

impl Inspection {
    fn begin_trace(&mut self, header: &Header) {
        let copy = |text: &Option<Text>| text.as_ref().map(|t| t.to_string());
        self.schema_versions.extend(header.version);
        self.headers.push(HeaderInfo {
            exporter: copy(&header.exporter),
            ip: copy(&header.ip),
            filename: copy(&header.filename),
            version: header.version,
            records: 0,
        });
    }
}

/// The Avro name of a record's type.
fn type_name<'r>(record: &'r Record) -> &'r str {
    match record {
        Record::Header(_) => "SFHeader",
        Record::Pod(_) => "Pod",
        Record::Container(_) => "Container",
        Record::Process(_) => "Process",
        Record::File(_) => "File",
        Record::Event(kind, _) => kind.name(),
        Record::Unknown(name) => name,
    }
}
