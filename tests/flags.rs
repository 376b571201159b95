//! Every flag of every command changes something: each is named here with the test that shows it.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use clap::CommandFactory;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sf_parquet::cli::Cli;
use support::trace::{T0, Trace, simple};
use support::*;

/// Command, flag, file below `tests/`, and the test in it that runs the command with the flag.
const TESTS: [(&str, &str, &str, &str); 33] = [
    ("", "quiet", "tools/cli.rs", "quiet_verbose_and_log_format"),
    ("", "verbose", "tools/cli.rs", "quiet_verbose_and_log_format"),
    ("", "log-format", "tools/cli.rs", "quiet_verbose_and_log_format"),
    ("convert", "out", "convert.rs", "relative_names_mean_the_current_folder"),
    ("convert", "files-from", "convert.rs", "every_flag_changes_something"),
    ("convert", "tables", "convert.rs", "every_flag_changes_something"),
    ("convert", "since", "convert.rs", "every_flag_changes_something"),
    ("convert", "until", "convert.rs", "every_flag_changes_something"),
    ("convert", "jobs", "flags.rs", "jobs_is_the_number_of_threads"),
    ("convert", "memory", "flags.rs", "memory_bounds_a_block"),
    ("convert", "strict", "convert.rs", "bad_inputs_are_accounted_for_and_do_not_hide_the_good"),
    ("convert", "reconvert", "convert.rs", "reconvert_replaces_rows_and_nothing_else"),
    ("convert", "dry-run", "convert.rs", "a_dry_run_says_what_would_be_done_and_does_nothing"),
    ("convert", "wait", "crash.rs", "a_second_run_is_locked_out_or_waits"),
    ("convert", "compression", "convert.rs", "every_flag_changes_something"),
    ("convert", "encodings", "convert.rs", "every_flag_changes_something"),
    ("convert", "experiment-log", "flags.rs", "an_experiment_log_becomes_a_table"),
    ("convert", "summary-json", "convert.rs", "every_flag_changes_something"),
    ("concat", "out", "tools/cli.rs", "pipes_and_devices_are_written_to_and_links_followed"),
    ("concat", "codec", "tools/concat.rs", "every_codec_is_written_and_read_back"),
    ("concat", "allow-loss", "tools/concat.rs", "losses_are_an_error_unless_allowed"),
    ("concat", "json", "golden.rs", "concat"),
    ("inspect", "records", "tools/inspect.rs", "records_shows_so_many_events_escaped"),
    ("inspect", "json", "golden.rs", "inspect"),
    ("repair", "out", "golden.rs", "repair"),
    ("repair", "report", "tools/repair.rs", "prior_after_and_report"),
    ("repair", "prior", "tools/repair.rs", "prior_after_and_report"),
    ("repair", "after", "tools/repair.rs", "prior_after_and_report"),
    ("repair", "json", "golden.rs", "repair"),
    ("verify", "json", "golden.rs", "verify"),
    ("schema", "format", "golden.rs", "schema"),
    ("schema", "location", "golden.rs", "schema"),
    ("man", "out", "tools/man.rs", "there_is_a_page_for_every_command"),
];

#[test]
fn every_flag_has_its_test() {
    let named: BTreeSet<(String, String)> = TESTS.iter().map(|(c, f, ..)| (c.to_string(), f.to_string())).collect();
    let cli = Cli::command();
    let commands = cli.get_subcommands().map(|c| (c.get_name(), c)).chain([("", &cli)]);
    let flags = commands.flat_map(|(name, command)| {
        let long = command.get_arguments().filter_map(|argument| argument.get_long());
        long.map(|flag| (name.to_owned(), flag.to_owned())).collect::<Vec<_>>()
    });
    assert_eq!(named, flags.collect());
    for (command, flag, file, test) in TESTS {
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file)).unwrap();
        let body = source.split_once(&format!("#[test]\nfn {test}() {{\n")).map(|(_, rest)| rest);
        let body = body.unwrap_or_else(|| panic!("there is no test {test} in {file}"));
        let body = &body[..body.find("\n}\n").unwrap()];
        let short = cli.find_subcommand(command).unwrap_or(&cli).get_arguments().find(|a| a.get_long() == Some(flag));
        let short = short.and_then(|argument| argument.get_short()).map(|short| format!("\"-{short}\""));
        let uses = |written: &str| body.contains(written);
        assert!(uses(&format!("\"--{flag}\"")) || short.is_some_and(|s| uses(&s)), "{test} does not use --{flag}");
    }
}

