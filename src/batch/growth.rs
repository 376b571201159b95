//! Which trace begins with which. One that has grown replaces what it was; one that another begins with has its rows there.
//!
//! Files that can begin with one another are found by their [`Outline::head`], and then by hashes of their beginnings: the
//! marker between Avro blocks is not enough, since collectors that begin a file in the same second have the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::plan::Input;
use crate::dataset::manifest::{InputEntry, Kind, Rank};
use crate::dataset::state::{Read, State};
use crate::input::{self, Stop};
use crate::progress::Meter;
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
    pub fn of(file: &Arc<File>, size: u64, kind: Kind, meter: &Meter) -> io::Result<Outline> {
        let mut outline = Outline { head: String::new(), broken: false, walk: None };
        let end = match kind {
            Kind::ExperimentLog => first_line(file, size)?,
            Kind::Trace => {
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
            let hash = input::sha256(file, 0..end, &|| meter.check_io())?;
            outline.head = hash[..16].to_owned();
        }
        Ok(outline)
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
            match step {
                Step::Block(frame) if frame.marker.is_whole() => {
                    blocks.is_sound &= blocks.end.is_none();
                    (blocks.end, blocks.is_cut) = (None, false);
                }
                Step::Block(frame) => {
                    let reader = || reader::Blocks::new(file.clone(), &header, size, limit, meter.stopper());
                    match (is_whole(reader, &header, frame)?, frame.marker) {
                        (true, _) => {
                            blocks.is_sound &= blocks.end.is_none();
                            blocks.end = Some(frame.data_offset + frame.data_len);
                        }
                        // Zeros behind the header of a block, which is still to be written, are taken for its data.
                        (false, Marker::Missing { next }) => {
                            blocks.end.get_or_insert(frame.offset);
                            walk.go_to(next);
                        }
                        (false, _) => {
                            blocks.end.get_or_insert(frame.offset);
                            blocks.is_sound = false;
                        }
                    }
                    blocks.is_cut = false;
                }
                Step::Gap(gap) => {
                    blocks.end.get_or_insert(gap.offset);
                    blocks.is_cut = gap.cause == GapCause::Truncated;
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

/// Which of these SHA-256 are of whole blocks of a trace, from the one at byte `pos` on.
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
    let mut walk = Walk::new(file.clone(), header.sync, size, pos, meter.stopper());
    while let Some(step) = walk.step()? {
        if let Step::Block(frame) = step
            && frame.marker.is_whole()
        {
            let hash = input::sha256(file, frame.offset..walk.pos(), &|| meter.check_io())?;
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

/// Whether rows of an input are there without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    Apart,
    /// Another input, of this run or an earlier one, begins with it: that with this key, the longest.
    Beginning(String),
    /// The input of this name, of an earlier run, may have begun with it, or did and both have rows.
    Doubtful(String),
}

/// As much of what an earlier run read as is at hand in an input that is skipped.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'s> {
    pub of: &'s InputEntry,
    rank: Rank,
    is_whole: bool,
}

impl<'s> Piece<'s> {
    /// All of it.
    pub fn whole(of: &'s InputEntry) -> Piece<'s> {
        Piece { of, rank: of.rank(), is_whole: true }
    }

    /// Its first `size` bytes.
    pub fn beginning(of: &'s InputEntry, size: u64) -> Piece<'s> {
        Piece { of, rank: (size, size), is_whole: false }
    }
}

/// A file that inputs may be the beginning of.
struct Longer<'s> {
    /// Where it is at hand. Otherwise see [`State::at_hand`].
    path: Option<&'s Path>,
    /// See [`InputEntry::rank`]; and its place, if it is an input: one of several of the same rank has the last word.
    rank: (Rank, usize),
    head: &'s str,
    /// What an earlier run read that has its rows, unless it is an input.
    read: Option<&'s InputEntry>,
    /// The key of what has its rows.
    key: String,
}

/// How each input is related to the others, and to those that earlier runs read, which are `at_hand` in other files.
pub fn relations<'s>(
    inputs: &'s [Input],
    state: &'s State,
    at_hand: &'s [(&'s Path, Piece<'s>)],
    stop: Stop,
) -> Vec<Relation> {
    // By rank, then by place. Hardly any without a head has records.
    let mut by_head: BTreeMap<&str, Vec<(Rank, usize)>> = BTreeMap::new();
    for (place, input) in inputs.iter().enumerate().filter(|(_, input)| !input.head.is_empty()) {
        by_head.entry(&input.head).or_default().push((input.rank(), place));
    }
    by_head.values_mut().for_each(|alike| alike.sort_unstable());
    let shorter = |head: &str, rank: (Rank, usize)| {
        let alike = by_head.get(head).map(Vec::as_slice).unwrap_or_default();
        &alike[..alike.partition_point(|other| *other < rank)]
    };
    // The places of those that a file begins with, if it is at hand.
    let beginnings = |longer: &Longer| -> Option<Vec<usize>> {
        let path = longer.path.map(Cow::from).or_else(|| longer.read.and_then(|read| state.at_hand(read)))?;
        let shorter = shorter(longer.head, longer.rank);
        let mut sizes: Vec<u64> = shorter.iter().map(|((size, _), _)| *size).collect();
        sizes.dedup();
        let hashes = hashes(&path, &sizes, stop).ok()?;
        let by_size = shorter.chunk_by(|((a, _), _), ((b, _), _)| a == b).zip(&hashes);
        let places = by_size.flat_map(|(others, hash)| others.iter().map(move |(_, place)| (*place, hash)));
        Some(places.filter(|(place, hash)| inputs[*place].extent().1 == **hash).map(|(place, _)| place).collect())
    };
    // There may be many that no input is the beginning of.
    let is_longer = |head: &str, rank: (Rank, usize)| !shorter(head, rank).is_empty();
    let of_inputs = inputs.iter().enumerate().map(|(place, input)| (input, (input.rank(), place)));
    let of_inputs = of_inputs.filter(|(input, rank)| is_longer(&input.head, *rank)).map(|(input, rank)| Longer {
        path: Some(&input.path),
        rank,
        head: &input.head,
        read: None,
        key: input.key(),
    });
    let of_read = |path, Piece { of, rank, is_whole: _ }: Piece<'s>| {
        let rank = (rank, 0);
        Longer { path, rank, head: &of.head, read: Some(of), key: of.key() }
    };
    let skipped = at_hand.iter().filter(|(_, piece)| is_longer(&piece.of.head, (piece.rank, 0)));
    let skipped: Vec<Longer> = skipped.map(|(path, piece)| of_read(Some(*path), *piece)).collect();
    let whole = at_hand.iter().filter(|(_, piece)| piece.is_whole);
    let whole: HashSet<String> = whole.map(|(_, piece)| piece.of.key()).collect();
    let reads = by_head.keys().flat_map(|head| state.by_head(head)).map(|read| read.input);
    let reads = reads.filter(|read| is_longer(&read.head, (read.rank(), 0)) && !whole.contains(&read.key()));
    let reads = reads.map(|of| of_read(None, Piece::whole(of)));
    let mut longer: Vec<Longer> = of_inputs.chain(skipped).chain(reads).collect();
    // The longest has the last word, for that is not the beginning of another one.
    longer.sort_by_key(|longer| longer.rank);
    let found: Vec<Option<Vec<usize>>> = longer.par_iter().map(beginnings).collect();

    // How an input is related to earlier ones is settled if one of them has its content.
    let known: Vec<Option<Read>> = inputs.iter().map(|input| state.by_key(&input.key())).collect();
    let is_doubtful = |place: usize| known[place].is_none_or(|read| read.live && read.input.doubtful);
    let mut relations = vec![Relation::Apart; inputs.len()];
    for (longer, found) in longer.iter().zip(&found) {
        let Some(read) = longer.read else { continue };
        let perhaps = shorter(longer.head, longer.rank).iter().map(|(_, place)| *place);
        for place in perhaps.filter(|place| found.as_ref().is_none_or(|found| found.contains(place))) {
            if is_doubtful(place) && relations[place] == Relation::Apart {
                relations[place] = Relation::Doubtful(read.path.clone());
            }
        }
    }
    for (longer, found) in longer.iter().zip(found) {
        // What cannot be read any more ends the run when it is converted. Rows that are there already stay until the longer
        // one is an input.
        for place in found.unwrap_or_default() {
            if known[place].is_none() || longer.read.is_none() {
                relations[place] = Relation::Beginning(longer.key.clone());
            }
        }
    }
    relations
}

/// SHA-256 of the beginnings of a file that have these sizes, ascending.
fn hashes(path: &Path, sizes: &[u64], stop: Stop) -> io::Result<Vec<String>> {
    let Some((longest, others)) = sizes.split_last() else { return Ok(Vec::new()) };
    let (last, mut hashes) = input::sha256_and_prefixes(&input::open(path)?, *longest, others, stop)?;
    hashes.push(last);
    Ok(hashes)
}
