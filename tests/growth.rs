//! Traces that grow between runs, and those that are the beginning of others: each row is in the dataset once.

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sf_parquet::batch::nothing_new::nothing_new;
use sf_parquet::batch::plan;
use sf_parquet::dataset::layout::Layout;
use sf_parquet::dataset::state::State;
use sf_parquet::input::Found;
use sf_parquet::progress::Meter;
use support::trace::{SECOND, T0, Trace, simple};
use support::*;

#[test]
fn a_trace_that_has_grown_replaces_its_earlier_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (growing, other, out) = (folder.path().join("g.sf"), folder.path().join("o.sf"), folder.path().join("out"));
    let (bytes, blocks) = simple("growing", 40).bytes();
    simple("other", 7).write(&other);
    // Ends inside a block; at the end of a block; further; whole.
    for (cut, events, status) in
        [(blocks[2] + 9, 20, 3), (blocks[2], 20, 0), (blocks[3] + 5, 30, 3), (bytes.len(), 40, 0)]
    {
        fs::write(&growing, &bytes[..cut]).unwrap();
        let output = convert(&[&growing, &other], &out, &[]);
        expect_status(&output, if cut == blocks[2] { 0 } else { status });
        // The file that shrank is another one.
        if cut == blocks[2] {
            fs::remove_dir_all(&out).unwrap();
            expect_status(&convert(&[&growing, &other], &out, &[]), 0);
        }
        assert_eq!(row_count(&out, "records"), events + 7, "cut at {cut}");
        assert_eq!(row_count(&out, "processes"), 2);
        assert_eq!(row_count(&out, "traces"), 2);
    }
    assert_eq!(row_count(&out, "rejects"), 0, "the notice of the cut went with the rows");
    // Renamed while it was incomplete, it is still the same trace.
    let out = folder.path().join("out2");
    fs::write(&growing, &bytes[..blocks[2] + 9]).unwrap();
    expect_status(&convert(&[&growing], &out, &[]), 3);
    let renamed = folder.path().join("renamed.sf");
    fs::write(&renamed, &bytes).unwrap();
    expect_status(&convert(&[&renamed], &out, &[]), 0);
    assert_eq!(row_count(&out, "records"), 40);
}

#[test]
fn a_trace_may_grow_at_the_ends_of_blocks_as_often_as_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, blocks) = simple("growing", 80).bytes();
    // Runs are named by what they read, so that their names have another order each time.
    for trial in 0..6 {
        let (growing, out) = (folder.path().join(format!("{trial}.sf")), folder.path().join(format!("out{trial}")));
        for (cut, events) in [(blocks[1], 10), (blocks[2], 20), (blocks[3], 30), (blocks[5], 50), (bytes.len(), 80)] {
            fs::write(&growing, &bytes[..cut]).unwrap();
            expect_status(&convert(&[&growing], &out, &[]), 0);
            assert_eq!(row_count(&out, "records"), events, "trial {trial}");
            assert_eq!(row_count(&out, "traces"), 1);
        }
    }
}

/// A trace of 80 events in eight blocks, in a folder, and a dataset beside it.
struct Growing {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    blocks: Vec<usize>,
    out: PathBuf,
}

impl Growing {
    fn new() -> Growing {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, blocks) = simple("growing", 80).bytes();
        Growing { out: folder.path().join("out"), folder, bytes, blocks }
    }

    /// The first `blocks` blocks as a file.
    fn write(&self, name: &str, blocks: usize) -> PathBuf {
        let path = self.folder.path().join(name);
        let end = self.blocks.get(blocks).copied().unwrap_or(self.bytes.len());
        fs::write(&path, &self.bytes[..end]).unwrap();
        path
    }

    /// Converts, and expects so many events and, if any, something to be said.
    fn expect(&self, inputs: &[&Path], more: &[&str], events: usize, said: &str) {
        let output = convert(inputs, &self.out, more);
        expect_status(&output, 0);
        let notes = stderr(&output);
        assert!(notes.contains(said) && (said.is_empty() == notes.is_empty()), "{said:?}: {notes}");
        assert_eq!(row_count(&self.out, "records"), events, "{inputs:?}");
        expect_status(&run(["verify".as_ref(), self.out.as_os_str()]), 0);
    }
}

const BEGINNING: &str = "is the beginning of another input, which has its rows";

#[test]
fn what_is_behind_the_last_block_makes_no_other_trace() {
    // The rest of a block that was cut, zeros as after a crash, something that someone has appended.
    let ends: [fn(&Growing) -> Vec<u8>; 4] = [
        |growing| growing.bytes[growing.blocks[3]..growing.blocks[3] + 60].to_vec(),
        |growing| [&growing.bytes[growing.blocks[3]..growing.blocks[3] + 60], &[0; 5_000]].concat(),
        |_| vec![0; 10_000],
        |_| b"\n".to_vec(),
    ];
    for end in ends {
        let growing = Growing::new();
        let path = |name: &str| growing.folder.path().join(name);
        let (cut, whole) = (path("a.sf"), path("b.sf"));
        let write = |path: &Path, end: &[u8]| {
            fs::write(path, [&growing.bytes[..growing.blocks[3]], end].concat()).unwrap();
        };
        let expect = |inputs: &[&Path], events: usize| {
            let output = convert(inputs, &growing.out, &[]);
            assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
            assert_eq!(row_count(&growing.out, "records"), events, "{inputs:?}");
            expect_status(&run(["verify".as_ref(), growing.out.as_os_str()]), 0);
        };
        write(&cut, &end(&growing));
        expect(&[&cut], 30);
        // Of the same rows there may be many files.
        write(&whole, b"");
        expect(&[&cut, &whole], 30);
        write(&path("c.sf"), b"another end");
        expect(&[&path("c.sf")], 30);
        expect(&[&whole, &path("c.sf"), &cut], 30);
        // What is repaired or restored takes the place, whatever it is called.
        growing.write("b.sf", 4);
        expect(&[&cut, &whole], 40);
        expect(&[&cut], 40);
        growing.write("a.sf", 5);
        expect(&[&cut], 50);
        expect(&[&whole, &cut, &path("c.sf")], 50);
        // In one run, too.
        fs::remove_dir_all(&growing.out).unwrap();
        write(&cut, &end(&growing));
        expect(&[&cut, &path("c.sf"), &whole], 40);
        fs::remove_dir_all(&growing.out).unwrap();
        write(&path("c.sf"), &vec![b'x'; end(&growing).len()]);
        expect(&[&cut, &path("c.sf")], 30);
        // Repaired in its place, and what is asked for is done.
        fs::remove_dir_all(&growing.out).unwrap();
        expect(&[&cut], 30);
        write(&cut, b"");
        growing.expect(&[&cut], &[], 30, "");
        assert_eq!(row_count(&growing.out, "rejects"), 0);
        write(&whole, &[&end(&growing), &b"!"[..]].concat());
        fs::remove_file(&cut).unwrap();
        expect(&[&whole], 30);
        fs::remove_file(parts(&growing.out, "records").remove(0)).unwrap();
        assert!(matches!(convert(&[&whole], &growing.out, &["--reconvert"]).status.code(), Some(0 | 3)));
        expect(&[&whole], 30);
    }
}

