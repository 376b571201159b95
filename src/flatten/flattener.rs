//! Takes the records of inputs in order and makes rows of every table, trace by trace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dateless::Dateless;
use super::entities::{Entities, Room};
use super::entity::{Str, Trace};
use super::event::Target;
use crate::error::Result;
use crate::experiment::Step;
use crate::reject::{Code, Severity};
use crate::tables::pending::{Pending, TEXT};
use crate::tables::row_counts::RowCounts;
use crate::tables::schema::TableId;
use crate::tables::traces::RecordCounts;
use crate::tables::{experiment_events, rejects, traces};
use crate::time::{Date, Window};
use crate::trace::cursor::MAX_ENTRIES;
use crate::trace::reader::{Damage, Loss, Place};
use crate::trace::records::{EventKind, Header, Record};
use crate::trace::schema::LeftOut;

/// What all rows of an input know of it.
#[derive(Debug, Clone)]
pub struct InputInfo {
    /// Ordinal among the inputs of the run.
    pub index: u32,
    /// As the user gave it.
    pub name: Arc<str>,
    /// 64 hex digits.
    pub sha256: Arc<str>,
    pub bytes: u64,
    /// Events and flows that are wanted.
    pub window: Window,
}

/// What the ids of an input's traces begin with, and the id of a log: 16 hex digits of its SHA-256. Nothing could be read of an
/// input that has none.
pub fn input_id(sha256: &str) -> Option<&str> {
    sha256.get(..16)
}

impl InputInfo {
    fn id(&self) -> &str {
        input_id(&self.sha256).unwrap_or_default()
    }

    fn trace_id(&self, header_no: Option<i64>) -> String {
        let hash = self.id();
        match header_no {
            Some(ordinal) => format!("{hash}-{ordinal}"),
            None => format!("{hash}-none"),
        }
    }
}

/// What became of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Headers, and one more if records come before the first.
    pub traces: i64,
    pub records: i64,
    /// When its events and flows start, at the earliest, and start or end at the latest: nanoseconds since 1970.
    pub first_ts: Option<i64>,
    pub last_ts: Option<i64>,
    pub headers: i64,
    /// Records of types that SysFlow 5 does not have.
    pub unknown: i64,
    /// Records known to be lost.
    pub lost: i64,
    /// Events and flows outside the window.
    pub filtered: i64,
    /// References to entities that were not exported before.
    pub dangling: i64,
    /// Strings in which invalid UTF-8 was replaced.
    pub repaired: i64,
    /// Whether anything of the file was damaged or missing, also where nobody knows how many records that cost.
    pub damaged: bool,
    /// Where the first damage is that has rows behind it.
    pub damaged_at: Option<u64>,
    /// Whether nothing of it could be read.
    pub rejected: bool,
    pub truncated: bool,
    /// Rows by [`TableId`].
    pub rows: RowCounts,
}

/// Values that are missing, and the `record_no` of the first.
#[derive(Debug, Clone, Copy, Default)]
struct Missing {
    count: u64,
    first: i64,
}

impl Missing {
    fn add(&mut self, count: u64, record_no: i64) {
        if self.count == 0 {
            self.first = record_no;
        }
        self.count += count;
    }
}

struct CurrentTrace {
    info: Arc<Trace>,
    date: Date,
    /// The row of `traces` so far.
    row: traces::Row,
    entities: Entities,
    /// See [`Oddities`](crate::trace::cursor::Oddities).
    too_long: Missing,
    odd: Missing,
    /// Union branches that SysFlow 5 does not have, and how often each came.
    unknown: BTreeMap<String, i64>,
}

/// Makes rows of records.
pub struct Flattener {
    pub pending: Pending,
    room: Room,
    input: InputInfo,
    headers: i64,
    trace: Option<CurrentTrace>,
    /// Of the last step of a log.
    log_date: Option<Date>,
    /// Room for the entities of the next one.
    entities: Option<Entities>,
    /// Bytes that headers say and waiting rows may have.
    header_bytes: usize,
    /// Losses before the first header.
    lost_before: i64,
    /// To be said of the input's first trace.
    doubt: Option<String>,
    counts: InputCounts,
    dateless: Dateless,
    /// What was wrong with inputs, one line each, the first `MAX_PROBLEMS`.
    pub problems: Vec<String>,
}

/// Lines that are kept for people; `rejects` has them all.
const MAX_PROBLEMS: usize = 1_000;
/// Fields that are left out and named: a trace may have a header in every few bytes.
const MAX_LEFT_OUT: usize = 50;

