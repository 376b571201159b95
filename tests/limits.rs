//! Memory: a trace with more entities than it holds gives the same rows, and so does a block of many rows.

mod support;

use std::fs::File;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_select::concat::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use support::trace::{T0, Trace, many_processes, simple};
use support::*;

/// A table's rows as one batch.
fn rows(out: &std::path::Path, table: &str) -> RecordBatch {
    let batches = read(out, table);
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn a_block_that_memory_does_not_hold_is_converted_with_more() {
    let folder = fast_folder();
    let (input, out) = (folder.path().join("large.sf"), folder.path().join("out"));
    simple("large", 3).k8s(T0, "P", &format!("{{\"a\":\"{}\"}}", "x".repeat(40 << 20))).write(&input);
    let output = convert(&[&input], &out, &["--memory", "256MiB"]);
    expect_status(&output, 3);
    assert!(stderr(&output).contains("; more --memory and --reconvert convert it"), "{}", stderr(&output));
    expect_status(&convert(&[&input], &out, &["--memory", "1GiB", "--reconvert"]), 0);
    assert_eq!((row_count(&out, "k8s_events"), row_count(&out, "rejects")), (1, 0));
}

#[test]
fn entities_that_memory_does_not_hold_give_the_same_rows() {
    let folder = fast_folder();
    let input = folder.path().join("many.sf");
    many_processes(60_000).write(&input);
    let out = |memory: &str, jobs: &str| {
        let out = folder.path().join(format!("{memory}-{jobs}"));
        expect_status(&convert(&[&input], &out, &["--memory", memory, "--jobs", jobs]), 0);
        out
    };
    // 60,000 processes take some 45 MB; of 256 MiB they have an eighth.
    let (small, large) = (out("256MiB", "1"), out("2GiB", "2"));
    for table in ["records", "processes", "traces"] {
        assert!(rows(&small, table) == rows(&large, table), "{table}");
    }
    assert_eq!(tree(&small), tree(&out("256MiB", "2")), "the same bytes with any number of threads");
}

#[test]
fn one_block_may_make_many_rows() {
    let folder = fast_folder();
    let input = folder.path().join("block.sf");
    let mut trace = Trace::new().header("node");
    for i in 0..400_000 {
        trace = trace.exec(1, T0 + i);
    }
    let items = vec!["{}"; 400_000].join(",");
    trace.k8s(T0, "K8S_PODS", &format!(r#"{{"items":[{items}]}}"#)).write(&input);
    let out = |jobs: &str| {
        let out = folder.path().join(jobs);
        expect_status(&convert(&[&input], &out, &["--memory", "256MiB", "--jobs", jobs]), 0);
        out
    };
    let one = out("1");
    assert_eq!(longs(&one, "k8s_items", "item_no"), (0..400_000).map(Some).collect::<Vec<_>>());
    assert_eq!(row_count(&one, "records"), 400_001);
    for jobs in ["2", "8"] {
        assert_eq!(tree(&one), tree(&out(jobs)));
    }
}

#[test]
fn a_long_string_of_many_rows_stays_one_where_its_file_is_rewritten() {
    let folder = fast_folder();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    let exe = "/bin/x".repeat(25_000);
    let mut trace = Trace::new().header("a").process(1, None, T0, exe.as_bytes()).block();
    for i in 0..20_000 {
        trace = trace.exec(1, T0 + i);
    }
    trace.write(&a);
    simple("b", 5).write(&b);
    expect_status(&convert(&[&a, &b], &out, &["--memory", "256MiB"]), 0);
    let before = row_values(&out);
    assert_eq!((before.len(), before[7].1), (20_005, 150_000));
    // Expanded, the strings are 3 GB, which no column has room for.
    expect_status(&convert(&[&b], &out, &["--reconvert", "--memory", "256MiB"]), 0);
    assert!(before == row_values(&out), "the rows are others");
}

#[test]
fn long_strings_that_are_not_in_the_dictionary_are_rewritten_as_they_are() {
    let folder = fast_folder();
    let (a, b, out) = (folder.path().join("a.sf"), folder.path().join("b.sf"), folder.path().join("out"));
    let mut trace = Trace::new().header("a").process(100, None, T0, b"/bin/short");
    for pid in 1..=60 {
        let exe = format!("/bin/{pid}/").repeat(60_000 / 8 - pid as usize);
        trace = trace.process(pid, None, T0, exe.as_bytes());
    }
    // Twice a batch of records, of which one in 25 has a long string.
    for i in 0..40_000 {
        trace = trace.exec(if i % 25 == 0 { 1 + i / 25 % 60 } else { 100 }, T0 + i);
    }
    trace.write(&a);
    simple("b", 5).write(&b);
    expect_status(&convert(&[&a, &b], &out, &[]), 0);
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required);
    let records = File::open(&parts(&out, "records")[0]).unwrap();
    let metadata = ArrowReaderMetadata::load(&records, options).unwrap().metadata().clone();
    let columns = metadata.row_group(0).columns();
    let exe = columns.iter().position(|column| column.column_path().string() == "proc_exe").unwrap();
    let pages = metadata.page_index_for_row_group(0).page_locations(exe).unwrap().len();
    assert!(pages > 2 * 8, "strings without keys have many pages: {pages}");
    let before = row_values(&out);
    expect_status(&convert(&[&b], &out, &["--reconvert"]), 0);
    assert!(before == row_values(&out), "the rows are others");
}

/// The time of each record, and how long the executable of its process is; batch by batch, as they are 3 GB.
fn row_values(out: &std::path::Path) -> Vec<(i64, i32)> {
    let mut rows = Vec::new();
    for path in parts(out, "records") {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["ts_uts", "proc_exe"]);
        for batch in builder.with_projection(mask).build().unwrap() {
            let batch = batch.unwrap();
            let times = batch.column_by_name("ts_uts").unwrap().as_primitive::<Int64Type>();
            let exes = batch.column_by_name("proc_exe").unwrap().as_string::<i32>();
            rows.extend((0..batch.num_rows()).map(|row| (times.value(row), exes.value_length(row))));
        }
    }
    rows.sort();
    rows
}

#[test]
fn rejects_of_an_input_without_any_record_wait_on_disk_in_order() {
    let folder = fast_folder();
    let (input, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    let trace = Trace::new();
    let (mut bytes, _) = trace.bytes();
    // Blocks of one record that says to be of a type that is none.
    let (start, blocks) = (bytes.len(), 20_000);
    for _ in 0..blocks {
        bytes.extend([2, 2, 99]);
        bytes.extend(trace.sync);
    }
    std::fs::write(&input, bytes).unwrap();
    expect_status(&convert(&[&input], &out, &["--memory", "256MiB"]), 3);
    let offsets = longs(&out, "rejects", "byte_offset");
    assert_eq!(offsets, (0..blocks).map(|i| Some((start + 19 * i) as i64)).collect::<Vec<_>>());
    assert_eq!(row_count(&out, "traces"), 0);
}

/// Converts with `--memory 256MiB`, and returns the most memory that the program had, in MB.
fn peak(input: &std::path::Path, out: &std::path::Path) -> u64 {
    let mut command = program(["convert", "-q", "--memory", "256MiB", "--jobs", "2", "-o"]);
    let mut child = command.arg(out).arg(input).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak / 1_000
}

#[test]
fn what_waiting_rows_share_counts_as_their_memory() {
    let folder = fast_folder();
    let (input, out) = (folder.path().join("a.sf"), |name: &str| folder.path().join(name));
    let mut headers = Trace::new();
    for i in 0..300 {
        headers = headers.header(&format!("{i}{}", "n".repeat(1 << 20))).exec(1, T0).block();
    }
    headers.write(&input);
    let of_headers = peak(&input, &out("headers"));
    assert_eq!(row_count(&out("headers"), "traces"), 300);

    let labels: Vec<String> = (0..100_000).map(|i| format!(r#""k{i}":"v""#)).collect();
    let ports = r#""clusterIP":"10.0.0.1","ports":[{"port":80}]"#;
    let item = format!(r#"{{"name":"s","labels":{{{}}},{ports}}}"#, labels.join(","));
    let mut services = Trace::new().header("node");
    for i in 0..100 {
        let message = format!(r#"{{"kind":"Service","items":[{item}],"more":{i}}}"#);
        services = services.k8s(T0 + i, "K8S_SERVICES", &message).block();
    }
    services.write(&input);
    let of_services = peak(&input, &out("services"));
    assert_eq!(row_count(&out("services"), "k8s_service_ports"), 100);
    assert!(of_headers < 300 && of_services < 300, "{of_headers} and {of_services} MB");
}
