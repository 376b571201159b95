//! Disks that fail, fill up or are read-only, and inputs that change under the reader: a clear error, nothing of the run
//! in the tables, and the same command goes on. A library that is loaded into the program makes the faults.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::batches::{Case, copy, tables};
use support::trace::{many_processes, simple};
use support::*;

const EIO: i32 = 5;
const EACCES: i32 = 13;
const EXDEV: i32 = 18;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// The library, compiled into `folder`. What the program is built of needs a C compiler, too.
fn library(folder: &Path) -> PathBuf {
    let library = folder.join("io_faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/io_faults.c");
    let mut compiler = Command::new("cc");
    let compiler = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).args(["-ldl"]);
    assert!(compiler.status().expect("there is no C compiler").success(), "the library of faults does not compile");
    library
}

/// What is to go wrong, and where.
#[derive(Debug, Clone)]
struct Fault<'a> {
    library: &'a Path,
    below: &'a Path,
    /// Letters of calls, as in the library.
    calls: &'a str,
    errno: i32,
    lasting: bool,
    command: Option<String>,
}

impl Fault<'_> {
    /// Runs `command` with the fault at the `at`-th call; `None` if it makes fewer calls.
    fn run(&self, mut command: Command, at: usize) -> Option<Output> {
        let report = self.library.with_extension(format!("{at}.{}", std::process::id()));
        command
            .env("LD_PRELOAD", self.library)
            .env("IO_FAULT_BELOW", self.below)
            .env("IO_FAULT_CALLS", self.calls)
            .env("IO_FAULT_AT", at.to_string())
            .env("IO_FAULT_ERRNO", self.errno.to_string())
            .env("IO_FAULT_REPORT", &report);
        if self.lasting {
            command.env("IO_FAULT_LASTING", "1");
        }
        if let Some(change) = &self.command {
            command.env("IO_FAULT_COMMAND", change);
        }
        let output = command.output().unwrap();
        fs::remove_file(report).is_ok().then_some(output)
    }

    /// An error is one line that says what was tried on what, and the system's reason.
    fn expect_clear_error(&self, output: &Output) {
        expect_status(output, 1);
        let message = stderr(output);
        let reason = std::io::Error::from_raw_os_error(self.errno).to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        // The standard library keeps a reason for itself: whether a folder is there already.
        let kept = message.contains("cannot create the folder");
        let said = kept || message.contains(&reason);
        assert!(message.starts_with("error: cannot ") && said, "{message}");
        assert!(message.contains(&*self.below.to_string_lossy()), "{message}");
    }
}

/// Errors, the calls that have them, whether they last, and which of the calls are tried: every so many.
const DATASET_FAULTS: [(i32, &str, bool, usize); 8] = [
    (EIO, "ocrwytnumlsk", false, 7),
    (EIO, "ocrwytnumlsk", true, 41),
    (ENOSPC, "cwytnm", false, 13),
    (ENOSPC, "cwytnm", true, 29),
    (EACCES, "ocnumls", false, 17),
    (EROFS, "ctnum", true, 29),
    (EXDEV, "n", true, 7),
    (EMFILE, "ocl", true, 29),
];