#[test]
fn a_trace_that_was_damaged_and_is_restored_is_one() {
    for reconvert in [&["--reconvert"][..], &[]] {
        let growing = Growing::new();
        let trace = growing.write("a.sf", 8);
        let mut damaged = fs::read(&trace).unwrap();
        damaged[growing.blocks[2]] = 0xff;
        fs::write(&trace, damaged).unwrap();
        expect_status(&convert(&[&trace], &growing.out, &[]), 3);
        assert!(row_count(&growing.out, "records") < 80);
        growing.write("a.sf", 8);
        growing.expect(&[&trace], reconvert, 80, "");
        growing.expect(&[&trace], &[], 80, "");
    }
}

#[test]
fn a_trace_may_grow_under_another_name() {
    let growing = Growing::new();
    let short = growing.write("a.sf", 2);
    growing.expect(&[&short], &[], 20, "");
    // Renamed, spelled in another way, and with a copy beside it.
    fs::remove_file(short).unwrap();
    let renamed = growing.write("b.sf", 3);
    growing.expect(&[&renamed], &[], 30, "");
    growing.write("b.sf", 4);
    let spelled = growing.folder.path().join("./b.sf");
    growing.expect(&[&spelled], &[], 40, "");
    growing.write("b.sf", 6);
    let copy = growing.write("a copy.sf", 6);
    growing.expect(&[&copy, &renamed], &[], 60, "has the content of another input");
    assert_eq!(row_count(&growing.out, "traces"), 1);
}

#[test]
fn of_a_trace_and_its_beginning_one_is_taken() {
    for order in [[0, 1], [1, 0]] {
        let growing = Growing::new();
        let (cut, whole) = (growing.write("1.sf", 3), growing.write("0.sf", 8));
        let inputs = order.map(|i| [&*cut, &*whole][i]);
        growing.expect(&inputs, &[], 80, BEGINNING);
        // And so it stays, also where the whole must be converted again.
        growing.expect(&inputs, &[], 80, BEGINNING);
        growing.expect(&inputs, &["--reconvert"], 80, BEGINNING);
        growing.expect(&[&cut], &["--reconvert"], 80, BEGINNING);
    }
}

#[test]
fn an_older_copy_is_known_by_the_file_that_was_converted() {
    let growing = Growing::new();
    let whole = growing.write("whole.sf", 8);
    growing.expect(&[&whole], &[], 80, "");
    let copy = growing.write("copy.sf", 4);
    growing.expect(&[&copy], &[], 80, BEGINNING);
    // Moved, it is found among the inputs.
    let moved = growing.folder.path().join("moved.sf");
    fs::rename(&whole, &moved).unwrap();
    growing.expect(&[&copy, &moved], &[], 80, BEGINNING);
    // Nobody can tell any more.
    fs::remove_file(&moved).unwrap();
    growing.expect(&[&copy], &[], 80 + 40, TWICE);
    growing.expect(&[&copy], &["--reconvert"], 80 + 40, TWICE);
    // A copy of the longer one is all it takes.
    fs::rename(growing.write("again.sf", 8), &whole).unwrap();
    growing.expect(&[&whole], &[], 80, "");
}

#[test]
fn what_is_known_as_a_beginning_stays_so_when_another_is_in_doubt() {
    let growing = Growing::new();
    let (whole, beginning) = (growing.write("whole.sf", 8), growing.write("beginning.sf", 5));
    growing.expect(&[&beginning, &whole], &[], 80, BEGINNING);
    // Another trace begins with the same block, and is shorter.
    let piece = growing.folder.path().join("whole.sf");
    fs::write(&piece, [&growing.bytes[..growing.blocks[3]], &[0; 9]].concat()).unwrap();
    expect_status(&convert(&[&piece], &growing.out, &[]), 3);
    growing.expect(&[&beginning, &piece], &[], 80 + 30, BEGINNING);
}

#[test]
fn what_was_in_doubt_is_so_until_the_longer_one_is_an_input() {
    let growing = Growing::new();
    let (whole, away) = (growing.write("whole.sf", 8), growing.folder.path().join("away.sf"));
    growing.expect(&[&whole], &[], 80, "");
    fs::rename(&whole, &away).unwrap();
    let copy = growing.write("copy.sf", 4);
    let twice = TWICE;
    growing.expect(&[&copy], &[], 80 + 40, twice);
    growing.expect(&[&copy], &["--reconvert"], 80 + 40, twice);
    fs::rename(&away, &whole).unwrap();
    growing.expect(&[&copy], &["--reconvert"], 80 + 40, twice);
    growing.expect(&[&whole], &[], 80, "");
    growing.expect(&[&copy], &["--reconvert"], 80, BEGINNING);
}

#[test]
fn copies_and_beginnings_are_not_read_again() {
    let growing = Growing::new();
    let [whole, copy, beginning, middle] =
        [("a.sf", 8), ("b.sf", 8), ("c.sf", 3), ("d.sf", 5)].map(|(name, blocks)| growing.write(name, blocks));
    let again = growing.write("e.sf", 3);
    growing.expect(&[&beginning, &again, &whole, &middle, &copy], &[], 80, BEGINNING);
    // Only a run that has something to write takes note of what is found elsewhere.
    let moved = growing.folder.path().join("moved.sf");
    fs::rename(&whole, &moved).unwrap();
    let other = growing.folder.path().join("other.sf");
    simple("other", 10).write(&other);
    growing.expect(&[&moved, &other], &[], 90, "");

    let files = [&*moved, &*copy, &*beginning, &*middle, &*again];
    let is_as_it_was = |path: &Path| {
        let (content, time) = (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap());
        fs::write(path, vec![b'-'; content.len()]).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
        (file, time)
    };
    let files_before = files.map(is_as_it_was);
    for path in files {
        let is_beginning = ![&moved, &copy].contains(&&path.to_owned());
        growing.expect(&[path], &[], 90, if is_beginning { BEGINNING } else { "" });
    }
    growing.expect(&files, &[], 90, BEGINNING);
    // The short look does not tell what a new input needs, the long one does.
    let new = growing.folder.path().join("new.sf");
    simple("new", 10).write(&new);
    growing.expect(&[&files[..], &[&*new]].concat(), &[], 100, BEGINNING);
    // One that changed is read.
    for (path, (file, time)) in files.into_iter().zip(files_before) {
        file.set_modified(time + std::time::Duration::from_nanos(1)).unwrap();
        expect_status(&convert(&[path], &growing.out, &[]), 3);
    }
}

