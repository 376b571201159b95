//! `concat`: the joined trace converts to the same rows as its parts, other readers read it, and nothing is lost unsaid.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::trace::{T0, Trace, simple};
use crate::support::*;

fn concat(inputs: &[&Path], out: &Path, more: &[&str]) -> Output {
    program(["concat"]).args(inputs).arg("-o").arg(out).args(more).output().unwrap()
}

fn summary(inputs: &[&Path], out: &Path, more: &[&str]) -> Value {
    let output = program(["concat", "--json"]).args(inputs).arg("-o").arg(out).args(more).output().unwrap();
    expect_status(&output, 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Columns that say where in which file a record was.
const PLACES: [&str; 12] = [
    "trace_id",
    "record_no",
    "proc_no",
    "pproc_no",
    "file_no",
    "newfile_no",
    "container_no",
    "pod_no",
    "input",
    "input_sha256",
    "input_bytes",
    "header_no",
];

/// Columns whose fields some version lacks, and which the newest schema fills.
const FILLED: [&str; 16] = [
    "proc_tty",
    "proc_entry",
    "proc_cwd",
    "pproc_tty",
    "pproc_entry",
    "pproc_cwd",
    "file_fd",
    "file_openflags",
    "container_privileged",
    "node_ip",
    "filename",
    "tty",
    "entry",
    "cwd",
    "env",
    "privileged",
];

#[track_caller]
fn expect_same_rows(inputs: &[&Path], joined: &Path, without: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (apart, together) = (folder.path().join("apart"), folder.path().join("together"));
    expect_status(&convert(inputs, &apart, &[]), 0);
    expect_status(&convert(&[joined], &together, &[]), 0);
    let tables = [
        "records",
        "processes",
        "files",
        "containers",
        "pods",
        "pod_service_ports",
        "k8s_events",
        "k8s_items",
        "k8s_service_ports",
        "traces",
        "rejects",
    ];
    for table in tables {
        let (a, b) = (rows(&apart, table, without), rows(&together, table, without));
        assert!(a == b, "{table}: {} and {} rows", a.len(), b.len());
    }
}

fn real(names: &[&str]) -> Vec<PathBuf> {
    shared_traces().map_or(Vec::new(), |folder| names.iter().map(|name| folder.join(name)).collect())
}

#[test]
fn what_replaces_a_file_is_for_its_readers_only_and_may_have_any_name() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), folder.path().join("o".repeat(250)));
    simple("a", 5).write(&a);
    fs::write(&out, "").unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o600)).unwrap();
    expect_status(&program(["concat"]).arg(&a).arg("-o").arg(&out).output().unwrap(), 0);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn the_same_schema_is_copied_and_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.sf");
    for names in [["v5_alpine.sf", "v5_shellshock.sf"], ["v4_k8s.sf", "v4_cron.sf"]] {
        let files = real(&names);
        if files.is_empty() {
            return;
        }
        let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
        let summary = summary(&inputs, &out, &[]);
        assert_eq!((&summary["copied"], &summary["transcoded"]), (&json!(2), &json!(0)), "{summary:#}");
        expect_same_rows(&inputs, &out, &PLACES);
        let again = folder.path().join("again.sf");
        expect_status(&concat(&inputs, &again, &[]), 0);
        assert!(fs::read(&out).unwrap() == fs::read(&again).unwrap());
    }
}

#[test]
fn all_versions_become_the_newest_and_give_the_same_rows() {
    let files = shared_trace_files();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.sf");
    let mut inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    if inputs.is_empty() {
        return;
    }
    for _ in 0..2 {
        let summary = summary(&inputs, &out, &[]);
        assert!(summary["schema_of"].as_str().unwrap().contains("v5"), "{summary:#}");
        assert_eq!(summary["losses"], json!([]));
        assert!(summary["filled"].as_array().unwrap().contains(&json!("Process.cwd")));
        expect_same_rows(&inputs, &out, &[&PLACES[..], &FILLED].concat());
        inputs.reverse();
    }
}

#[test]
fn apache_avro_reads_every_record() {
    let files = shared_trace_files();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.sf");
    let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    if inputs.is_empty() {
        return;
    }
    for codec in ["deflate", "null"] {
        let summary = summary(&inputs, &out, &["--codec", codec]);
        let reader = apache_avro::Reader::new(File::open(&out).unwrap()).unwrap();
        let records = reader.inspect(|record| assert!(record.is_ok(), "{record:?}")).count();
        assert_eq!(summary["records"], records);
    }
}

