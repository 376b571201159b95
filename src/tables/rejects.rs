//! `rejects`: everything that could not be taken over whole.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::column::Get::{I64, Seq, Str};
use super::column::{Column, column};
use crate::reject::{Code, Severity};

pub const DOC: &str = "something that could not be taken over whole, or that a reader should know";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `None` where the input has no trace at all.
    pub trace_id: Option<String>,
    pub input: Arc<str>,
    pub record_no: Option<i64>,
    pub byte_offset: Option<i64>,
    pub severity: Severity,
    pub code: Code,
    pub message: String,
    pub records_lost: Option<i64>,
}

pub const COLUMNS: &[Column<Row>] = &[
    column("trace_id", "", Str(|r| r.trace_id.as_deref().map(Into::into)), "the trace, NULL if there is none"),
    column("input", "", Str(|r| Some((&*r.input).into())), "the input as given"),
    column("record_no", "", Seq(|r| r.record_no), "ordinal of the first record concerned"),
    column("byte_offset", "", Seq(|r| r.byte_offset), "offset in the file of the damaged block or gap"),
    column("severity", "", Str(|r| Some(r.severity.name().into())), "notice, warning (no record lost) or error"),
    column("code", "", Str(|r| Some(r.code.name().into())), "what happened, for programs"),
    column("message", "", Str(|r| Some((&*r.message).into())), "what happened, for people"),
    column("records_lost", "", I64(|r| r.records_lost), "records that are missing; NULL if nobody can know"),
];
