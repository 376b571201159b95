//! The tables of a dataset: each file holds one table's rows and columns, [`schema`] lists them all.
//!
//! A [`mod@column`] says what is in it; [`ddl`] and the docs follow from that. Rows wait as [`pending`] until they are a [`chunk`], whose
//! room comes back as [`spare`]. [`entity_row`] is what tables of entities share, [`row_counts`] counts rows by table.

pub mod chunk;
pub mod column;
pub mod containers;
pub mod ddl;
pub mod entity_row;
pub mod experiment_events;
pub mod files;
pub mod k8s_events;
pub mod k8s_items;
pub mod k8s_service_ports;
pub mod pending;
pub mod pod_service_ports;
pub mod pods;
pub mod processes;
pub mod records;
pub mod rejects;
pub mod row_counts;
pub mod schema;
pub mod spare;
pub mod traces;
