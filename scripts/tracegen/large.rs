//! Traces that are large in one respect each, to see that memory is held (docs/reliability.md). Encoded by hand: millions
//! of records as values of a library take minutes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use libdeflater::{CompressionLvl, Compressor};
use serde_json::json;

use super::writer::{Branch, header_of};

/// What there is much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Much {
    /// Processes, each with a parent and an event; one of four has 200 bytes of arguments, one of eight events is of a
    /// process of long ago
    Processes,
    /// Processes with 100 KB of arguments, each with an event, that have each other as parents
    Arguments,
    /// Processes, each the child of the last
    Chain,
    /// Files, each with an event
    Files,
    /// Containers with a pod each, each with a process and an event
    Containers,
    /// Events, in one block
    Events,
    /// Events that jump between 400 days
    Days,
    /// Items of 1 KB in one Kubernetes message
    Items,
    /// Items without fields in one Kubernetes message
    EmptyItems,
    /// Labels of an item
    ItemLabels,
    /// Bytes of a process's arguments
    Text,
    /// Entries of a process's environment
    Environment,
    /// Entries without bytes of a process's environment
    EmptyEnvironment,
    /// Addresses of a pod
    Addresses,
    /// Labels of a pod
    Labels,
    /// Headers
    Headers,
}

/// Raw bytes of a block, as collectors write them.
const BLOCK: usize = 80 << 10;
/// 2022-03-17 18:00:00 UTC.
const T0: i64 = 1_647_540_000_000_000_000;
const DAY: i64 = 86_400_000_000_000;

/// A trace that is being written.
struct Trace {
    file: BufWriter<File>,
    deflate: Compressor,
    block: Vec<u8>,
    count: i64,
    block_bytes: usize,
}

const SYNC: [u8; 16] = [0x6c; 16];