impl Flattener {
    /// The entities of each trace have `room`.
    pub fn new(pending: Pending, room: Room) -> Flattener {
        let input = InputInfo { index: 0, name: "".into(), sha256: "".into(), bytes: 0, window: Window::default() };
        let dateless = Dateless::within(&room.folder);
        Flattener {
            pending,
            room,
            input,
            headers: 0,
            trace: None,
            log_date: None,
            entities: None,
            header_bytes: 0,
            lost_before: 0,
            doubt: None,
            counts: InputCounts::default(),
            dateless,
            problems: Vec::new(),
        }
    }

    /// # Errors
    /// Rejects that waited for a date could not be written to disk, so more would take memory.
    pub fn check(&mut self) -> Result<()> {
        self.dateless.check()
    }

    /// Makes all rows ready. What has no date gets the earliest of all, or 1970-01-01 if nothing has any.
    ///
    /// # Errors
    /// Rows that waited on disk do not come back.
    pub fn finish(&mut self) -> Result<()> {
        let date = self.pending.earliest_date().unwrap_or_default();
        let Flattener { pending, dateless, .. } = self;
        dateless.drain(|input, row| {
            let bytes = TEXT * row.message.len();
            pending.push(date, input, row, bytes);
        })?;
        pending.end();
        Ok(())
    }

    /// What follows is of this input.
    pub fn begin_input(&mut self, input: InputInfo) {
        self.input = input;
        self.headers = 0;
        self.lost_before = 0;
        self.counts = InputCounts::default();
    }

    /// Takes note, with its first trace, that the dataset perhaps has the input's rows already, and why.
    pub fn doubt(&mut self, message: String) {
        self.doubt = Some(message);
    }

    fn say_doubt(&mut self) {
        if let Some(message) = self.doubt.take() {
            self.remark(Severity::Warning, Code::PerhapsTwice, message);
        }
    }

    /// Ends the input and says what became of it.
    pub fn end_input(&mut self) -> InputCounts {
        self.say_doubt();
        self.end_trace();
        std::mem::take(&mut self.counts)
    }

    /// Whether a record starts a trace, so that [`Flattener::begin_trace`] must come first.
    pub fn starts_trace(&self, record: &Record) -> bool {
        matches!(record, Record::Header(_)) || self.trace.is_none()
    }

    /// Begins a trace: at a header, or (`None`) at a record that has no header before it.
    pub fn begin_trace(&mut self, header: Option<&Header>, date: Date, left_out: &[LeftOut]) {
        self.end_trace();
        let header_no = header.map(|_| self.headers);
        self.headers += i64::from(header.is_some());
        let copy = |text: Option<&crate::trace::records::Text>| text.map(|t| Str::from(&**t));
        let info = Arc::new(Trace {
            id: self.input.trace_id(header_no),
            node_id: header.and_then(|h| copy(h.exporter.as_ref())),
            node_ip: header.and_then(|h| copy(h.ip.as_ref())),
            filename: header.and_then(|h| copy(h.filename.as_ref())),
            schema: header.and_then(|h| h.version),
        });
        // Rows of all tables share what the header says.
        let bytes = info.text_bytes();
        self.header_bytes += bytes;
        if self.header_bytes >= self.pending.batch_bytes() {
            self.header_bytes = bytes;
            self.pending.flush();
        }
        let row = traces::Row {
            trace: info.clone(),
            input: self.input.name.clone(),
            input_sha256: self.input.sha256.clone(),
            input_bytes: self.input.bytes as i64,
            header_no,
            first_ts: None,
            last_ts: None,
            records: RecordCounts::default(),
            records_lost: std::mem::take(&mut self.lost_before),
            filtered: 0,
            dangling: 0,
            repaired: 0,
            truncated: false,
            rows: RowCounts::default(),
        };
        self.trace = Some(CurrentTrace {
            info,
            date,
            row,
            entities: self.entities.take().unwrap_or_else(|| Entities::new(self.room.clone())),
            too_long: Missing::default(),
            odd: Missing::default(),
            unknown: BTreeMap::new(),
        });
        self.say_doubt();
        let (named, more) = left_out.split_at(left_out.len().min(MAX_LEFT_OUT));
        let code = |field: &LeftOut| match field.is_known {
            true => (Severity::Warning, Code::OddField, "has another type than in SysFlow"),
            false => (Severity::Notice, Code::UnknownField, "is not known"),
        };
        for field in named {
            let (severity, code, what) = code(field);
            self.remark(severity, code, format!("the field {} {what} and was left out", field.field));
        }
        // Known ones come first.
        if let Some(field) = more.first() {
            let (severity, code, _) = code(field);
            self.remark(severity, code, format!("{} more fields were left out", more.len()));
        }
    }

