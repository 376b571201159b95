//! How a file begins, and how its blocks lie: what is seen of an input without decoding it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataset::manifest::InputKind;
use crate::input;
use crate::progress::Meter;
use crate::text::hex;
use crate::trace::container::{FileHeader, Frame, GapCause, HeaderError, Marker, Step, Walk};
use crate::trace::reader;

/// Bytes of the first block, or of a log's first line, that tell files apart.
const HEAD: u64 = 64 << 10;

/// What is seen of an input without reading it whole.
pub struct Outline {
    /// 16 hex digits that a file has in common with all that it grows to: of the SHA-256 of its header and first block, or of
    /// a log's first line. Empty if there is none.
    pub head: String,
    /// It is no trace, or its header is damaged.
    pub broken: bool,
    /// The trace's header, and the walk over its blocks, behind the first.
    walk: Option<(FileHeader, Walk, Option<Step>)>,
}

impl Outline {
    /// # Errors
    /// The file cannot be read. Damage is no error.
    pub fn of(file: &Arc<File>, size: u64, kind: InputKind, meter: &Meter) -> io::Result<Outline> {
        let mut outline = Outline { head: String::new(), broken: false, walk: None };
        let end = match kind {
            InputKind::ExperimentLog => first_line(file, size)?,
            InputKind::Trace => {
                let header = match FileHeader::read(file, size) {
                    Ok(header) => header,
                    Err(HeaderError::Io(e)) => return Err(e),
                    Err(_) => return Ok(Outline { broken: true, ..outline }),
                };
                let mut walk = Walk::new(file.clone(), header.sync, size, header.len, meter.stopper());
                let first = walk.step()?;
                let end = match first {
                    Some(Step::Block(block)) => Some((block.data_offset + block.data_len).min(header.len + HEAD)),
                    _ => None,
                };
                outline.walk = Some((header, walk, first));
                end
            }
        };
        if let Some(end) = end {
            let hash = input::sha256(file, 0..end, meter)?;
            outline.head = hash[..16].to_owned();
        }
        Ok(outline)
    }

    /// The trace's sync marker as hex digits.
    pub fn sync(&self) -> Option<String> {
        self.walk.as_ref().map(|(header, ..)| hex(&header.sync))
    }

    /// Walks over all blocks, of which none may be larger than `limit` bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn blocks(self, file: &Arc<File>, size: u64, limit: usize, meter: &Meter) -> io::Result<Blocks> {
        let mut blocks = Blocks { is_sound: true, ..Blocks::default() };
        let Some((header, mut walk, mut next)) = self.walk else { return Ok(blocks) };
        while let Some(step) = next {
            meter.check_io()?;
            let reader = || reader::Blocks::new(file.clone(), &header, size, limit, meter.stopper());
            // Where its rows end, if something else may be there; or where what has no rows starts.
            let rows = match &step {
                Step::Block(frame) if frame.marker.is_whole() => Ok(None),
                Step::Block(frame) if is_whole(reader, &header, *frame)? => {
                    Ok(Some(frame.data_offset + frame.data_len))
                }
                Step::Block(frame) => {
                    match frame.marker {
                        // Zeros behind the header of a block, which is still to be written, are taken for its data.
                        Marker::Missing { next } => walk.go_to(next),
                        _ => blocks.is_sound = false,
                    }
                    Err(frame.offset)
                }
                Step::Gap(gap) => Err(gap.offset),
            };
            blocks.is_cut = matches!(&step, Step::Gap(gap) if gap.cause == GapCause::Truncated);
            match rows {
                Ok(end) => {
                    blocks.is_sound &= blocks.end.is_none();
                    blocks.end = end;
                }
                Err(start) => {
                    blocks.end.get_or_insert(start);
                }
            }
            next = walk.step()?;
        }
        Ok(blocks)
    }
}

/// Whether there are rows of a block whose marker is not whole.
fn is_whole(reader: impl FnOnce() -> reader::Blocks, header: &FileHeader, frame: Frame) -> io::Result<bool> {
    // As large as it may be, there is memory for one.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    reader().is_whole(header, frame, &mut Vec::new())
}

/// Which of these SHA-256 are of whole blocks of a trace, from byte `pos` on, or from the first.
///
/// # Errors
/// The file cannot be read.
pub fn blocks_among<'h>(
    file: &Arc<File>,
    size: u64,
    pos: u64,
    hashes: &HashSet<&'h str>,
    meter: &Meter,
) -> io::Result<HashSet<&'h str>> {
    let mut found = HashSet::new();
    let Ok(header) = FileHeader::read(file, size) else { return Ok(found) };
    let mut walk = Walk::new(file.clone(), header.sync, size, pos.max(header.len), meter.stopper());
    while let Some(step) = walk.step()? {
        if let Step::Block(frame) = step
            && frame.marker.is_whole()
        {
            let hash = input::sha256(file, frame.offset..walk.pos(), meter)?;
            found.extend(hashes.get(hash.as_str()));
        }
    }
    Ok(found)
}

/// How the blocks of a file lie.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Where the last one ends of which there are rows, if something is behind it.
    pub end: Option<u64>,
    /// That is the start of a block: the file is probably still being written.
    pub is_cut: bool,
    /// Nothing but whole blocks is there up to that.
    pub is_sound: bool,
}

/// Where the first line of a file ends, if it is no longer than [`HEAD`].
fn first_line(file: &File, size: u64) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; size.min(HEAD) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(memchr::memchr(b'\n', &bytes).map(|end| end as u64 + 1))
}
