//! Runs that are killed, interrupted, locked out or denied: the dataset is always whole, and the same command goes on.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[cfg(feature = "faults")]
use support::batches::copy;
use support::batches::{Case, tables};
use support::trace::simple;
use support::*;

#[cfg(feature = "faults")]
#[test]
fn killed_at_any_point_the_same_command_gives_the_same_dataset() {
    use std::os::unix::process::ExitStatusExt;
    let case = Case::new([6, 4]);
    let first = case.path("first");
    expect_status(&case.convert(&first).output().unwrap(), 0);
    let before = tables(&first);
    case.second_batch();
    let undisturbed = case.path("undisturbed");
    copy(&first, &undisturbed);
    expect_status(&case.convert(&undisturbed).output().unwrap(), 3);
    let expected = tree(&undisturbed);

    let mut kills = 0;
    for point in 1.. {
        let out = case.path(&format!("out{point}"));
        copy(&first, &out);
        let killed = case.convert(&out).env("SF_PARQUET_FAULT", point.to_string()).output().unwrap();
        if killed.status.signal() != Some(9) {
            expect_status(&killed, 3);
            break;
        }
        kills += 1;
        // Until the journal is there, nothing of the run is seen.
        let journal = fs::read_dir(out.join("_sf_parquet/journal"))
            .is_ok_and(|mut d| d.any(|e| e.unwrap().path().extension().is_some_and(|e| e == "json")));
        let manifest = tree(&out).keys().filter(|p| p.contains("/manifest/") && p.ends_with(".json")).count();
        if !journal && manifest == 1 {
            assert_eq!(tables(&out), before, "killed at point {point}");
        }
        // What the next run would do is told as it would be. With its manifest a run is published.
        if journal && manifest == 1 {
            let summary = case.path("dry.json");
            let dry = case.convert(&out).arg("--dry-run").arg("--summary-json").arg(&summary).output().unwrap();
            let said: serde_json::Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
            assert_eq!(said["inputs"]["converted"], 0, "{point}: {said}");
            assert!(said["notes"][0].as_str().unwrap().contains("would be completed"), "{point}: {said}");
            expect_status(&dry, 0);
        }
        // Killed again while it recovers, too.
        for again in [1, 2] {
            case.convert(&out).env("SF_PARQUET_FAULT", again.to_string()).output().unwrap();
        }
        let status = case.convert(&out).output().unwrap().status.code();
        assert!(matches!(status, Some(0 | 3)), "{status:?} after point {point}");
        assert_eq!(tree(&out), expected, "killed at point {point}");
        fs::remove_dir_all(&out).unwrap();
    }
    assert!(kills >= 200, "only {kills} points were passed");
}

#[test]
fn killed_at_random_times_the_same_command_gives_the_same_dataset() {
    let case = Case::new([6, 4]);
    case.second_batch();
    let undisturbed = case.path("undisturbed");
    expect_status(&case.convert(&undisturbed).output().unwrap(), 3);
    let expected = tree(&undisturbed);
    let took = {
        let start = Instant::now();
        case.convert(&case.path("timed")).output().unwrap();
        start.elapsed()
    };
    let kills = 40;
    for i in 0..kills {
        let out = case.path(&format!("out{i}"));
        let mut child = case.convert(&out).spawn().unwrap();
        std::thread::sleep(took * i / kills);
        child.kill().unwrap();
        child.wait().unwrap();
        let status = case.convert(&out).output().unwrap().status.code();
        assert!(matches!(status, Some(0 | 3)), "{status:?}");
        assert_eq!(tree(&out), expected, "killed after {:?}", took * i / kills);
    }
}

/// A run that waits for its input, so that it can be interrupted at leisure.
fn slow_run(case: &Case, out: &Path) -> Child {
    // Many traces take a while to read.
    for i in 0..300 {
        fs::write(case.path(&format!("in/slow-{i}.sf")), simple(&format!("slow-{i}"), 3_000).bytes().0).unwrap();
    }
    let mut command = case.convert(out);
    let child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It has the lock when its process id is there, however busy the machine is.
    let start = Instant::now();
    while fs::read_to_string(out.join("_sf_parquet/lock")).unwrap_or_default() != child.id().to_string() {
        assert!(start.elapsed() < Duration::from_secs(60), "the run takes no lock");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(name).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

#[test]
fn signals_stop_a_run_and_leave_no_litter() {
    for (name, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let case = Case::new([6, 4]);
        let out = case.path("out");
        let child = slow_run(&case, &out);
        std::thread::sleep(Duration::from_millis(100));
        signal(&child, name);
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        expect_status(&output, status);
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), ["_sf_parquet/lock"]);
    }
}

