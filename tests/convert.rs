//! `convert` through the program: what it takes, what it refuses, and that running it again changes nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use sf_parquet::tables::schema::TableId;
use support::trace::{SECOND, T0, Trace, simple};
use support::*;

#[test]
fn all_real_traces_convert() {
    let files = shared_trace_files();
    if files.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    let output = convert(&inputs, folder.path(), &[]);
    expect_status(&output, 0);
    assert_eq!(row_count(folder.path(), "traces"), files.len());
    let events: i64 =
        ["n_pe", "n_fe", "n_ne", "n_pf", "n_ff", "n_nf", "n_ke"].iter().map(|n| sum(folder.path(), "traces", n)).sum();
    assert_eq!(row_count(folder.path(), "records") as i64, events);
    for (table, column) in
        [("processes", "n_process"), ("files", "n_file"), ("pods", "n_pod"), ("containers", "n_container")]
    {
        assert_eq!(row_count(folder.path(), table) as i64, sum(folder.path(), "traces", column), "{table}");
    }
    assert_eq!(row_count(folder.path(), "rejects"), 0);
}

#[test]
fn a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    simple("node", 25).write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    let before = tree(&out);
    let output = convert(&[&a], &out, &[]);
    expect_status(&output, 0);
    assert!(stdout(&output).starts_with("Nothing to convert"), "{}", stdout(&output));
    // Touched or copied, it is still the same.
    fs::write(folder.path().join("copy.sf"), fs::read(&a).unwrap()).unwrap();
    expect_status(&convert(&[&folder.path().join("copy.sf")], &out, &[]), 0);
    assert_eq!(tree(&out), before);
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = shared_trace_files();
    for i in 0..40 {
        let path = folder.path().join(format!("t{i}.sf"));
        let (mut bytes, blocks) = simple("node", 40 + i as i64).bytes();
        // What is read ahead of the others is damaged, cut, no trace, or a log.
        match i % 5 {
            1 => bytes[blocks[i / 5 % blocks.len()] + 10] ^= 0xff,
            2 => bytes.truncate(blocks[blocks.len() / 2] + 7),
            3 if i > 20 => bytes[0] = b'o',
            3 => bytes = format!("2022-03-17 18:48:{i:02},736 main INFO ----- step {i}\n").into_bytes(),
            _ => {}
        }
        fs::write(&path, bytes).unwrap();
        files.push(path);
    }
    let inputs: Vec<&Path> = files.iter().map(|p| p.as_path()).collect();
    let trees: Vec<_> = ["1", "2", "3"]
        .map(|jobs| {
            let out = folder.path().join(format!("out{jobs}"));
            expect_status(&convert(&inputs, &out, &["--jobs", jobs]), 3);
            tree(&out)
        })
        .into();
    assert!(trees[0] == trees[1] && trees[1] == trees[2]);
    assert!(trees[0].len() > 12);
}

#[test]
fn bad_inputs_are_accounted_for_and_do_not_hide_the_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("node", 5).write(&path("good.sf"));
    fs::write(path("empty.sf"), b"").unwrap();
    fs::write(path("text.sf"), b"this is no trace").unwrap();
    fs::write(path("cut.sf"), &simple("node", 5).bytes().0[..300]).unwrap();
    let all = ["good.sf", "empty.sf", "text.sf", "cut.sf", "missing.sf"].map(path);
    let inputs: Vec<&Path> = all.iter().map(|p| p.as_path()).collect();
    let out = path("out");

    let summary = path("summary.json");
    let strict = convert(&inputs, &out, &["--strict", "--summary-json", summary.to_str().unwrap()]);
    expect_status(&strict, 1);
    for said in
        ["empty.sf: ", "text.sf: ", "cut.sf: ", "missing.sf: ", "4 of 5 inputs are damaged and --strict is given"]
    {
        assert!(stderr(&strict).contains(said), "{said}: {}", stderr(&strict));
    }
    assert_eq!(stdout(&strict), "");
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    assert_eq!((&summary["refused"], &summary["published"]), (&true.into(), &false.into()));
    assert_eq!(files(&out), ["_sf_parquet/lock"]);

    let output = convert(&inputs, &out, &[]);
    expect_status(&output, 3);
    assert_eq!(row_count(&out, "records"), 5);
    let mut codes: Vec<_> = strings(&out, "rejects", "code").into_iter().flatten().collect();
    codes.sort();
    assert_eq!(codes, ["empty_file", "header_cut", "not_avro", "unreadable"]);
    for name in ["empty.sf", "text.sf", "cut.sf", "missing.sf"] {
        let lines = stderr(&output).lines().filter(|l| l.contains(name)).count();
        assert_eq!(lines, 1, "one line for {name}:\n{}", stderr(&output));
    }
    assert!(strings(&out, "rejects", "severity").iter().flatten().all(|s| s == "error"));

    // What cannot be read is reported again, and not added again; the rest is known.
    let before = tree(&out);
    for _ in 0..2 {
        expect_status(&convert(&inputs, &out, &[]), 3);
        assert_eq!(tree(&out), before);
    }
    expect_status(&convert(&inputs[..4], &out, &[]), 0);
}

