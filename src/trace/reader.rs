//! A trace file as inflated blocks and the records in them, with everything that had to be left out.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use serde::Serialize;

use super::ahead::{Ahead, Found};
use super::codec::{InflateError, Inflater};
use super::container::{FileHeader, Frame, Gap, GapCause, Marker, Step, Walk};
use super::cursor::{Cursor, DecodeError, Oddities};
use super::records::{Event, Record};
use crate::progress::Stopper;
use crate::reject::{Code, Severity};
use crate::text::Escaped;

/// Bytes that a block may have, compressed and inflated, in commands without `--memory` (concat, inspect, repair).
pub const BLOCK_LIMIT: usize = 256 << 20;

/// Bytes of a buffer that is used again.
pub(super) const KEPT_BUFFER: usize = 4 << 20;

/// Something of a file that could not be taken over whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    pub severity: Severity,
    pub code: Code,
    /// Byte offset in the file: of the block, or of the gap.
    pub offset: u64,
    /// Ordinal of the first record concerned.
    pub record_no: u64,
    pub message: String,
    /// `None`: nobody can know.
    pub records_lost: Option<u64>,
}

/// Where, what, and how many records that costs, escaped.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "at byte {}: {}{}", self.offset, Escaped(&self.message), Loss(self.records_lost))
    }
}

/// How many records are lost, behind what it comes from.
pub struct Loss(pub Option<u64>);

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            None => write!(f, "; nobody can know how many records are lost"),
            Some(0) => Ok(()),
            Some(1) => write!(f, "; 1 record is lost"),
            Some(n) => write!(f, "; {n} records are lost"),
        }
    }
}

/// An inflated block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Byte offset of the block in the file.
    pub offset: u64,
    /// Ordinal in the file of its first record.
    pub first_record: u64,
    /// Records that its header promises.
    pub count: u64,
    has_marker: bool,
}

/// Where a record was, and what reading it took.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Ordinal in the file.
    pub record_no: u64,
    /// Bytes of the record.
    pub size: usize,
    pub oddities: Oddities,
    /// The inflated block from behind the record on.
    pub rest: &'a [u8],
}

/// Why nothing is read of a block.
enum Unread {
    /// In words.
    TooLarge(String),
    Damaged(InflateError),
    /// Nothing says that it is one: its records do not fill it exactly either.
    NoMarker,
}

/// What [`Blocks::next`] found.
#[derive(Debug)]
pub enum Item {
    /// A block; its records are in the buffer.
    Block(Block),
    Damage(Damage),
}

/// The blocks of a file from a position on.
pub struct Blocks {
    file: Arc<File>,
    inflater: Inflater,
    compressed: Vec<u8>,
    pos: u64,
    next_record: u64,
    /// Bytes that a block may have, compressed and inflated.
    limit: usize,
    ahead: Arc<Ahead>,
}

impl Blocks {
    /// All blocks of the first `size` bytes of `file`; none may be larger than `limit` bytes.
    pub fn new(file: Arc<File>, header: &FileHeader, size: u64, limit: usize, stopper: Stopper) -> Self {
        Self::from(file, header, size, limit, (header.len, 0), stopper)
    }

    /// The blocks from the one at byte `pos`, whose first record has the ordinal `record`.
    pub fn from(
        file: Arc<File>,
        header: &FileHeader,
        size: u64,
        limit: usize,
        (pos, record): (u64, u64),
        stopper: Stopper,
    ) -> Self {
        let walk = Walk::new(file.clone(), header.sync, size, pos, stopper);
        Blocks {
            ahead: Arc::new(Ahead::new(walk, file.clone(), header.codec, limit)),
            file,
            inflater: Inflater::new(header.codec, limit),
            compressed: Vec::new(),
            pos,
            next_record: record,
            limit,
        }
    }

    /// Byte offset behind what was read so far.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// The bytes that the last block was inflated from, unless that was done ahead.
    pub fn compressed(&self) -> &[u8] {
        &self.compressed
    }

    /// Ordinal of the next record.
    pub fn next_record(&self) -> u64 {
        self.next_record
    }

    /// Has the next blocks inflated by other threads of the current pool, as many as there is room and time for.
    pub fn look_ahead(&self) {
        if rayon::current_num_threads() > 1 {
            self.ahead.call();
        }
    }

    /// Whether the blocks that were inflated ahead are the last of the file.
    pub fn is_found(&self) -> bool {
        self.ahead.is_at_end()
    }

