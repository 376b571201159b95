//! Pages that follow from the contract are true.

mod support;

use sf_parquet::reject::Code;
use support::*;

#[test]
fn the_page_of_tables_is_that_of_the_contract() {
    let output = run(["schema", "--format", "markdown"]);
    expect_status(&output, 0);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tables.md")).unwrap_or_default();
    assert!(stdout(&output) == page, "run: cargo run -- schema --format markdown > docs/tables.md");
}

#[test]
fn schema_has_every_form_for_every_table() {
    for format in ["text", "json", "duckdb", "spark", "markdown"] {
        let all = stdout(&run(["schema", "--format", format]));
        for table in ["records", "processes", "k8s_items", "rejects"] {
            let one = run(["schema", table, "--format", format]);
            expect_status(&one, 0);
            let rows = |text: String| text.lines().filter(|line| line.contains("record_no")).count();
            assert!(stdout(&one).contains(table) && all.contains(table), "{format} {table}");
            assert!(rows(stdout(&one)) < rows(all.clone()), "{format} {table}");
            assert!(!stdout(&one).contains("pod_service_ports"), "{format} {table}");
        }
    }
    expect_status(&run(["schema", "nothing"]), 2);
    // Where there is no DDL, nothing has a location.
    expect_status(&run(["schema", "--location", "x"]), 2);
}

#[test]
fn every_code_of_rejects_is_explained() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let table = page.split("| code | severity |").nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = table.lines().skip(2).filter_map(|line| line.split(" | ").next());
    let explained: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(explained, Code::ALL.iter().map(|code| code.name()).collect::<Vec<_>>());
}

#[test]
fn what_is_special_in_a_location_stands_for_itself() {
    for (format, given, location) in [
        ("duckdb", "it's/d?[t]", r"'it''s/d[?][[]t]/pods/*/*.parquet'"),
        ("spark", r"it's/d?[t]\a", r"'it\'s/d?[t]\\a/pods'"),
    ] {
        let ddl = stdout(&run(["schema", "pods", "--format", format, "--location", given]));
        assert!(ddl.contains(location), "{ddl}");
    }
    // DuckDB takes it for a separator.
    expect_status(&run(["schema", "--format", "duckdb", "--location", r"a\b"]), 2);
}