    fn end_trace(&mut self) {
        let Some(trace) = &mut self.trace else { return };
        let CurrentTrace { too_long, odd, .. } = *trace;
        for (name, count) in std::mem::take(&mut trace.unknown) {
            let message = format!("{count} records of the type {name} are not known and were left out");
            self.reject(Severity::Notice, Code::UnknownRecord, message, None, None, Some(count));
        }
        for (Missing { count, first }, code, what) in [
            (too_long, Code::NumberTooLong, "numbers have more bits than those of SysFlow and are NULL"),
            (odd, Code::OddValue, "values are none that SysFlow has there and are NULL or left out"),
        ] {
            if count > 0 {
                self.reject(Severity::Warning, code, format!("{count} {what}"), Some(first), None, Some(0));
            }
        }
        let Some(CurrentTrace { mut row, date, entities, .. }) = self.trace.take() else { return };
        self.entities = Some(entities.cleared());
        row.rows[TableId::Traces] += 1;
        self.counts.traces += 1;
        self.counts.records += row.records.total();
        self.counts.first_ts = self.counts.first_ts.into_iter().chain(row.first_ts).min();
        self.counts.last_ts = self.counts.last_ts.max(row.last_ts);
        self.counts.headers += row.records.headers;
        self.counts.unknown += row.records.unknown;
        self.counts.filtered += row.filtered;
        self.counts.dangling += row.dangling;
        self.counts.repaired += row.repaired;
        self.counts.rows.add(&row.rows);
        let bytes = 256 + TEXT * row.trace.text_bytes();
        self.pending.push(date, self.input.index, row, bytes);
    }

    /// Takes note that nothing of the input can be read.
    pub fn reject_input(&mut self, code: Code, message: String) {
        self.counts.rejected = true;
        self.reject(Severity::Error, code, message, None, None, None);
    }

    /// Begins the log of an experiment, which is the current input. The steps before the first that has a time have this date.
    pub fn begin_log(&mut self, date: Option<Date>) {
        self.log_date = date;
    }

    /// Takes a line of the experiment's log that is the current input.
    pub fn experiment_line(&mut self, line_no: i64, line: &str) {
        let Some(step) = Step::of(line_no, line) else { return };
        // A line without a time comes after the step before it.
        self.log_date = step.ts.map(Date::of).or(self.log_date);
        let date = self.log_date.unwrap_or_default();
        let bytes = TEXT * step.line.len();
        let row = experiment_events::Row { log_id: self.input.id().to_owned(), step };
        self.counts.rows[TableId::ExperimentEvents] += 1;
        self.pending.push(date, self.input.index, row, bytes);
    }

    /// Ends the log of an experiment.
    pub fn end_log(&mut self) {
        if self.counts.rows[TableId::ExperimentEvents] == 0 {
            let message = "no line of it is a step of an experiment (it has no '----- ' and no 'waiting')".to_owned();
            self.remark(Severity::Warning, Code::NoSteps, message);
        }
    }

    /// Takes note of damage to the file, which is inside of it or at its end.
    pub fn damage(&mut self, damage: Damage, is_inside: bool) {
        let lost = damage.records_lost.map(|n| n as i64);
        self.counts.damaged = true;
        if is_inside {
            self.counts.damaged_at.get_or_insert(damage.offset);
        }
        self.counts.lost += lost.unwrap_or(0);
        let truncated = damage.code == Code::Truncated;
        self.counts.truncated |= truncated;
        match &mut self.trace {
            Some(trace) => {
                trace.row.records_lost += lost.unwrap_or(0);
                trace.row.truncated |= truncated;
            }
            None => self.lost_before += lost.unwrap_or(0),
        }
        let (record, offset) = (Some(damage.record_no as i64), Some(damage.offset as i64));
        self.reject(damage.severity, damage.code, damage.message, record, offset, lost);
    }

    /// Adds a row to `rejects` that is of no record in particular, and of which nothing was lost.
    fn remark(&mut self, severity: Severity, code: Code, message: String) {
        self.reject(severity, code, message, None, None, Some(0));
    }

