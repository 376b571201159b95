//! Runs that are killed, interrupted, locked out or denied: the dataset is always whole, and the same command goes on.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::trace::{SECOND, T0, simple, simple_at};
use support::*;

/// A folder with some traces, one of which has grown and one that is damaged since the dataset's first run.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let case = Case { folder: fast_folder() };
        fs::create_dir(case.path("in")).unwrap();
        for i in 0..6 {
            simple(&format!("node-{i}"), 30 + i).write(&case.path(&format!("in/{i}.sf")));
        }
        let (bytes, blocks) = simple("growing", 50).bytes();
        fs::write(case.path("in/growing.sf"), &bytes[..blocks[3]]).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The second batch: more traces, a grown one, a damaged one.
    fn second_batch(&self) {
        for i in 6..10 {
            // Over several days, so that there are many partitions.
            simple_at(&format!("node-{i}"), 30 + i, T0, 12 * 3_600 * SECOND).write(&self.path(&format!("in/{i}.sf")));
        }
        fs::write(self.path("in/growing.sf"), simple("growing", 50).bytes().0).unwrap();
        let (bytes, blocks) = simple("damaged", 50).bytes();
        fs::write(self.path("in/damaged.sf"), &bytes[..blocks[2] + 20]).unwrap();
    }

    fn convert(&self, out: &Path) -> Command {
        let mut command = program(["convert", "-q", "--jobs", "2"]);
        command.arg(self.path("in")).arg("--out").arg(out);
        command
    }
}

#[cfg(feature = "faults")]
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// What a reader of the tables sees.
fn tables(out: &Path) -> BTreeMap<String, String> {
    tree(out).into_iter().filter(|(path, _)| !path.starts_with("_sf_parquet")).collect()
}

#[cfg(feature = "faults")]
#[test]
fn killed_at_any_point_the_same_command_gives_the_same_dataset() {
    use std::os::unix::process::ExitStatusExt;
    let case = Case::new();
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
    let case = Case::new();
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
    for (name, status) in [("-INT", 130), ("-TERM", 143)] {
        let case = Case::new();
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
fn a_second_run_is_locked_out_or_waits() {
    let case = Case::new();
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
fn what_cannot_be_written_is_said_and_nothing_is_published() {
    let case = Case::new();
    // A file is where the dataset should be.
    fs::write(case.path("file"), "").unwrap();
    let output = case.convert(&case.path("file")).output().unwrap();
    expect_status(&output, 1);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    // The disk is full.
    let status = Command::new("bash")
        .args(["-c", "ulimit -f 4; trap '' XFSZ; exec \"$@\"", "bash"])
        .arg(env!("CARGO_BIN_EXE_sf-parquet"))
        .args(["convert", "-q"])
        .arg(case.path("in"))
        .arg("--out")
        .arg(case.path("full"))
        .output()
        .unwrap();
    expect_status(&status, 1);
    assert!(stderr(&status).contains("cannot write"), "{}", stderr(&status));
    assert_eq!(tables(&case.path("full")), BTreeMap::new());
    assert!(tree(&case.path("full")).keys().all(|p| !p.contains("staging")));
    expect_status(&case.convert(&case.path("full")).output().unwrap(), 0);
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
