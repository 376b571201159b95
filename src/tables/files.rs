//! `files`: every export of a file.

use std::borrow::Cow;

use super::column::Get::{Seq, Str, Time};
use super::column::{Column, column, record_no, trace_id};
use super::entity_row::{EntityRow, given};
use crate::flatten::entity::File;
use crate::text::hex;

pub const DOC: &str = "an exported File";

pub type Row = EntityRow<File>;

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(Row::trace_id),
    record_no(|r| Some(r.entity.record_no)),
    column("state", "state", Str(|r| given(r.entity.state())), "CREATED, MODIFIED or REUP (exported again)"),
    column("ts", "ts", Time(|r| r.entity.ts), "time of the export, floored to microseconds"),
    column("ts_uts", "ts", Seq(|r| r.entity.ts), "the same in nanoseconds"),
    column("oid", "oid", Str(|r| r.entity.oid.as_ref().map(|oid| Cow::Owned(hex(oid)))), "identity, 40 hex digits"),
    column(
        "restype",
        "file.type",
        Str(|r| r.entity.kind()),
        "one letter: f file, d directory, p pipe, u unix socket, …",
    ),
    column("path", "path", Str(|r| given(r.entity.path())), "path, or what stands for it"),
    column("container_id", "containerId", Str(|r| given(r.entity.container_id())), "container id"),
    column("container_no", "", Seq(|r| r.container_no), "record_no of the container's row in containers"),
    column("node_id", "exporter", Str(Row::node_id), "node that exported the trace"),
];
