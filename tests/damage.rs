//! Damaged and hostile traces: what is whole is converted, the rest is accounted for, and nothing panics.

mod support;

use std::fs;
use std::path::Path;

use sf_parquet::batch::run;
use sf_parquet::batch::source::Last;
use sf_parquet::error::Error;
use sf_parquet::progress::Meter;
use sf_parquet::tables::schema::TableId;
use sf_parquet::trace::container::FileHeader;
use sf_parquet::trace::reader::{Blocks, Item};
use support::trace::{SECOND, T0, Trace, simple};
use support::*;

/// Converts in this process, which is faster than a process each, and shows panics as such.
fn convert_here(input: &Path, out: &Path) {
    let options = reading::options(out);
    let found = sf_parquet::input::Found { files: vec![(input.to_owned(), None)], ..Default::default() };
    run::convert(&found, None, &options, &Meter::default()).expect("damage is no error");
}

/// Reads and flattens without writing: every record is accounted for, and so is all damage.
fn flatten_here(path: &Path) {
    let Last { chunks, ended, .. } = reading::flatten(path);
    let counts = &ended[0].counts;
    reading::balance(counts, &chunks);
    assert!(!counts.damaged && !counts.rejected || counts.rows[TableId::Rejects] > 0, "{counts:?}");
}

/// Records in = rows out + what was lost, as `traces` has it.
fn balance(out: &Path) -> (i64, i64) {
    let rows: i64 =
        ["records", "processes", "files", "containers", "pods"].iter().map(|table| row_count(out, table) as i64).sum();
    let other = sum(out, "traces", "n_header") + sum(out, "traces", "n_unknown");
    assert_eq!(sum(out, "traces", "records"), rows + other);
    let lost = sum(out, "rejects", "records_lost");
    // What is lost before there is any trace has no row there.
    if row_count(out, "traces") > 0 {
        assert_eq!(sum(out, "traces", "records_lost") + unknown_records(out), lost);
    }
    (rows, lost)
}

fn unknown_records(out: &Path) -> i64 {
    sum(out, "traces", "n_unknown")
}

struct Check {
    folder: tempfile::TempDir,
}

impl Check {
    fn new() -> Check {
        Check { folder: fast_folder() }
    }

    /// Converts these bytes; returns rows (without header) and records known to be lost, and the codes in `rejects`.
    fn run(&self, bytes: &[u8]) -> (i64, i64, Vec<String>) {
        let (input, out) = (self.folder.path().join("t.sf"), self.folder.path().join("out"));
        let _ = fs::remove_dir_all(&out);
        fs::write(&input, bytes).unwrap();
        convert_here(&input, &out);
        let (rows, lost) = balance(&out);
        (rows, lost, strings(&out, "rejects", "code").into_iter().flatten().collect())
    }
}

/// Six blocks: 11, 10, 10, 10, 10 and 2 records with the header; 52 rows.
fn trace() -> (Vec<u8>, Vec<usize>) {
    simple("node", 52 - 1).bytes()
}

#[test]
fn cut_at_every_byte() {
    let check = Check::new();
    let (bytes, blocks) = trace();
    // The first block has the header, too, which is no row.
    let whole_rows = [0, 11, 21, 31, 41, 51, 52];
    for cut in 0..bytes.len() {
        let (rows, lost, codes) = check.run(&bytes[..cut]);
        let whole = blocks.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
        assert_eq!(rows, whole_rows[whole], "cut at {cut}");
        let clean = blocks.contains(&cut);
        assert_eq!(codes.is_empty(), clean, "cut at {cut}: {codes:?}");
        if !clean && cut > blocks[0] {
            assert_eq!(codes, ["truncated"], "cut at {cut}");
            // The block's header tells how many records are missing, as soon as it is there.
            if cut > blocks[whole] + 2 {
                let header = i64::from(whole == 0);
                assert_eq!(rows + lost - header, whole_rows[whole + 1], "cut at {cut}");
            }
        }
    }
}

#[test]
fn ten_thousand_flipped_bits() {
    let check = Check::new();
    let (bytes, _) = trace();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for flip in 0..10_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut flipped = bytes.clone();
        let bit = (state % (bytes.len() as u64 * 8)) as usize;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let path = check.folder.path().join("flipped.sf");
        fs::write(&path, &flipped).unwrap();
        flatten_here(&path);
        if flip % 50 == 0 {
            check.run(&flipped);
        }
    }
}