#[test]
fn a_log_is_not_taken_for_the_trace_that_it_was_rejected_as() {
    let growing = Growing::new();
    let (whole, part) = (growing.folder.path().join("whole"), growing.folder.path().join("part"));
    let steps: Vec<String> = (1..6).map(|n| format!("2022-03-17 18:48:0{n},736 main INFO     ----- step\n")).collect();
    fs::write(&whole, steps.concat()).unwrap();
    fs::write(&part, steps[..3].concat()).unwrap();
    let log = |log: &Path, inputs: &[&Path], status: i32| {
        let log = ["--files-from", "/dev/null", "--experiment-log", log.to_str().unwrap()];
        expect_status(&convert(inputs, &growing.out, &log), status);
    };
    log(&whole, &[], 0);
    expect_status(&convert(&[&whole], &growing.out, &[]), 3);
    log(&part, &[&whole], 0);
    assert_eq!(row_count(&growing.out, "experiment_events"), 5);
}

#[test]
fn a_piece_of_the_first_block_beside_a_known_trace_changes_nothing() {
    let growing = Growing::new();
    growing.expect(&[&growing.write("a.sf", 8)], &[], 80, "");
    let (renamed, piece) = (growing.folder.path().join("b.sf"), growing.folder.path().join("piece.sf"));
    fs::rename(growing.folder.path().join("a.sf"), &renamed).unwrap();
    fs::write(&piece, &growing.bytes[..growing.blocks[0] + 9]).unwrap();
    for status in [3, 0, 0] {
        expect_status(&convert(&[&renamed, &piece], &growing.out, &[]), status);
        assert_eq!(row_count(&growing.out, "records"), 80);
    }
}

#[test]
fn what_a_trace_grew_from_is_known_without_any_file() {
    let growing = Growing::new();
    let path = growing.write("a.sf", 4);
    growing.expect(&[&path], &[], 40, "");
    growing.write("a.sf", 8);
    growing.expect(&[&path], &[], 80, "");
    growing.write("a.sf", 4);
    growing.expect(&[&path], &["--reconvert"], 80, BEGINNING);
}

#[test]
fn traces_that_only_start_alike_are_two_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (short, long, out) = (folder.path().join("1.sf"), folder.path().join("2.sf"), folder.path().join("out"));
    // The first block is the same.
    simple("node", 20).write(&short);
    let (bytes, blocks) = simple("node", 40).bytes();
    let mut other = bytes[..blocks[1]].to_vec();
    other.extend_from_slice(&bytes[blocks[2]..]);
    fs::write(&long, other).unwrap();
    for (inputs, events) in [(&[&*short, &long][..], 50), (&[&*short], 20), (&[&*long], 50), (&[&*short, &long], 50)] {
        if inputs.len() == 2 && out.exists() {
            fs::remove_dir_all(&out).unwrap();
        }
        if inputs == [&*short] {
            fs::remove_dir_all(&out).unwrap();
        }
        let output = convert(inputs, &out, &[]);
        expect_status(&output, 0);
        assert_eq!(stderr(&output).matches(TWICE).count(), usize::from(events == 50), "{}", stderr(&output));
        assert_eq!(row_count(&out, "records"), events);
    }
    // Nor if the one that was doubted is the shorter.
    fs::remove_dir_all(&out).unwrap();
    expect_status(&convert(&[&long], &out, &[]), 0);
    assert!(stderr(&convert(&[&short], &out, &[])).contains(TWICE));
    // They are not read again for that, also where something else is new.
    let time = fs::metadata(&long).unwrap().modified().unwrap();
    let size = fs::metadata(&long).unwrap().len() as usize;
    fs::write(&long, vec![b'-'; size]).unwrap();
    fs::File::options().write(true).open(&long).unwrap().set_modified(time).unwrap();
    let new = folder.path().join("3.sf");
    simple("new", 10).write(&new);
    expect_status(&convert(&[&short, &long, &new], &out, &[]), 0);
    assert_eq!(row_count(&out, "records"), 60);
}

#[test]
fn the_log_of_an_experiment_may_grow_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    simple("node", 20).write(&trace);
    let step = |second| format!("2022-03-17 18:48:4{second},736 main INFO     ----- step\n");
    let lines = [0, 1, 2].map(step).concat();
    let mut counts = Vec::new();
    for (name, end) in [("a.log", 1), ("b.log", 2), ("b.log", 3)] {
        let log = folder.path().join(name);
        fs::write(&log, &lines[..end * lines.len() / 3]).unwrap();
        expect_status(&convert(&[&trace], &out, &["--experiment-log", log.to_str().unwrap()]), 0);
        counts.push(row_count(&out, "experiment_events"));
    }
    assert_eq!(counts, [1, 2, 3]);
}

#[test]
fn rows_of_tables_that_are_not_wanted_do_not_go_when_a_trace_has_grown() {
    let less = ["--tables", "records,pods"];
    let growing = Growing::new();
    let path = growing.write("a.sf", 4);
    growing.expect(&[&path], &[], 40, "");
    growing.write("a.sf", 8);
    growing.expect(&[&path], &less, 40, "rows would be lost; --reconvert converts it as asked for now");
    assert_eq!(row_count(&growing.out, "processes"), 1);
    growing.expect(&[&path], &[], 80, "");
    growing.expect(&[&path], &[&less[..], &["--reconvert"]].concat(), 80, "");
    // More than before is no loss.
    growing.expect(&[&path], &[], 80, "--reconvert converts it with these, and no others");
    assert_eq!(row_count(&growing.out, "processes"), 0);
}

#[test]
fn times_that_move_from_run_to_run_take_what_a_trace_has_grown_by_and_keep_what_was_there() {
    let growing = Growing::new();
    let since = |second| ["--since", ["2022-03-17T18:00:10Z", "2022-03-17T18:00:30Z", "2022-03-17T18:00:50Z"][second]];
    let path = growing.write("a.sf", 4);
    growing.expect(&[&path], &since(0), 30, "");
    growing.write("a.sf", 6);
    for _ in 0..2 {
        growing.expect(&[&path], &since(1), 50, "");
    }
    // A copy of what it was then, and other times that the dataset has.
    let copy = growing.write("copy.sf", 6);
    growing.expect(&[&path], &since(0), 50, "");
    growing.expect(&[&copy], &since(2), 50, "");
    growing.write("a.sf", 8);
    growing.expect(&[&path], &[&since(2)[..], &["--until", "2022-03-17T18:01:10Z"]].concat(), 70, "");
    growing.expect(&[&path], &since(2), 70, "");
    // What is asked for and was not before is read, too, unless rows of other tables would go.
    growing.expect(&[&path], &["--tables", "records"], 70, "--reconvert converts it with these, and no others");
    growing.expect(&[&path], &[], 80, "");
    growing.expect(&[&path], &[&since(1)[..], &["--reconvert"]].concat(), 50, "");
    growing.expect(&[&path], &[&since(0)[..], &["--reconvert"]].concat(), 70, "");
}