#[test]
fn two_thousand_small_traces_give_a_handful_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let traces = folder.path().join("traces");
    fs::create_dir(&traces).unwrap();
    for i in 0..2_000 {
        simple(&format!("node-{i}"), 3).write(&traces.join(format!("{i}.sf")));
    }
    let out = folder.path().join("out");
    expect_status(&convert(&[&traces], &out, &[]), 0);
    assert_eq!(row_count(&out, "records"), 6_000);
    assert_eq!(row_count(&out, "traces"), 2_000);
    let files = tree(&out).keys().filter(|p| p.ends_with(".parquet")).count();
    assert!(files <= 24, "{files} files");
}

#[test]
fn reconvert_replaces_rows_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    simple("a", 12).write(&a);
    simple("b", 5).write(&b);
    expect_status(&convert(&[&a, &b], &out, &["--since", "2022-03-17T18:00:03Z"]), 0);
    assert_eq!(row_count(&out, "records"), 9 + 2);
    assert_eq!(sum(&out, "traces", "records_filtered"), 6);
    let before = rows(&out, "records", &[]);
    for more in [&[][..], &["--reconvert"], &["--reconvert"]] {
        expect_status(&convert(&[&a], &out, more), 0);
        let after = rows(&out, "records", &[]);
        assert_eq!(after.len(), 12 + 2);
        assert!(before.iter().all(|row| after.contains(row)));
        assert_eq!(row_count(&out, "traces"), 2);
        assert_eq!(row_count(&out, "processes"), 2);
    }
}

#[test]
fn rows_of_other_inputs_stay_in_tables_that_a_run_does_not_want() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    let (bytes, blocks) = simple("b", 20).bytes();
    simple("a", 12).write(&a);
    fs::write(&b, &bytes[..blocks[1]]).unwrap();
    expect_status(&convert(&[&a, &b], &out, &[]), 0);
    // Grown, and once more.
    fs::write(&b, &bytes).unwrap();
    for more in [["--tables", "records", "--reconvert"]; 2] {
        expect_status(&convert(&[&b], &out, &more), 0);
        assert_eq!(row_count(&out, "records"), 12 + 20);
        for table in ["processes", "traces"] {
            assert_eq!(row_count(&out, table), 1, "{table} has the rows of a.sf");
        }
        // Tables without rows keep a file, too, which says their columns.
        for table in TableId::ALL.map(TableId::name) {
            assert!(
                tree(&out).keys().any(|p| p.starts_with(&format!("{table}/")) && p.ends_with(".parquet")),
                "{table}"
            );
        }
        expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
    }
}

#[test]
fn a_dataset_among_its_inputs_is_no_input() {
    let folder = tempfile::tempdir().unwrap();
    simple("a", 12).write(&folder.path().join("a.sf"));
    for out in ["dataset", "."] {
        for run in 0..3 {
            let mut command = program(["convert", ".", "-o", out]);
            expect_status(&command.current_dir(folder.path()).output().unwrap(), 0);
            assert_eq!(row_count(&folder.path().join(out), "rejects"), 0, "{out}, run {run}");
            assert_eq!(row_count(&folder.path().join(out), "traces"), 1);
        }
        fs::remove_dir_all(folder.path().join("dataset")).unwrap_or_default();
    }
}

#[test]
fn a_summary_that_cannot_be_written_keeps_the_run_from_publishing() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    simple("a", 12).write(&a);
    let nowhere = folder.path().join("nowhere/summary.json");
    expect_status(&convert(&[&a], &out, &["--summary-json", nowhere.to_str().unwrap()]), 1);
    assert!(!out.exists());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    simple("a", 12).write(&a);
    let output = convert(&[&a], &out, &["--dry-run"]);
    expect_status(&output, 0);
    assert!(stderr(&output).contains("a.sf would be converted"), "{}", stderr(&output));
    let empty = folder.path().join("b.sf");
    fs::write(&empty, "").unwrap();
    let output = convert(&[&a, &empty], &out, &["--dry-run"]);
    expect_status(&output, 0);
    assert!(stderr(&output).contains("b.sf would be rejected"), "{}", stderr(&output));
    assert!(!out.exists());
}