#[test]
fn a_damaged_block_costs_its_records_and_no_others() {
    let check = Check::new();
    let (bytes, blocks) = trace();
    let edit = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        check.run(&bytes)
    };
    let code = |c: &str| vec![c.to_owned()];
    assert_eq!(edit(&|_| ()), (52, 0, vec![]));
    // A wrong sync marker behind whole data costs nothing.
    assert_eq!(edit(&|b| b[blocks[3] - 1] ^= 1), (52, 0, code("bad_sync")));
    // The header's own marker is wrong, so that no block ends with it.
    assert_eq!(edit(&|b| b[blocks[0] - 1] ^= 1), (52, 0, vec!["bad_sync".to_owned(); 6]));
    // Those of neighbours neither.
    let two = edit(&|b| [2, 3].into_iter().for_each(|block| b[blocks[block] - 1] ^= 1));
    assert_eq!(two, (52, 0, vec!["bad_sync".to_owned(); 2]));
    // A wrong count, either way, neither.
    assert_eq!(edit(&|b| b[blocks[2]] += 2), (52, 0, code("count_mismatch")));
    assert_eq!(edit(&|b| b[blocks[2]] -= 2), (52, 0, code("count_mismatch")));
    // A union index that does not exist: the rest of the block.
    assert_eq!(edit(&|b| b[blocks[2] + 3] = 98), (42, 10, code("bad_record")));
    // A negative count: the block, and nobody knows how many records.
    assert_eq!(edit(&|b| b[blocks[2]] = 1), (42, 0, code("bad_block_header")));
    // A block removed leaves no trace, a doubled one is there twice.
    assert_eq!(edit(&|b| drop(b.drain(blocks[2]..blocks[3]))), (42, 0, vec![]));
    assert_eq!(
        edit(&|b| {
            let block = b[blocks[2]..blocks[3]].to_vec();
            b.splice(blocks[3]..blocks[3], block);
        }),
        (62, 0, vec![])
    );
    // Garbage after the end.
    assert_eq!(edit(&|b| b.extend([0xff; 40])), (52, 0, code("bad_block_header")));
    // Bytes missing inside a block.
    assert_eq!(edit(&|b| drop(b.drain(blocks[2] + 30..blocks[2] + 40))), (42, 10, code("bad_sync")));
    // Bytes too many between two blocks.
    let (rows, _, codes) = edit(&|b| drop(b.splice(blocks[3]..blocks[3], [0xff; 33])));
    assert_eq!((rows, codes), (42, code("bad_block_header")));
}