#[test]
fn a_job_that_asks_for_each_day_has_all_days_of_a_trace_and_reads_it_no_more_than_needed() {
    let growing = Growing::new();
    let path = growing.write("a.sf", 8);
    // Seconds 5 to 85, of which events start in the first 80.
    let day = |number: u32| {
        let at = |second: u32| format!("2022-03-17T18:{:02}:{:02}Z", second / 60, second % 60);
        [at(5 + 40 * number), at(45 + 40 * number)]
    };
    for (number, events) in [(0, 40), (1, 75), (2, 75)] {
        let [since, until] = day(number);
        let more = ["--since", &since, "--until", &until];
        growing.expect(&[&path], &more, events, "");
        // Known by its size and time, then: with other content it would be damaged.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, vec![b'-'; growing.bytes.len()]).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        growing.expect(&[&path], &more, events, "");
        let [since, until] = day(7);
        growing.expect(&[&path], &["--since", &since, "--until", &until], events, "");
        growing.write("a.sf", 8);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn the_beginning_of_what_was_converted_otherwise_says_so() {
    let growing = Growing::new();
    let (short, long) = (growing.write("a.sf", 4), growing.write("b.sf", 8));
    let since = ["--since", "2022-03-17T18:00:30Z"];
    growing.expect(&[&long], &since, 50, "");
    let new = growing.folder.path().join("new.sf");
    simple("new", 10).write(&new);
    // The second time it is known by its size and time.
    for inputs in [&[&*short, &new][..], &[&*short]] {
        growing.expect(inputs, &[], 60, "which was converted with other --tables, --since or --until");
    }
    growing.expect(&[&short], &since, 60, BEGINNING);
    growing.expect(&[&long], &[], 90, "");
    growing.expect(&[&short], &[], 90, BEGINNING);
}

#[test]
fn what_a_short_look_finds_is_what_a_long_one_would() {
    let growing = Growing::new();
    let (path, away) = (growing.write("a.sf", 6), growing.folder.path().join("away"));
    growing.expect(&[&path], &[], 60, "");
    // Nobody can tell that its beginning is one, until it comes back, as old as it was.
    fs::rename(&path, &away).unwrap();
    let beginning = growing.write("b.sf", 3);
    expect_status(&convert(&[&beginning], &growing.out, &[]), 0);
    assert_eq!(row_count(&growing.out, "records"), 90);
    fs::rename(&away, &path).unwrap();
    growing.expect(&[&path], &[], 60, "");

    // A copy was converted otherwise since: what counts is what the dataset has.
    let since = ["--since", "2022-03-17T18:00:10Z"];
    let copy = growing.write("c.sf", 6);
    growing.expect(&[&copy], &[&since[..], &["--reconvert"]].concat(), 50, "");
    growing.expect(&[&path], &since, 50, "");
    growing.expect(&[&path], &[], 60, "");
    growing.expect(&[&path], &since, 60, "");
    growing.expect(&[&copy], &[], 60, "");
    growing.expect(&[&path, &copy], &since, 60, "");
    growing.expect(&[&beginning], &[], 60, BEGINNING);
}

#[test]
fn what_was_converted_again_to_nothing_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (a, other, out) = (folder.path().join("a.sf"), folder.path().join("o.sf"), folder.path().join("out"));
    simple("a", 20).write(&a);
    simple("other", 10).write(&other);
    let records = |input: &Path, more: &[&str]| {
        let output = convert(&[input], &out, &[&["--tables", "records"], more].concat());
        expect_status(&output, 0);
        row_count(&out, "records")
    };
    assert_eq!((records(&other, &[]), records(&a, &[])), (10, 30));
    for _ in 0..2 {
        assert_eq!(records(&a, &["--reconvert", "--since", "2030-01-01"]), 10);
        assert_eq!(records(&a, &["--reconvert"]), 30);
    }
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

#[test]
fn a_file_is_a_trace_or_a_log_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, log, out) = (folder.path().join("a.sf"), folder.path().join("experiment"), folder.path().join("out"));
    simple("a", 20).write(&trace);
    fs::write(&log, "2022-03-17 18:48:40,736 main INFO     ----- step\n").unwrap();
    let of_log = |path: &Path, more: &[&str], status| {
        let flag = ["--experiment-log", path.to_str().unwrap(), "--files-from", "/dev/null"];
        expect_status(&convert(&[], &out, &[&flag, more].concat()), status);
        (row_count(&out, "experiment_events"), row_count(&out, "records"), row_count(&out, "rejects"))
    };
    assert_eq!(of_log(&log, &[], 0), (1, 0, 0));
    // Taken for a trace, it is rejected, but stays a log.
    expect_status(&convert(&[&log], &out, &["--reconvert"]), 3);
    for more in [&[][..], &["--reconvert"]] {
        assert_eq!(of_log(&log, more, 0).0, 1);
    }
    // And a trace taken for a log is still to be converted.
    assert_eq!(of_log(&trace, &[], 0).1, 0);
    expect_status(&convert(&[&trace], &out, &[]), 0);
    assert_eq!(row_count(&out, "records"), 20);
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

#[test]
fn the_reject_of_a_file_stays_when_what_it_was_before_has_grown_elsewhere() {
    let growing = Growing::new();
    let (a, moved) = (growing.write("a.sf", 3), growing.folder.path().join("moved.sf"));
    let other = growing.folder.path().join("other.sf");
    growing.expect(&[&a], &[], 30, "");
    fs::rename(&a, &moved).unwrap();
    fs::write(&a, "no trace").unwrap();
    simple("other", 20).write(&other);
    expect_status(&convert(&[&a, &other], &growing.out, &[]), 3);
    growing.write("moved.sf", 8);
    // Its part file is rewritten, too.
    let (bytes, _) = simple("other", 30).bytes();
    fs::write(&other, bytes).unwrap();
    growing.expect(&[&moved, &other], &["--reconvert"], 80 + 30, "");
    assert_eq!(row_count(&growing.out, "rejects"), 1);
}

#[test]
fn what_can_be_read_again_is_no_reject_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    fs::write(&b, "no trace").unwrap();
    let counts = |inputs: &[&Path], status| {
        expect_status(&convert(inputs, &out, &[]), status);
        (row_count(&out, "records"), row_count(&out, "rejects"))
    };
    for (inputs, rejects) in [(&[&*a][..], 1), (&[&a, &b], 2), (&[&a, &b], 2), (&[&a], 2)] {
        assert_eq!(counts(inputs, 3), (0, rejects), "a file that is not there is reported each time");
    }
    simple("a", 20).write(&a);
    assert_eq!(counts(&[&a, &b], 0), (20, 1));
    // The same content twice is twice something to report, if it is broken.
    fs::copy(&b, folder.path().join("c.sf")).unwrap();
    fs::copy(&b, folder.path().join("d.sf")).unwrap();
    let [c, d] = ["c.sf", "d.sf"].map(|name| folder.path().join(name));
    assert_eq!(counts(&[&a, &b, &c, &d], 3), (20, 3));
    assert_eq!(counts(&[&a, &b, &c, &d], 0), (20, 3));
    // What was no trace is one.
    simple("b", 5).write(&b);
    assert_eq!(counts(&[&a, &b, &c, &d], 0), (25, 2));
    expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
}

