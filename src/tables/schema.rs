//! The contract as data: every table with its columns, from which Parquet schemas, DDL and docs/tables.md follow.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use serde::Serialize;

use super::column::{Column, ColumnType};
use super::{
    containers, experiment_events, files, k8s_events, k8s_items, k8s_service_ports, pod_service_ports, pods, processes,
    records, rejects, traces,
};

/// A column as the contract describes it.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnInfo {
    pub name: &'static str,
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// SysFlow attribute or other source.
    pub attribute: &'static str,
    pub doc: &'static str,
    /// Times and record numbers are delta-encoded, all else has dictionaries.
    #[serde(skip)]
    pub sequence: bool,
}

/// A table as the contract describes it.
#[derive(Debug, Clone, Serialize)]
pub struct TableInfo {
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    pub columns: Vec<ColumnInfo>,
}

/// Columns that people filter by equality: they get bloom filters.
pub const BLOOM_COLUMNS: [&str; 6] = ["container_id", "pod_name", "proc_exe", "net_sip", "net_dip", "ip"];

/// The tables of the contract. The discriminant is the index in [`TableId::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum TableId {
    Records,
    Processes,
    Files,
    Containers,
    Pods,
    PodServicePorts,
    K8sEvents,
    K8sItems,
    K8sServicePorts,
    ExperimentEvents,
    Traces,
    Rejects,
}

impl TableId {
    pub const ALL: [TableId; 12] = [
        TableId::Records,
        TableId::Processes,
        TableId::Files,
        TableId::Containers,
        TableId::Pods,
        TableId::PodServicePorts,
        TableId::K8sEvents,
        TableId::K8sItems,
        TableId::K8sServicePorts,
        TableId::ExperimentEvents,
        TableId::Traces,
        TableId::Rejects,
    ];

    pub const COUNT: usize = Self::ALL.len();

    /// The table's name, which is also its folder in a dataset.
    pub fn name(self) -> &'static str {
        match self {
            TableId::Records => "records",
            TableId::Processes => "processes",
            TableId::Files => "files",
            TableId::Containers => "containers",
            TableId::Pods => "pods",
            TableId::PodServicePorts => "pod_service_ports",
            TableId::K8sEvents => "k8s_events",
            TableId::K8sItems => "k8s_items",
            TableId::K8sServicePorts => "k8s_service_ports",
            TableId::ExperimentEvents => "experiment_events",
            TableId::Traces => "traces",
            TableId::Rejects => "rejects",
        }
    }

    pub fn by_name(name: &str) -> Option<TableId> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The description of the table.
    pub fn info(self) -> TableInfo {
        let (doc, columns) = match self {
            TableId::Records => (records::DOC, records::columns()),
            TableId::Processes => (processes::DOC, describe(processes::COLUMNS)),
            TableId::Files => (files::DOC, describe(files::COLUMNS)),
            TableId::Containers => (containers::DOC, describe(containers::COLUMNS)),
            TableId::Pods => (pods::DOC, describe(pods::COLUMNS)),
            TableId::PodServicePorts => (pod_service_ports::DOC, describe(pod_service_ports::COLUMNS)),
            TableId::K8sEvents => (k8s_events::DOC, describe(k8s_events::COLUMNS)),
            TableId::K8sItems => (k8s_items::DOC, describe(k8s_items::COLUMNS)),
            TableId::K8sServicePorts => (k8s_service_ports::DOC, describe(k8s_service_ports::COLUMNS)),
            TableId::ExperimentEvents => (experiment_events::DOC, describe(experiment_events::COLUMNS)),
            TableId::Traces => (traces::DOC, describe(traces::COLUMNS)),
            TableId::Rejects => (rejects::DOC, describe(rejects::COLUMNS)),
        };
        TableInfo { name: self.name(), doc, columns }
    }
}

fn describe<R>(columns: &[Column<R>]) -> Vec<ColumnInfo> {
    columns.iter().map(Column::info).collect()
}

impl<R: ?Sized> Column<R> {
    pub fn info(&self) -> ColumnInfo {
        ColumnInfo {
            name: self.name,
            column_type: self.get.column_type(),
            attribute: self.attribute,
            doc: self.doc,
            sequence: self.get.is_sequence(),
        }
    }
}

impl TableInfo {
    /// The Arrow schema: every column may be NULL, so that readers agree and columns can be appended later.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|c| Field::new(c.name, c.column_type.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}