#[test]
fn no_record_is_lost_without_a_word() {
    let check = Check::new();
    let (bytes, blocks) = trace();
    let mut silent = Vec::new();
    // Damage that reaches over any part of two blocks, or moves what follows.
    for start in (blocks[2] - 60..blocks[3] + 60).step_by(5) {
        for len in [1, 17, 90] {
            for kind in ["zeroed", "removed", "added"] {
                let mut bytes = bytes.clone();
                match kind {
                    "zeroed" => bytes[start..start + len].fill(0),
                    "removed" => drop(bytes.drain(start..start + len)),
                    _ => drop(bytes.splice(start..start, vec![0xa5; len])),
                }
                let (_, lost, codes) = check.run(&bytes);
                let out = check.folder.path().join("out");
                // With the header, and with what zeros pass for.
                let records = sum(&out, "traces", "records");
                let is_unknown = longs(&out, "rejects", "records_lost").contains(&None);
                // A block that is removed exactly leaves no trace.
                let unseen = kind == "removed" && codes.is_empty() && blocks.contains(&start);
                if records + lost < 53 && !is_unknown && !unseen {
                    silent.push((start, len, kind, records, lost, codes));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{} of them: {:?}", silent.len(), &silent[..silent.len().min(9)]);
}

#[test]
fn a_lost_header_costs_its_block_only() {
    let check = Check::new();
    let (mut bytes, blocks) = trace();
    bytes[blocks[0] + 3] = 98;
    let (rows, lost, codes) = check.run(&bytes);
    assert_eq!((rows, lost, codes), (41, 12, vec!["bad_record".to_owned()]));
    let out = check.folder.path().join("out");
    assert!(strings(&out, "traces", "trace_id")[0].as_ref().unwrap().ends_with("-none"));
    assert_eq!(longs(&out, "traces", "header_no"), [None]);
}

#[test]
fn invalid_text_is_repaired_and_counted() {
    let check = Check::new();
    let trace = Trace::new().header("node").process(1, None, T0, b"/bin/\xff\x1b[31m\0x").exec(1, T0 + SECOND);
    let (rows, lost, codes) = check.run(&trace.bytes().0);
    assert_eq!((rows, lost, codes), (2, 0, vec![]));
    let out = check.folder.path().join("out");
    assert_eq!(strings(&out, "records", "proc_exe"), [Some("/bin/\u{fffd}\x1b[31m\0x".to_owned())]);
    assert_eq!(sum(&out, "traces", "repaired_strings"), 1);
}

#[test]
fn hostile_messages_are_rows() {
    let check = Check::new();
    let deep = format!("{{\"items\":[{}{}]}}\n\0", "[".repeat(100_000), "]".repeat(100_000));
    let trace = Trace::new().header("node").k8s(T0, "K8S_PODS", &deep).k8s(T0, "K8S_PODS", "no json").k8s(T0, "X", "");
    let (rows, _, codes) = check.run(&trace.bytes().0);
    assert_eq!((rows, codes), (3, ["k8s_odd_field", "k8s_no_json", "k8s_no_json"].map(str::to_owned).to_vec()));
    let out = check.folder.path().join("out");
    assert_eq!((row_count(&out, "k8s_events"), row_count(&out, "k8s_items")), (3, 1));
}

#[test]
fn unknown_fields_beyond_number_are_named_in_part() {
    let check = Check::new();
    let mut schema = support::trace::schema();
    let fields = schema["fields"][0]["type"][3]["fields"].as_array_mut().unwrap();
    fields.extend((0..60).map(|i| serde_json::json!({"name": format!("new{i}"), "type": "long"})));
    let (rows, _, codes) = check.run(&Trace::with_schema(&schema).header("node").process(1, None, T0, b"x").bytes().0);
    assert_eq!((rows, codes), (1, vec!["unknown_field".to_owned(); 51]));
    let messages = strings(&check.folder.path().join("out"), "rejects", "message");
    assert!(messages.contains(&Some("10 more fields were left out".to_owned())));
    // A known one is not among those that are not named.
    let process =
        serde_json::json!({"type": "record", "name": "Process", "fields": [{"name": "exe", "type": "double"}]});
    schema["fields"][0]["type"][2] = process;
    let (_, _, codes) = Check::new().run(&Trace::with_schema(&schema).header("node").bytes().0);
    let odd = codes.iter().filter(|code| **code == "odd_field").count();
    assert_eq!((odd, codes.len()), (1, 51), "{codes:?}");
}

#[test]
fn known_fields_of_another_type_and_numbers_that_are_too_long_are_said_to_be_missing() {
    let schema = serde_json::json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        {"type": "record", "name": "Process", "fields": [
            {"name": "exe", "type": "double"}, {"name": "uid", "type": "long"}, {"name": "gid", "type": "long"},
            {"name": "env", "type": {"type": "array", "items": ["null", "int"]}}]},
        {"type": "record", "name": "Pod", "fields": [
            {"name": "hostIP", "type": {"type": "array", "items": "long"}},
            {"name": "internalIP", "type": {"type": "array", "items": "string"}}]},
        {"type": "record", "name": "NetworkEvent", "fields": [
            {"name": "ts", "type": ["null", "long"]}, {"name": "ret", "type": "long"},
            {"name": "proto", "type": ["null", "string"]}]}]}]});
    let long = |bytes: &mut Vec<u8>, value: i64| sf_parquet::trace::write::put_long(bytes, value);
    let mut process = vec![0; 9];
    long(&mut process, 4_294_967_294);
    long(&mut process, 7);
    process.push(0);
    let mut pod = vec![2, 4];
    long(&mut pod, 16_777_343);
    long(&mut pod, 16_777_343 + (1 << 32));
    pod.extend([0, 0]);
    let mut event = vec![4, 2];
    long(&mut event, T0);
    long(&mut event, 1 << 31);
    event.push(0);
    let check = Check::new();
    let trace = Trace::with_schema(&schema).raw(&process).raw(&pod).raw(&event);
    let (rows, damaged, mut codes) = check.run(&trace.bytes().0);
    codes.sort();
    let odd = ["number_too_long", "odd_field", "odd_field", "odd_field", "odd_field"];
    assert_eq!((rows, damaged, codes), (3, 0, odd.map(str::to_owned).to_vec()));
    let out = check.folder.path().join("out");
    let messages = strings(&out, "rejects", "message");
    assert!(messages.iter().flatten().any(|m| m.starts_with("3 numbers have more bits")), "{messages:?}");
    assert!(messages.iter().flatten().any(|m| m.starts_with("the field Process.env has another type")), "{messages:?}");
    for (table, column, is_null) in [
        ("processes", "exe", true),
        ("processes", "uid", true),
        ("processes", "gid", false),
        ("processes", "env", true),
        ("pods", "hostip", false),
        ("pods", "internalip", true),
        ("records", "ts_uts", false),
        ("records", "ret", true),
        ("records", "net_proto", true),
    ] {
        let rows = read(&out, table).remove(0);
        assert_eq!(all_null(rows.column_by_name(column).unwrap()), is_null, "{table}.{column}");
    }
    assert_eq!(support::rows(&out, "pods", &[])[0].matches("127.0.0.1").count(), 1);
}

