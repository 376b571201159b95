//! `verify`: a dataset is whole, or what is wrong is named with the command that mends it.

use std::fs::{self, File};
use std::path::Path;

use serde_json::Value;

use crate::support::trace::{T0, Trace, simple};
use crate::support::*;

fn verify(out: &Path) -> (i32, Value) {
    let output = program(["verify", "--json"]).arg(out).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)));
    (output.status.code().unwrap(), report)
}

/// Codes of what was found.
fn found(out: &Path) -> Vec<String> {
    let (status, report) = verify(out);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(status, if findings.is_empty() { 0 } else { 3 }, "{report:#}");
    findings.iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect()
}

/// Does what the first finding says.
fn mend(out: &Path) {
    mend_with(out, 0);
}

#[track_caller]
fn mend_with(out: &Path, status: i32) {
    let (_, report) = verify(out);
    let remedy = report["findings"][0]["remedy"].as_str().unwrap().to_owned();
    let remedy = remedy.replacen("sf-parquet", env!("CARGO_BIN_EXE_sf-parquet"), 1);
    let output = std::process::Command::new("sh").args(["-c", &remedy]).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{remedy}: {}", stderr(&output));
}

#[test]
fn real_traces_are_accounted_for() {
    let files = shared_trace_files();
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    if inputs.is_empty() {
        return;
    }
    expect_status(&convert(&inputs, folder.path(), &[]), 0);
    let (status, report) = verify(folder.path());
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(report["inputs"], inputs.len());
    assert_eq!(report["records"], sum(folder.path(), "traces", "records"));
}

#[test]
fn every_kind_of_damage_is_found_and_its_remedy_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a trace.sf"), folder.path().join("b.sf"));
    let out = &folder.path().join("out's");
    simple("a", 12).write(&a);
    simple("b", 5).write(&b);
    expect_status(&convert(&[&a, &b], out, &[]), 0);
    let rows_before = rows(out, "records", &[]);
    assert_eq!(found(out), [""; 0]);
    let part = |table: &str| parts(out, table).remove(0);
    let damages: [(&str, &dyn Fn()); 6] = [
        ("lost_file", &|| fs::remove_file(part("records")).unwrap()),
        ("lost_file", &|| fs::remove_file(part("pods")).unwrap()),
        ("changed_file", &|| File::options().append(true).open(part("processes")).unwrap().set_len(9).unwrap()),
        ("changed_file", &|| {
            let mut bytes = fs::read(part("traces")).unwrap();
            bytes[100] ^= 1;
            fs::write(part("traces"), bytes).unwrap();
        }),
        ("strange_file", &|| fs::write(out.join("records/it's strange.parquet"), "no rows").unwrap()),
        ("leftover", &|| {
            fs::create_dir_all(out.join("_sf_parquet/staging/x")).unwrap();
            fs::write(out.join("_sf_parquet/staging/x/part"), "").unwrap();
        }),
    ];
    for (code, damage) in damages {
        damage();
        assert_eq!(found(out), [code]);
        if code == "leftover" {
            expect_status(&convert(&[&a], out, &[]), 0);
        } else {
            mend(out);
        }
        assert_eq!(found(out), [""; 0], "after mending {code}");
        assert_eq!(rows(out, "records", &[]), rows_before);
        assert_eq!(row_count(out, "traces"), 2);
    }
}

#[test]
fn what_was_converted_again_or_has_grown_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (bytes, blocks) = simple("growing", 40).bytes();
    fs::write(path("growing"), &bytes[..blocks[2] + 9]).unwrap();
    for name in ["a", "b", "c"] {
        simple(name, 7).write(&path(name));
    }
    fs::write(path("empty"), "").unwrap();
    let out = &path("out");
    let all = ["a", "b", "growing", "empty", "missing"].map(path);
    let all: Vec<&Path> = all.iter().map(|p| p.as_path()).collect();
    expect_status(&convert(&all, out, &[]), 3);
    assert_eq!(found(out), [""; 0]);
    for again in ["a", "b", "a", "c", "b"] {
        expect_status(&convert(&[&path(again)], out, &["--reconvert"]), 0);
        assert_eq!(found(out), [""; 0], "{again} again");
    }
    expect_status(&convert(&[&path("growing")], out, &["--reconvert"]), 3);
    assert_eq!(found(out), [""; 0]);
    fs::write(path("growing"), &bytes).unwrap();
    expect_status(&convert(&[&path("growing")], out, &[]), 0);
    let (status, report) = verify(out);
    assert_eq!((status, &report["rows"]["records"]), (0, &Value::from(3 * 7 + 40)), "{report:#}");
    assert_eq!(report["inputs"], 3 + 1 + 2);
    expect_status(&convert(&[&path("a")], out, &["--reconvert", "--tables", "pods", "--since", "2022-03-18"]), 0);
    assert_eq!(found(out), [""; 0], "filtered records and unwanted tables are accounted for");
}

