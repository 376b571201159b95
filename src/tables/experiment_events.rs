//! `experiment_events`: the steps of an experiment, from its log.

use super::column::Get::{I64, Seq, Str, Time};
use super::column::{Column, column};
use crate::experiment::Step;

pub const DOC: &str = "a step of an experiment, from the log given with --experiment-log";

#[derive(Debug)]
pub struct Row {
    /// First 16 hex digits of the log's SHA-256.
    pub log_id: String,
    pub step: Step,
}

pub const COLUMNS: &[Column<Row>] = &[
    column("log_id", "", Str(|r| Some((&*r.log_id).into())), "the log: first 16 hex digits of its SHA-256"),
    column("line_no", "", I64(|r| Some(r.step.line_no)), "ordinal of the line in the log"),
    column("ts", "", Time(|r| r.step.ts), "time of the line (UTC)"),
    column("ts_uts", "", Seq(|r| r.step.ts), "the same in nanoseconds"),
    column("level", "", Str(|r| r.step.level.as_deref().map(Into::into)), "log level"),
    column("event", "", Str(|r| Some((&*r.step.event).into())), "what was done, cleaned up as in the notebook"),
    column("line", "", Str(|r| Some((&*r.step.line).into())), "the line"),
];