#[test]
fn values_that_sysflow_has_not_there_are_said_to_be_missing() {
    let schema = serde_json::json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        {"type": "record", "name": "File", "fields": [
            {"name": "restype", "type": "int"}, {"name": "oid", "type": "bytes"},
            {"name": "path", "type": ["null", "string", "double"]}]},
        {"type": "record", "name": "Process", "fields": [
            {"name": "oid", "type": ["null", {"type": "record", "name": "OID", "fields": [
                {"name": "createTS", "type": "long"}, {"name": "hpid", "type": "long"}]}, "File"]},
            {"name": "env", "type": {"type": "array", "items": ["null", "string", "int"]}}]}]}]});
    let whole = [&[0, 0xcc, 1, 2 * 20][..], &[7; 20], &[2, 2, b'/']].concat();
    let odd = [&[0, 1, 2 * 3, 7, 7, 7, 4][..], &[0; 8]].concat();
    let with_oid = [2, 2, 4, 6, 2, 2, 2, b'A', 0];
    let with_file = [2, 4, 6, 0, 0, 4, 2, 2, b'B', 4, 5, 0];
    let check = Check::new();
    let trace = Trace::with_schema(&schema).raw(&whole).raw(&odd).raw(&with_oid).raw(&with_file);
    let (_, damaged, codes) = check.run(&trace.bytes().0);
    assert_eq!((damaged, codes), (0, vec!["odd_value".to_owned()]));
    let out = check.folder.path().join("out");
    // Restype, id and path of the second file, an oid that is a file, and an entry of a list that is a number.
    let messages = strings(&out, "rejects", "message");
    assert_eq!(messages[0].as_deref(), Some("5 values are none that SysFlow has there and are NULL or left out"));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(strings(&out, "files", "restype"), [some("f"), None]);
    assert_eq!(strings(&out, "files", "path"), [some("/"), None]);
    assert_eq!(strings(&out, "files", "oid"), [some(&"07".repeat(20)), None]);
    let processes = read(&out, "processes").remove(0);
    let of = |column: &str| format!("{:?}", processes.column_by_name(column).unwrap()).replace(char::is_whitespace, "");
    assert!(of("pid").contains("[3,null,]"), "{}", of("pid"));
    assert!(of("env").contains("[\"A\",],") && of("env").contains("[\"B\",],"), "{}", of("env"));
}

#[test]
fn a_search_for_the_next_block_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.sf");
    let (bytes, blocks) = simple("node", 20).bytes();
    fs::write(&path, [&bytes[..blocks[1]], &[0; 100], &bytes[blocks[1]..]].concat()).unwrap();
    let file = std::sync::Arc::new(fs::File::open(&path).unwrap());
    let size = file.metadata().unwrap().len();
    let (header, meter) = (FileHeader::read(&file, size).unwrap(), Meter::default());
    let mut read = Blocks::new(file, &header, size, 1 << 20, meter.stopper());
    let mut buffer = Vec::new();
    assert!(matches!(read.next(&header, &mut buffer), Ok(Some(Item::Block(_)))));
    meter.stop(15);
    let error = read.next(&header, &mut buffer).unwrap_err();
    assert!(matches!(error.downcast::<Error>(), Ok(Error::Interrupted(15))));
}

#[test]
fn ports_times_cluster_addresses_end() {
    let schema = serde_json::json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        {"type": "record", "name": "Pod", "fields": [{"name": "services", "type": {"type": "array", "items":
            {"type": "record", "name": "Service", "fields": [
                {"name": "portList", "type": {"type": "array", "items":
                    {"type": "record", "name": "Port", "fields": [{"name": "port", "type": "int"}]}}},
                {"name": "clusterIP", "type": {"type": "array", "items": "long"}}]}}}]}]}]});
    // A pod with a service of 200 ports and 200 addresses.
    let numbers = [&[0x90, 0x03][..], &[0; 200], &[0]].concat();
    let pod = [&[0, 2], &numbers[..], &numbers[..], &[0]].concat();
    let check = Check::new();
    let (rows, _, codes) = check.run(&Trace::with_schema(&schema).raw(&pod).bytes().0);
    assert_eq!((rows, codes), (1, vec!["too_many_ports".to_owned()]));
    assert_eq!(row_count(&check.folder.path().join("out"), "pod_service_ports"), 10_000);
}