#[test]
fn rejected_inputs_of_the_same_content_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let out = &path("out");
    for name in ["e1", "e2", "e3"] {
        fs::write(path(name), "").unwrap();
    }
    fs::write(path("t1"), "no trace").unwrap();
    fs::write(path("t2"), "no trace").unwrap();
    expect_status(&convert(&[&path("e1"), &path("e2"), &path("e3"), &path("t1")], out, &[]), 3);
    expect_status(&convert(&[&path("t2")], out, &[]), 3);
    let rejected = || {
        let mut names = strings(out, "rejects", "input").into_iter().flatten().collect::<Vec<_>>();
        names.sort();
        names.iter().map(|n| Path::new(n).file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rejected(), ["e1", "e2", "e3", "t1", "t2"]);
    for again in ["e1", "t1", "t2", "e1", "e3"] {
        expect_status(&convert(&[&path(again)], out, &["--reconvert"]), 3);
        assert_eq!(found(out), [""; 0], "{again} again");
        assert_eq!(rejected(), ["e1", "e2", "e3", "t1", "t2"], "{again} again");
    }
    // Files that were empty as long as their collectors had just begun.
    for grown in ["e1", "e2"] {
        simple(grown, 3).write(&path(grown));
        expect_status(&convert(&[&path(grown)], out, &[]), 0);
        assert_eq!(found(out), [""; 0], "{grown} has grown");
    }
    assert_eq!(rejected(), ["e3", "t1", "t2"]);
    assert_eq!(row_count(out, "records"), 6);
    fs::remove_file(parts(out, "rejects").remove(0)).unwrap();
    assert_eq!(found(out), ["lost_file"]);
    mend_with(out, 3);
    assert_eq!(found(out), [""; 0]);
    assert_eq!(rejected(), ["e3", "t1", "t2"]);
}

#[test]
fn numbers_that_do_not_add_up_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), &folder.path().join("out"));
    Trace::new().header("n").process(1, None, T0, b"/bin/init").exec(1, T0).novelty().header("m").write(&a);
    expect_status(&convert(&[&a], out, &[]), 0);
    assert_eq!(found(out), [""; 0], "headers and unknown records are accounted for");
    let manifest = fs::read_dir(out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, whole.replace("\"records\": 5", "\"records\": 6")).unwrap();
    assert_eq!(found(out), ["lost_records"]);
    fs::write(&manifest, whole.replace("\"processes\": 1", "\"processes\": 2")).unwrap();
    assert_eq!(found(out), ["lost_records", "wrong_sum"]);
    // A sum is of all inputs, so nothing less than all inputs mends it.
    let (_, report) = verify(out);
    let remedy = report["findings"][1]["remedy"].as_str().unwrap();
    assert_eq!(remedy, format!("sf-parquet convert INPUT… --out NEW, of all inputs of {}", out.display()));
    let new = &folder.path().join("new");
    expect_status(&convert(&[&a], new, &[]), 0);
    assert_eq!(found(new), [""; 0]);
    mend(out);
    assert_eq!(found(out), [""; 0], "converting again counts anew");
    fs::write(&manifest, "{").unwrap();
    expect_status(&program(["verify"]).arg(out).output().unwrap(), 1);
}

#[test]
fn a_running_conversion_is_said_and_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), &folder.path().join("out"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], out, &[]), 0);
    let lock = File::create(out.join("_sf_parquet/lock")).unwrap();
    lock.lock().unwrap();
    fs::create_dir_all(out.join("_sf_parquet/staging/x")).unwrap();
    fs::write(out.join("_sf_parquet/staging/x/part"), "").unwrap();
    let output = program(["verify"]).arg(out).output().unwrap();
    expect_status(&output, 0);
    assert!(stderr(&output).contains("another process is writing to the dataset"), "{}", stderr(&output));
    drop(lock);
    expect_status(&program(["verify"]).arg(out).output().unwrap(), 3);
}

#[test]
fn what_is_no_dataset_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    expect_status(&program(["verify"]).arg(folder.path()).output().unwrap(), 1);
    expect_status(&program(["verify"]).arg(folder.path().join("missing")).output().unwrap(), 1);
    expect_status(&run(["verify"]), 2);
}

#[test]
fn an_interrupted_publication_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), &folder.path().join("out"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], out, &[]), 0);
    let before = tree(out);
    // As if the run had been killed when all parts but one had been moved.
    let manifest = fs::read_dir(out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    let run = manifest.file_stem().unwrap().to_str().unwrap();
    let journal: Value =
        serde_json::json!({"manifest": serde_json::from_slice::<Value>(&fs::read(&manifest).unwrap()).unwrap()});
    fs::create_dir_all(out.join("_sf_parquet/journal")).unwrap();
    fs::write(out.join(format!("_sf_parquet/journal/{run}.json")), journal.to_string()).unwrap();
    fs::remove_file(&manifest).unwrap();
    let part = parts(out, "records").remove(0);
    let staged = out.join("_sf_parquet/staging").join(run).join(part.strip_prefix(out).unwrap());
    fs::create_dir_all(staged.parent().unwrap()).unwrap();
    fs::rename(&part, &staged).unwrap();
    assert_eq!(found(out), ["interrupted_run", "leftover"]);
    mend(out);
    assert_eq!(tree(out), before);
    assert_eq!(found(out), [""; 0]);
}
