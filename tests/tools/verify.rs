//! `verify`: a dataset is whole, or what is wrong is named with the command that mends it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use parquet::arrow::ArrowWriter;
use serde_json::Value;

use sf_parquet::tables::schema::TableId;

use crate::support::batches;
use crate::support::trace::{SECOND, T0, Trace, simple};
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
    let output = std::process::Command::new("bash").args(["-c", &remedy]).output().unwrap();
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
fn what_is_mended_is_encoded_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("a"), folder.path().join("out"));
    simple("a", 7).write(&input);
    for compression in ["snappy", "lz4", "none", "zstd:19"] {
        let options = ["--encodings", "compatible", "--compression", compression, "--since", "-5"];
        expect_status(&convert(&[&input], &out, &[&options[..], &["--reconvert"]].concat()), 0);
        fs::remove_file(&parts(&out, "records")[0]).unwrap();
        let remedy = verify(&out).1["findings"][0]["remedy"].to_string();
        for option in [
            "--encodings compatible",
            &format!("--compression {compression}"),
            "--since 1969-12-31T23:59:59.999999995Z",
        ] {
            assert!(remedy.contains(option), "{remedy}");
        }
        mend(&out);
        assert_eq!(verify(&out).0, 0);
    }
    // What only fits into more memory is not left out.
    expect_status(&convert(&[&input], &out, &["--memory", "2GiB", "--reconvert"]), 0);
    fs::remove_file(&parts(&out, "records")[0]).unwrap();
    let remedy = verify(&out).1["findings"][0]["remedy"].to_string();
    assert!(remedy.contains("--memory 2147483648"), "{remedy}");
    mend(&out);
    // The usual options need not be said.
    fs::remove_dir_all(&out).unwrap();
    expect_status(&convert(&[&input], &out, &[]), 0);
    fs::remove_file(&parts(&out, "records")[0]).unwrap();
    let remedy = verify(&out).1["findings"][0]["remedy"].to_string();
    assert!(["--compression", "--encodings", "--memory"].iter().all(|option| !remedy.contains(option)), "{remedy}");
}

/// Does what all findings say, in order.
fn mend_all(out: &Path) {
    let (_, report) = verify(out);
    for finding in report["findings"].as_array().unwrap() {
        let remedy = finding["remedy"].as_str().unwrap();
        let remedy = remedy.replace("sf-parquet convert", &format!("{} convert", env!("CARGO_BIN_EXE_sf-parquet")));
        let output = std::process::Command::new("sh").args(["-c", &remedy]).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{remedy}: {}", stderr(&output));
    }
}

#[test]
fn lost_files_that_share_inputs_are_mended_together() {
    const DAY: i64 = 86_400 * SECOND;
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (|name: &str| folder.path().join(name), &folder.path().join("out"));
    let on = |name: &str, days: &[i64]| {
        let trace = Trace::new().header(name).process(1, None, T0 + days[0] * DAY, b"/bin/init");
        days.iter().fold(trace, |trace, day| trace.exec(1, T0 + day * DAY)).block().write(&path(name));
    };
    on("both", &[0, 1]);
    on("first", &[0]);
    on("second", &[1]);
    on("apart", &[2]);
    let inputs = ["both", "first", "second", "apart"].map(path);
    expect_status(&convert(&inputs.each_ref().map(|path| &**path), out, &[]), 0);
    for lost in [&["records"][..], &["records", "processes", "k8s_events", "traces"]] {
        for table in lost {
            parts(out, table).iter().for_each(|part| fs::remove_file(part).unwrap());
        }
        mend_all(out);
        assert_eq!(found(out), [""; 0], "{lost:?}");
        assert_eq!((row_count(out, "records"), row_count(out, "processes"), row_count(out, "traces")), (5, 4, 4));
    }
    // A file without rows belongs to no input: any that is still there mends it.
    fs::remove_file(&inputs[0]).unwrap();
    parts(out, "k8s_events").iter().for_each(|part| fs::remove_file(part).unwrap());
    mend_with(out, 0);
    assert_eq!(found(out), [""; 0]);
    // Without its input, a file that others share cannot be mended, and no run says that it was.
    parts(out, "records").iter().for_each(|part| fs::remove_file(part).unwrap());
    let output = convert(&[&inputs[2]], out, &["--reconvert"]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("the file is not there; 'sf-parquet verify' names"), "{}", stderr(&output));
}