#[test]
fn arrow_avro_reads_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.sf");
    let made: Vec<PathBuf> = ["a", "b"].map(|name| folder.path().join(name)).to_vec();
    made.iter().for_each(|path| simple("a", 2500).write(path));
    for inputs in [made, shared_trace_files()] {
        let inputs: Vec<&Path> = inputs.iter().map(|p| p.as_path()).collect();
        for codec in if inputs.is_empty() { &[][..] } else { &["deflate", "null"] } {
            let summary = summary(&inputs, &out, &["--codec", codec]);
            let file = std::io::BufReader::new(File::open(&out).unwrap());
            let reader = arrow_avro::reader::ReaderBuilder::new().build(file).unwrap();
            let records: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(summary["records"], records);
        }
    }
}

#[test]
fn every_codec_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 30).write(&path("a"));
    simple("b", 30).write(&path("b"));
    let inputs = [&*path("a"), &*path("b")];
    for codec in ["deflate", "snappy", "zstandard", "bzip2", "xz", "null"] {
        let summary = summary(&inputs, &path(codec), &["--codec", codec]);
        assert_eq!(summary["codec"], codec);
        assert_eq!(summary["recompressed"], if codec == "null" { 0 } else { 2 });
        expect_same_rows(&inputs, &path(codec), &PLACES);
    }
    // Codecs that differ: that of the input whose schema it is.
    assert_eq!(summary(&[&path("snappy"), &path("xz")], &path("mixed"), &[])["codec"], "snappy");
    let all: Vec<PathBuf> = ["deflate", "snappy", "zstandard", "bzip2", "xz", "null"].map(path).into();
    let all: Vec<&Path> = all.iter().map(|p| p.as_path()).collect();
    assert_eq!(summary(&all, &path("all"), &[])["records"], 6 * 2 * 32);
}

#[test]
fn records_stay_whatever_the_header_of_their_block_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 10).write(&path("a"));
    let mut bytes = fs::read(path("a")).unwrap();
    let marker = bytes[bytes.len() - 16..].to_vec();
    let header = bytes.windows(16).position(|bytes| bytes == marker).unwrap() + 16;
    assert_eq!(bytes[header], 2 * 12);
    bytes[header] = 0;
    fs::write(path("lies"), bytes).unwrap();
    for (codec, kind) in [("null", "copied"), ("deflate", "recompressed")] {
        let summary = summary(&[&path("lies")], &path(codec), &["--codec", codec]);
        assert_eq!((&summary[kind], &summary["blocks"]), (&json!(1), &json!(1)));
        let out = path("out").join(codec);
        expect_status(&convert(&[&path(codec)], &out, &[]), 3);
        assert_eq!(row_count(&out, "records"), 10);
    }
}

#[test]
fn bytes_that_are_no_utf8_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    Trace::new().header("a").process(1, None, T0, b"/bin/\xff\xfe").exec(1, T0).write(&path("a"));
    let mut schema = crate::support::trace::schema();
    schema["fields"][0]["type"][0]["fields"].as_array_mut().unwrap().push(json!(
        {"name": "extra", "type": "string", "default": "x"}
    ));
    Trace::with_schema(&schema).write(&path("more"));
    let summary = summary(&[&path("a"), &path("more")], &path("out"), &[]);
    assert_eq!((&summary["transcoded"], &summary["filled"]), (&json!(1), &json!(["SFHeader.extra"])));
    let bytes = fs::read(path("out")).unwrap();
    assert!(bytes.windows(7).any(|w| w == b"/bin/\xff\xfe"));
}

#[test]
fn losses_are_an_error_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 3).novelty().write(&path("a"));
    let mut schema = crate::support::trace::schema();
    let branches = schema["fields"][0]["type"].as_array_mut().unwrap();
    branches.pop();
    let extra = [json!({"name": "selabel", "type": "string"}), json!({"name": "sid", "type": "long"})];
    branches[1]["fields"].as_array_mut().unwrap().extend(extra);
    Trace::with_schema(&schema).header("b").write(&path("b"));

    fs::write(path("out"), "as it was").unwrap();
    let output = concat(&[&path("a"), &path("b")], &path("out"), &[]);
    expect_status(&output, 1);
    // The first schema lacks two fields, the second lacks a type: it loses less.
    assert!(stderr(&output).contains("lacks the type Novelty"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--allow-loss"));
    assert_eq!(fs::read(path("out")).unwrap(), b"as it was");
    let summary = summary(&[&path("a"), &path("b")], &path("out"), &["--allow-loss"]);
    assert_eq!((&summary["records"], &summary["records_lost"]), (&json!(1 + 1 + 3 + 1), &json!(1)));
    let output = concat(&[&path("a"), &path("b")], &path("out"), &["--allow-loss"]);
    assert!(stderr(&output).contains("error: the type Novelty was left out"), "{}", stderr(&output));
}

#[test]
fn damaged_inputs_are_refused_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (bytes, blocks) = simple("a", 30).bytes();
    simple("whole", 3).write(&path("whole"));
    fs::write(path("cut"), &bytes[..blocks[1] + 7]).unwrap();
    let mut flipped = bytes.clone();
    flipped[blocks[2] - 3] ^= 1;
    fs::write(path("flipped"), flipped).unwrap();
    fs::write(path("text"), "no trace").unwrap();
    for name in ["cut", "flipped", "text", "missing"] {
        let output = concat(&[&path("whole"), &path(name)], &path("out"), &[]);
        expect_status(&output, 1);
        assert_eq!(stderr(&output).lines().count(), 1);
        assert_eq!(stderr(&output).contains("sf-parquet repair"), !matches!(name, "text" | "missing"));
    }
    Trace::new().exec(1, T0).write(&path("headless"));
    expect_status(&concat(&[&path("headless"), &path("whole")], &path("out"), &[]), 0);
    fs::remove_file(path("out")).unwrap();
    let output = concat(&[&path("whole"), &path("headless")], &path("out"), &[]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("does not begin with a header"), "{}", stderr(&output));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 5, "{left:?}");
}