#[test]
fn addresses_of_a_pod_end() {
    let schema = serde_json::json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        {"type": "record", "name": "Pod", "fields": [
            {"name": "hostIP", "type": {"type": "array", "items": "long"}},
            {"name": "internalIP", "type": {"type": "array", "items": "long"}}]}]}]});
    // One address of its host, 4,000 of its own.
    let pod = [&[0, 2, 0, 0, 0xc0, 0x3e][..], &[2; 4_000], &[0]].concat();
    let check = Check::new();
    let (rows, _, codes) = check.run(&Trace::with_schema(&schema).raw(&pod).bytes().0);
    assert_eq!((rows, codes), (1, vec!["too_many_addresses".to_owned()]));
    let pods = read(&check.folder.path().join("out"), "pods");
    let lengths = |name: &str| arrow_array::cast::AsArray::as_list::<i32>(&pods[0][name]).value_length(0);
    assert_eq!((lengths("hostip"), lengths("internalip")), (1, 1_000));
}

#[test]
fn lists_end_and_cost_no_record() {
    let schema = serde_json::json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        {"type": "record", "name": "Process", "fields": [
            {"name": "env", "type": {"type": "array", "items": "string"}}, {"name": "exe", "type": "string"}]},
        {"type": "record", "name": "Pod", "fields": [{"name": "labels", "type": {"type": "map", "values": "string"}}]},
    ]}]});
    // 2^20 empty strings, and as many empty pairs; what follows in the block is not touched.
    let (many, exe) = (&[0x80, 0x80, 0x80, 0x01][..], &[2, b'x'][..]);
    let process = [&[0], many, &[0; 1 << 20], &[0], exe].concat();
    let pod = [&[2], many, &[0; 2 << 20], &[0]].concat();
    let small = [&[0, 0][..], exe].concat();
    let check = Check::new();
    let trace = Trace::with_schema(&schema).raw(&process).raw(&small).raw(&pod).raw(&small);
    let (rows, lost, codes) = check.run(&trace.bytes().0);
    assert_eq!((rows, lost, codes), (4, 0, vec!["too_many_entries".to_owned(); 2]));
    let out = check.folder.path().join("out");
    assert_eq!(strings(&out, "processes", "exe"), vec![Some("x".to_owned()); 3]);
    let lengths = |column: &arrow_array::ArrayRef| arrow_array::cast::AsArray::as_list::<i32>(column).value_length(0);
    assert_eq!(lengths(&read(&out, "processes")[0]["env"]), 1 << 18);
    let messages = strings(&out, "rejects", "message");
    assert!(messages.iter().flatten().all(|m| m.ends_with("entries; 786432 were left out")), "{messages:?}");
}

#[test]
fn a_long_string_is_written_once_for_all_rows() {
    let folder = fast_folder();
    let (input, out) = (folder.path().join("long.sf"), folder.path().join("out"));
    // Enough different ones that the dictionary is given up, and then a long one.
    let mut trace = Trace::new().header("node");
    for pid in 2..80 {
        trace = trace.process(pid, None, T0, &[&[b'y'; 40_000][..], &pid.to_string().into_bytes()].concat());
        trace = trace.exec(pid, T0).block();
    }
    trace = trace.process(1, None, T0, &[b'x'; 1 << 20]);
    for i in 0..40_000 {
        trace = trace.exec(1, T0 + i);
    }
    trace.write(&input);
    expect_status(&convert(&[&input], &out, &["--compression", "none"]), 0);
    // For each row it would be 40 GB.
    let bytes: u64 = parts(&out, "records").iter().map(|part| part.metadata().unwrap().len()).sum();
    assert!(bytes < 200 << 20, "{bytes}");
}

#[test]
fn ancestors_of_a_long_chain_and_of_a_cycle_end() {
    let check = Check::new();
    let mut trace = Trace::new().header("node");
    for pid in 1..3_000 {
        trace = trace.process(pid, Some(pid - 1), T0, b"/bin/x");
    }
    let trace = trace.process(0, Some(2_999), T0, b"/bin/x").process(5, Some(0), T0, b"/bin/x").exec(5, T0);
    assert_eq!(check.run(&trace.bytes().0), (3_002, 0, vec![]));
}
