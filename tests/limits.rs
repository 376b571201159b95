//! Memory: a trace with more entities than it holds gives the same rows, and so does a block of many rows.

mod support;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use support::trace::{T0, Trace, many_processes};
use support::*;

/// A table's rows as one batch.
fn rows(out: &std::path::Path, table: &str) -> RecordBatch {
    let batches = read(out, table);
    concat_batches(&batches[0].schema(), &batches).unwrap()
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
