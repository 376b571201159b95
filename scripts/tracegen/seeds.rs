//! Seeds for the fuzz targets (fuzz/): small inputs that show each of them what there is, made of the robot-shop traces.

use std::convert::Infallible;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Error, Result};
use serde_json::{Value, json};
use sf_parquet::trace::codec::Codec;
use sf_parquet::trace::container::FileHeader;
use sf_parquet::trace::cursor::Cursor;
use sf_parquet::trace::reader::{BLOCK_LIMIT, Blocks, Item};
use sf_parquet::trace::records::Record;
use sf_parquet::trace::schema::Schema;
use sf_parquet::trace::transcode::Transcoder;
use sf_parquet::trace::write::{ContainerWriter, put_bytes, put_long};

use super::activity;

const SYNC: [u8; 16] = *b"0123456789abcdef";
/// Records of each type that are taken.
const OF_EACH: usize = 2;
/// Bytes of a Kubernetes message at most.
const MESSAGE: usize = 900;

/// A record as it is in a block.
struct Sample {
    /// Differs for each type of record.
    kind: &'static str,
    bytes: Vec<u8>,
    message: Option<String>,
}

/// Writes the seeds of each target to a folder of its name.
pub fn seeds(out: &Path) -> Result<()> {
    let traces = tempfile::tempdir()?;
    activity::robot_shop(traces.path(), 1)?;
    let mut paths = fs::read_dir(traces.path())?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let (mut samples, mut schema) = (Vec::new(), Vec::new());
    for path in &paths {
        schema = sample(path, &mut samples)?;
    }
    let put = |target: &str, name: &str, bytes: &[u8]| -> Result<()> {
        fs::create_dir_all(out.join(target))?;
        Ok(fs::write(out.join(target).join(name), bytes)?)
    };
    for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2, Codec::Xz] {
        put("container", codec.name(), &tiny_trace(codec)?)?;
    }
    put("container", "version-4", &trace(Codec::Deflate, &schema, &samples)?)?;
    let all: Vec<u8> = samples.iter().flat_map(|sample| sample.bytes.iter().copied()).collect();
    // The first byte chooses the schema to read with and the one to transcode to, see fuzz/src/records.rs.
    let others =
        [include_bytes!("../../fuzz/schemas/newest.json"), &include_bytes!("../../fuzz/schemas/oldest.json")[..]];
    for target in 0..4 {
        put("records", &format!("0-to-{target}"), &[&[target << 2 | 0xf0], &all[..]].concat())?;
        for (i, other) in others.iter().enumerate() {
            let records = transcoded(&schema, other, &all)?;
            let choice = target << 2 | (i + 1) as u8 | 0xf0;
            put("records", &format!("{}-to-{target}", i + 1), &[&[choice], &records[..]].concat())?;
        }
    }
    for (i, sample) in samples.iter().enumerate() {
        put("records", &format!("{i:02}-{}", sample.kind), &[&[0], &sample.bytes[..]].concat())?;
        if let Some(message) = &sample.message {
            put("k8s_message", &format!("{i:02}"), message.as_bytes())?;
        }
    }
    put("k8s_message", "odd", br#"{"kind":7,"items":[{"podIPs":[{"ip":"::1"}],"selector":{"matchLabels":{"a":"b"}},"addresses":[{"address":"x"},3]}],"type":null}"#)?;
    put("schema", "version-4", &[&schema[..], b"\0", &all].concat())?;
    for (i, (ty, block)) in small_schemas().iter().enumerate() {
        put("schema", &format!("small-{i}"), &[top(ty).to_string().as_bytes(), b"\0", block].concat())?;
    }
    let manifest = manifest().to_string();
    put("manifest", "manifest", manifest.as_bytes())?;
    put("manifest", "two", format!("{manifest}\0{manifest}").as_bytes())
}

/// Adds the first records of each type of a trace, unless there are enough; returns the trace's schema.
fn sample(path: &Path, samples: &mut Vec<Sample>) -> Result<Vec<u8>> {
    let file = Arc::new(File::open(path)?);
    let size = file.metadata()?.len();
    let header = FileHeader::read(&file, size)?;
    let mut blocks = Blocks::new(file, &header, size, BLOCK_LIMIT, Default::default());
    let mut data = Vec::new();
    while let Some(Item::Block(block)) = blocks.next(&header, &mut data)? {
        let Ok(_) = blocks.records(&header, block, &data, |place, record| {
            let (kind, message) = match &record {
                Record::Header(_) => ("header", None),
                Record::Pod(_) => ("pod", None),
                Record::Container(_) => ("container", None),
                Record::Process(_) => ("process", None),
                Record::File(_) => ("file", None),
                Record::Event(kind, event) => (kind.code(), event.message.as_deref().map(str::to_owned)),
                Record::Unknown(_) => ("unknown", None),
            };
            // One of each kind of message is wanted, of other records the first ones.
            let start =
                |message: &Option<String>| message.as_ref().map(|m| m.rsplit("\"kind\"").next().map(str::to_owned));
            let alike = |s: &&Sample| s.kind == kind && start(&s.message) == start(&message);
            let enough = if message.is_some() { 1 } else { OF_EACH };
            let short = message.as_ref().is_none_or(|m| m.len() <= MESSAGE);
            if short && samples.iter().filter(alike).count() < enough {
                let end = data.len() - place.rest.len();
                samples.push(Sample { kind, bytes: data[end - place.size..end].to_vec(), message });
            }
            Ok::<_, Infallible>(())
        });
    }
    Ok(header.schema_json)
}