#[test]
fn a_file_that_was_empty_has_no_reject_any_more_once_it_has_content() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    fs::write(&b, "").unwrap();
    expect_status(&convert(&[&b], &out, &[]), 3);
    assert_eq!(row_count(&out, "rejects"), 1);
    // A copy of another new one.
    for path in [&a, &b] {
        Trace::new().header("node").exec(1, support::trace::T0).write(path);
    }
    expect_status(&convert(&[&a, &b], &out, &[]), 0);
    assert_eq!((row_count(&out, "rejects"), row_count(&out, "records")), (0, 1));
}

/// What is said where the dataset may have rows twice.
const TWICE: &str = "the dataset has its rows twice";

/// Destroys the header of a block.
fn damage(growing: &Growing, path: &Path, block: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[growing.blocks[block]] = 0xff;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_trace_that_may_be_one_that_is_there_says_so() {
    for together in [false, true] {
        let growing = Growing::new();
        let (whole, copy) = (growing.write("a.sf", 8), growing.write("b.sf", 8));
        damage(&growing, &copy, 3);
        let inputs: &[&Path] = if together { &[&whole, &copy] } else { &[&whole] };
        let first = convert(inputs, &growing.out, &[]);
        let said = if together { first } else { convert(&[&copy], &growing.out, &[]) };
        expect_status(&said, 3);
        assert!(stderr(&said).contains(TWICE), "{}", stderr(&said));
    }
    // Of one that is damaged in its first block, only the name is left.
    let growing = Growing::new();
    let path = growing.write("a.sf", 8);
    growing.expect(&[&path], &[], 80, "");
    damage(&growing, &path, 0);
    let damaged = convert(&[&path], &growing.out, &[]);
    expect_status(&damaged, 3);
    assert!(stderr(&damaged).contains(TWICE), "{}", stderr(&damaged));
    // Another trace that starts alike is not what was damaged under its name.
    let growing = Growing::new();
    let path = growing.write("a.sf", 8);
    damage(&growing, &path, 4);
    expect_status(&convert(&[&path], &growing.out, &[]), 3);
    let had = row_count(&growing.out, "records");
    let (end, bytes) = (growing.blocks[1], fs::read(growing.write("a.sf", 8)).unwrap());
    let second = &bytes[end..growing.blocks[2]];
    fs::write(&path, [&bytes[..end], &second.repeat(8)].concat()).unwrap();
    growing.expect(&[&path], &[], had + 10 + 80, TWICE);
}

#[test]
fn a_trace_beside_what_was_repaired_of_its_beginning_says_so() {
    for together in [false, true] {
        let growing = Growing::new();
        let whole = growing.write("whole.sf", 8);
        let bytes = fs::read(&whole).unwrap();
        let (cut, repaired) = (growing.folder.path().join("a.sf"), growing.folder.path().join("repaired.sf"));
        // Some records of the fifth block.
        fs::write(&cut, &bytes[..growing.blocks[4] + 60]).unwrap();
        if !together {
            expect_status(&convert(&[&cut], &growing.out, &[]), 3);
        }
        expect_status(&run(["repair".as_ref(), cut.as_os_str(), "-o".as_ref(), repaired.as_os_str()]), 3);
        fs::remove_file(&cut).unwrap();
        if together {
            growing.expect(&[&repaired, &whole], &[], row_count_of(&growing, &repaired) + 80, TWICE);
        } else {
            growing.expect(&[&repaired], &[], row_count_of(&growing, &repaired), "");
            growing.expect(&[&whole], &[], row_count_of(&growing, &repaired) + 80, TWICE);
        }
    }
}

fn row_count_of(growing: &Growing, path: &Path) -> usize {
    let out = growing.folder.path().join("alone");
    let _ = fs::remove_dir_all(&out);
    convert(&[path], &out, &[]);
    row_count(&out, "records")
}

#[test]
fn the_reject_of_what_is_now_a_folder_goes() {
    let growing = Growing::new();
    let folder = growing.folder.path().join("in");
    expect_status(&convert(&[&folder], &growing.out, &[]), 3);
    assert_eq!(row_count(&growing.out, "rejects"), 1);
    fs::create_dir(&folder).unwrap();
    growing.write("in/a.sf", 8);
    growing.expect(&[&folder], &[], 80, "");
    assert_eq!(row_count(&growing.out, "rejects"), 0);
}

#[test]
fn runs_that_only_take_rejects_out_have_names_of_their_own() {
    let growing = Growing::new();
    let path = |name: &str| growing.folder.path().join(name);
    let (whole, folders) = (growing.write("a.sf", 8), [path("missing1"), path("missing2")]);
    let only = ["--tables", "records"];
    expect_status(&convert(&[&whole, &folders[0], &folders[1]], &growing.out, &only), 3);
    for folder in &folders {
        fs::create_dir(folder).unwrap();
        fs::copy(&whole, folder.join("a.sf")).unwrap();
        expect_status(&convert(&[folder], &growing.out, &only), 0);
    }
    assert_eq!(fs::read_dir(growing.out.join("_sf_parquet/manifest")).unwrap().count(), 3);
    let verified = run(["verify".as_ref(), growing.out.as_os_str()]);
    expect_status(&verified, 0);
    assert!(stdout(&verified).contains("inputs"), "{}", stdout(&verified));
}

#[test]
fn the_reject_of_what_is_now_a_beginning_goes() {
    for early in ["", "no trace"] {
        let growing = Growing::new();
        let (long, short) = (growing.write("a.sf", 8), growing.folder.path().join("b.sf"));
        fs::write(&short, early).unwrap();
        expect_status(&convert(&[&long, &short], &growing.out, &[]), 3);
        assert_eq!(row_count(&growing.out, "rejects"), 1);
        growing.write("b.sf", 5);
        for _ in 0..2 {
            growing.expect(&[&long, &short], &[], 80, "beginning of another input");
            assert_eq!(row_count(&growing.out, "rejects"), 0);
        }
        let dry = convert(&[&long, &short], &growing.out, &["--dry-run", "--summary-json", "-"]);
        assert!(stdout(&dry).contains("\"run\": null"), "{}", stdout(&dry));
    }
}

#[test]
fn a_trace_whose_first_block_was_damaged_is_known_by_its_last_one() {
    for repaired in [false, true] {
        let growing = Growing::new();
        let (path, other) = (growing.write("a.sf", 8), growing.folder.path().join("b.sf"));
        damage(&growing, &path, 0);
        expect_status(&convert(&[&path], &growing.out, &[]), 3);
        let had = row_count(&growing.out, "records");
        if repaired {
            expect_status(&program(["repair"]).arg(&path).arg("-o").arg(&other).output().unwrap(), 3);
        } else {
            growing.write("b.sf", 8);
        }
        growing.expect(&[&other], &[], had + if repaired { 70 } else { 80 }, TWICE);
        growing.expect(&[&other], &[], had + if repaired { 70 } else { 80 }, "");
    }
    // Another trace that has its marker.
    let growing = Growing::new();
    let (path, other) = (growing.write("a.sf", 8), growing.folder.path().join("b.sf"));
    damage(&growing, &path, 0);
    convert(&[&path], &growing.out, &[]);
    let had = row_count(&growing.out, "records");
    simple("another", 20).write(&other);
    growing.expect(&[&other], &[], had + 20, "");
}

#[test]
fn a_trace_whose_start_was_damaged_and_is_restored_is_one() {
    for block in 0..8 {
        let growing = Growing::new();
        let path = growing.write("a.sf", 8);
        damage(&growing, &path, block);
        // It may still be growing, too.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        expect_status(&convert(&[&path], &growing.out, &[]), 3);
        assert!(row_count(&growing.out, "records") < 80);
        growing.write("a.sf", 8);
        growing.expect(&[&path], &[], 80, "");
        assert_eq!(row_count(&growing.out, "rejects"), 0);
    }
}

#[test]
fn a_trace_takes_the_place_of_a_damaged_one_only_if_it_has_what_was_behind_the_damage() {
    // Fewer blocks, with something that makes the file as large; or an older copy, larger than what has lost its middle.
    let zeros = |growing: &Growing| [&growing.bytes[..growing.blocks[5]], &[0; 9_000]].concat();
    let older = |growing: &Growing| growing.bytes[..growing.blocks[7]].to_vec();
    for (lost, later, had, events) in
        [(1, &zeros as &dyn Fn(&Growing) -> Vec<u8>, 70, 50), (1, &older, 70, 70), (3, &older, 50, 70)]
    {
        let growing = Growing::new();
        let path = growing.folder.path().join("a.sf");
        let (start, end) = (growing.blocks[3], growing.blocks[3 + lost]);
        let bytes = [&growing.bytes[..start], &[0xff; 50], &growing.bytes[end - 16..]].concat();
        fs::write(&path, bytes).unwrap();
        expect_status(&convert(&[&path], &growing.out, &[]), 3);
        assert_eq!(row_count(&growing.out, "records"), had);
        fs::write(&path, later(&growing)).unwrap();
        let output = convert(&[&path], &growing.out, &[]);
        assert!(stderr(&output).contains(TWICE), "{}", stderr(&output));
        assert_eq!(row_count(&growing.out, "records"), had + events);
        // What has all of both takes the place of both.
        growing.write("a.sf", 8);
        growing.expect(&[&path], &[], 80, "");
    }
}

#[test]
fn rows_of_a_damaged_block_go_only_with_those_of_the_whole_one() {
    // A record of the last block is bad, or of the only one; what comes under the name has another block there, or the whole one.
    let bad = |first: bool| {
        let trace = simple("growing", 10);
        let trace = if first {
            Trace::new().header("growing").process(1, None, T0, b"/bin/a").exec(1, T0)
        } else {
            trace.exec(1, T0)
        };
        trace.raw(&[9])
    };
    for first in [false, true] {
        let growing = Growing::new();
        let path = growing.folder.path().join("a.sf");
        bad(first).write(&path);
        expect_status(&convert(&[&path], &growing.out, &[]), 3);
        let had = row_count(&growing.out, "records");
        assert!(had > 0);
        growing.write("a.sf", 8);
        growing.expect(&[&path], &[], had + 80, TWICE);
    }
}

#[test]
fn a_trace_whose_start_is_restored_takes_its_place_though_a_copy_is_there() {
    for block in [0, 3] {
        let growing = Growing::new();
        let (path, copy) = (growing.write("a.sf", 8), growing.write("b.sf", 8));
        damage(&growing, &path, block);
        for input in [&path, &copy] {
            convert(&[input], &growing.out, &[]);
        }
        growing.write("a.sf", 8);
        growing.expect(&[&path], &[], 80, "");
        growing.expect(&[&path, &copy], &[], 80, "");
    }
}

#[test]
fn a_block_whose_marker_is_damaged_has_its_rows_and_belongs_to_the_trace() {
    for zeros in [false, true] {
        let damaged = |growing: &Growing| {
            let path = growing.write("d.sf", 4);
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len();
            if zeros {
                bytes[end - 16..].fill(0)
            } else {
                bytes[end - 5] ^= 1
            }
            fs::write(&path, bytes).unwrap();
            path
        };
        let shorter = |growing: &Growing| {
            let path = growing.write("x.sf", 3);
            fs::write(&path, [&fs::read(&path).unwrap(), &[0; 5_000][..]].concat()).unwrap();
            path
        };
        for order in [[0, 1], [1, 0]] {
            for together in [false, true] {
                let growing = Growing::new();
                let files = [damaged(&growing), shorter(&growing)];
                let inputs = order.map(|i| files[i].as_path());
                if together {
                    expect_status(&convert(&inputs, &growing.out, &[]), 3);
                } else {
                    for input in inputs {
                        expect_status(
                            &convert(&[input], &growing.out, &[]),
                            if input.ends_with("d.sf") || order[0] == 1 { 3 } else { 0 },
                        );
                    }
                }
                assert_eq!(row_count(&growing.out, "records"), 40, "{order:?} {together}");
                // Written to the end, it is the same trace.
                let whole = growing.write("w.sf", 8);
                growing.expect(&[&whole], &[], 80, "");
            }
        }
    }
}

/// Gives a file content, and a time of its own to it.
fn write_at(path: &Path, content: &[u8], seconds: u64) {
    fs::write(path, content).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_that_is_again_as_it_was_takes_the_place_of_what_it_was_meanwhile() {
    // It was damaged, empty, and not there.
    let growing = Growing::new();
    let (path, copy) = (growing.folder.path().join("a.sf"), growing.folder.path().join("b.sf"));
    let mut damaged = growing.bytes.clone();
    damaged[growing.blocks[3]] = 0xff;
    for meanwhile in [Some(&*damaged), Some(&[]), None] {
        for inputs in [&[&*path][..], &[&*copy, &*path]] {
            let _ = fs::remove_dir_all(&growing.out);
            write_at(&path, &growing.bytes, 1_000_000);
            write_at(&copy, &growing.bytes, 2_000_000);
            expect_status(&convert(inputs, &growing.out, &[]), 0);
            match meanwhile {
                Some(bytes) => write_at(&path, bytes, 3_000_000),
                None => fs::remove_file(&path).unwrap(),
            }
            expect_status(&convert(inputs, &growing.out, &[]), 3);
            // As `cp -p` and `rsync -t` restore it.
            write_at(&path, &growing.bytes, 1_000_000);
            expect_status(&convert(inputs, &growing.out, &[]), 0);
            assert_eq!((row_count(&growing.out, "records"), row_count(&growing.out, "rejects")), (80, 0));
            let nothing = convert(inputs, &growing.out, &[]);
            assert!(stdout(&nothing).starts_with("Nothing to convert"), "{}", stdout(&nothing));
            expect_same_looks(inputs, &growing.out);
        }
    }
}

#[test]
fn rows_that_a_run_took_over_are_replaced_though_the_manifest_of_the_first_run_is_gone() {
    let growing = Growing::new();
    let (path, other) = (growing.write("a.sf", 4), growing.folder.path().join("b.sf"));
    simple("other", 7).write(&other);
    growing.expect(&[&path, &other], &[], 47, "");
    let first = fs::read_dir(growing.out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    growing.write("a.sf", 8);
    growing.expect(&[&path, &other], &[], 87, "");
    fs::remove_file(first).unwrap();
    let found = stdout(&run(["verify".as_ref(), "--json".as_ref(), growing.out.as_os_str()]));
    assert!(found.contains(" # and the inputs of the run whose manifest is lost"), "{found}");
    // Of fewer tables or times nobody can tell whether they are those that it had.
    for fewer in [["--tables", "records"], ["--since", "2022-03-17"]] {
        let said = stderr(&convert(&[&path, &other], &growing.out, &fewer));
        assert!(said.contains("b.sf was converted by a run whose manifest is lost"), "{said}");
        assert_eq!(row_count(&growing.out, "records"), 87);
    }
    growing.expect(&[&path, &other], &[], 87, "");
}

#[test]
fn a_run_may_be_called_as_one_was_whose_manifest_is_gone() {
    let growing = Growing::new();
    let path = growing.write("a.sf", 4);
    growing.expect(&[&path], &[], 40, "");
    let first = fs::read_dir(growing.out.join("_sf_parquet/manifest")).unwrap().next().unwrap().unwrap().path();
    growing.write("a.sf", 8);
    growing.expect(&[&path], &[], 80, "");
    fs::remove_file(&first).unwrap();
    growing.write("a.sf", 4);
    growing.expect(&[&path], &[], 120, TWICE);
    assert!(first.exists(), "the run has another name");
}

#[test]
fn zeros_up_to_the_end_of_the_last_block_make_no_other_trace() {
    let growing = Growing::new();
    let (whole, copy) = (growing.write("a.sf", 8), growing.write("b.sf", 8));
    let mut bytes = fs::read(&copy).unwrap();
    bytes[growing.blocks[7] + 4..].fill(0);
    fs::write(&copy, bytes).unwrap();
    growing.expect(&[&whole, &copy], &[], 80, BEGINNING);
    // Nor is it what others are the beginning of.
    let short = growing.write("c.sf", 6);
    growing.expect(&[&short, &copy], &[], 80, BEGINNING);
}

#[test]
fn a_doubt_stays_where_only_the_end_changes() {
    let growing = Growing::new();
    let (whole, short) = (growing.write("a.sf", 8), growing.write("b.sf", 4));
    growing.expect(&[&whole], &[], 80, "");
    fs::remove_file(&whole).unwrap();
    growing.expect(&[&short], &[], 120, TWICE);
    fs::write(&short, [&fs::read(&short).unwrap(), &b"\n"[..]].concat()).unwrap();
    let output = convert(&[&short], &growing.out, &[]);
    expect_status(&output, 3);
    assert!(stderr(&output).contains(TWICE), "{}", stderr(&output));
    assert_eq!(row_count(&growing.out, "records"), 120);
}

#[test]
fn what_a_skipped_input_replaced_is_replaced_by_the_one_that_is_read() {
    let since = ["--since", "2022-03-17T18:00:50Z"];
    for (blocks, said) in [(8, "has the content of another input"), (6, BEGINNING)] {
        let growing = Growing::new();
        let path = growing.write("b.sf", blocks);
        damage(&growing, &path, 3);
        expect_status(&convert(&[&path], &growing.out, &[]), 3);
        // Restored, with all of it elsewhere: the times that the dataset has of it stay.
        growing.write("b.sf", blocks);
        let other = growing.write("a.sf", 8);
        growing.expect(&[&other, &path], &since, 80, said);
    }
}

#[test]
fn what_was_behind_the_last_block_hides_no_rows_when_it_is_gone() {
    let since = ["--since", "2022-03-17T18:00:50Z"];
    let growing = Growing::new();
    let path = growing.write("a.sf", 8);
    growing.expect(&[&path], &since, 30, "");
    fs::write(&path, [&fs::read(&path).unwrap(), &b"\n"[..]].concat()).unwrap();
    expect_status(&convert(&[&path], &growing.out, &since), 3);
    growing.write("a.sf", 8);
    growing.expect(&[&path], &[], 80, "");

    // What it has grown to lacks times: the note says so.
    let growing = Growing::new();
    let path = growing.write("a.sf", 6);
    growing.expect(&[&path], &since, 10, "");
    growing.write("a.sf", 8);
    growing.expect(&[&path], &since, 30, "");
    growing.write("a.sf", 6);
    growing.expect(&[&path], &[], 30, "which was converted with other --tables, --since or --until");
}

#[test]
fn a_log_that_has_grown_is_no_trace_and_needs_no_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let (log, moved, out) = (folder.path().join("x.log"), folder.path().join("y.log"), folder.path().join("out"));
    let line = "2022-03-17 18:48:00,736 main INFO     ----- step\n";
    let convert_log =
        |log: &Path| convert(&[], &out, &["--files-from", "/dev/null", "--experiment-log", log.to_str().unwrap()]);
    let rows = || row_count(&out, "experiment_events");
    fs::write(&log, line.trim_end()).unwrap();
    expect_status(&convert_log(&log), 0);
    assert_eq!(rows(), 1);
    fs::remove_file(&log).unwrap();
    fs::write(&moved, line.repeat(3)).unwrap();
    expect_status(&convert_log(&moved), 0);
    assert_eq!(rows(), 3);
    fs::write(&moved, line.repeat(5)).unwrap();
    expect_status(&convert(&[&moved], &out, &[]), 3);
    assert_eq!(rows(), 3);
    expect_status(&convert_log(&moved), 0);
    assert_eq!(rows(), 5);
}

/// Where a short look finds nothing new, a long one would skip the same for the same reasons.
fn expect_same_looks(inputs: &[&Path], out: &Path) {
    let (layout, options, meter) = (Layout::new(out), reading::options(out), Meter::default());
    let files = inputs.iter().map(|path| (path.to_path_buf(), None)).collect();
    let found = Found { files, ..Found::default() };
    let Some(mut short) = nothing_new(&found, None, &layout, &options, &meter).unwrap() else { return };
    let state = State::load(&layout, Vec::new()).unwrap();
    let mut long = plan::plan(&found, &state, &options, &meter).unwrap();
    let by_name = |(a, _): &(_, _), (b, _): &(_, _)| Ord::cmp(a, b);
    short.skipped.sort_by(by_name);
    long.skipped.sort_by(by_name);
    assert!(long.is_empty() && long.copies.is_empty() && short.skipped == long.skipped, "{short:?} {long:?}");
}

/// Something that happens to files between and in runs. Files are named by numbers below [`FILES`].
#[derive(Debug, Clone)]
enum Step {
    /// So many whole blocks of one of the traces, and something behind them.
    Write {
        file: usize,
        trace: usize,
        blocks: usize,
        end: End,
    },
    Remove(usize),
    Rename(usize, usize),
    Copy(usize, usize),
    Convert {
        files: Vec<usize>,
        reconvert: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum End {
    Nothing,
    /// Of the next block, if there is one.
    Piece,
    /// The same, and zeros.
    Hole,
    Zeros,
    Line,
}

const FILES: usize = 5;
const BLOCKS: usize = 6;

fn step() -> impl Strategy<Value = Step> {
    let write = (
        0..FILES,
        0..TRACES.len(),
        0..=BLOCKS,
        prop_oneof![4 => Just(End::Nothing), 4 => Just(End::Piece), 1 => Just(End::Zeros), 1 => Just(End::Hole), 1 => Just(End::Line)],
    );
    let convert = (prop::sample::subsequence((0..FILES).collect::<Vec<_>>(), 1..=FILES).prop_shuffle(), 0..4);
    prop_oneof![
        4 => write.prop_map(|(file, trace, blocks, end)| Step::Write { file, trace, blocks, end }),
        1 => (0..FILES).prop_map(Step::Remove),
        1 => (0..FILES, 0..FILES).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (0..FILES, 0..FILES).prop_map(|(from, to)| Step::Copy(from, to)),
        3 => convert.prop_map(|(files, n)| Step::Convert { files, reconvert: n == 0 }),
    ]
}

/// Node and process of traces: the first two start with the same block.
const TRACES: [(&str, i64); 3] = [("a", 1), ("a", 2), ("b", 1)];

fn of_trace((node, number): (&str, i64)) -> (Vec<u8>, Vec<usize>) {
    let mut trace = Trace::new().header(node).process(1, None, T0, b"/bin/init").block();
    for block in 0..BLOCKS as i64 - 1 {
        trace = trace.exec(1, T0 + number * SECOND + block).exec(1, T0 + number * SECOND + block).block();
    }
    trace.bytes()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    /// Whatever happens to files, each record of what was ever converted is there once; unless a note says that it may be
    /// there twice.
    #[test]
    fn each_record_is_there_once(steps in prop::collection::vec(step(), 60)) {
        let folder = tempfile::tempdir().unwrap();
        let (out, path) = (folder.path().join("out"), |file: usize| folder.path().join(format!("{file}.sf")));
        let traces = TRACES.map(of_trace);
        // What was converted, and what of it is nowhere but in its own rows.
        let (mut known, mut apart): (HashSet<Vec<u8>>, Vec<Vec<u8>>) = Default::default();
        // With files that differ but in what is behind the last block, rows that are there twice may go earlier.
        let mut exact = true;
        // What it has rows of, unless not even the first block is whole.
        let extent = |content: &[u8]| {
            let ends = traces.iter().flat_map(|(bytes, starts)| {
                let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
                ends.filter(|end| content.starts_with(&bytes[..*end]))
            });
            ends.max().unwrap_or(content.len())
        };
        let rank = |content: &[u8]| (extent(content), content.len());
        let is_within = |short: &[u8], long: &[u8]| rank(short) < rank(long) && long.starts_with(&short[..extent(short)]);
        for (number, step) in steps.into_iter().enumerate() {
            let (files, reconvert) = match step {
                Step::Write { file, trace, blocks, end } => {
                    let (bytes, starts) = &traces[trace];
                    let (whole, rest) = bytes.split_at(starts.get(blocks).copied().unwrap_or(bytes.len()));
                    let end = match end {
                        End::Nothing => &[],
                        End::Piece => &rest[..rest.len().min(9)],
                        End::Hole => &[&rest[..rest.len().min(9)], &[0; 300]].concat(),
                        End::Zeros => &[0; 20][..],
                        End::Line => b"\n",
                    };
                    fs::write(path(file), [whole, end].concat()).unwrap();
                    continue;
                }
                Step::Remove(file) => {
                    fs::remove_file(path(file)).unwrap_or_default();
                    continue;
                }
                Step::Rename(from, to) => {
                    fs::rename(path(from), path(to)).unwrap_or_default();
                    continue;
                }
                Step::Copy(from, to) => {
                    if from != to {
                        fs::copy(path(from), path(to)).unwrap_or_default();
                    }
                    continue;
                }
                Step::Convert { files, reconvert } => (files, reconvert),
            };
            let paths: Vec<PathBuf> = files.into_iter().map(path).filter(|path| path.exists()).collect();
            if paths.is_empty() {
                continue;
            }
            let inputs: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
            expect_same_looks(&inputs, &out);
            let output = convert(&inputs, &out, if reconvert { &["--reconvert"] } else { &[] });
            prop_assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
            let doubt = |line: &str| Some(line.strip_prefix("warning: ")?.split_once(": it may be a copy of ")?.0.to_owned());
            let doubtful: HashSet<String> = stderr(&output).lines().filter_map(doubt).collect();
            let contents: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
            let mut new = Vec::new();
            for (path, content) in paths.iter().zip(&contents) {
                let here = contents.iter().any(|other| is_within(content, other));
                let there = apart.iter().any(|other| is_within(content, other));
                // The dataset has the very same rows.
                let same = apart.iter().any(|other| is_within(content, other) && extent(content) == extent(other));
                exact &= !same;
                let doubtful = doubtful.contains(path.to_str().unwrap());
                if !known.contains(content) && !here && !same && (!there || doubtful) && !new.contains(content) {
                    new.push(content.clone());
                }
            }
            let converted = contents.iter().filter(|content| apart.contains(content)).chain(&new);
            let converted: Vec<Vec<u8>> = converted.cloned().collect();
            apart.retain(|old| !converted.iter().any(|content| is_within(old, content)));
            known.extend(new.iter().cloned());
            apart.extend(new);
            let events = |content: &Vec<u8>, (bytes, starts): &(Vec<u8>, Vec<usize>)| {
                let ends = starts.iter().skip(2).copied().chain([bytes.len()]);
                2 * ends.filter(|end| content.starts_with(&bytes[..*end])).count()
            };
            let all = |content| traces.iter().map(|trace| events(content, trace)).max().unwrap_or_default();
            let most = apart.iter().map(all).sum::<usize>();
            let once = |trace| known.iter().map(|content| events(content, trace)).max().unwrap_or_default();
            let least = if exact { most } else { traces.iter().map(once).sum() };
            let rows = row_count(&out, "records");
            prop_assert!((least..=most).contains(&rows), "{}: step {}, {}", rows, number, stderr(&output));
            // What was told apart once stays so.
            expect_same_looks(&inputs, &out);
            prop_assert!(matches!(convert(&inputs, &out, &[]).status.code(), Some(0 | 3)));
            prop_assert_eq!(row_count(&out, "records"), rows);
            expect_status(&run(["verify".as_ref(), out.as_os_str()]), 0);
        }
    }
}
