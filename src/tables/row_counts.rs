//! How many rows each table has, of a trace, an input or a run.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::schema::TableId;

/// Rows by table. As JSON an object without the tables that have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts([i64; TableId::COUNT]);

impl RowCounts {
    /// Tables that have rows, in the order of the contract.
    pub fn iter(&self) -> impl Iterator<Item = (TableId, i64)> {
        TableId::ALL.into_iter().zip(self.0).filter(|(_, rows)| *rows != 0)
    }

    /// Adds those of another part of the same.
    pub fn add(&mut self, other: &RowCounts) {
        other.iter().for_each(|(table, rows)| self[table] += rows);
    }
}

impl Index<TableId> for RowCounts {
    type Output = i64;

    fn index(&self, table: TableId) -> &i64 {
        &self.0[table as usize]
    }
}

impl IndexMut<TableId> for RowCounts {
    fn index_mut(&mut self, table: TableId) -> &mut i64 {
        &mut self.0[table as usize]
    }
}

impl Serialize for RowCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By name, as other objects of a manifest are.
        self.iter().map(|(table, rows)| (table.name(), rows)).collect::<BTreeMap<_, _>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RowCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = RowCounts::default();
        for (name, rows) in BTreeMap::<String, i64>::deserialize(deserializer)? {
            let table = TableId::by_name(&name);
            counts[table.ok_or_else(|| D::Error::custom(format_args!("'{name}' is no table")))?] = rows;
        }
        Ok(counts)
    }
}
