//! Records in, rows out: every record that was read is a row somewhere, a header, unknown, or outside the wanted time.

use std::collections::BTreeMap;

use super::{Finding, remedy};
use crate::dataset::layout::Layout;
use crate::dataset::state::{Read, State};
use crate::tables::schema::TableId;

/// Tables in which a record of a trace is exactly one row. A KE is a row of `records`, and others besides.
const ROW_PER_RECORD: [TableId; 5] =
    [TableId::Records, TableId::Processes, TableId::Files, TableId::Containers, TableId::Pods];

/// Compares the numbers of every input, and of every table.
pub fn check(layout: &Layout, state: &State, live: &[Read]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for read in live {
        let input = read.input;
        let rows: i64 = ROW_PER_RECORD.iter().map(|table| input.rows[*table]).sum();
        let accounted = rows + input.headers + input.unknown + input.filtered;
        if accounted != input.records {
            let message = format!("{} records were read and {accounted} are accounted for", input.records);
            let remedy = remedy::reconvert_inputs(layout, state, read.run, &read.content(), &[input]);
            findings.push(Finding { code: "lost_records", path: input.path.clone(), message, remedy });
        }
    }
    let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
    for Read { run, input, .. } in live {
        for (table, rows) in input.rows.iter().map(|(table, rows)| (table.name(), rows)) {
            if run.content.tables.iter().any(|wanted| wanted == table) {
                *expected.entry(table).or_default() += rows;
            }
        }
    }
    let mut found: BTreeMap<&str, i64> = BTreeMap::new();
    state.files().for_each(|(_, f)| *found.entry(&f.table).or_default() += f.rows as i64);
    for table in TableId::ALL.map(TableId::name) {
        let count = |of: &BTreeMap<&str, i64>| of.get(table).copied().unwrap_or(0);
        let (expected, found) = (count(&expected), count(&found));
        if expected != found {
            let message = format!("its files have {found} rows, the inputs gave it {expected}");
            let remedy = remedy::start_anew(layout, state, live);
            findings.push(Finding { code: "wrong_sum", path: table.to_owned(), message, remedy });
        }
    }
    findings
}