#[test]
fn rejects_of_what_cannot_be_read_can_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, missing, out) = (folder.path().join("a"), folder.path().join("missing"), &folder.path().join("out"));
    let (bytes, blocks) = simple("a", 20).bytes();
    fs::write(&trace, &bytes[..blocks[1] + 9]).unwrap();
    for inputs in [&[&*trace, &*missing][..], &[&*missing]] {
        let _ = fs::remove_dir_all(out);
        expect_status(&convert(inputs, out, &[]), 3);
        fs::remove_file(parts(out, "rejects").remove(0)).unwrap();
        assert_eq!(found(out), ["lost_file"]);
        mend_with(out, 3);
        assert_eq!(found(out), [""; 0]);
        assert_eq!(row_count(out, "rejects"), inputs.len());
    }
}

/// Converts a trace, and the start of another in the same part files; the whole of that is returned, and how long its start is.
fn one_that_grows(kept: &Path, growing: &Path, out: &Path) -> (Vec<u8>, usize) {
    simple("kept", 40).write(kept);
    let (bytes, blocks) = simple("growing", 40).bytes();
    fs::write(growing, &bytes[..blocks[2]]).unwrap();
    expect_status(&convert(&[growing, kept], out, &[]), 0);
    (bytes, blocks[2])
}

#[test]
fn a_rotten_file_is_not_copied_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, growing, out) = (folder.path().join("kept"), folder.path().join("growing"), &folder.path().join("out"));
    let (bytes, _) = one_that_grows(&kept, &growing, out);
    let part = parts(out, "records").remove(0);
    let whole = fs::read(&part).unwrap();
    fs::write(&growing, &bytes).unwrap();
    for at in (4..whole.len()).step_by(whole.len() / 20) {
        let mut rotten = whole.clone();
        rotten[at] ^= 4;
        fs::write(&part, rotten).unwrap();
        let output = convert(&[&growing], out, &[]);
        expect_status(&output, 1);
        assert!(stderr(&output).contains("its SHA-256 differs; 'sf-parquet verify' names"), "{}", stderr(&output));
        assert_eq!(found(out), ["changed_file"]);
    }
    // The whole trace is another input than its beginning, so the remedy alone would leave that.
    fs::write(&part, &whole[1..]).unwrap();
    expect_status(&convert(&[&growing, &kept], out, &["--reconvert"]), 0);
    assert_eq!(found(out), [""; 0]);
    assert_eq!(row_count(out, "records"), 80);
}

#[test]
fn a_file_of_another_version_is_not_copied_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, growing, out) = (folder.path().join("kept"), folder.path().join("growing"), &folder.path().join("out"));
    let (bytes, start) = one_that_grows(&kept, &growing, out);
    // As a version wrote it whose contract had fewer columns.
    let part = parts(out, "records").remove(0);
    let name = part.strip_prefix(out).unwrap().to_str().unwrap();
    let (sha256, size) = (tree(out)[name].clone(), fs::metadata(&part).unwrap().len());
    let batch = read(out, "records").remove(0);
    let columns: Vec<usize> = (0..batch.num_columns() - 1).collect();
    let older = batch.project(&columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&part).unwrap(), older.schema(), None).unwrap();
    writer.write(&older).unwrap();
    writer.close().unwrap();
    let path = manifest(out);
    let told = fs::read_to_string(&path).unwrap();
    let told = told.replace(&sha256, &tree(out)[name]);
    let bytes_of = |size: u64| format!("\"bytes\":{size},");
    fs::write(&path, told.replace(&bytes_of(size), &bytes_of(fs::metadata(&part).unwrap().len()))).unwrap();
    assert_eq!(found(out), ["wrong_schema"]);

    fs::write(&growing, &bytes).unwrap();
    let output = convert(&[&growing], out, &[]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("another version wrote it; 'sf-parquet verify' names"), "{}", stderr(&output));
    fs::write(&growing, &bytes[..start]).unwrap();
    mend(out);
    assert_eq!(found(out), [""; 0]);
    fs::write(&growing, &bytes).unwrap();
    expect_status(&convert(&[&growing], out, &[]), 0);
    assert_eq!((found(out), row_count(out, "records")), (vec![], 80));
}