    /// The next block, inflated into `buffer`, or damage; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, header: &FileHeader, buffer: &mut Vec<u8>) -> io::Result<Option<Item>> {
        let Some(Found { step, pos, inflated }) = self.ahead.next()? else { return Ok(None) };
        self.pos = pos;
        let frame = match step {
            Step::Gap(gap) => {
                let damage = gap_damage(gap, self.next_record);
                self.next_record += damage.records_lost.unwrap_or(0);
                return Ok(Some(Item::Damage(damage)));
            }
            Step::Block(frame) => frame,
        };
        let first_record = self.next_record;
        let block =
            Block { offset: frame.offset, first_record, count: frame.count, has_marker: frame.marker.is_whole() };
        let unread = match self.inflate(frame, inflated, buffer)? {
            Ok(()) if block.has_marker || block.is_whole(header, buffer) => None,
            Ok(()) => Some(Unread::NoMarker),
            Err(unread) => Some(unread),
        };
        let count = match (&unread, frame.marker) {
            (Some(_), Marker::Missing { .. }) => None,
            (Some(Unread::NoMarker), _) => Some(frame.count.min(buffer.len() as u64)),
            _ => believable(frame.count, frame.data_len),
        };
        if let Marker::Missing { next } = frame.marker {
            self.ahead.decide(unread.is_some().then_some(next));
            if unread.is_some() {
                self.pos = next;
            }
        }
        self.next_record += count.unwrap_or(0);
        let Some(unread) = unread else { return Ok(Some(Item::Block(block))) };
        const NO_MARKER: &str = "no sync marker ends the block, nor is its data whole";
        let (code, message) = match (unread, frame.marker) {
            (Unread::TooLarge(message), _) => (Code::BlockTooLarge, message),
            (Unread::Damaged(e), Marker::Whole) => (Code::BadCompression, format!("the block: {e}")),
            (_, Marker::Missing { next }) => {
                (Code::BadSync, format!("{NO_MARKER}; no block was found in {} bytes", next - frame.offset))
            }
            _ => (Code::BadSync, NO_MARKER.to_owned()),
        };
        Ok(Some(Item::Damage(Damage {
            severity: Severity::Error,
            code,
            offset: frame.offset,
            record_no: first_record,
            message,
            records_lost: count,
        })))
    }

    /// Whether the data of a block whose marker is not whole is: its records are read then.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_whole(&mut self, header: &FileHeader, frame: Frame, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let block = Block { offset: frame.offset, first_record: 0, count: frame.count, has_marker: false };
        Ok(self.inflate(frame, None, buffer)?.is_ok() && block.is_whole(header, buffer))
    }

    /// Inflates a block into `buffer`, if that was not done ahead.
    fn inflate(
        &mut self,
        frame: Frame,
        ahead: Option<Result<Vec<u8>, InflateError>>,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Result<(), Unread>> {
        if frame.data_len > self.limit as u64 {
            let message = format!("the block has {} bytes, more than the limit of {}", frame.data_len, self.limit);
            return Ok(Err(Unread::TooLarge(message)));
        }
        // Room for the largest of all blocks would be kept for the whole file.
        for large in [&mut self.compressed, &mut *buffer] {
            if large.capacity() > KEPT_BUFFER {
                *large = Vec::new();
            }
        }
        let inflated = match ahead {
            Some(inflated) => inflated.map(|inflated| self.ahead.keep(std::mem::replace(buffer, inflated))),
            None => {
                self.compressed.resize(frame.data_len as usize, 0);
                self.file.read_exact_at(&mut self.compressed, frame.data_offset)?;
                self.inflater.inflate(&self.compressed, buffer)
            }
        };
        Ok(inflated.map_err(|e| match e {
            InflateError::TooLarge(_) => Unread::TooLarge(format!("the block: {e}")),
            InflateError::Damaged(_) => Unread::Damaged(e),
        }))
    }

    /// The whole records of the block in which the file ends, if `damage` is that it does: their number and their bytes,
    /// with which `buffer` starts. What is there of such a block is as it was written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn cut_block(
        &mut self,
        header: &FileHeader,
        damage: &Damage,
        buffer: &mut Vec<u8>,
    ) -> io::Result<(u64, usize)> {
        let len = self.pos() - damage.offset;
        if damage.code != Code::Truncated || len > self.limit as u64 {
            return Ok((0, 0));
        }
        self.compressed.resize(len as usize, 0);
        self.file.read_exact_at(&mut self.compressed, damage.offset)?;
        let mut cur = Cursor::new(&self.compressed);
        let (Ok(count), Ok(_)) = (cur.long(), cur.long()) else { return Ok((0, 0)) };
        self.inflater.inflate_start(without_zeros(cur.rest()), buffer);
        let mut cur = Cursor::new(buffer);
        let (mut records, mut whole) = (0, 0);
        let mut event = Event::default();
        while records < count as u64 && whole < buffer.len() {
            if Record::decode(&mut cur, &header.schema, &header.branches, &mut event).is_err() {
                break;
            }
            (records, whole) = (records + 1, cur.pos());
        }
        Ok((records, whole))
    }

    /// Decodes the records of `block` in `data` and hands each with its ordinal to `each`. Returns what is damaged.
    ///
    /// # Errors
    /// Whatever `each` returns.
    pub fn records<E>(
        &mut self,
        header: &FileHeader,
        block: Block,
        data: &[u8],
        each: impl for<'r> FnMut(Place<'r>, Record<'r>) -> Result<(), E>,
    ) -> Result<Option<Damage>, E> {
        block.records(header, data, &mut self.next_record, each)
    }
}