/// Records of one schema in another, without those that it has no place for.
fn transcoded(from: &[u8], to: &[u8], records: &[u8]) -> Result<Vec<u8>> {
    let (from, to) = (Schema::parse(from).map_err(Error::msg)?, Schema::parse(to).map_err(Error::msg)?);
    let transcoder = Transcoder::new(&from, &to);
    let (mut cur, mut out) = (Cursor::new(records), Vec::new());
    while !cur.is_at_end() {
        transcoder.record(&mut cur, &from, &mut out)?;
    }
    Ok(out)
}

/// All samples in two blocks.
fn trace(codec: Codec, schema: &[u8], samples: &[Sample]) -> Result<Vec<u8>> {
    let mut writer = ContainerWriter::new(Vec::new(), codec, schema, SYNC)?;
    for block in samples.chunks(samples.len().div_ceil(2)) {
        let data: Vec<u8> = block.iter().flat_map(|sample| sample.bytes.iter().copied()).collect();
        writer.block(block.len() as u64, &data)?;
    }
    Ok(writer.finish()?)
}

/// A few records of the smallest schema in one to three blocks: short, so that mutations meet more than a schema's text.
fn tiny_trace(codec: Codec) -> Result<Vec<u8>> {
    let record = |name: &str, fields: Value| json!({"type": "record", "name": name, "fields": fields});
    let schema = top(&json!([
        record("SFHeader", json!([{"name": "exporter", "type": "string"}])),
        record("K8sEvent", json!([{"name": "ts", "type": "long"}, {"name": "message", "type": "string"}]))
    ]));
    let mut writer = ContainerWriter::new(Vec::new(), codec, schema.to_string().as_bytes(), SYNC)?;
    // Those that take the longest to set up get one block, so that more inputs are tried.
    let blocks = if matches!(codec, Codec::Bzip2 | Codec::Xz) { 1 } else { 3 };
    for ts in 0..blocks {
        let mut data = Vec::new();
        put_long(&mut data, 0);
        put_bytes(&mut data, b"node");
        put_long(&mut data, 1);
        put_long(&mut data, ts);
        put_bytes(&mut data, b"{}\n\0");
        writer.block(2, &data)?;
    }
    Ok(writer.finish()?)
}

/// A schema whose top union has these branches.
fn top(branches: &Value) -> Value {
    json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": branches}]})
}

/// Branches of small schemas, each with a block.
fn small_schemas() -> Vec<(Value, Vec<u8>)> {
    let oid = json!({"type": "record", "name": "OID", "fields": [
        {"name": "createTS", "type": "long"}, {"name": "hpid", "type": "long", "default": 7}]});
    let fixed = json!({"type": "fixed", "name": "FOID", "size": 20});
    let tree = json!({"type": "record", "name": "Tree", "fields": [{"name": "next", "type": ["null", "Tree"]}]});
    vec![
        (json!([{"type": "record", "name": "Process", "fields": [{"name": "oid", "type": oid}]}]), vec![0, 2, 4]),
        (json!([{"type": "record", "name": "File", "fields": [{"name": "oid", "type": fixed}]}]), vec![0; 21]),
        (
            json!([{"type": "record", "name": "Pod", "namespace": "a", "fields": [
            {"name": "labels", "type": {"type": "map", "values": "string"}},
            {"name": "hostIP", "type": {"type": "array", "items": "long"}}]}]),
            b"\0\x02\x02a\x02b\0\x01\x04\x02\0".to_vec(),
        ),
        (json!(["null", tree, "double", {"type": "enum", "name": "E", "symbols": ["A"]}]), vec![2, 2, 2, 0, 0, 6, 0]),
    ]
}

/// A manifest with one input and one file.
fn manifest() -> Value {
    json!({
        "format": 1, "run": "000001-20220317T184715Z", "program": "0.1.0",
        "content": {"tables": ["records", "traces"], "since": null, "until": 1_647_544_455_002_529_691_i64},
        "compression": "zstd", "encodings": "default",
        "inputs": [{
            "path": "1.sf", "size": 100, "mtime": 1, "sha256": "aa", "status": "damaged", "truncated": true,
            "traces": 1, "records": 3, "headers": 1, "unknown": 0, "lost": 2, "filtered": 0, "dangling": 0,
            "repaired": 0, "rows": {"records": 2, "traces": 1}
        }],
        "files": [{
            "path": "records/date=2022-03-17/part-1-00000.parquet", "table": "records", "rows": 2, "bytes": 9,
            "sha256": "bb", "min_ts": 1, "max_ts": null, "inputs": [0], "kept": ["aa"]
        }],
        "removed": ["records/date=2022-03-17/part-0-00000.parquet"], "superseded": ["cc"]
    })
}