#[test]
fn an_input_that_was_moved_is_found_by_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let out = &path("out");
    simple("a", 20).write(&path("a"));
    simple("b", 10).write(&path("b"));
    expect_status(&convert(&[&path("a")], out, &[]), 0);
    fs::rename(path("a"), path("archived")).unwrap();
    expect_status(&convert(&[&path("archived"), &path("b")], out, &[]), 0);
    fs::remove_file(parts(out, "records").remove(0)).unwrap();
    fs::remove_file(parts(out, "records").remove(0)).unwrap();
    assert_eq!(found(out), ["lost_file", "lost_file"]);
    mend_all(out);
    assert_eq!(found(out), [""; 0]);
    assert_eq!(row_count(out, "records"), 30);
}

#[test]
fn each_log_of_an_experiment_has_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, out) = (folder.path().join("a"), &folder.path().join("out"));
    simple("a", 20).write(&trace);
    for (name, second) in [("one.log", 1), ("two.log", 2)] {
        let log = folder.path().join(name);
        fs::write(&log, format!("2022-03-17 18:48:4{second},736 main INFO     ----- step\n")).unwrap();
        expect_status(&convert(&[&trace], out, &["--experiment-log", log.to_str().unwrap()]), 0);
    }
    // The numbers of a table do not add up: the remedy converts all into a dataset beside this one.
    let manifests = out.join("_sf_parquet/manifest");
    for entry in fs::read_dir(manifests).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace(r#""experiment_events":1"#, r#""experiment_events":2"#);
        fs::write(path, text).unwrap();
    }
    assert_eq!(found(out), ["wrong_sum"]);
    mend_all(out);
    let new = &folder.path().join("out.new");
    assert_eq!((row_count(new, "experiment_events"), row_count(new, "records")), (2, 20));
}

#[test]
fn a_remedy_never_gives_fewer_rows_than_there_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let out = &path("out");
    let (bytes, blocks) = simple("growing", 40).bytes();
    simple("kept", 40).write(&path("kept"));
    fs::write(path("growing"), &bytes[..blocks[2]]).unwrap();
    expect_status(&convert(&[&path("growing"), &path("kept")], out, &["--since", "2022-03-17T18:00:10Z"]), 0);
    fs::write(path("growing"), &bytes).unwrap();
    expect_status(&convert(&[&path("growing")], out, &["--since", "2022-03-17T18:00:30Z"]), 0);
    assert_eq!(row_count(out, "records"), 30 + 30);
    let before = rows(out, "records", &[]);
    // The new one's rows and the kept one's lie in two files, or in one.
    for _ in 0..2 {
        fs::remove_file(parts(out, "records").remove(0)).unwrap();
        assert_eq!(found(out), ["lost_file"]);
        mend_with(out, 0);
        assert_eq!(found(out), [""; 0]);
        let mut now = rows(out, "records", &[]);
        let mut before = before.clone();
        now.sort();
        before.sort();
        assert_eq!(now, before);
    }
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

