//! Many traces into one. Planned first (which schema and codec, what every input needs, whether all are whole), then
//! written.
//!
//! Blocks of an input that has the schema and codec of the result are copied as they are, with the result's sync
//! marker; others are compressed anew, or transcoded (see [`crate::trace::transcode`]).

mod target;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, IoContext, Result};
use crate::input;
use crate::progress::{Meter, Phase};
use crate::reject::Code;
use crate::text::{Escaped, path_text};
use crate::trace::codec::Codec;
use crate::trace::container::{FileHeader, GapCause, Step, Walk};
use crate::trace::cursor::Cursor;
use crate::trace::reader::{BLOCK_LIMIT, Blocks, Damage, Item};
use crate::trace::records::{Event, Record};
use crate::trace::transcode::Transcoder;
use crate::trace::write::ContainerWriter;
use target::Schemas;

/// What the user asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The result's codec; that of the inputs if they agree, else that of the input whose schema is taken.
    pub codec: Option<Codec>,
    /// Leave out what the result's schema has no place for.
    pub allow_loss: bool,
}

/// An input, and which of the schemas it has.
#[derive(Debug)]
struct Member {
    path: PathBuf,
    size: u64,
    codec: Codec,
    sync: [u8; 16],
    schema: usize,
}

/// How the inputs become one file.
#[derive(Debug)]
pub struct Plan {
    members: Vec<Member>,
    codec: Codec,
    /// Index of the schema of the result.
    target: usize,
    schema_json: Vec<u8>,
    /// By schema: how its records get into the result; `None` for the one that it has.
    transcoders: Vec<Option<Transcoder>>,
    pub summary: Summary,
}

/// What a concatenation comes to.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub inputs: usize,
    /// Inputs whose blocks are copied as they are, only compressed anew, or transcoded.
    pub copied: usize,
    pub recompressed: usize,
    pub transcoded: usize,
    pub codec: &'static str,
    /// The input whose schema the result has.
    pub schema_of: String,
    /// Fields that some inputs lack, filled with the schema's default or else with null, 0, false or nothing.
    pub filled: BTreeSet<String>,
    /// What is left out, because the result's schema has no place for it.
    pub losses: BTreeSet<String>,
    pub blocks: u64,
    pub records: u64,
    /// Records left out, whose type the result's schema does not have.
    pub records_lost: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Plans the concatenation. Looks at every block's header, and at the first record of every input.
///
/// # Errors
/// An input cannot be read or is damaged; it would become part of the trace before it; or something of it would be lost
/// and `options` do not allow that.
pub fn plan(paths: &[PathBuf], options: Options, meter: &Meter) -> Result<Plan> {
    let bytes = paths.iter().filter_map(|path| path.metadata().ok()).map(|there| there.len()).sum();
    meter.begin(Phase::Checking, paths.len() as u64, bytes);
    let mut schemas = Schemas::default();
    let mut members: Vec<Member> = Vec::with_capacity(paths.len());
    for path in paths {
        let (file, size, header) = open(path)?;
        check(path, file, size, &header, !members.is_empty(), meter)?;
        let schema = schemas.index(&header, members.len());
        members.push(Member { path: path.clone(), size, codec: header.codec, sync: header.sync, schema });
        meter.files.fetch_add(1, Relaxed);
    }
    let (target, transcoders) = schemas.choose(meter)?;
    let Some(first) = members.first() else { return Err(Error::Usage("there is no input".into())) };
    let agreed = Some(first.codec).filter(|codec| members.iter().all(|m| m.codec == *codec));
    let origin = &members[schemas.origin(target)];
    let codec = options.codec.or(agreed).unwrap_or(origin.codec);
    let plans = || transcoders.iter().flatten();
    let summary = Summary {
        inputs: members.len(),
        copied: members.iter().filter(|m| m.schema == target && m.codec == codec).count(),
        recompressed: members.iter().filter(|m| m.schema == target && m.codec != codec).count(),
        transcoded: members.iter().filter(|m| m.schema != target).count(),
        codec: codec.name(),
        schema_of: path_text(&origin.path).into_owned(),
        filled: plans().flat_map(|t| t.filled.iter().cloned()).collect(),
        losses: plans().flat_map(|t| t.losses.iter().cloned()).collect(),
        blocks: 0,
        records: 0,
        records_lost: 0,
        bytes_in: members.iter().map(|m| m.size).sum(),
        bytes_out: 0,
    };
    let impossible = |m: &&Member| transcoders[m.schema].as_ref().is_some_and(|t| !t.impossible.is_empty());
    if let Some(member) = members.iter().find(impossible) {
        let fields: BTreeSet<&String> = plans().flat_map(|t| &t.impossible).collect();
        let fields: Vec<String> = fields.into_iter().map(|f| Escaped(f).to_string()).collect();
        let message = format!(
            "it cannot be brought into the schema of {}: for {} there is no value that ends or is small enough",
            Escaped(&summary.schema_of),
            fields.join(", "),
        );
        return Err(Error::Trace { path: member.path.clone(), message });
    }
    let lossy = |m: &&Member| transcoders[m.schema].as_ref().is_some_and(|t| !t.losses.is_empty());
    if let Some(member) = members.iter().find(lossy).filter(|_| !options.allow_loss) {
        let losses: Vec<String> = summary.losses.iter().map(|l| Escaped(l).to_string()).collect();
        let message = format!(
            "no schema of the inputs has a place for all of them; that of {} lacks {}; leave these out with --allow-loss",
            Escaped(&summary.schema_of),
            losses.join(", "),
        );
        return Err(Error::Trace { path: member.path.clone(), message });
    }
    Ok(Plan { codec, target, schema_json: schemas.json(target).to_vec(), transcoders, summary, members })
}

