//! `repair`: what is whole is kept, wherever the damage is, and the result is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::trace::{T0, Trace, simple};
use crate::support::*;

fn repair(input: &Path, out: &Path, more: &[&str]) -> Output {
    program(["repair"]).arg(input).arg("-o").arg(out).args(more).output().unwrap()
}

fn report(input: &Path, more: &[&str]) -> Value {
    let output = program(["repair", "--report", "--json"]).arg(input).args(more).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)))
}

/// Requires that nothing is wrong with a trace, and returns the number of its records.
#[track_caller]
fn whole_records(path: &Path) -> i64 {
    let output = program(["inspect", "--json"]).arg(path).output().unwrap();
    expect_status(&output, 0);
    let folder = tempfile::tempdir().unwrap();
    expect_status(&convert(&[path], folder.path(), &["--strict"]), 0);
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["records"].as_i64().unwrap()
}

struct Damaged {
    folder: tempfile::TempDir,
    path: PathBuf,
}

/// A trace of 4 blocks, 12 + 10 + 10 + 8 records, with bytes changed.
fn damaged(change: impl FnOnce(&mut Vec<u8>, &[usize])) -> Damaged {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, blocks) = simple("a", 38).bytes();
    assert_eq!(blocks.len(), 4);
    change(&mut bytes, &blocks);
    let path = folder.path().join("damaged.sf");
    fs::write(&path, bytes).unwrap();
    Damaged { folder, path }
}

#[test]
fn every_kind_of_damage_leaves_the_rest() {
    type Change = fn(&mut Vec<u8>, &[usize]);
    let cases: [(&str, Change, i64); 10] = [
        ("cut inside the last block", |bytes, blocks| bytes.truncate(blocks[3] + 2 + 3 * 15 + 14), 32 + 3),
        ("cut in the header of the last block", |bytes, blocks| bytes.truncate(blocks[3] + 1), 32),
        ("cut, and zeros behind it", |bytes, blocks| bytes[blocks[3] + 2 + 3 * 15..].fill(0), 32),
        (
            "cut, and zeros behind it, not as many as are missing",
            |bytes, blocks| {
                bytes[blocks[3] + 2 + 3 * 15..].fill(0);
                bytes.truncate(bytes.len() - 20);
            },
            // The last of them ends with a zero.
            32 + 2,
        ),
        ("nothing but zeros behind the last block", |bytes, _| bytes.resize(bytes.len() + (1 << 20), 0), 40),
        ("a block header that is none", |bytes, blocks| bytes[blocks[1]..][..2].fill(0xff), 30),
        ("a sync marker, the data whole", |bytes, blocks| bytes[blocks[2] - 1] ^= 1, 40),
        ("garbage between blocks", |bytes, blocks| drop(bytes.splice(blocks[2]..blocks[2], [0xff; 99])), 30),
        ("a count that is too high", |bytes, blocks| bytes[blocks[1]] = 40, 40),
        ("the last record of a block", |bytes, blocks| bytes[blocks[2] - 16 - 15] = 0x55, 39),
    ];
    for (what, change, records) in cases {
        let trace = damaged(change);
        let out = trace.folder.path().join("out.sf");
        let output = repair(&trace.path, &out, &[]);
        expect_status(&output, 3);
        assert!(stderr(&output).contains("at byte"), "{what}: {}", stderr(&output));
        let kept = whole_records(&out);
        assert_eq!(kept, records, "{what}");
    }
}

#[test]
fn what_is_whole_stays_byte_for_byte() {
    let trace = damaged(|_, _| {});
    let out = trace.folder.path().join("out.sf");
    expect_status(&repair(&trace.path, &out, &[]), 0);
    assert!(fs::read(&out).unwrap() == fs::read(&trace.path).unwrap());
    for file in shared_trace_files() {
        expect_status(&repair(&file, &out, &[]), 0);
        assert_eq!(whole_records(&out), whole_records(&file));
    }
}