/// The manifest of a dataset that has one.
fn manifest(out: &Path) -> std::path::PathBuf {
    fs::read_dir(out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn numbers_that_do_not_add_up_are_found_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("-b c.sf"), &folder.path().join("out"));
    Trace::new().header("n").process(1, None, T0, b"/bin/init").exec(1, T0).novelty().header("m").write(&a);
    simple("b", 7).write(&b);
    // Two runs of different options.
    expect_status(&convert(&[&a], out, &["--since", "2022-03-17"]), 0);
    assert_eq!(found(out), [""; 0], "headers and unknown records are accounted for");
    let manifest = manifest(out);
    let command = |arguments: &[&str]| program(arguments).current_dir(folder.path()).output().unwrap();
    expect_status(&command(&["convert", "-o", "out", "--tables", "records,pods,traces", "--", "-b c.sf"]), 0);
    let whole = fs::read_to_string(&manifest).unwrap();
    let before = tree(out);

    let edit = |from: &str, to: &str| {
        assert_eq!(whole.matches(from).count(), 1, "{from}");
        fs::write(&manifest, whole.replace(from, to)).unwrap();
    };
    let mend_all = |codes: &[&str]| {
        let (_, report) = verify(out);
        for (finding, code) in report["findings"].as_array().unwrap().iter().zip(codes) {
            assert_eq!(finding["code"], *code);
            let remedy = finding["remedy"].as_str().unwrap().to_owned();
            let remedy = remedy.replace("sf-parquet convert", &format!("{} convert", env!("CARGO_BIN_EXE_sf-parquet")));
            let output = std::process::Command::new("sh").args(["-c", &remedy]).current_dir(folder.path()).output();
            expect_status(&output.unwrap(), 0);
        }
    };
    edit("\"records\":5", "\"records\":6");
    assert_eq!(found(out), ["lost_records"]);
    mend_all(&["lost_records"]);
    assert_eq!(found(out), [""; 0], "converting again counts anew");
    assert_eq!(tree(out).len(), before.len() + 1, "one manifest more");
    assert_eq!(rows(out, "records", &[]).len(), 8);

    // A sum is of all inputs, so nothing less than all inputs mends it.
    fs::remove_dir_all(out).unwrap();
    expect_status(&convert(&[&a], out, &["--since", "2022-03-17"]), 0);
    expect_status(&command(&["convert", "-o", "out", "--tables", "records,pods,traces", "--", "-b c.sf"]), 0);
    assert_eq!(tree(out), before);
    edit("\"traces\":2}", "\"traces\":3}");
    assert_eq!(found(out), ["wrong_sum"]);
    mend_all(&["wrong_sum"]);
    let new = &folder.path().join("out.new");
    assert_eq!(found(new), [""; 0]);
    fs::write(&manifest, &whole).unwrap();
    for table in ["records", "processes", "pods"] {
        assert_eq!(rows(new, table, &[]), rows(out, table, &[]), "{table}");
    }

    // What the manifest says of a part file.
    fs::write(&manifest, whole.replacen("\"rows\":1,", "\"rows\":2,", 1)).unwrap();
    assert_eq!(found(out), ["wrong_rows", "wrong_sum"]);
    mend_all(&["wrong_rows"]);
    assert_eq!(found(out), [""; 0]);
}

