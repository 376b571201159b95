//! Records as Avro values, and the file that they go to.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};

/// Raw bytes of a block: small, so that even small traces have several.
const BLOCK: usize = 16 << 10;

/// The branches of the top union, in the order of the schema.
#[derive(Clone, Copy)]
pub enum Branch {
    Header,
    Container,
    Process,
    File,
    ProcessEvent,
    NetworkFlow,
    FileFlow,
    FileEvent,
    ProcessFlow,
    Pod,
    K8sEvent,
}

/// A record of the trace.
pub type Record = (Branch, Vec<(&'static str, Value)>);

pub fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

pub fn long(value: i64) -> Value {
    Value::Long(value)
}

pub fn int(value: i32) -> Value {
    Value::Int(value)
}

/// A value of a union with null.
pub fn optional(value: Option<Value>) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    }
}

pub fn symbol(names: &str, prefix: &str, name: &str) -> Value {
    let index = names.split_whitespace().position(|n| n == name).unwrap_or(0);
    Value::Enum(index as u32, format!("{prefix}{name}"))
}

pub fn record(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An IPv4 address as SysFlow has it: lowest byte first.
pub fn ip(dotted: &str) -> i32 {
    let bytes: Vec<u8> = dotted.split('.').filter_map(|b| b.parse().ok()).collect();
    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The same where the schema has a long.
pub fn long_ip(dotted: &str) -> Value {
    Value::Long(i64::from(ip(dotted) as u32))
}

/// Writes a trace file. The sync marker is made of the seed, so that the bytes are always the same.
pub fn write(path: &Path, seed: u64, records: Vec<Record>) -> Result<()> {
    let schema = Schema::parse(&super::schema::sysflow())?;
    let mut marker = [0x5f; 16];
    marker[..8].copy_from_slice(&seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let mut writer = Writer::builder()
        .schema(&schema)
        .writer(Vec::new())
        .codec(Codec::Deflate(DeflateSettings::default()))
        .block_size(BLOCK)
        .marker(marker)
        .build();
    for (branch, fields) in records {
        let rec = Value::Union(branch as u32, Box::new(record(fields)));
        writer.append_value_ref(&record(vec![("rec", rec)]))?;
    }
    let bytes = writer.into_inner()?;
    // The library writes the header's entries in any order; here it is fixed.
    let header = bytes.windows(marker.len()).position(|w| w == marker).context("the header has no end")?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header_of(&schema.canonical_form(), &marker))?;
    file.write_all(&bytes[header + marker.len()..])?;
    file.flush()?;
    Ok(())
}

/// An Avro file header with its entries sorted.
pub fn header_of(schema: &str, marker: &[u8; 16]) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    let number = |out: &mut Vec<u8>, n: usize| {
        let mut n = n << 1;
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    };
    number(&mut out, 2);
    for text in ["avro.codec", "deflate", "avro.schema", schema] {
        number(&mut out, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    number(&mut out, 0);
    out.extend_from_slice(marker);
    out
}