#[test]
fn prior_after_and_report() {
    // The third record of the second block.
    let trace = damaged(|bytes, blocks| bytes[blocks[1] + 3 + 2 * 15..][..2].fill(0xff));
    let out = trace.folder.path().join("out.sf");
    let all = report(&trace.path, &[]);
    assert_eq!((&all["whole_blocks"], &all["partial_blocks"]), (&Value::from(3), &Value::from(1)), "{all:#}");
    assert_eq!((&all["records"], &all["records_lost"]), (&Value::from(32), &Value::from(8)));
    for (flag, kept, left_out) in [("--prior", 12 + 2, 18), ("--after", 18, 12 + 2)] {
        let report = report(&trace.path, &[flag]);
        assert_eq!((&report["records"], &report["records_left_out"]), (&Value::from(kept), &Value::from(left_out)));
        expect_status(&repair(&trace.path, &out, &[flag]), 3);
        assert_eq!(whole_records(&out), kept);
    }
    expect_status(&repair(&trace.path, &out, &[]), 3);
    let output = repair(&trace.path, Path::new("-"), &[]);
    expect_status(&output, 3);
    assert!(output.stdout == fs::read(&out).unwrap());
    expect_status(&repair(&trace.path, Path::new("-"), &["--json"]), 2);
    let before = fs::read_dir(trace.folder.path()).unwrap().count();
    expect_status(&program(["repair", "--report"]).arg(&trace.path).output().unwrap(), 3);
    assert_eq!(fs::read_dir(trace.folder.path()).unwrap().count(), before);
}

/// However a trace is damaged, what comes out is whole, and nothing panics.
#[test]
fn random_damage_leaves_a_whole_trace() {
    use sf_parquet::progress::Meter;
    use sf_parquet::reject::Code;
    use sf_parquet::trace::reader::Damage;
    let folder = tempfile::tempdir().unwrap();
    let (damaged, out) = (folder.path().join("damaged"), folder.path().join("out"));
    let mut traces = vec![simple("a", 300).bytes().0];
    traces.extend(shared_trace_files().iter().map(|p| fs::read(p).unwrap()).filter(|bytes| bytes.len() < 20_000));
    let mut random = 1u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % n
    };
    let meter = Meter::default();
    let mut kept_of_cut_blocks = 0;
    for round in 0..400 {
        let mut bytes = traces[round % traces.len()].clone();
        for _ in 0..=below(4) {
            // Behind the header, most of the time.
            let at = below(bytes.len() / 4) + bytes.len() * 3 / 4 * usize::from(below(8) > 0);
            match below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.splice(at..at, [0x55; 7])),
                2 => drop(bytes.drain(at..(at + 9).min(bytes.len()))),
                _ => bytes[at] = below(256) as u8,
            }
        }
        fs::write(&damaged, &bytes).unwrap();
        let file = fs::File::create(&out).unwrap();
        let keep = sf_parquet::repair::Keep::All;
        let Ok(report) = sf_parquet::repair::repair(&damaged, keep, file, &out, &meter) else { continue };
        let inspection = sf_parquet::inspect::inspect(&out, 10, &meter).unwrap();
        assert!(inspection.is_whole(), "round {round}: {:?}", inspection.damage);
        assert_eq!(inspection.records, report.records);
        let inspection = sf_parquet::inspect::inspect(&damaged, 10, &meter).unwrap();
        // Of a block that the end of the file cuts, repair keeps the start.
        let more = report.records - inspection.records;
        let (mut expected, cut) = (inspection.damage, |d: &&mut Damage| d.code == Code::Truncated);
        if let Some(lost) = expected.last_mut().filter(cut).and_then(|d| d.records_lost.as_mut()) {
            *lost -= more;
        }
        assert_eq!(expected, report.damage, "round {round}");
        kept_of_cut_blocks += more;
    }
    assert!(kept_of_cut_blocks > 0);
}