fn open(path: &Path) -> Result<(Arc<File>, u64, FileHeader)> {
    let file = input::open(path).during("open", path)?;
    let size = file.metadata().during("read", path)?.len();
    let header = FileHeader::read(&file, size).map_err(|e| Error::of_header(path, e))?;
    Ok((file.into(), size, header))
}

fn damaged(path: &Path, offset: u64, message: &str) -> Error {
    let message = format!(
        "at byte {offset}: {message}; 'sf-parquet repair' keeps what is whole of it (if it is not being written)"
    );
    Error::Trace { path: path.to_owned(), message }
}

/// An input with a block that cannot be read. One that is too large is none for `repair` either.
fn unread(path: &Path, damage: &Damage) -> Error {
    match damage.code {
        Code::BlockTooLarge => Error::Trace { path: path.to_owned(), message: damage.to_string() },
        _ => damaged(path, damage.offset, &damage.message),
    }
}

/// Requires that the frames of all blocks are whole, and that an input which follows another begins with a header.
fn check(path: &Path, file: Arc<File>, size: u64, header: &FileHeader, follows: bool, meter: &Meter) -> Result<()> {
    let mut walk = Walk::new(file.clone(), header.sync, size, header.len, meter.stopper());
    let mut before = 0;
    while let Some(step) = walk.step().during("read", path)? {
        meter.check()?;
        meter.bytes.fetch_add(walk.pos() - before, Relaxed);
        before = walk.pos();
        match step {
            Step::Block(frame) if frame.marker.is_whole() => {}
            Step::Block(frame) => return Err(damaged(path, frame.offset, "no sync marker ends the block")),
            Step::Gap(gap) => {
                let message = match gap.cause {
                    GapCause::Truncated => "the file ends inside a block",
                    GapCause::BadBlockHeader => "what is there is no block",
                };
                return Err(damaged(path, gap.offset, message));
            }
        }
    }
    if follows && !begins_with_header(path, file, size, header, meter)? {
        let message = "it does not begin with a header, so its records would become part of the trace before it; \
                       give it first"
            .to_owned();
        return Err(Error::Trace { path: path.to_owned(), message });
    }
    Ok(())
}

/// A file without records begins with nothing that could be taken wrongly.
fn begins_with_header(path: &Path, file: Arc<File>, size: u64, header: &FileHeader, meter: &Meter) -> Result<bool> {
    let mut blocks = Blocks::new(file, header, size, BLOCK_LIMIT, meter.stopper());
    let mut buffer = Vec::new();
    loop {
        match blocks.next(header, &mut buffer).during("read", path)? {
            None => return Ok(true),
            Some(Item::Damage(damage)) => return Err(unread(path, &damage)),
            Some(Item::Block(_)) if buffer.is_empty() => {}
            Some(Item::Block(block)) => {
                let mut event = Event::default();
                let first = Record::decode(&mut Cursor::new(&buffer), &header.schema, &header.branches, &mut event);
                return match first {
                    Ok(record) => Ok(matches!(record, Record::Header(_))),
                    Err(e) => Err(damaged(path, block.offset, &e.to_string())),
                };
            }
        }
    }
}

impl Plan {
    /// Writes the concatenation to `out`, which `name` names in errors.
    ///
    /// # Errors
    /// An input is damaged or has changed, `out` fails, or `meter` says to stop. What was written is then worthless.
    pub fn write(mut self, out: impl Write, name: &Path, meter: &Meter) -> Result<Summary> {
        meter.begin(Phase::Writing, self.members.len() as u64, self.summary.bytes_in);
        let out = io::BufWriter::with_capacity(1 << 20, out);
        let writer = ContainerWriter::new(out, self.codec, &self.schema_json, self.sync()).during("write", name)?;
        let mut output = Output { writer, name, meter, blocks: 0, records: 0, lost: 0 };
        for member in &self.members {
            let (file, size, header) = open(&member.path)?;
            if size < member.size || header.sync != member.sync {
                return Err(Error::InputChanged(member.path.clone()));
            }
            match &self.transcoders[member.schema] {
                None if member.schema == self.target && member.codec == self.codec => {
                    output.copy(member, &file, &header)?
                }
                transcoder => output.rewrite(member, file, &header, transcoder.as_ref())?,
            }
            meter.files.fetch_add(1, Relaxed);
        }
        (self.summary.blocks, self.summary.records) = (output.blocks, output.records);
        (self.summary.records_lost, self.summary.bytes_out) = (output.lost, output.writer.bytes());
        output.writer.finish().during("write", name)?;
        Ok(self.summary)
    }