impl Trace {
    fn create(path: &Path, block_bytes: usize) -> Result<Trace> {
        let mut schema = super::schema::sysflow();
        let process = &mut schema["fields"][0]["type"][Branch::Process as usize]["fields"];
        if let Some(fields) = process.as_array_mut() {
            fields.push(json!({"name": "cwd", "type": "string"}));
            fields.push(json!({"name": "env", "type": {"type": "array", "items": "string"}}));
        }
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&header_of(&schema.to_string(), &SYNC))?;
        let deflate = Compressor::new(CompressionLvl::new(1).unwrap_or_default());
        let mut trace = Trace { file, deflate, block: Vec::new(), count: 0, block_bytes };
        trace.header()?;
        Ok(trace)
    }

    fn long(&mut self, value: i64) {
        let mut n = ((value << 1) ^ (value >> 63)) as u64;
        while n >= 0x80 {
            self.block.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.block.push(n as u8);
    }

    fn longs<const N: usize>(&mut self, values: [i64; N]) {
        values.into_iter().for_each(|value| self.long(value));
    }

    fn text(&mut self, text: &str) {
        self.long(text.len() as i64);
        self.block.extend_from_slice(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.long(i64::from(text.is_some()));
        text.into_iter().for_each(|text| self.text(text));
    }

    /// A list of `count` entries, each as `entry` encodes it.
    fn list(&mut self, count: i64, entry: impl Fn(&mut Trace, i64)) {
        if count > 0 {
            self.long(count);
            (0..count).for_each(|i| entry(self, i));
        }
        self.long(0);
    }

    /// Ends a record.
    fn end(&mut self) -> Result<()> {
        self.count += 1;
        if self.block.len() >= self.block_bytes { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<()> {
        let raw = std::mem::take(&mut self.block);
        let mut data = vec![0; self.deflate.deflate_compress_bound(raw.len())];
        let len = self.deflate.deflate_compress(&raw, &mut data)?;
        let count = std::mem::take(&mut self.count);
        self.longs([count, len as i64]);
        self.file.write_all(&self.block)?;
        self.file.write_all(&data[..len])?;
        self.file.write_all(&SYNC)?;
        self.block = raw;
        self.block.clear();
        Ok(())
    }

    fn header(&mut self) -> Result<()> {
        self.longs([Branch::Header as i64, 4]);
        ["node", "10.0.0.1", "/mnt/data/1"].into_iter().for_each(|text| self.text(text));
        self.end()
    }

    fn process(
        &mut self,
        n: i64,
        parent: i64,
        args: &str,
        container: Option<&str>,
        env: i64,
        entry: &str,
    ) -> Result<()> {
        self.longs([Branch::Process as i64, 0, T0 + n, n, 1, T0 + parent, parent, T0 + n]);
        self.text("/usr/local/bin/worker");
        self.text(args);
        self.long(1000);
        self.text("worker");
        self.long(1000);
        self.text("workers");
        self.block.push(0);
        self.optional(container);
        self.block.push(0);
        self.text("/srv");
        self.list(env, |trace, i| match entry {
            "" => trace.text(""),
            _ => trace.text(&format!("{entry}{i:012}")),
        });
        self.end()
    }

    fn exec(&mut self, process: i64, ts: i64) -> Result<()> {
        self.longs([Branch::ProcessEvent as i64, T0 + process, process, ts, process, 2, 0, 0]);
        self.end()
    }

    fn file(&mut self, n: i64, container: Option<&str>) -> Result<()> {
        self.longs([Branch::File as i64, 0]);
        self.oid(n);
        self.longs([T0 + n, i64::from(b'f')]);
        self.text(&format!("/var/lib/data/{n:08}/some/file.dat"));
        self.optional(container);
        self.end()
    }

    fn oid(&mut self, n: i64) {
        self.block.extend_from_slice(&[0x5a; 12]);
        self.block.extend_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    }

    fn file_event(&mut self, process: i64, file: i64, ts: i64) -> Result<()> {
        self.longs([Branch::FileEvent as i64, T0 + process, process, ts, process, 32]);
        self.oid(file);
        self.longs([0, 0]);
        self.end()
    }

    fn container(&mut self, n: i64) -> Result<()> {
        self.long(Branch::Container as i64);
        for text in [format!("{n:012x}"), format!("shop-{n}"), "shop:latest".into(), "sha256:0123456789ab".into()] {
            self.text(&text);
        }
        self.long(0);
        self.block.push(0);
        self.optional(Some(&pod_id(n)));
        self.end()
    }

    fn pod(&mut self, n: i64, addresses: i64, labels: i64) -> Result<()> {
        self.longs([Branch::Pod as i64, T0]);
        for text in [pod_id(n), format!("shop-{n}"), "node".into()] {
            self.text(&text);
        }
        self.list(addresses, |trace, i| trace.long(i));
        self.list(1, |trace, _| trace.long(n));
        self.text("shop");
        self.long(0);
        self.list(labels, |trace, i| {
            trace.text(&format!("{i}"));
            trace.text("");
        });
        self.longs([0, 0]);
        self.end()
    }

    fn kubernetes(&mut self, message: &str) -> Result<()> {
        self.longs([Branch::K8sEvent as i64, 2, 0, T0]);
        self.text(message);
        self.end()
    }
}

fn pod_id(n: i64) -> String {
    format!("{n:08x}-aaaa-bbbb-cccc-0123456789ab")
}

/// A message with these items.
fn message(item: &str, count: i64) -> String {
    let items = vec![item; count as usize].join(",");
    format!(r#"{{"apiVersion":"v1","kind":"Pod","type":"ADDED","items":[{items}]}}"#)
}

/// A number below `n`, always the same for `i`.
fn some(i: i64, n: i64) -> i64 {
    ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as i64 % n.max(1)
}

/// Writes a trace with `count` of something.
pub fn large(much: Much, count: i64, out: &Path) -> Result<()> {
    let mut trace = Trace::create(out, if much == Much::Events { usize::MAX } else { BLOCK })?;
    let plain = |trace: &mut Trace, n, parent| trace.process(n, parent, "--serve", None, 0, "");
    if !matches!(much, Much::Processes | Much::Arguments | Much::Chain | Much::Containers) {
        plain(&mut trace, 0, -1)?;
    }
    match much {
        Much::Processes => {
            for n in 0..count {
                let args = if n % 4 == 0 { format!("{n:0200}") } else { format!("--id {n}") };
                trace.process(n, some(n, n), &args, None, 0, "")?;
                trace.exec(if n % 8 == 0 { some(n, n) } else { n }, T0 + n)?;
            }
        }
        Much::Arguments => {
            for n in 0..count {
                trace.process(n, some(n, count), &format!("{n}{}", "x".repeat(100_000)), None, 0, "")?;
            }
            for n in 0..count {
                trace.exec(n, T0 + n)?;
            }
        }
        Much::Chain => {
            for n in 0..count {
                plain(&mut trace, n, n - 1)?;
                trace.exec(n, T0 + n)?;
            }
        }
        Much::Files => {
            for n in 0..count {
                trace.file(n, None)?;
                trace.file_event(0, if n % 8 == 0 { some(n, n) } else { n }, T0 + n)?;
            }
        }
        Much::Containers => {
            for n in 0..count {
                trace.pod(n, 1, 4)?;
                trace.container(n)?;
                trace.process(n, n, "--serve", Some(&format!("{n:012x}")), 0, "")?;
                trace.exec(some(n, n), T0 + n)?;
            }
        }
        Much::Events => (0..count).try_for_each(|n| trace.exec(0, T0 + n))?,
        Much::Days => (0..count).try_for_each(|n| trace.exec(0, T0 + some(n, 400) * DAY + n))?,
        Much::Items => {
            let text = "x".repeat(850);
            let item = json!({"name": "web", "namespace": "shop", "podIP": "10.1.2.3", "labels": {"app": "web"},
                "annotation": text});
            trace.kubernetes(&message(&item.to_string(), count))?;
        }
        Much::EmptyItems => trace.kubernetes(&message("{}", count))?,
        Much::ItemLabels => {
            let labels: Vec<String> = (0..count).map(|i| format!(r#""{i}":"""#)).collect();
            trace.kubernetes(&message(&format!(r#"{{"labels":{{{}}}}}"#, labels.join(",")), 1))?;
        }
        Much::Text => {
            trace.process(1, 0, &"x".repeat(count as usize), None, 0, "")?;
            trace.exec(1, T0)?;
        }
        Much::Environment => trace.process(1, 0, "", None, count, "NAME=VAL")?,
        Much::EmptyEnvironment => trace.process(1, 0, "", None, count, "")?,
        Much::Addresses => trace.pod(1, count, 0)?,
        Much::Labels => trace.pod(1, 1, count)?,
        Much::Headers => {
            for n in 0..count {
                trace.header()?;
                plain(&mut trace, n, n)?;
                trace.exec(n, T0 + n)?;
            }
        }
    }
    trace.end_block()?;
    trace.file.flush()?;
    Ok(())
}
