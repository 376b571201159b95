//! Records in, rows out: every record that was read is a row somewhere, a header, unknown, or outside the wanted time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Finding, remedy};
use crate::dataset::layout::Layout;
use crate::dataset::manifest::{InputEntry, Manifest, State};
use crate::dataset::part::PartFile;
use crate::tables::schema::TableId;

/// Tables in which a record of a trace is exactly one row. A KE is a row of `records`, and others besides.
const ROW_PER_RECORD: [TableId; 5] =
    [TableId::Records, TableId::Processes, TableId::Files, TableId::Containers, TableId::Pods];

/// An input, and the run that its rows come from.
pub type Live<'s> = (&'s Manifest, &'s InputEntry);

/// The inputs whose rows the dataset has. One that was converted again is in several manifests; the entry that counts
/// is the one that the part files lead to, if need be over those that they were rewritten from.
pub fn live_inputs(state: &State) -> Vec<Live<'_>> {
    let mut live = BTreeSet::new();
    for (m, manifest) in state.manifests.iter().enumerate() {
        let kept = |i: &usize| !state.is_superseded(&manifest.inputs[*i]);
        live.extend((0..manifest.inputs.len()).filter(kept).map(|i| (m, i)));
    }
    let files = state.manifests.iter().enumerate().flat_map(|(m, run)| run.files.iter().map(move |f| (m, f)));
    let files: HashMap<&str, (usize, &PartFile)> = files.map(|(m, f)| (f.path.as_str(), (m, f))).collect();
    let mut trail = Vec::new();
    for (_, part) in state.files() {
        let Some((m, _)) = files.get(part.path.as_str()) else { continue };
        live.extend(part.inputs.iter().map(|i| (*m, *i as usize)));
        trail.push((*m, part.kept.iter().map(String::as_str).collect()));
    }
    trace_back(state, &files, trail, &mut live);
    let entry = |(m, i): (usize, usize)| {
        let manifest: &Manifest = &state.manifests[m];
        manifest.inputs.get(i).map(|input| (manifest, input))
    };
    live.into_iter().filter_map(entry).collect()
}

/// Finds inputs whose rows a run took over from the files that it replaced: `trail` has runs with such inputs' keys.
fn trace_back<'s>(
    state: &State,
    files: &HashMap<&str, (usize, &'s PartFile)>,
    mut trail: Vec<(usize, BTreeSet<&'s str>)>,
    live: &mut BTreeSet<(usize, usize)>,
) {
    // In damaged manifests runs may seem to replace each other's files, or their own.
    let mut seen = HashSet::new();
    while let Some((m, mut wanted)) = trail.pop() {
        wanted.retain(|key| seen.insert((m, *key)));
        if wanted.is_empty() {
            continue;
        }
        for (from, part) in state.manifests[m].removed.iter().filter_map(|path| files.get(path.as_str())) {
            let inputs = &state.manifests[*from].inputs;
            let is_wanted = |i: &usize| inputs.get(*i).is_some_and(|input| wanted.contains(input.key().as_str()));
            live.extend(part.inputs.iter().map(|i| *i as usize).filter(is_wanted).map(|i| (*from, i)));
            trail.push((*from, part.kept.iter().map(String::as_str).filter(|key| wanted.contains(key)).collect()));
        }
    }
}

/// Compares the numbers of every input, and of every table.
pub fn check(layout: &Layout, state: &State, live: &[Live]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, input) in live {
        let rows: i64 = ROW_PER_RECORD.iter().map(|table| input.rows[*table]).sum();
        let accounted = rows + input.headers + input.unknown + input.filtered;
        if accounted != input.records {
            let message = format!("{} records were read and {accounted} are accounted for", input.records);
            let remedy = remedy::reconvert_inputs(layout, &manifest.content, &[input]);
            findings.push(Finding { code: "lost_records", path: input.path.clone(), message, remedy });
        }
    }
    let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
    for (manifest, input) in live {
        for (table, rows) in input.rows.iter().map(|(table, rows)| (table.name(), rows)) {
            if manifest.content.tables.iter().any(|wanted| wanted == table) {
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
            let remedy = remedy::start_anew(layout, live);
            findings.push(Finding { code: "wrong_sum", path: table.to_owned(), message, remedy });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(name: &str, paths: &[&str], file: Value, removed: &[&str]) -> Manifest {
        let input = |path: &&str| {
            json!({
                "path": path, "size": 1, "mtime": 1, "sha256": format!("hash of {path}"), "status": "converted",
                "truncated": false, "traces": 1, "records": 1, "headers": 1, "unknown": 0, "lost": 0, "filtered": 0,
                "dangling": 0, "repaired": 0, "rows": {}
            })
        };
        let inputs: Vec<Value> = paths.iter().map(input).collect();
        let manifest = json!({
            "format": 1, "run": name, "program": "0.1.0", "compression": "zstd", "encodings": "default",
            "content": {"tables": ["records"], "since": null, "until": null}, "inputs": inputs, "files": [file],
            "removed": removed, "superseded": ["hash of a", "hash of b"]
        });
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn rows_are_traced_back_whatever_the_runs_are_called() {
        let file = |path: &str, inputs: &[u32], kept: &[&str]| {
            json!({
                "path": path, "table": "records", "rows": 2, "bytes": 1, "sha256": "", "min_ts": null, "max_ts": null,
                "inputs": inputs, "kept": kept
            })
        };
        let first = run("first", &["a", "b"], file("p1", &[0, 1], &[]), &[]);
        // The input a was converted again, the rows of b were taken over.
        let second = run("second", &["a"], file("p2", &[0], &["hash of b"]), &["p1"]);
        for order in [[first.clone(), second.clone()], [second, first]] {
            let state = State::of(order.into());
            let live = live_inputs(&state);
            let live: BTreeSet<_> = live.iter().map(|(m, i)| (m.run.as_str(), i.path.as_str())).collect();
            assert_eq!(live, [("first", "b"), ("second", "a")].into());
        }
    }
}