#[test]
fn entity_state_resets_at_each_header() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    let trace = Trace::new()
        .header("first")
        .process(1, None, T0, b"/bin/one")
        .process(2, Some(1), T0, b"/bin/two")
        .exec(2, T0)
        .process(2, Some(1), T0, b"/bin/changed")
        .exec(2, T0 + 1)
        .header("second")
        .exec(2, T0 + 2)
        .block()
        .process(2, Some(2), T0, b"/bin/cycle")
        .exec(2, T0 + 86_400 * SECOND)
        .novelty();
    trace.write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    let some = |v: &[Option<&str>]| v.iter().map(|s| s.map(str::to_owned)).collect::<Vec<_>>();
    let cycle = Some("/bin/cycle");
    assert_eq!(
        strings(&out, "records", "proc_exe"),
        some(&[Some("/bin/two"), Some("/bin/changed"), None, cycle]),
        "the latest export counts, and none before the header"
    );
    assert_eq!(strings(&out, "records", "pproc_exe"), some(&[Some("/bin/one"), Some("/bin/one"), None, cycle]));
    assert_eq!(longs(&out, "records", "proc_no"), [Some(2), Some(4), None, Some(8)]);
    assert_eq!(longs(&out, "traces", "header_no"), [Some(0), Some(1)]);
    assert_eq!(longs(&out, "traces", "dangling_references"), [Some(0), Some(1)]);
    assert_eq!(longs(&out, "traces", "n_unknown"), [Some(0), Some(1)]);
    assert_eq!(strings(&out, "rejects", "code"), some(&[Some("unknown_record")]));
    let ids = strings(&out, "traces", "trace_id");
    assert!(ids[0].as_ref().unwrap().ends_with("-0") && ids[1].as_ref().unwrap().ends_with("-1"));
    let dates: Vec<_> =
        parts(&out, "records").iter().map(|p| p.parent().unwrap().file_name().unwrap().to_owned()).collect();
    assert_eq!(dates, ["date=2022-03-17", "date=2022-03-18"]);
}

#[test]
fn every_flag_changes_something() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 100).write(&path("a.sf"));
    let go = |out: &str, more: &[&str]| {
        expect_status(&convert(&[&path("a.sf")], &path(out), more), 0);
        tree(&path(out))
    };
    let plain = go("plain", &[]);
    assert_eq!(plain, go("again", &[]), "without a flag nothing changes");
    for (i, more) in [
        &["--tables", "records"][..],
        &["--since", "2022-03-17T18:00:50Z"],
        &["--until", "2022-03-17T18:00:50Z"],
        &["--compression", "none"],
        &["--compression", "snappy"],
        &["--compression", "lz4"],
        &["--compression", "zstd:9"],
        &["--encodings", "compatible"],
    ]
    .iter()
    .enumerate()
    {
        assert_ne!(go(&format!("flag{i}"), more), plain, "{more:?}");
    }
    assert!(!path("flag0/processes").exists() && path("flag0/records").exists());
    go("json", &["--summary-json", path("s.json").to_str().unwrap()]);
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(path("s.json")).unwrap()).unwrap();
    assert_eq!(summary["rows"]["records"], 100);
    fs::write(path("list"), path("a.sf").to_str().unwrap()).unwrap();
    expect_status(
        &run(["convert", "--files-from", path("list").to_str().unwrap(), "-o", path("l").to_str().unwrap()]),
        0,
    );
    assert_eq!(row_count(&path("l"), "records"), 100);
    let quiet = convert(&[&path("a.sf")], &path("quiet"), &["-q"]);
    assert!(quiet.stdout.is_empty() && quiet.stderr.is_empty());
    fs::write(path("notes.txt"), "no trace").unwrap();
    let verbose = convert(&[folder.path()], &path("verbose"), &["-v"]);
    assert!(stderr(&verbose).contains("notes.txt is no trace"), "{}", stderr(&verbose));
    let json = convert(&[&path("missing.sf")], &path("log"), &["--log-format", "json"]);
    assert!(stderr(&json).lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "{}", stderr(&json));
}

#[test]
fn relative_names_mean_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    simple("a", 3).write(&folder.path().join("a.sf"));
    let mut command = program(["convert", "a.sf", "-o", "out", "--summary-json", "s.json"]);
    expect_status(&command.current_dir(folder.path()).output().unwrap(), 0);
    assert!(folder.path().join("s.json").exists());
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for more in [
        &["--tables", "nothing"][..],
        &["--memory", "1MiB"],
        &["--memory", "much"],
        &["--since", "yesterday"],
        &["--since", "2022-03-18", "--until", "2022-03-17"],
        &["--compression", "zip"],
        &["--jobs", "0"],
        &["--jobs", "100000"],
        &["--until", "20220318"],
        &["--compression", "zstd:-5"],
    ] {
        let output = convert(&[Path::new("a.sf")], &out, more);
        expect_status(&output, 2);
        assert!(!stderr(&output).is_empty());
    }
    expect_status(&convert(&[&folder.path().join("*.sf")], &out, &[]), 2);
    assert!(!out.exists());
}