#[test]
fn a_damaged_record_is_found_where_records_are_transcoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (mut bytes, blocks) = simple("a", 30).bytes();
    bytes[blocks[1] + 3] = 0x55;
    fs::write(path("a"), bytes).unwrap();
    let mut schema = crate::support::trace::schema();
    schema["fields"][0]["type"].as_array_mut().unwrap().push(json!({"type": "record", "name": "New", "fields": []}));
    Trace::with_schema(&schema).write(&path("newer"));
    let output = concat(&[&path("a"), &path("newer")], &path("out"), &[]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("a union or enum index is out of range"), "{}", stderr(&output));
    assert!(!path("out").exists());
}

#[test]
fn standard_output_gets_the_trace_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 3).write(&path("a"));
    let output = concat(&[&path("a")], Path::new("-"), &[]);
    expect_status(&output, 0);
    expect_status(&concat(&[&path("a")], &path("file"), &[]), 0);
    assert!(output.stdout == fs::read(path("file")).unwrap());
    expect_status(&concat(&[&path("a")], Path::new("-"), &["--json"]), 2);
    expect_status(&concat(&[&path("a")], folder.path(), &[]), 2);
    expect_status(&run(["concat", "a"]), 2);
}

#[test]
fn what_a_schema_has_no_value_for_is_an_error_even_if_losses_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 3).novelty().write(&path("a"));
    let with_field = |name: &str, ty: Value| {
        let mut schema = crate::support::trace::schema();
        let branches = schema["fields"][0]["type"].as_array_mut().unwrap();
        branches.pop();
        branches[1]["fields"].as_array_mut().unwrap().push(json!({"name": "more", "type": ty}));
        Trace::with_schema(&schema).header("b").write(&path(name));
    };
    let endless = json!({"type": "record", "name": "Endless", "fields": [{"name": "next", "type": "Endless"}]});
    with_field("endless", endless.clone());
    with_field("endless2", json!({"type": "record", "name": "Other", "fields": [{"name": "more", "type": endless}]}));
    with_field("empty", json!({"type": "enum", "name": "None", "symbols": []}));
    for name in ["endless", "endless2", "empty"] {
        // What both can become is taken, whatever it loses.
        let summary = summary(&[&path(name), &path("a")], &path("out"), &["--allow-loss"]);
        assert!(summary["schema_of"].as_str().unwrap().ends_with("/a"), "{summary:#}");
        expect_status(&convert(&[&path("out")], &path(&format!("of {name}")), &["--strict"]), 0);
    }
    fs::remove_file(path("out")).unwrap();
    let output = concat(&[&path("endless"), &path("empty")], &path("out"), &["--allow-loss"]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("for Process.more there is no value"), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
    assert!(!path("out").exists());
}

/// The versions from 1 to 5, each first and last once.
#[test]
fn versions_in_any_order_give_the_same_rows() {
    let files = real(&["v1_tcp.sf", "v2_httpd.sf", "v3_bh.sf", "v4_cron.sf", "v5_alpine.sf", "v1_oldest", "v1_no_fd"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.sf");
    for turn in 0..files.len() {
        let mut inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
        inputs.rotate_left(turn);
        let summary = summary(&inputs, &out, &["--codec", ["snappy", "zstandard", "deflate"][turn % 3]]);
        assert!(summary["schema_of"].as_str().unwrap().contains("v5"), "{summary:#}");
        expect_same_rows(&inputs, &out, &[&PLACES[..], &FILLED].concat());
    }
}