/// Cut at any byte, the records before the cut are kept as far as the codec lets them be inflated.
#[test]
fn records_before_a_cut_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let records = 30_000;
    let mut trace = Trace::new().header("a").process(1, None, T0, b"/x").block();
    let mut random = 1i64;
    for i in 0..records {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        trace = trace.exec(1, T0 + i * 1000 + (random >> 56));
    }
    trace.write(&path("null"));
    // Deflate and zstandard give what came before the cut but for their buffers, bzip2 and xz whole blocks of theirs.
    for (codec, at_least) in
        [("null", 0.99), ("deflate", 0.8), ("zstandard", 0.5), ("snappy", 0.0), ("bzip2", 0.0), ("xz", 0.0)]
    {
        let mut command = program(["concat", "--codec", codec, "-o"]);
        expect_status(&command.arg(path("whole")).arg(path("null")).output().unwrap(), 0);
        let whole = fs::read(path("whole")).unwrap();
        let mut before = None;
        for cut in [whole.len() - 17, whole.len() / 2] {
            fs::write(path("cut"), &whole[..cut]).unwrap();
            let output = repair(&path("cut"), &path("out"), &["--json"]);
            expect_status(&output, 3);
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            expect_status(&program(["inspect"]).arg(path("out")).output().unwrap(), 0);
            let kept = report["records"].as_i64().unwrap();
            assert_eq!(kept + report["records_lost"].as_i64().unwrap(), records + 2);
            let share = (kept - 2) as f64 / records as f64;
            let there = cut as f64 / whole.len() as f64;
            assert!(share <= there + 0.1 && share >= (there - 0.1) * at_least, "{codec}: {share} of {there}");
            // What is kept of a shorter file is the start of what is kept of a longer one.
            let kept = rows_of(&path("out"), &folder);
            if let Some(longer) = before.replace(kept.clone()) {
                let longer: Vec<String> = longer;
                assert!(longer.starts_with(&kept), "{codec}");
            }
        }
    }
}

/// The rows of a trace in their order.
fn rows_of(trace: &Path, folder: &tempfile::TempDir) -> Vec<String> {
    let out = folder.path().join("rows");
    let _ = fs::remove_dir_all(&out);
    expect_status(&convert(&[trace], &out, &["--tables", "records"]), 0);
    longs(&out, "records", "ts_uts").iter().map(|ts| format!("{ts:?}")).collect()
}

/// Where deflate finds its data damaged, bytes before that are damaged, too: nothing of them may be kept.
#[test]
fn nothing_is_kept_of_what_inflates_to_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    simple("a", 9).block().write(&path("null"));
    let mut command = program(["concat", "--codec", "deflate", "-o"]);
    expect_status(&command.arg(path("whole")).arg(path("null")).output().unwrap(), 0);
    let mut bytes = fs::read(path("whole")).unwrap();
    let end = bytes.len() - 16;
    bytes[end - 9..end].fill(0xff);
    fs::write(path("bad"), bytes).unwrap();
    let report = report(&path("bad"), &[]);
    assert_eq!(
        (&report["damage"][0]["code"], &report["records"]),
        (&"bad_compression".into(), &0.into()),
        "{report:#}"
    );
    assert_eq!(report["records_lost"], 11);
}

#[test]
fn damaged_blocks_are_compressed_as_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A record of no type among whole ones.
    let (mut bytes, blocks) = Trace::new().header("a").process(1, None, T0, b"/x").exec(1, T0).exec(1, T0).bytes();
    let end = bytes.len() - 16 - 15;
    bytes[end] = 0x55;
    assert_eq!(blocks.len(), 1);
    fs::write(path("null"), &bytes).unwrap();
    for codec in ["deflate", "snappy", "zstandard", "bzip2", "xz"] {
        // Recompressing does not look at records.
        let mut command = program(["concat", "--codec", codec, "-o"]);
        expect_status(&command.arg(path(codec)).arg(path("null")).output().unwrap(), 0);
        expect_status(&repair(&path(codec), &path("out"), &[]), 3);
        assert_eq!(whole_records(&path("out")), 3, "{codec}");
        let inspected = stdout(&program(["inspect"]).arg(path("out")).output().unwrap());
        assert!(inspected.contains(&format!("codec         {codec}")), "{inspected}");
    }
}

#[test]
fn what_cannot_be_repaired_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "no trace").unwrap();
    simple("a", 3).write(&path("a"));
    expect_status(&repair(&path("text"), &path("out"), &[]), 1);
    expect_status(&repair(&path("missing"), &path("out"), &[]), 1);
    assert!(!path("out").exists());
    expect_status(&repair(&path("a"), &path("a"), &[]), 2);
    expect_status(&repair(&path("a"), &path("out"), &["--prior", "--after"]), 2);
    expect_status(&repair(&path("a"), &path("out"), &["--report"]), 2);
    expect_status(&program(["repair"]).arg(path("a")).output().unwrap(), 2);
}