#[test]
fn a_dataset_on_a_failing_disk_stays_whole_and_the_same_command_goes_on() {
    let case = Case::new([1, 1]);
    let library = library(&case.path(""));
    let first = case.path("first");
    expect_status(&case.convert(&first).output().unwrap(), 0);
    let before = tables(&first);
    case.second_batch();
    let undisturbed = case.path("undisturbed");
    copy(&first, &undisturbed);
    expect_status(&case.convert(&undisturbed).output().unwrap(), 3);
    let expected = tree(&undisturbed);
    let (mut errors, mut survived) = (0, 0);
    for (errno, calls, lasting, step) in DATASET_FAULTS {
        for at in (1..).step_by(step) {
            let out = case.path("out");
            copy(&first, &out);
            let fault = Fault { library: &library, below: &out, calls, errno, lasting, command: None };
            let Some(output) = fault.run(case.convert(&out), at) else {
                fs::remove_dir_all(&out).unwrap();
                break;
            };
            let context = format!("error {errno} at call {at}: {}", stderr(&output));
            if output.status.code() == Some(1) {
                errors += 1;
                fault.expect_clear_error(&output);
                let files = tree(&out);
                let published = |folder: &str| {
                    files
                        .keys()
                        .filter(|p| p.starts_with(&format!("_sf_parquet/{folder}")) && p.ends_with(".json"))
                        .count()
                };
                if published("journal") == 0 && published("manifest") == 1 {
                    assert_eq!(tables(&out), before, "{context}");
                    // There was no need to write anything to tidy up.
                    let litter = |path: &&String| path.contains("/staging/") || path.contains("/journal/");
                    let litter: Vec<_> = files.keys().filter(litter).collect();
                    assert!(errno != ENOSPC || litter.is_empty(), "{litter:?} after {context}");
                }
            } else {
                // What fails is a courtesy, such as to empty the lock's file.
                survived += 1;
                expect_status(&output, 3);
                assert_eq!(tables(&out), tables(&undisturbed), "{context}");
            }
            let again = case.convert(&out).output().unwrap();
            assert!(matches!(again.status.code(), Some(0 | 3)), "{context}, then {}", stderr(&again));
            assert_eq!(tree(&out), expected, "{context}");
            fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(errors > 100, "only {errors} errors");
    assert!(survived < errors / 10, "{survived} faults went unnoticed");
}

/// The rows that inputs give, whatever else was said of them.
fn data(out: &Path) -> BTreeMap<&'static str, Vec<impl Ord + use<>>> {
    let rows = |table| {
        let numbers = longs(out, table, "record_no").into_iter().zip(longs(out, table, "ts_uts"));
        let mut rows: Vec<_> = strings(out, table, "node_id").into_iter().zip(numbers).collect();
        rows.sort();
        (table, rows)
    };
    ["records", "processes"].map(rows).into()
}

#[test]
fn inputs_on_a_failing_disk_are_accounted_for_and_read_again() {
    let case = Case::new([2, 1]);
    let library = library(&case.path(""));
    case.second_batch();
    let inputs = case.path("in");
    let undisturbed = case.path("undisturbed");
    expect_status(&case.convert(&undisturbed).output().unwrap(), 3);
    let expected = data(&undisturbed);
    let (mut errors, mut rejected) = (0, 0);
    for (errno, calls, lasting) in
        [(EIO, "orls", false), (EIO, "orls", true), (EACCES, "ols", true), (EMFILE, "ol", true)]
    {
        for at in 1.. {
            let out = case.path("out");
            let fault = Fault { library: &library, below: &inputs, calls, errno, lasting, command: None };
            let Some(output) = fault.run(case.convert(&out), at) else {
                fs::remove_dir_all(&out).unwrap();
                break;
            };
            let context = format!("error {errno} at call {at}: {}", stderr(&output));
            if output.status.code() == Some(1) {
                errors += 1;
                fault.expect_clear_error(&output);
                assert!(tables(&out).is_empty(), "{context}");
            } else {
                expect_status(&output, 3);
                let unread = strings(&out, "rejects", "code").iter().flatten().filter(|c| *c == "unreadable").count();
                rejected += unread.min(1);
                // What is not among the rows has been said.
                assert!(unread > 0 || data(&out) == expected, "{context}");
            }
            let again = case.convert(&out).output().unwrap();
            assert!(matches!(again.status.code(), Some(0 | 3)), "{context}, then {}", stderr(&again));
            assert!(data(&out) == expected, "{context}");
            expect_status(&program(["verify", "-q"]).arg(&out).output().unwrap(), 0);
            fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(errors > 3 && rejected > 3, "{errors} errors, {rejected} rejects");
}

#[test]
fn an_input_that_changes_while_it_is_read_is_never_half_old_and_half_new() {
    let folder = fast_folder();
    let path = |name: &str| folder.path().join(name);
    let library = library(folder.path());
    let (old, blocks) = simple("old", 90).bytes();
    let (new, _) = simple("new", 90).bytes();
    assert_eq!(old.len(), new.len());
    fs::write(path("old"), &old).unwrap();
    fs::write(path("new"), &new).unwrap();
    fs::write(path("short"), &old[..blocks[2]]).unwrap();
    let records = |input: &str| {
        let out = path("fresh");
        let input = path(input);
        if input.exists() {
            convert(&[&input], &out, &["-q"]);
        }
        let rows = rows(&out, "records", &["trace_id", "filename"]);
        let _ = fs::remove_dir_all(&out);
        rows
    };
    let changes = [
        ("rm in", "nothing"),
        ("cat new > in", "new"),
        ("dd if=new of=in conv=notrunc bs=64k status=none", "new"),
        ("cp new in.tmp && mv in.tmp in", "new"),
        ("cp short in", "short"),
        ("cat new >> in", "both"),
    ];
    fs::write(path("both"), [&old[..], &new].concat()).unwrap();
    let mut refused = 0;
    for (change, becomes) in changes {
        let (before, after) = (records("old"), records(becomes));
        for at in 1.. {
            let (input, out) = (path("in"), path("out"));
            fs::write(&input, &old).unwrap();
            let command = Some(format!("cd '{}' && {change}", folder.path().display()));
            let fault = Fault { library: &library, below: &input, calls: "osr", errno: 0, lasting: false, command };
            let run = || program(["convert", "-q"]).arg(&input).arg("--out").arg(&out).output().unwrap();
            let mut command = program(["convert", "-q"]);
            command.arg(&input).arg("--out").arg(&out);
            let Some(output) = fault.run(command, at) else {
                fs::remove_dir_all(&out).unwrap();
                break;
            };
            let context = format!("'{change}' at call {at}: {}", stderr(&output));
            let rows_now = || rows(&out, "records", &["trace_id", "filename"]);
            match output.status.code() {
                Some(1) => {
                    refused += 1;
                    assert!(context.contains("changed while it was read") || context.contains("cannot "), "{context}");
                    assert_eq!(stderr(&output).lines().count(), 1, "{context}");
                    assert!(tables(&out).is_empty(), "{context}");
                }
                Some(0 | 3) => {
                    let now = rows_now();
                    let sizes = [&now, &before, &after].map(Vec::len);
                    let known = now == before || now == after || now.is_empty() && !stderr(&output).is_empty();
                    assert!(known, "{sizes:?} {context}");
                }
                other => panic!("{other:?}: {context}"),
            }
            let again = run();
            assert!(matches!(again.status.code(), Some(0 | 3)), "{context}, then {}", stderr(&again));
            // What was converted before the change stays: it was an input, too.
            let mut both = [before.clone(), after.clone()].concat();
            both.sort();
            let now = rows_now();
            assert!(now == after || now == both || now == before && becomes == "nothing", "{context}");
            expect_status(&program(["verify", "-q"]).arg(&out).output().unwrap(), 0);
            fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(refused > 10, "only {refused} changes were refused");
}

#[test]
fn what_concat_and_repair_write_is_the_old_or_the_new_file_and_no_other() {
    let folder = fast_folder();
    let path = |name: &str| folder.path().join(name);
    let library = library(folder.path());
    let (bytes, blocks) = simple("a", 90).bytes();
    fs::write(path("whole.sf"), &bytes).unwrap();
    fs::write(path("damaged.sf"), &bytes[..blocks[2] + 20]).unwrap();
    let out = path("out");
    for tool in [&["concat", "whole.sf", "whole.sf"][..], &["repair", "damaged.sf"]] {
        let command = || {
            let mut command = program(&tool[..1]);
            command.arg("-q").args(tool[1..].iter().map(|input| path(input))).arg("-o").arg(out.join("out.sf"));
            command
        };
        fs::create_dir(&out).unwrap();
        command().output().unwrap();
        let new = fs::read(out.join("out.sf")).unwrap();
        let mut errors = 0;
        for (errno, calls, lasting) in [(EIO, "ocrwytnmls", false), (ENOSPC, "cwytn", true), (EROFS, "cn", true)] {
            for at in 1.. {
                fs::write(out.join("out.sf"), "old").unwrap();
                let fault = Fault { library: &library, below: &out, calls, errno, lasting, command: None };
                let Some(output) = fault.run(command(), at) else { break };
                let now = fs::read(out.join("out.sf")).unwrap();
                if output.status.code() == Some(1) {
                    errors += 1;
                    fault.expect_clear_error(&output);
                    assert!(now == b"old" || now == new, "{}", stderr(&output));
                } else {
                    assert_eq!(now, new, "{}", stderr(&output));
                }
                assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "litter after {}", stderr(&output));
            }
        }
        assert!(errors > 5, "{errors}");
        // An input that fails is an error, and what was there stays.
        fs::write(out.join("out.sf"), "old").unwrap();
        let input = path(tool[1]);
        let fault = Fault { library: &library, below: &input, calls: "ors", errno: EIO, lasting: true, command: None };
        for at in 1.. {
            let Some(output) = fault.run(command(), at) else { break };
            fault.expect_clear_error(&output);
            assert_eq!(fs::read(out.join("out.sf")).unwrap(), b"old");
            assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        }
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_folder_that_takes_no_files_is_found_before_anything_is_published() {
    let case = Case::new([1, 1]);
    let library = library(&case.path(""));
    let out = case.path("out");
    expect_status(&case.convert(&out).output().unwrap(), 0);
    let before = (tree(&out), folders(&out));
    case.second_batch();
    // A link to another filesystem, someone else's folder, a full disk, and one that cannot be synced.
    for (errno, calls) in [(EXDEV, "n"), (EACCES, "n"), (ENOSPC, "n"), (EACCES, "o")] {
        for table in ["records", "traces"] {
            let below = out.join(table);
            let fault = Fault { library: &library, below: &below, calls, errno, lasting: true, command: None };
            let output = fault.run(case.convert(&out), 1).unwrap();
            fault.expect_clear_error(&output);
            assert!(!stderr(&output).contains("published in part"), "{}", stderr(&output));
            assert_eq!((tree(&out), folders(&out)), before, "{errno} {calls}: {}", stderr(&output));
        }
    }
    expect_status(&case.convert(&out).output().unwrap(), 3);
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

#[test]
fn staged_files_that_cannot_be_removed_have_no_effect() {
    let case = Case::new([1, 1]);
    let library = library(&case.path(""));
    let (out, first) = (case.path("out"), case.path("in/0.sf"));
    simple("first", 20).write(&first);
    let below = out.join("_sf_parquet/staging/");
    let fault = Fault { library: &library, below: &below, calls: "u", errno: EIO, lasting: true, command: None };
    for more in [&[][..], &["--reconvert"]] {
        let mut command = case.convert(&out);
        command.args(more);
        expect_status(&fault.run(command, 1).unwrap(), 0);
    }
    case.second_batch();
    expect_status(&case.convert(&out).output().unwrap(), 3);
    assert_eq!(fs::read_dir(below).unwrap().count(), 0);
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

/// All folders below one, but those between runs.
fn folders(root: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.filter(|path| path.is_dir() && !path.ends_with("staging"));
    below.flat_map(|path| folders(&path).into_iter().chain([path])).collect()
}

#[test]
fn a_filesystem_without_locks_and_syncs_of_folders_will_do() {
    let case = Case::new([1, 1]);
    let library = library(&case.path(""));
    let (plain, out) = (case.path("plain"), case.path("out"));
    expect_status(&case.convert(&plain).output().unwrap(), 0);
    const ENOTSUP: i32 = 95;
    let fault = Fault { library: &library, below: &out, calls: "k", errno: ENOTSUP, lasting: true, command: None };
    let mut command = program(["convert", "--out"]);
    command.arg(&out).arg(case.path("in"));
    let output = fault.run(command, 1).unwrap();
    expect_status(&output, 0);
    assert!(stderr(&output).contains("has no locks"), "{}", stderr(&output));
    assert_eq!(tables(&out), tables(&plain));
    let verify = fault.run(program(["verify".as_ref(), out.as_os_str()]), 1).unwrap();
    expect_status(&verify, 0);
}

#[test]
fn a_trace_that_fails_is_inspected_beside_others() {
    let case = Case::new([2, 1]);
    let library = library(&case.path(""));
    let (good, bad) = (case.path("good.sf"), case.path("bad.sf"));
    simple("good", 20).write(&good);
    simple("bad", 20).write(&bad);
    let fault = Fault { library: &library, below: &bad, calls: "or", errno: EIO, lasting: true, command: None };
    for at in 1.. {
        let mut command = program(["inspect", "--json"]);
        command.args([&bad, &good]);
        let Some(output) = fault.run(command, at) else { break };
        expect_status(&output, 3);
        let lines = String::from_utf8(output.stdout).unwrap();
        assert!(lines.lines().count() == 2 && lines.contains("Input/output error"), "{at}: {lines}");
    }
}

#[test]
fn the_dataset_may_lie_on_any_filesystem_and_behind_a_link() {
    let case = Case::new([2, 1]);
    case.second_batch();
    let here = case.path("here");
    expect_status(&case.convert(&here).output().unwrap(), 3);
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if fs::metadata(disk.path()).unwrap().dev() == fs::metadata(&here).unwrap().dev() {
        eprintln!("SKIPPED: there is one filesystem only");
        return;
    }
    let there = disk.path().join("there");
    expect_status(&case.convert(&there).output().unwrap(), 3);
    assert_eq!(tree(&there), tree(&here));
    // Behind a link to a folder, on another filesystem than the link.
    let real = disk.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, case.path("link")).unwrap();
    expect_status(&case.convert(&case.path("link")).output().unwrap(), 3);
    assert_eq!(tree(&real), tree(&here));
    // Not with the manifests elsewhere: nothing could be published.
    let (manifests, elsewhere) = (here.join("_sf_parquet/manifest"), disk.path().join("manifest"));
    fs::create_dir(&elsewhere).unwrap();
    for manifest in fs::read_dir(&manifests).unwrap() {
        let manifest = manifest.unwrap().path();
        fs::copy(&manifest, elsewhere.join(manifest.file_name().unwrap())).unwrap();
    }
    fs::remove_dir_all(&manifests).unwrap();
    symlink(&elsewhere, &manifests).unwrap();
    let before = tree(&here);
    let output = case.convert(&here).arg("--reconvert").output().unwrap();
    expect_status(&output, 1);
    assert!(stderr(&output).contains("the whole dataset must lie on one filesystem"), "{}", stderr(&output));
    assert_eq!(tree(&here), before);
    // Behind a link to nothing.
    symlink(disk.path().join("nothing"), case.path("dangling")).unwrap();
    let output = case.convert(&case.path("dangling")).output().unwrap();
    expect_status(&output, 1);
    assert!(stderr(&output).starts_with("error: cannot create the folder "), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn a_file_of_entities_that_fails_ends_the_run() {
    let folder = fast_folder();
    let library = library(folder.path());
    let (input, out) = (folder.path().join("many.sf"), folder.path().join("out"));
    many_processes(60_000).write(&input);
    let command = || {
        let mut command = program(["convert", "--jobs", "1", "--memory", "256MiB", "--out"]);
        command.args([&out, &input]);
        command
    };
    let mut failed = BTreeSet::new();
    for (errno, calls) in [(ENOSPC, "w"), (EIO, "r"), (EMFILE, "c"), (EIO, "u")] {
        for at in (1..400).step_by(if calls == "c" || calls == "u" { 1 } else { 41 }) {
            let fault = Fault { library: &library, below: &out, calls, errno, lasting: false, command: None };
            let _ = fs::remove_dir_all(&out);
            let Some(output) = fault.run(command(), at) else { break };
            let message = stderr(&output);
            if message.contains("spilled") {
                fault.expect_clear_error(&output);
                assert_eq!(parts(&out, "records").len(), 0);
                failed.insert(calls);
                break;
            }
        }
    }
    assert_eq!(failed, BTreeSet::from(["c", "r", "u", "w"]), "calls that failed on the file of entities");
}
