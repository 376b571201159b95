//! What the program says, word for word: every help text, and every table that the tools print.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test --test golden`, and look at the difference.

mod support;

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use support::trace::{SECOND, T0, Trace, simple};
use support::*;

const COMMANDS: [&str; 8] = ["convert", "concat", "inspect", "repair", "verify", "schema", "completions", "man"];

/// What the program says, run in `folder`, so that it names files alike everywhere.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = program(arguments).current_dir(folder).output().unwrap();
    let status = output.status.code().unwrap();
    format!(
        "$ sf-parquet {}\n{}--- standard error\n{}--- exit status {status}\n",
        arguments.join(" "),
        stdout(&output),
        stderr(&output)
    )
}

#[test]
fn help() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["-h", "--help"] {
        let length = if flag == "-h" { "short" } else { "long" };
        assert_snapshot!(format!("help_{length}"), said(folder.path(), &[flag]));
        for command in COMMANDS {
            assert_snapshot!(format!("help_{command}_{length}"), said(folder.path(), &[command, flag]));
        }
    }
}

/// A trace with two headers, Kubernetes, and a record of unknown type.
fn rich() -> Trace {
    Trace::new()
        .header("node-1")
        .process(1, None, T0, b"/bin/init")
        .process(7, Some(1), T0 + SECOND, b"/usr/bin/\x1b[31mred\xff")
        .exec(7, T0 + 2 * SECOND)
        .exec(8, T0 + 3 * SECOND)
        .block()
        .header("node-2")
        .k8s(T0 + 4 * SECOND, "K8S_PODS", "{\"type\":\"ADDED\",\"items\":[]}\n\0")
        .novelty()
}

#[test]
fn inspect() {
    let folder = tempfile::tempdir().unwrap();
    rich().write(&folder.path().join("rich.sf"));
    let (bytes, blocks) = simple("node", 25).bytes();
    fs::write(folder.path().join("cut.sf"), &bytes[..blocks[2] + 9]).unwrap();
    fs::write(folder.path().join("text.sf"), "no trace").unwrap();
    assert_snapshot!("inspect_table", said(folder.path(), &["inspect", "rich.sf", "--records", "3"]));
    assert_snapshot!("inspect_damaged", said(folder.path(), &["inspect", "cut.sf", "text.sf", "missing.sf"]));
    assert_snapshot!("inspect_json", said(folder.path(), &["inspect", "rich.sf", "--records", "1", "--json"]));
}

#[test]
fn concat() {
    let folder = tempfile::tempdir().unwrap();
    rich().write(&folder.path().join("a.sf"));
    simple("node", 25).write(&folder.path().join("b.sf"));
    let mut schema = support::trace::schema();
    schema["fields"][0]["type"].as_array_mut().unwrap().pop();
    schema["fields"][0]["type"][1]["fields"][4]["name"] = "path".into();
    Trace::with_schema(&schema).header("c").write(&folder.path().join("c.sf"));
    let said = |arguments: &[&str]| said(folder.path(), arguments);
    assert_snapshot!("concat_copied", said(&["concat", "a.sf", "b.sf", "-o", "ab.sf"]));
    assert_snapshot!("concat_json", said(&["concat", "a.sf", "b.sf", "-o", "z.sf", "--codec", "null", "--json"]));
    assert_snapshot!("concat_loss", said(&["concat", "c.sf", "a.sf", "-o", "c+a.sf"]));
    assert_snapshot!("concat_allow_loss", said(&["-v", "concat", "c.sf", "a.sf", "-o", "c+a.sf", "--allow-loss"]));
    assert_snapshot!("concat_damaged", {
        let bytes = fs::read(folder.path().join("b.sf")).unwrap();
        fs::write(folder.path().join("cut.sf"), &bytes[..bytes.len() - 20]).unwrap();
        said(&["concat", "a.sf", "cut.sf", "-o", "out.sf"])
    });
}