#[test]
fn memory_bounds_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // An eighth of it.
    Trace::new().header("a").process(1, None, T0, &vec![b'x'; 33 << 20]).write(&path("a"));
    expect_status(&convert(&[&path("a")], &path("default"), &[]), 0);
    let output = convert(&[&path("a")], &path("little"), &["--memory", "256MiB"]);
    expect_status(&output, 3);
    assert!(stderr(&output).contains("more than the limit of 33554432"), "{}", stderr(&output));
}

#[test]
fn jobs_is_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    simple("a", 3).write(&folder.path().join("a"));
    fs::create_dir_all(folder.path().join("out/_sf_parquet")).unwrap();
    let lock = File::create(folder.path().join("out/_sf_parquet/lock")).unwrap();
    lock.lock().unwrap();
    let threads = |jobs: &str| {
        let mut command = program(["convert", "a", "-o", "out", "--wait", "--jobs", jobs]);
        let mut child = command.current_dir(folder.path()).stdout(Stdio::null()).spawn().unwrap();
        let count = || fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count();
        // It waits for the lock with all its threads, so their number stays once it is reached.
        let mut counts = [0; 30];
        let start = std::time::Instant::now();
        while counts.iter().any(|n| *n < 3 || *n != counts[0]) {
            assert!(start.elapsed().as_secs() < 60, "the number of threads does not settle: {counts:?}");
            counts.rotate_left(1);
            counts[29] = count();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        counts[0]
    };
    assert_eq!(threads("7"), threads("2") + 5);
}

#[test]
fn a_log_without_steps_says_so_and_needs_no_traces() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (folder.path().join("log"), folder.path().join("out"));
    fs::write(&log, "2022-03-17 18:48:40,736 main INFO     done\n").unwrap();
    let output = program(["convert", "--experiment-log"]).arg(&log).arg("-o").arg(&out).output().unwrap();
    expect_status(&output, 0);
    assert!(stderr(&output).contains("no line of it is a step"), "{}", stderr(&output));
    assert_eq!(strings(&out, "rejects", "code"), [Some("no_steps".to_owned())]);
    // Logs have but a first line in common.
    let out = folder.path().join("two");
    for day in ["17", "18"] {
        fs::write(&log, format!("START\n2022-03-{day} 18:48:40,736 main INFO     ----- {day}\n")).unwrap();
        fs::rename(&log, folder.path().join(day)).unwrap();
        let log = folder.path().join(day);
        let output = program(["convert", "-o"]).arg(&out).arg("--experiment-log").arg(log).output().unwrap();
        expect_status(&output, 0);
        assert!(stderr(&output).is_empty(), "{}", stderr(&output));
    }
}

#[test]
fn a_lock_that_another_program_shares_is_taken_for_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), folder.path().join("out"));
    simple("a", 3).write(&a);
    expect_status(&convert(&[&a], &out, &[]), 0);
    let lock = fs::File::open(out.join("_sf_parquet/lock")).unwrap();
    lock.lock_shared().unwrap();
    let output = convert(&[&a], &out, &[]);
    expect_status(&output, 1);
    assert!(stderr(&output).contains("another run is writing"), "{}", stderr(&output));
    lock.unlock().unwrap();
    expect_status(&convert(&[&a], &out, &[]), 0);
}

#[test]
fn an_experiment_log_becomes_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a"), folder.path().join("out"));
    simple("a", 3).write(&a);
    let log = testdata().join("experiment.log");
    expect_status(&convert(&[&a], &out, &["--experiment-log", log.to_str().unwrap()]), 0);
    assert!(row_count(&out, "experiment_events") > 0);
}

#[test]
fn what_has_no_date_lies_under_the_earliest_of_the_run_whatever_tables_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 3).write(&path("a"));
    fs::write(path("empty"), "").unwrap();
    for (out, inputs) in [("both", &["a", "empty"][..]), ("none", &["a"])] {
        let (out, inputs) = (path(out), inputs.iter().map(|name| path(name)).collect::<Vec<_>>());
        let inputs: Vec<&Path> = inputs.iter().map(|input| input.as_path()).collect();
        expect_status(&convert(&inputs, &out, &["--tables", "rejects"]), if inputs.len() == 2 { 3 } else { 0 });
        let parts = parts(&out, "rejects");
        assert!(parts.len() == 1 && parts[0].to_string_lossy().contains("date=2022-03-17"), "{parts:?}");
    }
}

