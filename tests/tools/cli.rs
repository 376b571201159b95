//! What all commands have in common: signals, closed pipes, how much is said, and what reaches a terminal.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::trace::{T0, Trace, simple};
use crate::support::*;

/// A trace of so many blocks, each of 1000 records.
fn long(path: &Path, blocks: usize) {
    let mut trace = Trace::new().header("n").process(1, None, T0, b"/bin/init").block();
    for i in 0..1000 {
        trace = trace.exec(1, T0 + i);
    }
    let (bytes, offsets) = trace.bytes();
    let (head, block) = bytes.split_at(offsets[1]);
    let mut file = File::create(path).unwrap();
    file.write_all(head).unwrap();
    file.write_all(&block.repeat(blocks)).unwrap();
}

/// Sends SIGINT as soon as a command watches for it, and waits for its end.
fn interrupted(command: Command) -> std::process::Output {
    interrupt(command).wait_with_output().unwrap()
}

fn interrupt(mut command: Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let catches = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 2 != 0
    };
    while !catches() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    child
}

#[test]
fn sigint_ends_a_command_whose_reader_lets_it_wait() {
    let folder = tempfile::tempdir().unwrap();
    long(&folder.path().join("long"), 500);
    let commands: [&[&str]; 3] =
        [&["repair", "long", "-o", "-"], &["concat", "long", "-o", "-"], &["inspect", "--records", "500000", "long"]];
    for arguments in commands {
        let mut command = program(arguments);
        command.current_dir(folder.path());
        assert_eq!(interrupt(command).wait().unwrap().code(), Some(130), "{arguments:?}");
    }
}