#[test]
fn repair() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, blocks) = simple("node", 38).bytes();
    fs::write(folder.path().join("whole.sf"), &bytes).unwrap();
    bytes[blocks[1]] = 0xff;
    bytes[blocks[3] - 16 - 15] = 0x55;
    fs::write(folder.path().join("damaged.sf"), &bytes[..bytes.len() - 20]).unwrap();
    let said = |arguments: &[&str]| said(folder.path(), arguments);
    assert_snapshot!("repair_whole", said(&["repair", "whole.sf", "-o", "out.sf"]));
    assert_snapshot!("repair_damaged", said(&["repair", "damaged.sf", "-o", "out.sf"]));
    assert_snapshot!("repair_prior", said(&["repair", "damaged.sf", "-o", "out.sf", "--prior"]));
    assert_snapshot!("repair_after_json", said(&["repair", "damaged.sf", "--report", "--after", "--json"]));
    assert_snapshot!("repair_unusable", {
        fs::write(folder.path().join("text.sf"), "no trace").unwrap();
        said(&["repair", "text.sf", "-o", "out.sf"])
    });
}

/// Names of runs and sizes of Parquet files depend on the versions of the program and of its libraries.
fn stable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(" bytes") {
            Some((files, _)) if line.starts_with("files ") => {
                let files = files.rsplit_once(' ').map_or(files, |(files, _)| files);
                out.push_str(&format!("{files} SIZE bytes"));
            }
            _ if line.trim_start().starts_with("\"bytes\":") => out.push_str("  \"bytes\": SIZE,"),
            _ => {
                let line = line.split_once("written with ").map_or(line.to_owned(), |(before, after)| {
                    format!("{before}written with SIZE{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
                });
                let mut parts = line.split("part-");
                out.extend(parts.next());
                parts.for_each(|part| out.push_str(&format!("part-RUN{}", part.get(16..).unwrap_or(part))));
            }
        }
        out.push('\n');
    }
    out
}

#[test]
fn verify() {
    let folder = tempfile::tempdir().unwrap();
    rich().write(&folder.path().join("a.sf"));
    simple("node", 25).write(&folder.path().join("b trace.sf"));
    let said = |arguments: &[&str]| stable(&said(folder.path(), arguments));
    said(&["convert", "a.sf", "b trace.sf", "-o", "dataset", "--since", "2022-03-17T18:00:02"]);
    assert_snapshot!("verify_whole", said(&["verify", "dataset"]));
    let out = folder.path().join("dataset");
    fs::remove_file(parts(&out, "records").remove(0)).unwrap();
    fs::write(parts(&out, "traces").remove(0), "PAR1").unwrap();
    fs::write(out.join("records/_SUCCESS"), "").unwrap();
    assert_snapshot!("verify_damaged", said(&["verify", "dataset"]));
    assert_snapshot!("verify_damaged_json", said(&["verify", "dataset", "--json", "-q"]));
    assert_snapshot!("verify_nothing", said(&["verify", "nothing"]));
}

#[test]
fn schema() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["text", "json", "duckdb", "spark", "markdown"] {
        assert_snapshot!(format!("schema_{format}"), said(folder.path(), &["schema", "pods", "--format", format]));
    }
    let elsewhere = ["schema", "pods", "--format", "duckdb", "--location", "/else/where"];
    assert_snapshot!("schema_location", said(folder.path(), &elsewhere));
}

#[test]
fn convert_summary() {
    let folder = tempfile::tempdir().unwrap();
    rich().write(&folder.path().join("a.sf"));
    fs::write(folder.path().join("text.sf"), "no trace").unwrap();
    let without_speed = |text: String| {
        let lines = text.lines().filter(|l| !l.starts_with("time ") && !l.starts_with("bytes "));
        lines.map(|l| format!("{l}\n")).collect::<String>()
    };
    let said = |arguments: &[&str]| without_speed(said(folder.path(), arguments));
    assert_snapshot!("convert_summary", said(&["convert", "a.sf", "text.sf", "-o", "dataset"]));
    assert_snapshot!("convert_again", said(&["convert", "a.sf", "-o", "dataset"]));
    assert_snapshot!("convert_dry_run", said(&["convert", "a.sf", "-o", "other", "--dry-run"]));
}
