//! The Avro object container file: its header, and the walk from block to block, over damage where there is any.
//!
//! A walk reads block headers and sync markers only, never the data between, and never believes a length that reaches
//! beyond the file. After damage it goes on behind the next sync marker (Avro specification, "Object Container Files").

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::memmem;

use super::codec::Codec;
use super::cursor::{Cursor, DecodeError};
use super::records::Branches;
use super::schema::Schema;
use crate::progress::Stopper;
use crate::reject::Code;

/// What an Avro object container file starts with.
pub const MAGIC: &[u8; 4] = b"Obj\x01";
const SYNC_LEN: u64 = 16;
/// A block header is two varints.
const MAX_BLOCK_HEADER: usize = 20;
/// Real headers have some 10 KB of schema.
const MAX_HEADER: usize = 1 << 20;
const SEARCH_CHUNK: usize = 1 << 20;

/// What a file's header says.
#[derive(Debug, Clone)]
pub struct FileHeader {
    pub codec: Codec,
    pub schema: Schema,
    pub branches: Branches,
    /// The schema as written, for those that write it again.
    pub schema_json: Vec<u8>,
    pub sync: [u8; SYNC_LEN as usize],
    /// Bytes of the header with its sync marker: where the first block starts.
    pub len: u64,
}

/// Why a file is no trace.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is no Avro object container file: it does not start with 'Obj' and the byte 1")]
    NotAvro,
    #[error("the file ends inside its header")]
    Cut,
    #[error("the header is damaged: {0}")]
    Damaged(#[from] DecodeError),
    #[error("the header says nothing of a schema")]
    NoSchema,
    #[error("{0}")]
    Schema(String),
    #[error("the codec '{0}' is unknown; rewrite the file with a codec of the Avro specification")]
    Codec(String),
    #[error("the header is larger than {MAX_HEADER} bytes")]
    TooLarge,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl HeaderError {
    /// The code of this error in `rejects`.
    pub fn code(&self) -> Code {
        match self {
            HeaderError::Empty => Code::EmptyFile,
            HeaderError::NotAvro => Code::NotAvro,
            HeaderError::Cut => Code::HeaderCut,
            HeaderError::Damaged(_) | HeaderError::TooLarge => Code::HeaderDamaged,
            HeaderError::NoSchema | HeaderError::Schema(_) => Code::BadSchema,
            HeaderError::Codec(_) => Code::UnknownCodec,
            HeaderError::Io(_) => Code::Unreadable,
        }
    }
}

impl FileHeader {
    /// Reads the header of a file of `size` bytes.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn read(file: &File, size: u64) -> Result<FileHeader, HeaderError> {
        if size == 0 {
            return Err(HeaderError::Empty);
        }
        let mut want = 64 << 10;
        loop {
            let len = usize::try_from(size).unwrap_or(usize::MAX).min(want);
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, 0)?;
            match Self::parse(&bytes) {
                Err(HeaderError::Damaged(DecodeError::UnexpectedEnd | DecodeError::BadLength)) => {
                    if len as u64 == size {
                        return Err(HeaderError::Cut);
                    }
                    if len == MAX_HEADER {
                        return Err(HeaderError::TooLarge);
                    }
                    want = (want * 4).min(MAX_HEADER);
                }
                result => return result,
            }
        }
    }

    /// Reads the header that `bytes` start with.
    ///
    /// # Errors
    /// See [`HeaderError`]; bytes that end inside the header count as damaged, since more may follow.
    pub fn parse(bytes: &[u8]) -> Result<FileHeader, HeaderError> {
        let prefix = MAGIC.len().min(bytes.len());
        if bytes[..prefix] != MAGIC[..prefix] {
            return Err(HeaderError::NotAvro);
        }
        let mut cur = Cursor::new(bytes);
        cur.take(MAGIC.len())?;
        let (mut codec, mut schema_json) = (Codec::Null, None);
        loop {
            let mut count = cur.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                count = count.checked_neg().ok_or(DecodeError::BadIndex)?;
                cur.long()?;
            }
            for _ in 0..count {
                let key = header_bytes(&mut cur)?;
                let value = header_bytes(&mut cur)?;
                match key {
                    b"avro.codec" => {
                        let name = String::from_utf8_lossy(value);
                        codec =
                            Codec::by_name(&name).ok_or_else(|| HeaderError::Codec(name.chars().take(40).collect()))?;
                    }
                    b"avro.schema" => schema_json = Some(value.to_vec()),
                    _ => {}
                }
            }
        }
        let sync = cur.take(SYNC_LEN as usize)?;
        let sync = sync.try_into().map_err(|_| DecodeError::UnexpectedEnd)?;
        let len = cur.pos() as u64;
        let schema_json = schema_json.ok_or(HeaderError::NoSchema)?;
        let schema = Schema::parse(&schema_json).map_err(HeaderError::Schema)?;
        let branches = Branches::of(&schema);
        Ok(FileHeader { codec, schema, branches, schema_json, sync, len })
    }
}