    /// Adds a row to `rejects`, of the current trace if there is one.
    pub fn reject(
        &mut self,
        severity: Severity,
        code: Code,
        message: String,
        record_no: Option<i64>,
        byte_offset: Option<i64>,
        records_lost: Option<i64>,
    ) {
        // Something is lost, be it but a part of a row.
        self.counts.damaged |= severity == Severity::Error;
        let bytes = TEXT * message.len();
        if severity > Severity::Notice || code == Code::Truncated {
            self.problem(severity, &message, byte_offset, records_lost);
        }
        let row = rejects::Row {
            trace_id: self.trace.as_ref().map(|t| t.info.id.clone()),
            input: self.input.name.clone(),
            record_no,
            byte_offset,
            severity,
            code,
            message,
            records_lost,
        };
        match &mut self.trace {
            Some(trace) => {
                trace.row.rows[TableId::Rejects] += 1;
                self.pending.push(trace.date, self.input.index, row, bytes);
            }
            None => {
                self.counts.rows[TableId::Rejects] += 1;
                self.dateless.push(self.input.index, row);
            }
        }
    }

    fn problem(&mut self, severity: Severity, message: &str, byte_offset: Option<i64>, records_lost: Option<i64>) {
        use crate::text::{Escaped, shortened};
        if self.problems.len() == MAX_PROBLEMS {
            self.problems.push(format!("{}: there are more, see the table rejects", severity.name()));
        }
        if self.problems.len() > MAX_PROBLEMS {
            return;
        }
        let at = byte_offset.map_or(String::new(), |offset| format!(" at byte {offset}"));
        // What concerns the whole file says itself what is lost.
        let lost = Loss(records_lost.map(|n| n as u64).or(byte_offset.is_none().then_some(0)));
        self.problems.push(format!(
            "{}: {}{at}: {}{lost}",
            severity.name(),
            Escaped(&self.input.name),
            Escaped(&shortened(message))
        ));
    }

    /// Takes the next record of the current trace.
    ///
    /// # Errors
    /// The trace has more entities than there is room for, or the file of those that memory does not hold fails.
    pub fn record(&mut self, place: Place, record: Record) -> Result<()> {
        let Some(trace) = &mut self.trace else { unreachable!("a record comes after begin_trace") };
        let record_no = place.record_no as i64;
        let CurrentTrace { info, date, row, entities, too_long, odd, unknown } = trace;
        entities.make_room().map_err(|e| e.of_input(&self.input.name))?;
        row.repaired += place.oddities.repaired as i64;
        too_long.add(place.oddities.too_long, record_no);
        odd.add(place.oddities.odd, record_no);
        let (counts, pending) = (&mut row.records, &mut self.pending);
        let mut target = Target { trace: info, rows: &mut row.rows, pending, input: self.input.index, date: *date };
        let (mut severity, mut problems) = (Severity::Error, Vec::new());
        match record {
            Record::Header(_) => counts.headers += 1,
            Record::Unknown(name) => {
                counts.unknown += 1;
                match unknown.get_mut(name) {
                    Some(count) => *count += 1,
                    None => drop(unknown.insert(name.to_owned(), 1)),
                }
            }
            Record::Pod(pod) => {
                counts.pods += 1;
                problems = target.push_pod(entities, place, *pod);
            }
            Record::Container(container) => {
                counts.containers += 1;
                target.push_container(entities, place, *container);
            }
            Record::Process(process) => {
                counts.processes += 1;
                target.push_process(entities, place, *process);
            }
            Record::File(file) => {
                counts.files += 1;
                target.push_file(entities, place, *file);
            }
            Record::Event(kind, event) => {
                *counts.event(kind) += 1;
                event.widen(&mut row.first_ts, &mut row.last_ts);
                if !self.input.window.contains(event.ts()) {
                    row.filtered += 1;
                    return Ok(());
                }
                target.date = event.ts().map_or(*date, Date::of);
                let mut k8s = None;
                if kind == EventKind::K8sEvent {
                    (k8s, problems) = target.push_kubernetes(record_no, event);
                    severity = Severity::Warning;
                }
                row.dangling += target.push_event(entities, place, kind, event, k8s);
            }
        }
        for (code, message) in problems {
            self.reject(severity, code, message, Some(record_no), None, Some(0));
        }
        if place.oddities.left_out > 0 {
            let message = format!(
                "the lists of the record have more than {MAX_ENTRIES} entries; {} were left out",
                place.oddities.left_out
            );
            self.reject(Severity::Error, Code::TooManyEntries, message, Some(record_no), None, Some(0));
        }
        Ok(())
    }
}