#[test]
fn damaged_lost_copied_and_renamed_manifests_are_found_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), &folder.path().join("out"));
    simple("a", 5).write(&a);
    simple("b", 7).write(&b);
    expect_status(&convert(&[&a], out, &[]), 0);
    let manifest = manifest(out);
    expect_status(&convert(&[&b], out, &[]), 0);
    let (before, whole) = (tree(out), fs::read(&manifest).unwrap());
    let renamed = manifest.with_file_name("renamed.json");

    fs::rename(&manifest, &renamed).unwrap();
    assert_eq!(found(out), ["bad_manifest"]);
    mend(out);
    assert_eq!(tree(out), before);

    fs::copy(&manifest, &renamed).unwrap();
    assert_eq!(found(out), ["bad_manifest"]);
    mend(out);
    assert_eq!(tree(out), before);

    // Its part files are taken for what they are: nobody knows which inputs they are of.
    let mend_all = || {
        // Tables without a file get one with the next input.
        while found(out).iter().any(|code| code != "lost_table") {
            mend(out);
        }
        assert_eq!(row_count(out, "records"), 7);
        expect_status(&convert(&[&a], out, &[]), 0);
        // All is as it was; but the run counts as the third.
        let number = |text: &[u8]| String::from_utf8_lossy(text).replace("\"number\":3", "\"number\":1");
        assert_eq!(number(&fs::read(&manifest).unwrap()), number(&whole));
        let others = |tree: &BTreeMap<String, String>| {
            tree.clone().into_iter().filter(|(path, _)| !manifest.ends_with(path)).collect::<Vec<_>>()
        };
        assert_eq!(others(&tree(out)), others(&before));
    };
    for damage in ["", "{", "[]", "\0\0\0"] {
        fs::write(&manifest, damage).unwrap();
        let codes = found(out);
        assert_eq!((codes[0].as_str(), codes[1].as_str()), ("bad_manifest", "strange_file"), "{codes:?}");
        mend_all();
    }
    fs::remove_file(&manifest).unwrap();
    let (_, report) = verify(out);
    let finding = &report["findings"][0];
    assert!(finding["message"].as_str().unwrap().contains("whose manifest is lost"), "{finding:#}");
    assert!(
        finding["remedy"].as_str().unwrap().ends_with("# and convert the inputs of its run again, with --reconvert"),
        "{finding:#}"
    );
    mend_all();

    // One of another form is for another program.
    let whole = String::from_utf8(whole).unwrap();
    let version = format!("\"program\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let more = whole.replace("\"path\":", "\"more\":1,\"path\":");
    for (newer, why) in [
        (whole.replace("\"format\":1", "\"format\":2,\"more\":1"), "has the form 2, this program knows 1"),
        (more.replace(&version, "\"program\":\"9.0\""), "version 9.0 wrote the manifest, and this one cannot read it"),
    ] {
        fs::write(&manifest, newer).unwrap();
        for command in
            [program(["verify"]).arg(out), program(["convert", "--out"]).arg(out).arg(folder.path().join("a"))]
        {
            let output = command.output().unwrap();
            expect_status(&output, 1);
            assert!(stderr(&output).contains(why), "{}", stderr(&output));
        }
    }
    fs::write(&manifest, more).unwrap();
    assert_eq!(found(out)[0], "bad_manifest");
}

