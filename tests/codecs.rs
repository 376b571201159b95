//! Every codec of the Avro specification gives the same rows, and an independent Avro reader sees the same records.

mod support;

use std::fs::File;

use apache_avro::types::Value;
use apache_avro::{Codec, Reader, Writer};
use support::*;

fn records(path: &std::path::Path) -> (apache_avro::Schema, Vec<Value>) {
    let reader = Reader::new(File::open(path).unwrap()).unwrap();
    (reader.writer_schema().clone(), reader.map(|r| r.unwrap()).collect())
}

#[test]
fn every_codec_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (schema, values) = records(&testdata().join("1647545115.sf"));
    let codecs = [
        ("null", Codec::Null),
        ("deflate", Codec::Deflate(Default::default())),
        ("snappy", Codec::Snappy),
        ("zstandard", Codec::Zstandard(Default::default())),
        ("bzip2", Codec::Bzip2(Default::default())),
        ("xz", Codec::Xz(Default::default())),
    ];
    let mut all = Vec::new();
    for (name, codec) in codecs {
        let path = folder.path().join(format!("{name}.sf"));
        let mut writer = Writer::with_codec(&schema, File::create(&path).unwrap(), codec);
        for value in &values {
            writer.append_value_ref(value).unwrap();
        }
        writer.flush().unwrap();
        let out = folder.path().join(name);
        expect_status(&convert(&[&path], &out, &[]), 0);
        let tables = ["records", "processes", "files", "pods", "k8s_items"];
        let rows: Vec<_> = tables.iter().flat_map(|table| rows(&out, table, &["trace_id"])).collect();
        assert!(rows.len() > values.len() / 2, "{name}");
        all.push(rows);
    }
    assert!(all.iter().all(|rows| *rows == all[0]));
}

#[test]
fn an_independent_reader_counts_the_same_records() {
    for entry in std::fs::read_dir(testdata()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "sf") {
            continue;
        }
        let out = tempfile::tempdir().unwrap();
        expect_status(&convert(&[&path], out.path(), &[]), 0);
        assert_eq!(sum(out.path(), "traces", "records"), records(&path).1.len() as i64, "{}", path.display());
    }
}