#[test]
fn signals_that_are_ignored_stop_nothing() {
    let case = Case::new([1, 1]);
    let out = case.path("out");
    fs::create_dir_all(out.join("_sf_parquet")).unwrap();
    let lock = fs::File::create(out.join("_sf_parquet/lock")).unwrap();
    lock.lock().unwrap();
    let inner = case.convert(&out);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT HUP; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    let mut child = command.arg("--wait").stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    for name in ["-INT", "-HUP"] {
        signal(&child, name);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    drop(lock);
    expect_status(&child.wait_with_output().unwrap(), 0);
}

#[test]
fn a_killed_run_on_a_full_disk_is_cleaned_up_after() {
    let case = Case::new([1, 1]);
    let out = case.path("out");
    expect_status(&case.convert(&out).output().unwrap(), 0);
    // What network filesystems leave, and what is no folder.
    fs::create_dir_all(out.join("_sf_parquet/staging/dead")).unwrap();
    fs::write(out.join("_sf_parquet/staging/dead/x"), "x").unwrap();
    fs::write(out.join("_sf_parquet/staging/.nfs0001"), "").unwrap();
    fs::create_dir(out.join("_sf_parquet/journal/x")).unwrap();
    fs::write(out.join("_sf_parquet/manifest/._x.json"), "no manifest").unwrap();
    expect_status(&case.convert(&out).output().unwrap(), 0);
    let left = tree(&out).into_keys().filter(|path| path.contains("staging") || path.contains("journal"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

#[test]
fn a_second_run_is_locked_out_or_waits() {
    let case = Case::new([6, 4]);
    let out = case.path("out");
    let child = slow_run(&case, &out);
    let pid = child.id();
    let refused = case.convert(&out).output().unwrap();
    expect_status(&refused, 1);
    let message = stderr(&refused);
    assert!(message.contains(&format!("process {pid}")) && message.contains("--wait"), "{message}");
    let waited = case.convert(&out).arg("--wait").output().unwrap();
    expect_status(&waited, 0);
    expect_status(&child.wait_with_output().unwrap(), 0);
    assert_eq!(row_count(&out, "traces"), 307);
    // The lock of a dead process is none.
    fs::write(out.join("_sf_parquet/lock"), "999999").unwrap();
    expect_status(&case.convert(&out).output().unwrap(), 0);
}

#[test]
fn signals_also_stop_a_run_that_waits() {
    for (name, status) in [("-INT", 130), ("-TERM", 143)] {
        let case = Case::new([6, 4]);
        let out = case.path("out");
        fs::create_dir_all(out.join("_sf_parquet")).unwrap();
        let lock = fs::File::create(out.join("_sf_parquet/lock")).unwrap();
        lock.lock().unwrap();
        let mut child = case.convert(&out).arg("--wait").stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        signal(&child, name);
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        expect_status(&output, status);
        assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), ["_sf_parquet/lock"]);
    }
}

#[test]
fn what_cannot_be_written_is_said_and_nothing_is_published() {
    let case = Case::new([6, 4]);
    // A file is where the dataset should be.
    fs::write(case.path("file"), "").unwrap();
    let output = case.convert(&case.path("file")).output().unwrap();
    expect_status(&output, 1);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    // The disk is full, whatever is written when it is.
    for kib in 1..=4 {
        let full = case.path(&format!("full-{kib}"));
        let output = Command::new("bash")
            .args(["-c", &format!("ulimit -f {kib}; exec \"$@\""), "bash"])
            .arg(env!("CARGO_BIN_EXE_sf-parquet"))
            .args(["convert", "-q"])
            .arg(case.path("in"))
            .arg("--out")
            .arg(&full)
            .output()
            .unwrap();
        expect_status(&output, 1);
        let message = stderr(&output);
        assert!(
            message.starts_with("error: cannot write ")
                && message
                    .ends_with(": File too large (os error 27); raise the limit to the size of files (ulimit -f)\n"),
            "{message}"
        );
        assert_eq!(tables(&full), BTreeMap::new());
        assert!(tree(&full).keys().all(|p| !p.contains("staging")));
        expect_status(&case.convert(&full).output().unwrap(), 0);
    }
    // The folder is read-only: not even root may write below a file's mode on all systems, so only where it holds.
    let denied = case.path("denied");
    fs::create_dir(&denied).unwrap();
    fs::set_permissions(&denied, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(denied.join("probe"), "").is_err() {
        let output = case.convert(&denied.join("out")).output().unwrap();
        expect_status(&output, 1);
        assert!(stderr(&output).contains("check who may"), "{}", stderr(&output));
    }
}