/// What people and file systems do to a folder.
#[test]
fn tampering_is_found() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), &folder.path().join("out"));
    // Two days.
    Trace::new().header("a").process(1, None, T0, b"/x").exec(1, T0).exec(1, T0 + 86_400_000_000_000).write(&a);
    expect_status(&convert(&[&a], out, &[]), 0);
    let whole = folder.path().join("whole");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(out, &whole);
    let part = |table: &str, n: usize| parts(out, table).remove(n);
    type Case<'c> = (&'c str, &'c [&'c str], &'c dyn Fn());
    let cases: [Case; 27] = [
        ("nothing", &[], &|| {}),
        ("a part without its footer", &["changed_file"], &|| {
            let file = File::options().write(true).open(part("records", 0)).unwrap();
            file.set_len(file.metadata().unwrap().len() - 8).unwrap();
        }),
        ("parts that changed places", &["changed_file", "changed_file"], &|| {
            let (a, b) = (part("records", 0), part("records", 1));
            fs::rename(&a, folder.path().join("x")).unwrap();
            fs::rename(&b, &a).unwrap();
            fs::rename(folder.path().join("x"), &b).unwrap();
        }),
        ("a renamed part", &["strange_file", "lost_file"], &|| {
            fs::rename(part("files", 0), part("files", 0).with_file_name("renamed.parquet")).unwrap();
        }),
        ("a copied part", &["strange_file"], &|| {
            fs::copy(part("records", 0), part("records", 0).with_file_name("copy.parquet")).unwrap();
        }),
        ("a folder in the place of a part", &["unreadable_file"], &|| {
            let path = part("pods", 0);
            fs::remove_file(&path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("a file in the place of a table", &["strange_file", "unreadable_file"], &|| {
            fs::remove_dir_all(out.join("processes")).unwrap();
            fs::write(out.join("processes"), "").unwrap();
        }),
        ("a folder of strange files", &["strange_file", "strange_file"], &|| {
            fs::create_dir_all(out.join("files/mine/too")).unwrap();
            fs::write(out.join("files/mine/a"), "").unwrap();
            fs::write(out.join("files/mine/too/b"), "").unwrap();
        }),
        ("what lies beside the tables", &[], &|| {
            fs::create_dir_all(out.join("mine/too")).unwrap();
            fs::write(out.join("mine/too/b.parquet"), "").unwrap();
            fs::write(out.join("trace.sf"), "").unwrap();
        }),
        ("a link to a folder, which readers follow", &["strange_file"], &|| {
            let folder = part("records", 0).parent().unwrap().to_owned();
            std::os::unix::fs::symlink(&folder, folder.with_file_name("date=2000-01-01")).unwrap();
        }),
        ("a link in a circle", &["strange_file"], &|| {
            std::os::unix::fs::symlink(out, out.join("records/loop")).unwrap();
        }),
        ("a link that leads nowhere", &["strange_file"], &|| {
            std::os::unix::fs::symlink("nowhere", out.join("records/dead.parquet")).unwrap();
        }),
        ("two of one name", &["strange_file"], &|| {
            fs::create_dir_all(out.with_file_name("out.strange/records")).unwrap();
            fs::write(out.with_file_name("out.strange/records/_SUCCESS"), "the first").unwrap();
            fs::write(out.join("records/_SUCCESS"), "the second").unwrap();
        }),
        ("what a network filesystem keeps for a while", &[], &|| {
            fs::write(part("records", 0).with_file_name(".nfs0001"), "").unwrap();
        }),
        ("a table that is a link", &["strange_file"], &|| link(out, "records")),
        ("a date that is a link", &["strange_file"], &|| link(out, "files/date=2022-03-17")),
        ("a table that is a link to nowhere", &["strange_file", "lost_file"], &|| {
            fs::remove_dir_all(out.join("pods")).unwrap();
            std::os::unix::fs::symlink("nowhere", out.join("pods")).unwrap();
        }),
        ("staged files behind a link", &["strange_file"], &|| {
            fs::write(out.with_file_name("precious"), "").unwrap();
            fs::remove_dir(out.join("_sf_parquet/staging")).unwrap();
            std::os::unix::fs::symlink("../..", out.join("_sf_parquet/staging")).unwrap();
        }),
        ("staged files behind a link to nowhere", &["strange_file"], &|| {
            fs::remove_dir(out.join("_sf_parquet/staging")).unwrap();
            std::os::unix::fs::symlink("nowhere", out.join("_sf_parquet/staging")).unwrap();
        }),
        ("a link beside the manifests", &["strange_file"], &|| {
            std::os::unix::fs::symlink(&whole, out.join("_sf_parquet/notes")).unwrap();
        }),
        ("manifests behind a link", &["strange_file"], &|| link(out, "_sf_parquet/manifest")),
        ("a folder with the name of a part", &["strange_file"], &|| {
            fs::create_dir(out.join("files/date=2022-03-17/part-x-00000.parquet")).unwrap();
        }),
        ("a name that is no UTF-8", &["strange_file"], &|| {
            fs::write(out.join("records").join(std::ffi::OsStr::from_bytes(b"\xff.parquet")), "").unwrap();
        }),
        ("a lost table", &["lost_file"], &|| fs::remove_dir_all(out.join("processes")).unwrap()),
        ("a file among the journals", &["leftover"], &|| {
            fs::create_dir_all(out.join("_sf_parquet/journal")).unwrap();
            fs::write(out.join("_sf_parquet/journal/x.tmp"), "").unwrap();
        }),
        ("a file among the manifests", &["strange_file"], &|| {
            fs::write(out.join("_sf_parquet/manifest/x.tmp"), "").unwrap();
        }),
        ("a file beside the manifests", &["strange_file"], &|| fs::write(out.join("_sf_parquet/x"), "").unwrap()),
    ];
    let rows_before = rows(out, "records", &[]);
    for (what, codes, tamper) in cases {
        copy(&whole, out);
        tamper();
        assert_eq!(found(out), codes, "{what}");
        // No path that is no UTF-8 can be named, and any conversion removes leftovers.
        if !what.contains("UTF-8") && codes != ["leftover"] {
            for _ in codes.iter().filter(|_| verify(out).0 != 0) {
                mend(out);
            }
            assert_eq!(found(out), [""; 0], "{what}");
            assert_eq!(rows(out, "records", &[]), rows_before, "{what}");
        }
    }
}

#[test]
fn manifests_that_are_away_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), folder.path().join("out"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    let manifests = out.join("_sf_parquet/manifest");
    fs::rename(&manifests, folder.path().join("away")).unwrap();
    std::os::unix::fs::symlink("nowhere", &manifests).unwrap();
    for output in [run(["verify".as_ref(), out.as_os_str()]), convert(&[&a], &out, &[])] {
        expect_status(&output, 1);
        assert!(stderr(&output).contains("manifest"), "{}", stderr(&output));
    }
}

#[test]
fn what_would_be_taken_twice_or_is_no_files_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a"), folder.path().join("b"), &folder.path().join("out"));
    let whole = folder.path().join("whole");
    for input in [&a, &b] {
        simple(input.to_str().unwrap(), 5).write(input);
    }
    expect_status(&convert(&[&a, &b], &whole, &[]), 0);
    let scratch = folder.path().join("scratch");
    fs::create_dir_all(scratch.join("someone's")).unwrap();
    let own = |out: &Path| fs::read_dir(out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    let cases: [(&str, &dyn Fn()); 3] = [
        ("it is not called as its run", &|| {
            fs::copy(own(out), out.join("_sf_parquet/manifest/Copy of it.json")).unwrap();
        }),
        ("a folder has the name of a file", &|| {
            let part = parts(out, "records").remove(0);
            fs::remove_file(&part).unwrap();
            fs::create_dir(part).unwrap();
        }),
        ("it is a link", &|| {
            let staging = out.join("_sf_parquet/staging");
            fs::remove_dir(&staging).unwrap();
            std::os::unix::fs::symlink(&scratch, staging).unwrap();
        }),
    ];
    for (says, tamper) in cases {
        let _ = fs::remove_dir_all(out);
        batches::copy(&whole, out);
        tamper();
        let before = tree(out);
        let output = convert(&[&a, &b], out, &["--reconvert"]);
        expect_status(&output, 1);
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert_eq!(tree(out), before, "{says}");
    }
    assert!(scratch.join("someone's").exists());
}

#[test]
fn a_new_dataset_gets_all_that_any_run_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out, other) = (folder.path().join("a"), &folder.path().join("out"), &folder.path().join("other"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], out, &["--tables", "records"]), 0);
    expect_status(&convert(&[&a], other, &["--tables", "processes"]), 0);
    let copied = std::process::Command::new("cp").arg("-r").arg(other.join(".")).arg(out).status();
    assert!(copied.unwrap().success());
    fs::create_dir(folder.path().join("out.new")).unwrap();
    assert!(found(out).contains(&"wrong_sum".to_owned()));
    mend(out);
    let new = folder.path().join("out.new1");
    assert_eq!(found(&new), [""; 0]);
    assert_eq!((row_count(&new, "records"), row_count(&new, "processes")), (5, 1));
}