impl Block {
    /// Decodes the records of the block in `data`. `next_record` is corrected where they are not as many as its header
    /// promises.
    fn records<'a, E>(
        self,
        header: &'a FileHeader,
        data: &'a [u8],
        next_record: &mut u64,
        mut each: impl for<'r> FnMut(Place<'r>, Record<'r>) -> Result<(), E>,
    ) -> Result<Option<Damage>, E> {
        let block = self;
        let damage = |severity, code, records: u64, message, records_lost: Option<u64>| {
            let record_no = block.first_record + records;
            Some(Damage { severity, code, offset: block.offset, record_no, message, records_lost })
        };
        let mut cur = Cursor::new(data);
        let mut event = Event::default();
        let mut records = 0;
        while !cur.is_at_end() {
            let start = cur.pos();
            match Record::decode(&mut cur, &header.schema, &header.branches, &mut event) {
                Ok(record) => {
                    let place = Place {
                        record_no: block.first_record + records,
                        size: cur.pos() - start,
                        oddities: cur.oddities,
                        rest: &data[cur.pos()..],
                    };
                    each(place, record)?;
                }
                Err(e) => {
                    // A record has a byte at least, so a count beyond that is a lie.
                    let lost = block.count.saturating_sub(records).min(data.len() as u64);
                    let message = format!("at byte {} of the inflated block: {e}", cur.pos());
                    let (severity, code) = match lost {
                        0 => (Severity::Warning, Code::TrailingBytes),
                        _ => (Severity::Error, Code::BadRecord),
                    };
                    *next_record = block.first_record + records + lost;
                    return Ok(damage(severity, code, records, message, Some(lost)));
                }
            }
            records += 1;
        }
        *next_record = block.first_record + records;
        // Records that fill the block to its last byte are whole, whatever its header says of their number. Where they are
        // fewer, either is wrong: damaged data may make one of several.
        if records != block.count {
            let message = format!("the block promises {} records and holds {records}", block.count);
            let (severity, lost) = match records < block.count {
                true => (Severity::Error, None),
                false => (Severity::Warning, Some(0)),
            };
            return Ok(damage(severity, Code::CountMismatch, records.min(block.count), message, lost));
        }
        if !block.has_marker {
            let message = "the block's sync marker is damaged, its data is whole".into();
            return Ok(damage(Severity::Warning, Code::BadSync, 0, message, Some(0)));
        }
        Ok(None)
    }

    fn is_whole(self, header: &FileHeader, data: &[u8]) -> bool {
        let mut cur = Cursor::new(data);
        let decode = |cur: &mut Cursor| -> Result<(), DecodeError> {
            for _ in 0..self.count {
                if cur.is_at_end() {
                    return Err(DecodeError::UnexpectedEnd);
                }
                let index = cur.long()?;
                let branch = usize::try_from(index).ok().and_then(|i| header.schema.branches().get(i));
                cur.skip(&header.schema, *branch.ok_or(DecodeError::BadIndex)?)?;
            }
            Ok(())
        };
        decode(&mut cur).is_ok() && cur.is_at_end()
    }
}

/// After a crash, file systems leave zeros where the last bytes were not written yet; as records they would be headers.
fn without_zeros(data: &[u8]) -> &[u8] {
    let end = data.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    if data.len() - end < 16 { data } else { &data[..end] }
}

fn gap_damage(gap: Gap, record_no: u64) -> Damage {
    let bytes = gap.end - gap.offset;
    let (severity, code, message) = match gap.cause {
        GapCause::Truncated => (
            Severity::Notice,
            Code::Truncated,
            format!("the file ends inside a block, {bytes} bytes of it are there: cut, or still being written"),
        ),
        GapCause::BadBlockHeader => (Severity::Error, Code::BadBlockHeader, format!("{bytes} bytes are no block")),
    };
    let records_lost = gap.records_lost.and_then(|count| believable(count, bytes));
    Damage { severity, code, offset: gap.offset, record_no, message, records_lost }
}

/// The number of records that a block header promises, unless its compressed bytes cannot hold as many: a record has
/// a byte at least, and deflate's best ratio is 1032.
fn believable(count: u64, compressed: u64) -> Option<u64> {
    (count <= compressed.saturating_mul(1032).saturating_add(1 << 20)).then_some(count)
}