fn header_bytes<'a>(cur: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(cur.long()?).map_err(|_| DecodeError::BadIndex)?;
    cur.take(len)
}

/// A block as its header describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where the block's header starts.
    pub offset: u64,
    /// Records that the header promises.
    pub count: u64,
    pub data_offset: u64,
    /// Compressed bytes.
    pub data_len: u64,
    pub marker: Marker,
}

/// What is where a block's sync marker should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Whole,
    /// Something else, but the next block follows; or one before the end that the header promises, which then has less data.
    Damaged,
    /// Something else, and no block behind it. If the block's data is not whole, its header may say anything, and nothing
    /// is known of what lies before `next`, which is behind the next marker or the end of the file.
    Missing {
        next: u64,
    },
}

impl Marker {
    pub fn is_whole(self) -> bool {
        self == Marker::Whole
    }
}

/// Bytes in which no block could be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub offset: u64,
    /// Where the walk goes on.
    pub end: u64,
    pub cause: GapCause,
    /// Records lost, where a block header tells it.
    pub records_lost: Option<u64>,
}

/// Why bytes are no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// The file ends inside a block: it was cut, or is still being written.
    Truncated,
    /// The bytes are no block header.
    BadBlockHeader,
}

/// One step of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Block(Frame),
    Gap(Gap),
}

/// Walks over the blocks of a file.
#[derive(Debug)]
pub struct Walk {
    file: Arc<File>,
    sync: [u8; SYNC_LEN as usize],
    /// Bytes of the file that count; what was appended since is not looked at.
    size: u64,
    pos: u64,
    /// Where the last search for a marker began, and what it found: where every marker is damaged, it must not be run to
    /// the end of the file for each block.
    search: Option<(u64, Option<u64>)>,
    stopper: Stopper,
}

enum Parsed {
    Frame(Frame),
    /// A plausible header of a block that reaches beyond the file.
    Beyond(u64),
    Cut,
    Bad,
}

impl Walk {
    /// A walk over the first `size` bytes of `file`, from the block at `pos`.
    pub fn new(file: Arc<File>, sync: [u8; 16], size: u64, pos: u64, stopper: Stopper) -> Self {
        Walk { file, sync, size, pos, search: None, stopper }
    }

    /// Where the next step starts.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// Whether there is none.
    pub fn is_at_end(&self) -> bool {
        self.pos == self.size
    }

    /// The next block or gap, `None` at the end of the file.
    ///
    /// # Errors
    /// The file cannot be read, or the run was asked to stop.
    pub fn step(&mut self) -> io::Result<Option<Step>> {
        if self.pos >= self.size {
            return Ok(None);
        }
        let offset = self.pos;
        let (cause, records_lost) = match self.parse(offset)? {
            Parsed::Frame(frame) if frame.marker.is_whole() => {
                self.pos = frame.data_offset + frame.data_len + SYNC_LEN;
                return Ok(Some(Step::Block(frame)));
            }
            Parsed::Frame(frame) if frame.count > 0 => {
                return self.without_sync(frame).map(|f| Some(Step::Block(f)));
            }
            // Zeros, as file systems leave them after a crash, would be millions of empty blocks.
            Parsed::Frame(_) => (GapCause::BadBlockHeader, None),
            Parsed::Beyond(count) => (GapCause::Truncated, Some(count)),
            Parsed::Cut => (GapCause::Truncated, None),
            Parsed::Bad => (GapCause::BadBlockHeader, None),
        };
        Ok(Some(Step::Gap(match self.find_sync(offset)? {
            // Blocks follow, so the file is not cut here: the header lies.
            Some(at) => {
                self.pos = at + SYNC_LEN;
                Gap { offset, end: self.pos, cause: GapCause::BadBlockHeader, records_lost: None }
            }
            None => {
                self.pos = self.size;
                Gap { offset, end: self.size, cause, records_lost }
            }
        })))
    }