    /// The result's sync marker: the same for the same inputs, and no other file's.
    fn sync(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(&self.schema_json);
        hash.update(self.codec.name());
        for member in &self.members {
            hash.update(member.sync);
            hash.update(member.size.to_le_bytes());
        }
        std::array::from_fn({
            let hash = hash.finalize();
            move |i| hash[i]
        })
    }
}

/// Bytes of a block that are copied at once: it may be larger than memory.
const PIECE: usize = 1 << 20;

struct Output<'o, W> {
    writer: ContainerWriter<W>,
    name: &'o Path,
    meter: &'o Meter,
    blocks: u64,
    records: u64,
    lost: u64,
}

impl<W: Write> Output<'_, W> {
    fn wrote(&mut self, bytes: u64, records: u64) -> Result<()> {
        self.records += records;
        self.meter.bytes.fetch_add(bytes, Relaxed);
        self.meter.records.fetch_add(records, Relaxed);
        self.meter.check()
    }

    /// Copies blocks as they are.
    fn copy(&mut self, member: &Member, file: &Arc<File>, header: &FileHeader) -> Result<()> {
        let mut walk = Walk::new(file.clone(), header.sync, member.size, header.len, self.meter.stopper());
        let mut buffer = vec![0; PIECE];
        while let Some(step) = walk.step().during("read", &member.path)? {
            let frame = match step {
                Step::Block(frame) if frame.marker.is_whole() => frame,
                _ => return Err(Error::InputChanged(member.path.clone())),
            };
            let (mut at, end) = (frame.offset, frame.data_offset + frame.data_len);
            while at < end {
                let piece = &mut buffer[..PIECE.min((end - at) as usize)];
                file.read_exact_at(piece, at).during("read", &member.path)?;
                self.writer.piece(piece).during("write", self.name)?;
                at += piece.len() as u64;
                self.meter.check()?;
            }
            self.writer.end_block().during("write", self.name)?;
            self.blocks += 1;
            self.wrote(end - frame.offset, frame.count)?;
        }
        Ok(())
    }

    /// Compresses blocks anew, transcoded if need be.
    fn rewrite(
        &mut self,
        member: &Member,
        file: Arc<File>,
        header: &FileHeader,
        transcoder: Option<&Transcoder>,
    ) -> Result<()> {
        let mut blocks = Blocks::new(file, header, member.size, BLOCK_LIMIT, self.meter.stopper());
        let (mut data, mut transcoded) = (Vec::new(), Vec::new());
        loop {
            let before = blocks.pos();
            let block = match blocks.next(header, &mut data).during("read", &member.path)? {
                None => return Ok(()),
                Some(Item::Damage(damage)) => return Err(unread(&member.path, &damage)),
                Some(Item::Block(block)) => block,
            };
            let (mut count, mut bytes) = (block.count, &data);
            if let Some(transcoder) = transcoder {
                transcoded.clear();
                let taken = transcode(transcoder, header, &data, &mut transcoded);
                let (all, taken) = taken.map_err(|e| damaged(&member.path, block.offset, &e))?;
                if all != block.count {
                    let message = format!("the block promises {} records and holds {all}", block.count);
                    return Err(damaged(&member.path, block.offset, &message));
                }
                self.lost += all - taken;
                (count, bytes) = (taken, &transcoded);
            }
            // Whatever its header says of how many they are.
            if !bytes.is_empty() {
                self.writer.block(count, bytes).during("write", self.name)?;
                self.blocks += 1;
            }
            self.wrote(blocks.pos() - before, count)?;
        }
    }
}

/// Transcodes a block. Returns the number of records in it, and how many of them were taken.
fn transcode(
    transcoder: &Transcoder,
    header: &FileHeader,
    data: &[u8],
    out: &mut Vec<u8>,
) -> std::result::Result<(u64, u64), String> {
    let mut cur = Cursor::new(data);
    let (mut all, mut taken) = (0, 0);
    while !cur.is_at_end() {
        match transcoder.record(&mut cur, &header.schema, out) {
            // Fields that are filled in can make much of little.
            Ok(_) if out.len() > BLOCK_LIMIT => return Err(format!("it becomes larger than {BLOCK_LIMIT} bytes")),
            Ok(written) => taken += u64::from(written),
            Err(e) => return Err(format!("at byte {} of the inflated block: {e}", cur.pos())),
        }
        all += 1;
    }
    Ok((all, taken))
}
