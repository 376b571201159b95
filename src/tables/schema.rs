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

/// Hands all tables of the contract to a macro, in order, with their modules, which are called as the tables are.
macro_rules! with_tables {
    ($declare:ident) => {
        $declare! {
            Records = records,
            Processes = processes,
            Files = files,
            Containers = containers,
            Pods = pods,
            PodServicePorts = pod_service_ports,
            K8sEvents = k8s_events,
            K8sItems = k8s_items,
            K8sServicePorts = k8s_service_ports,
            ExperimentEvents = experiment_events,
            Traces = traces,
            Rejects = rejects,
        }
    };
}
pub(super) use with_tables;

/// Declares the tables.
macro_rules! tables {
    ($($table:ident = $module:ident,)*) => {
        /// The tables of the contract. The discriminant is the index in [`TableId::ALL`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum TableId {
            $($table,)*
        }

        impl TableId {
            pub const ALL: [TableId; [$(TableId::$table),*].len()] = [$(TableId::$table),*];

            /// The table's name, which is also its folder in a dataset.
            pub fn name(self) -> &'static str {
                match self {
                    $(TableId::$table => stringify!($module),)*
                }
            }

            /// The description of the table.
            pub fn info(self) -> TableInfo {
                let (doc, columns) = match self {
                    $(TableId::$table => ($module::DOC, $module::COLUMNS.iter().map(|c| c.info()).collect()),)*
                };
                TableInfo { name: self.name(), doc, columns }
            }
        }
    };
}

with_tables!(tables);

impl TableId {
    pub const COUNT: usize = Self::ALL.len();

    pub fn by_name(name: &str) -> Option<TableId> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
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
