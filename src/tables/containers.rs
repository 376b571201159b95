//! `containers`: every export of a container.

use super::column::Get::{Bool, Seq, Str};
use super::column::{Column, column, record_no, trace_id};
use super::entity_row::{EntityRow, given, text};
use crate::flatten::entity::Container;

pub const DOC: &str = "an exported Container";

pub type Row = EntityRow<Container>;

pub const COLUMNS: &[Column<Row>] = &[
    trace_id(Row::trace_id),
    record_no(|r| Some(r.entity.record_no)),
    column("id", "container.id", Str(|r| given(r.entity.id())), "container id"),
    column("name", "container.name", Str(|r| given(r.entity.name())), "container name"),
    column("image", "container.image", Str(|r| given(r.entity.image())), "image name"),
    column("imageid", "container.imageid", Str(|r| given(r.entity.image_id())), "image id"),
    column("type", "container.type", Str(|r| given(r.entity.kind())), "CT_DOCKER, CT_CRIO, …"),
    column("privileged", "container.privileged", Bool(|r| r.entity.privileged), "runs privileged"),
    column("pod_id", "podId", Str(|r| text(&r.entity.pod_id)), "pod id"),
    column("pod_no", "", Seq(|r| r.pod_no), "record_no of the pod's row in pods"),
    column("node_id", "exporter", Str(Row::node_id), "node that exported the trace"),
];
