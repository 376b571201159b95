//! `inspect`: all that a trace holds is named, and nothing of it reaches the terminal raw.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::trace::{SECOND, T0, Trace, simple};
use crate::support::*;

fn inspect(inputs: &[&Path], more: &[&str]) -> std::process::Output {
    program(["inspect"]).args(inputs).args(more).output().unwrap()
}

fn objects(output: &std::process::Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn counts_are_those_of_the_conversion() {
    let files = shared_trace_files();
    if files.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    expect_status(&convert(&inputs, folder.path(), &[]), 0);
    let output = inspect(&inputs, &["--json", "--records", "1000000"]);
    expect_status(&output, 0);
    let all = objects(&output);
    let total = |name: &str| all.iter().map(|i| i["records_by_type"][name].as_i64().unwrap_or(0)).sum::<i64>();
    for (name, column) in [("ProcessEvent", "n_pe"), ("NetworkFlow", "n_nf"), ("K8sEvent", "n_ke"), ("Pod", "n_pod")] {
        assert_eq!(total(name), sum(folder.path(), "traces", column), "{name}");
    }
    let mut firsts: Vec<i64> = all.iter().filter_map(|i| i["first_ts_uts"].as_i64()).collect();
    let mut expected: Vec<i64> = longs(folder.path(), "traces", "first_ts_uts").into_iter().flatten().collect();
    firsts.sort();
    expected.sort();
    assert_eq!(firsts, expected);
    let events: Vec<&Value> = all.iter().flat_map(|i| i["events"].as_array().unwrap()).collect();
    assert_eq!(events.len(), row_count(folder.path(), "records"));
    let texts = |name: &str| {
        let mut texts: Vec<_> = events.iter().map(|e| e[name].as_str().map(str::to_owned)).collect();
        texts.sort();
        texts
    };
    let mut exes = strings(folder.path(), "records", "proc_exe");
    exes.sort();
    assert_eq!(texts("exe"), exes);
}

#[test]
fn lists_without_end_are_counted_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many");
    // Headers with long names, and behind them blocks that are none.
    let name = "n".repeat(10_000);
    let trace = (0..5_000).fold(Trace::new(), |trace, _| trace.header(&name)).exec(1, T0);
    let mut bytes = trace.bytes().0;
    for _ in 0..3 {
        bytes.extend([&[2, 2, 0xff][..], &trace.sync].concat());
    }
    fs::write(&path, bytes).unwrap();
    let output = inspect(&[&path], &["--json"]);
    expect_status(&output, 3);
    let inspection = &objects(&output)[0];
    let kept = inspection["headers"].as_array().unwrap().len() as u64;
    assert!(3_000 < kept && kept + inspection["more"]["headers"].as_u64().unwrap() == 5_000, "{kept}");
    assert_eq!(inspection["records"], 5_001);
    assert_eq!(inspection["headers"].as_array().unwrap().last().unwrap()["records"], 1);
    let damage = inspection["damage"].as_array().unwrap().len() as u64;
    assert_eq!(damage + inspection["more"]["damage"].as_u64().unwrap_or(0), 3);
    assert!(stdout(&inspect(&[&path], &[])).contains(" headers have no room here"));
}

#[test]
fn damage_and_unreadable_files_are_shown_and_exit_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (bytes, blocks) = simple("node", 25).bytes();
    fs::write(path("cut"), &bytes[..blocks[1] + 5]).unwrap();
    fs::write(path("text"), "no trace").unwrap();
    simple("node", 25).write(&path("whole"));
    expect_status(&inspect(&[&path("whole")], &[]), 0);
    let output = inspect(&[&path("whole"), &path("cut"), &path("text"), &path("missing")], &["--json"]);
    expect_status(&output, 3);
    let all = objects(&output);
    assert_eq!(all[0]["damage"], serde_json::json!([]));
    assert_eq!(all[1]["damage"][0]["code"], "truncated");
    assert!(all[2]["error"].as_str().unwrap().contains("Avro") && all[3]["error"].is_string());
    let table = stdout(&inspect(&[&path("cut"), &path("text")], &[]));
    assert!(table.contains("notice        at byte") && table.contains("error"), "{table}");
}

#[test]
fn records_shows_so_many_events_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sf");
    Trace::new()
        .header("evil\x1b[31m")
        .process(1, None, T0, b"/bin/\x1b[2Jsh\n\xff")
        .exec(1, T0)
        .exec(7, T0 + SECOND)
        .k8s(T0, "K8S_PODS", "{}")
        .write(&path);
    let output = inspect(&[&path], &["--records", "2"]);
    expect_status(&output, 0);
    let text = stdout(&output);
    assert!(!text.contains('\x1b'), "{text}");
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("  2022-03-17T18")).collect();
    assert_eq!(
        lines,
        [
            "  2022-03-17T18:00:00.000000000Z  PE  EXEC  /bin/\\u{1b}[2Jsh\\n\u{fffd}[1]  -  -  -",
            "  2022-03-17T18:00:01.000000000Z  PE  EXEC  -[7]  -  -  -",
        ]
    );
    assert!(!stdout(&inspect(&[&path], &[])).contains("EXEC"));
    assert!(stdout(&inspect(&[&path], &["--records", "9"])).contains("KE  K8S_COMPONENT_ADDED"));
}

#[test]
fn events_behind_more_entities_than_there_is_room_for_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sf");
    let mut trace = Trace::new().header("a").process(1, None, T0, b"/bin/a").exec(1, T0);
    let exe = vec![b'x'; 1 << 20];
    for pid in 2..80 {
        trace = trace.process(pid, None, T0, &exe).block();
    }
    trace.exec(1, T0).exec(1, T0).write(&path);
    for (wanted, more) in [("2", 1), ("3", 2), ("1000", 2)] {
        let output = program(["inspect", "--json", "--records", wanted]).arg(&path).output().unwrap();
        expect_status(&output, 0);
        let inspection: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(inspection["events"].as_array().unwrap().len(), 1);
        assert_eq!(inspection["more"]["events"], more);
        assert_eq!(inspection["records"], 83);
    }
}