#[test]
fn steps_without_a_time_have_the_date_of_the_step_before() {
    let folder = tempfile::tempdir().unwrap();
    let (out, log) = (folder.path().join("out"), folder.path().join("experiment.log"));
    let step = |day: u32| format!("2022-03-{day} 18:48:40,736 main INFO     ----- step\n");
    let waiting = "error: timed out waiting for the condition on pods/web-1\n";
    fs::write(&log, [waiting, &step(16), waiting, &step(17), waiting].concat()).unwrap();
    let output = convert(&[folder.path()], &out, &["-v", "--experiment-log", log.to_str().unwrap()]);
    expect_status(&output, 0);
    assert!(!stderr(&output).contains("passed over"), "{}", stderr(&output));
    let rows_of = |date: &str| {
        let of_date = parts(&out, "experiment_events").into_iter().find(|path| path.to_string_lossy().contains(date));
        let file = SerializedFileReader::try_from(of_date.unwrap().as_path()).unwrap();
        file.metadata().file_metadata().num_rows()
    };
    assert_eq!((rows_of("date=2022-03-16"), rows_of("date=2022-03-17")), (3, 2));
    // Tables without rows lie under the earliest date, too.
    assert!(parts(&out, "records").iter().all(|path| path.to_string_lossy().contains("date=2022-03-16")));
}

#[test]
fn an_experiment_log_among_the_traces_is_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (out, log) = (folder.path().join("out"), folder.path().join("experiment"));
    fs::copy(testdata().join("experiment.log"), &log).unwrap();
    simple("a", 3).write(&folder.path().join("a.sf"));
    let convert_folder = |out: &Path, more: &[&str]| convert(&[folder.path()], out, more);
    expect_status(&convert_folder(&out, &["--experiment-log", log.to_str().unwrap()]), 0);
    let steps = row_count(&out, "experiment_events");
    assert!(steps > 0);
    // Named in another way than it is found.
    let link = folder.path().join(".latest");
    std::os::unix::fs::symlink("experiment", &link).unwrap();
    for name in [folder.path().join("./experiment"), link] {
        let out = tempfile::tempdir().unwrap();
        expect_status(&convert_folder(out.path(), &["--experiment-log", name.to_str().unwrap()]), 0);
        let rows = ["experiment_events", "rejects"].map(|table| row_count(out.path(), table));
        assert_eq!(rows, [steps, 0], "{name:?}");
    }
    // Taken for a trace by a run that was not told.
    let out = folder.path().join("out2");
    expect_status(&convert_folder(&out, &[]), 3);
    for _ in 0..2 {
        expect_status(&convert_folder(&out, &["--experiment-log", log.to_str().unwrap()]), 0);
        assert_eq!((row_count(&out, "experiment_events"), row_count(&out, "rejects")), (steps, 0));
        expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
    }
}

#[test]
fn names_of_a_list_are_no_patterns_and_may_be_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("traces")).unwrap();
    simple("a", 3).write(&path("traces/a[1].sf"));
    fs::write(path("list"), "traces\nmissing[1].sf\n*.sf\n").unwrap();
    for (out, arguments) in [("1", &["--files-from", "list"][..]), ("2", &["-"])] {
        let mut command = program(["convert", "-o", out]);
        let list = fs::File::open(path("list")).unwrap();
        let output = command.args(arguments).current_dir(folder.path()).stdin(list).output().unwrap();
        expect_status(&output, 3);
        assert_eq!((row_count(&path(out), "records"), row_count(&path(out), "rejects")), (3, 2));
    }
}

#[test]
fn a_summary_that_cannot_be_printed_does_not_make_a_published_run_a_failed_one() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    simple("a", 3).write(&a);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let convert = |status| {
        let mut command = program([Path::new("convert"), &a, "-o".as_ref(), &out]);
        let output = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        expect_status(&output, status);
        stderr(&output)
    };
    let said = convert(0);
    assert!(said.contains("standard output") && said.contains("the run was published"), "{said}");
    assert_eq!(row_count(&out, "records"), 3);
    // Nothing was, this time.
    convert(1);
}