    /// A block whose sync marker is not where its header says: the length lies, or the marker is damaged.
    fn without_sync(&mut self, mut frame: Frame) -> io::Result<Frame> {
        let end = frame.data_offset + frame.data_len;
        match self.find_sync(frame.data_offset)? {
            Some(at) if at < end => {
                frame.data_len = at - frame.data_offset;
                frame.marker = Marker::Damaged;
                self.pos = at + SYNC_LEN;
            }
            // A damaged marker is as long as a whole one, so the next block should start behind it.
            at => {
                self.pos = (end + SYNC_LEN).min(self.size);
                let follows = self.pos == self.size
                    || matches!(self.parse(self.pos)?, Parsed::Frame(next) if next.marker.is_whole());
                if !follows {
                    frame.marker = Marker::Missing { next: at.map_or(self.size, |at| at + SYNC_LEN) };
                }
            }
        }
        Ok(frame)
    }

    /// Goes on at another place.
    pub fn go_to(&mut self, pos: u64) {
        self.pos = pos;
    }

    fn parse(&self, offset: u64) -> io::Result<Parsed> {
        let mut bytes = [0; MAX_BLOCK_HEADER];
        let len = (self.size.saturating_sub(offset)).min(MAX_BLOCK_HEADER as u64) as usize;
        self.file.read_exact_at(&mut bytes[..len], offset)?;
        let mut cur = Cursor::new(&bytes[..len]);
        let (count, data_len) = match (cur.long(), cur.long()) {
            (Ok(count), Ok(len)) if count >= 0 && len >= 0 => (count as u64, len as u64),
            (Err(DecodeError::UnexpectedEnd), _) | (Ok(0..), Err(DecodeError::UnexpectedEnd)) => {
                return Ok(Parsed::Cut);
            }
            _ => return Ok(Parsed::Bad),
        };
        let data_offset = offset + cur.pos() as u64;
        let end = data_offset.checked_add(data_len).and_then(|e| e.checked_add(SYNC_LEN));
        match end {
            Some(end) if end <= self.size => {
                let mut marker = [0; SYNC_LEN as usize];
                self.file.read_exact_at(&mut marker, data_offset + data_len)?;
                let marker = if marker == self.sync { Marker::Whole } else { Marker::Damaged };
                Ok(Parsed::Frame(Frame { offset, count, data_offset, data_len, marker }))
            }
            _ => Ok(Parsed::Beyond(count)),
        }
    }

    /// The first sync marker at or behind `from`.
    fn find_sync(&mut self, from: u64) -> io::Result<Option<u64>> {
        match self.search {
            Some((began, found)) if began <= from && found.is_none_or(|at| from <= at) => Ok(found),
            _ => {
                let found = self.search(from)?;
                self.search = Some((from, found));
                Ok(found)
            }
        }
    }

    fn search(&self, mut from: u64) -> io::Result<Option<u64>> {
        let finder = memmem::Finder::new(&self.sync);
        let mut chunk = vec![0; self.size.saturating_sub(from).min(SEARCH_CHUNK as u64) as usize];
        while from + SYNC_LEN <= self.size {
            // A hole may take long to search.
            self.stopper.check_io()?;
            let len = (self.size - from).min(SEARCH_CHUNK as u64) as usize;
            self.file.read_exact_at(&mut chunk[..len], from)?;
            if let Some(at) = finder.find(&chunk[..len]) {
                return Ok(Some(from + at as u64));
            }
            // The marker may lie across two chunks.
            from += len as u64 - (SYNC_LEN - 1);
        }
        Ok(None)
    }
}