#[test]
fn inputs_do_not_lie_among_the_files_of_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("traces")).unwrap();
    simple("a", 3).write(&folder.path().join("traces/a.sf"));
    let go = |input: &str| {
        let mut command = program(["convert", input, "-o", "."]);
        command.current_dir(folder.path()).output().unwrap()
    };
    expect_status(&go("traces"), 2);
    expect_status(&go("traces/../traces/a.sf"), 2);
    assert!(!folder.path().join("_sf_parquet").exists());
    // Beside the tables they may.
    fs::rename(folder.path().join("traces/a.sf"), folder.path().join("a.sf")).unwrap();
    for _ in 0..2 {
        expect_status(&go("a.sf"), 0);
    }
    // The summary replaces nothing that is read, and nothing of the dataset.
    fs::write(folder.path().join("log"), "").unwrap();
    fs::write(folder.path().join("list"), "to_a.sf").unwrap();
    std::os::unix::fs::symlink("a.sf", folder.path().join("to_a.sf")).unwrap();
    let before = tree(folder.path());
    for read in ["./a.sf", "to_a.sf", "log", "list", "_sf_parquet/manifest/x.json", "records/x"] {
        let mut command = program(["convert", "--files-from", "list", "--experiment-log", "log", "-o", "."]);
        let output = command.args(["--summary-json", read]).current_dir(folder.path()).output().unwrap();
        expect_status(&output, 2);
        assert!(stderr(&output).contains("the summary cannot"), "{}", stderr(&output));
    }
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_dataset_without_its_manifests_is_not_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), folder.path().join("out"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    fs::remove_dir_all(out.join("_sf_parquet")).unwrap();
    for more in [&["--dry-run"][..], &[]] {
        let output = convert(&[&a], &out, more);
        expect_status(&output, 1);
        assert!(stderr(&output).contains("copy the dataset whole"), "{}", stderr(&output));
        assert_eq!(row_count(&out, "records"), 5);
    }
}

#[test]
fn of_very_many_problems_some_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&inputs).unwrap();
    for i in 0..1_003 {
        fs::write(inputs.join(format!("{i}.sf")), "no trace").unwrap();
    }
    let output = convert(&[&inputs], &out, &["-q"]);
    expect_status(&output, 3);
    let told: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
    assert_eq!(told.len(), 1_001);
    assert_eq!(told[1_000], "error: there are more, see the table rejects");
    assert_eq!(row_count(&out, "rejects"), 1_003);
}

#[test]
fn a_journal_touches_nothing_but_part_files() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out, victim) = (folder.path().join("a"), folder.path().join("out"), folder.path().join("victim.txt"));
    simple("a", 5).write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    fs::write(&victim, "").unwrap();
    let manifest = fs::read_dir(out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    let manifest = fs::read_to_string(manifest).unwrap();
    for path in ["../victim.txt", "records/../../victim.txt", "_sf_parquet/manifest/x.json", "records/x"] {
        let hostile = manifest.replace("\"removed\":[]", &format!("\"removed\":[\"{path}\"]"));
        let hostile = hostile.replace("\"run\":\"", "\"run\":\"f");
        fs::write(out.join("_sf_parquet/journal/f.json"), hostile).unwrap();
        let output = convert(&[&a], &out, &[]);
        expect_status(&output, 1);
        assert!(stderr(&output).contains("no path of a part file; remove it"), "{}", stderr(&output));
        assert!(victim.exists());
    }
}

#[test]
fn names_that_are_no_utf8_are_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let (inputs, out) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&inputs).unwrap();
    for name in [&b"a\xfe.sf"[..], b"a\xff.sf", br"a\xff.sf"] {
        fs::write(inputs.join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    // Where there are no files, nobody can read them.
    assert!(Command::new("mkfifo").arg(inputs.join("fifo")).status().unwrap().success());
    expect_status(&convert(&[&inputs], &out, &[]), 3);
    let names: BTreeSet<_> = strings(&out, "rejects", "input").into_iter().flatten().collect();
    for name in [r"a\xfe.sf", r"a\xff.sf", r"a\x5cxff.sf"] {
        assert!(names.contains(inputs.join(name).to_str().unwrap()), "{names:?}");
    }
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
    expect_status(&convert(&[&inputs], &out, &[]), 0);
}

#[test]
fn names_with_control_characters_are_shown_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let output = convert(&[&folder.path().join("a\x1b[31m.sf")], &folder.path().join("out"), &[]);
    expect_status(&output, 3);
    assert!(!stderr(&output).contains('\x1b') && stderr(&output).contains("\\u{1b}"), "{}", stderr(&output));
}