#[test]
fn sigint_ends_every_command_that_takes_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    long(&path("long"), 5000);
    simple("a", 9).write(&path("a"));
    expect_status(&convert(&[&path("a")], &path("dataset"), &[]), 0);
    // A part file that takes a minute to read, as its manifest wants it.
    let part = parts(&path("dataset"), "records").remove(0);
    let size = part.metadata().unwrap().len();
    File::options().write(true).open(&part).unwrap().set_len(60 << 30).unwrap();
    let manifest = fs::read_dir(path("dataset/_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&manifest).unwrap();
    let long = text.replace(&format!("\"bytes\":{size}"), &format!("\"bytes\":{}", 60u64 << 30));
    assert_ne!(text, long);
    fs::write(&manifest, long).unwrap();
    let before = files(folder.path());
    let commands: [&[&str]; 5] = [
        &["inspect", "long"],
        &["concat", "long", "-o", "out", "--codec", "xz"],
        &["concat", "long", "-o", "-", "--codec", "xz"],
        &["repair", "long", "-o", "out"],
        &["verify", "dataset"],
    ];
    for arguments in commands {
        let mut command = program(arguments);
        command.current_dir(folder.path());
        let output = interrupted(command);
        expect_status(&output, 130);
        assert!(stderr(&output).starts_with("error: interrupted"), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        assert_eq!(files(folder.path()), before, "{arguments:?}");
    }
}

/// Runs a command whose standard output nobody reads to the end. Returns its status and what it said.
fn with_closed_pipe(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = program(arguments);
    let mut child = command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn a_closed_pipe_is_no_error_and_changes_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    long(&path("long"), 500);
    let (bytes, blocks) = simple("a", 30).bytes();
    fs::write(path("cut"), &bytes[..blocks[1] + 7]).unwrap();
    expect_status(&convert(&[&path("cut")], &path("dataset"), &[]), 3);
    let quiet = |status: i32| (Some(status), String::new());
    for (arguments, status) in [
        (&["inspect", "long", "--records", "20000"][..], 0),
        (&["inspect", "cut"], 3),
        (&["inspect", "cut", "--json"], 3),
        (&["schema"], 0),
        (&["man"], 0),
        (&["completions", "bash"], 0),
        (&["verify", "dataset"], 0),
        (&["verify", "dataset", "--json"], 0),
        (&["repair", "long", "--report"], 0),
        (&["concat", "long", "-o", "out"], 0),
        (&["concat", "long", "-o", "out", "--json"], 0),
        // Nobody has the whole trace.
        (&["concat", "long", "-o", "-"], 1),
    ] {
        assert_eq!(with_closed_pipe(folder.path(), arguments), quiet(status), "{arguments:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = program(["schema"]).stdout(full).output().unwrap();
    expect_status(&output, 1);
    assert!(stderr(&output).contains("standard output"), "{}", stderr(&output));
}

/// What each tool says of damage.
#[test]
fn quiet_verbose_and_log_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (mut bytes, blocks) = simple("a", 30).bytes();
    fs::create_dir(path("traces")).unwrap();
    fs::write(path("traces/whole"), &bytes).unwrap();
    fs::write(path("traces/notes.txt"), "no trace").unwrap();
    bytes[blocks[1]] = 0xff;
    fs::write(path("bad"), &bytes).unwrap();
    expect_status(&convert(&[&path("traces")], &path("dataset"), &[]), 0);
    fs::write(path("dataset/files/strange"), "").unwrap();
    // No reader takes that for rows.
    fs::write(path("dataset/beside"), "").unwrap();
    let run = |arguments: &[&str]| program(arguments).current_dir(folder.path()).output().unwrap();
    for (arguments, status, says) in [
        (&["inspect", "bad"][..], 3, "bad: at byte"),
        (&["repair", "bad", "-o", "out"], 3, "bad: at byte"),
        (&["verify", "dataset"], 3, "mend it with: mkdir -p dataset.strange/files && mv"),
        (&["concat", "bad", "-o", "out"], 1, "bad: at byte"),
    ] {
        let output = run(&[arguments, &["-q"]].concat());
        expect_status(&output, status);
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(stderr(&output).starts_with("error: ") && stderr(&output).contains(says), "{}", stderr(&output));
        let output = run(&[arguments, &["-q", "--log-format", "json"]].concat());
        let line: Value = serde_json::from_str(stderr(&output).lines().next().unwrap()).unwrap();
        assert_eq!(line["level"], "error");
        assert!(line["message"].as_str().unwrap().contains(says), "{line}");
    }
    let said = |arguments: &[&str]| stderr(&run(arguments));
    for command in [&["inspect", "traces"][..], &["concat", "traces", "-o", "out"]] {
        assert_eq!(said(command), "");
        assert!(said(&[command, &["-v"]].concat()).contains("notes.txt is no trace and was passed over"));
    }
    expect_status(&run(&["inspect", "bad", "-q", "-v"]), 2);
}

/// All that could steer a terminal: ESC, CSI as one character, and what reorders text.
const HOSTILE: &str = "\x1b[31m\u{9b}2J\x7f\u{202e}\u{2066}\u{61c}\r\n\x07\u{feff}";

/// Whether nothing but lines of plain text is there.
fn is_plain(output: &std::process::Output) -> bool {
    let text = stdout(output) + &stderr(output);
    text.chars().all(|c| c == '\n' || c.is_ascii_graphic() || !HOSTILE.contains(c))
}

#[test]
fn no_control_sequence_reaches_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let name = format!("{HOSTILE}.sf");
    let mut schema = crate::support::trace::schema();
    schema["fields"][0]["type"][0]["fields"].as_array_mut().unwrap().push(serde_json::json!(
        {"name": HOSTILE, "type": "string", "default": HOSTILE}
    ));
    schema["fields"][0]["type"][4]["name"] = HOSTILE.into();
    let trace = |schema: &Value| Trace::with_schema(schema).header(HOSTILE);
    trace(&crate::support::trace::schema())
        .process(1, None, T0, HOSTILE.as_bytes())
        .exec(1, T0)
        .k8s(T0, HOSTILE, HOSTILE)
        .novelty()
        .write(&path(&name));
    trace(&schema).write(&path("other.sf"));
    let (bytes, _) = trace(&crate::support::trace::schema()).exec(1, T0).bytes();
    fs::write(path(&format!("cut{name}")), &bytes[..bytes.len() - 3]).unwrap();
    fs::write(path(&format!("text{name}")), HOSTILE).unwrap();
    let all: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let one = path(&name);
    let out = path(&format!("out{HOSTILE}"));
    let run = |command: &str, inputs: &[&Path], more: &[&str]| {
        let output = program([command]).args(inputs).args(more).output().unwrap();
        assert!(is_plain(&output), "{command} {more:?}:\n{}{}", stdout(&output), stderr(&output));
        output
    };
    let all: Vec<&Path> = all.iter().map(|p| p.as_path()).collect();
    let (out, dataset) = (out.to_str().unwrap(), &format!("{}set", out.display()));
    for more in [&["-v"][..], &["--json", "--records", "9"], &["--records", "9"], &["-q"]] {
        run("inspect", &all, more);
    }
    // Escaped, the JSON still says what the trace does.
    let output = run("inspect", &[&one], &["--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["headers"][0]["exporter"], HOSTILE);
    for input in &all {
        run("repair", &[input], &["-o", out]);
        run("repair", &[input], &["--report", "--json"]);
        run("convert", &[input], &["-o", dataset, "-v"]);
        run("concat", &[&one, input], &["-o", &format!("{out}2")]);
        run("concat", &[&path("other.sf"), input], &["-o", &format!("{out}2"), "--allow-loss", "-v"]);
        run("concat", &[&path("other.sf"), input], &["-o", &format!("{out}2"), "--allow-loss", "--json"]);
    }
    fs::write(Path::new(dataset).join("records").join(HOSTILE), "").unwrap();
    expect_status(&run("verify", &[Path::new(dataset)], &[]), 3);
    expect_status(&run("verify", &[Path::new(dataset)], &["--json"]), 3);
    run("verify", &[&one], &[]);
    let private = Path::new(dataset).join("_sf_parquet");
    let manifest = fs::read_dir(private.join("manifest")).unwrap().next().unwrap().unwrap().path();
    let mut journal: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    journal["run"] = HOSTILE.into();
    fs::write(private.join("journal/hostile.json"), journal.to_string()).unwrap();
    let unfinished = run("convert", &[&one], &["-o", dataset, "--dry-run"]);
    assert!(stderr(&unfinished).contains("would be completed"), "{}", stderr(&unfinished));
}

#[test]
fn wrong_usage_is_json_for_machines() {
    for (arguments, says) in [
        (&["--log-format", "json", "convert", "a"][..], "--out <DIR>"),
        (&["convert", "a", "-o", "b", "--jobs", "0", "--log-format=json"], "'0'"),
        (&["schema", "--log-format", "json", "nosuch"], "nosuch"),
        (&["--log-format", "json", "nosuch"], "nosuch"),
    ] {
        let output = program(arguments).output().unwrap();
        expect_status(&output, 2);
        let said: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(said["level"], "error");
        let message = said["message"].as_str().unwrap();
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
    }
    let help = program(["convert", "--help", "--log-format", "json"]).output().unwrap();
    expect_status(&help, 0);
    assert!(stdout(&help).contains("Usage:"));
}

#[test]
fn a_file_that_standard_output_is_appended_to_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 9).write(&path("a"));
    for (arguments, starts) in [
        (&["concat", "a", "-o", "/dev/stdout"][..], "Obj\u{1}"),
        (&["repair", "a", "-o", "/dev/stdout"], "Obj\u{1}"),
        (&["convert", "a", "-o", "one", "--summary-json", "/dev/stdout"], "{\n  \"run\""),
        (&["convert", "a", "-o", "two", "--summary-json", "-"], "{\n  \"run\""),
        (&["convert", "a", "-o", "three", "-q", "--summary-json", "/dev/stderr"], "{\n  \"run\""),
    ] {
        fs::write(path("log"), "old\n").unwrap();
        let log = File::options().append(true).open(path("log")).unwrap();
        let mut command = program(arguments);
        command.current_dir(folder.path()).stdout(log.try_clone().unwrap()).stderr(log);
        let output = command.output().unwrap();
        expect_status(&output, 0);
        let log = String::from_utf8_lossy(&fs::read(path("log")).unwrap()).into_owned();
        assert!(log.strip_prefix("old\n").is_some_and(|new| new.starts_with(starts)), "{arguments:?}: {log}");
    }
}

#[test]
fn pipes_and_devices_are_written_to_and_links_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 30).write(&path("a"));
    let run = |arguments: &[&str]| program(arguments).current_dir(folder.path()).output().unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    for (arguments, start) in [
        (&["concat", "a", "-o", "fifo"][..], &b"Obj\x01"[..]),
        (&["repair", "a", "-o", "fifo"], b"Obj\x01"),
        (&["convert", "a", "-o", "dataset", "--summary-json", "fifo"], b"{\n  \"run\""),
    ] {
        let mut command = program(arguments);
        let child = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut bytes = Vec::new();
        File::open(path("fifo")).unwrap().read_to_end(&mut bytes).unwrap();
        expect_status(&child.wait_with_output().unwrap(), 0);
        assert!(bytes.starts_with(start), "{arguments:?}: {}", String::from_utf8_lossy(&bytes));
        assert!(!path("fifo").is_file());
    }
    fs::write(path("target"), "old").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    expect_status(&run(&["repair", "a", "-o", "link"]), 0);
    assert!(path("link").is_symlink() && fs::read(path("target")).unwrap() == fs::read(path("a")).unwrap());
    // The result among the inputs would be taken in again with each run.
    for out in ["a", "./a", "link"] {
        expect_status(&run(&["concat", "a", "target", "-o", out]), 2);
    }
}