#[test]
fn a_pipe_among_the_manifests_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), &folder.path().join("out"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], out, &[]), 0);
    let pipe = out.join("_sf_parquet/manifest/x.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for output in [run(["verify".as_ref(), out.as_os_str()]), convert(&[&a], out, &[])] {
        expect_status(&output, 1);
        assert!(stderr(&output).contains("x.json: it is no regular file"), "{}", stderr(&output));
    }
}

#[test]
fn a_remedy_names_inputs_whose_names_are_no_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let (inputs, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&inputs).unwrap();
    for (name, node) in [(&b"a\xff.sf"[..], "one"), (br"a\xff.sf", "another"), ("a\n\u{202e}".as_bytes(), "a third")] {
        simple(node, 25).write(&inputs.join(std::ffi::OsStr::from_bytes(name)));
    }
    expect_status(&convert(&[&inputs], &out, &[]), 0);
    let before = rows(&out, "records", &[]);
    fs::remove_dir_all(out.join("records")).unwrap();
    assert_eq!(found(&out), ["lost_file"]);
    mend(&out);
    assert_eq!(found(&out), [""; 0]);
    assert_eq!(rows(&out, "records", &[]), before);
}

/// Puts a link in the place of a folder.
fn link(out: &Path, folder: &str) {
    let (link, elsewhere) = (out.join(folder), out.with_file_name("elsewhere"));
    let _ = fs::remove_dir_all(&elsewhere);
    fs::rename(&link, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, link).unwrap();
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
    let journal = out.join(format!("_sf_parquet/journal/{run}.json"));
    fs::rename(&manifest, &journal).unwrap();
    let part = parts(out, "records").remove(0);
    let staging = out.join("_sf_parquet/staging").join(run);
    fs::create_dir_all(&staging).unwrap();
    let staged = part.strip_prefix(out).unwrap().to_str().unwrap().replace('/', ",");
    fs::rename(&part, staging.join(staged)).unwrap();
    assert_eq!(found(out), ["interrupted_run", "leftover"]);
    // Someone has taken away what was not moved yet.
    let aside = folder.path().join("aside");
    fs::rename(&staging, &aside).unwrap();
    let output = convert(&[&a], out, &[]);
    expect_status(&output, 1);
    let says = ["is gone; put it back, or remove", journal.to_str().unwrap(), "published in part"];
    assert!(says.iter().all(|words| stderr(&output).contains(words)), "{}", stderr(&output));
    fs::rename(&aside, &staging).unwrap();
    mend(out);
    assert_eq!(tree(out), before);
    assert_eq!(found(out), [""; 0]);

    // With its manifest the run is published, and the journal only left over.
    fs::copy(&manifest, &journal).unwrap();
    assert_eq!(found(out), ["leftover"]);
    let asked = convert(&[&a], out, &["--dry-run"]);
    assert!(!stderr(&asked).contains("would be completed"), "{}", stderr(&asked));
    expect_status(&convert(&[&a], out, &[]), 0);
    assert_eq!(tree(out), before);
}

#[test]
fn a_table_without_any_file_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a"), folder.path().join("b"), &folder.path().join("out"));
    simple("a", 5).write(&a);
    simple("b", 5).write(&b);
    expect_status(&convert(&[&a], out, &[]), 0);
    let first = manifest(out);
    let of_first: Vec<_> = TableId::ALL.into_iter().flat_map(|table| parts(out, table.name())).collect();
    expect_status(&convert(&[&b], out, &[]), 0);
    fs::remove_file(first).unwrap();
    of_first.iter().for_each(|part| fs::remove_file(part).unwrap());
    assert!(found(out).iter().all(|code| code == "lost_table") && !found(out).is_empty());
    mend(out);
    assert_eq!(found(out), [""; 0]);
    assert_eq!(row_count(out, "records"), 5);
}

/// Asking whether a dataset is locked must not keep a run from starting.
#[test]
fn a_run_starts_while_others_ask_for_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 3).write(&path("a"));
    fs::create_dir_all(path("out/_sf_parquet")).unwrap();
    // As one who asks, but much longer.
    let asking = File::create(path("out/_sf_parquet/lock")).unwrap();
    asking.lock_shared().unwrap();
    let mut command = program(["convert", "a", "-o", "out"]);
    let child = command.current_dir(folder.path()).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(asking);
    expect_status(&child.wait_with_output().unwrap(), 0);
}
