//! Which trace begins with which. One that has grown replaces what it was; one that another begins with has its rows there.
//!
//! Files that can begin with one another are found by their [`Outline::head`], and then by hashes of their beginnings: the
//! marker between Avro blocks is not enough, since collectors that begin a file in the same second have the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::plan::{Input, Kind};
use crate::dataset::manifest::{InputEntry, State};
use crate::input::{self, Looker};
use crate::trace::container::{FileHeader, GapCause, HeaderError, Step, Walk};

/// Bytes of the first block, or of a log's first line, that tell files apart.
const HEAD: u64 = 64 << 10;

/// Ends a run that is asked to stop.
type Stop<'s> = &'s (dyn Fn() -> io::Result<()> + Sync);

/// What is seen of an input without reading it whole.
pub struct Outline {
    /// 16 hex digits that a file has in common with all that it grows to: of the SHA-256 of its header and first block, or of
    /// a log's first line. Empty if that is not whole.
    pub head: String,
    /// It is no trace, or its header is damaged.
    pub broken: bool,
    /// The walk over the blocks, behind the first.
    walk: Option<(Walk, Option<Step>)>,
}

impl Outline {
    /// # Errors
    /// The file cannot be read. Damage is no error.
    pub fn of(file: &Arc<File>, size: u64, kind: Kind, stop: Stop) -> io::Result<Outline> {
        let mut outline = Outline { head: String::new(), broken: false, walk: None };
        let end = match kind {
            Kind::ExperimentLog => first_line(file, size)?,
            Kind::Trace => {
                let header = match FileHeader::read(file, size) {
                    Ok(header) => header,
                    Err(HeaderError::Io(e)) => return Err(e),
                    Err(_) => return Ok(Outline { broken: true, ..outline }),
                };
                let mut walk = Walk::new(file.clone(), header.sync, size, header.len);
                let first = walk.step()?;
                outline.walk = Some((walk, first));
                match first {
                    Some(Step::Block(block)) => Some((block.data_offset + block.data_len).min(header.len + HEAD)),
                    _ => None,
                }
            }
        };
        if let Some(end) = end {
            let (hash, _) = input::sha256(file, end, &[], stop)?;
            outline.head = hash[..16].to_owned();
        }
        Ok(outline)
    }

    /// Whether the file ends inside a block, as one does that is still being written.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn ends_inside_a_block(self) -> io::Result<bool> {
        let Some((mut walk, mut last)) = self.walk else { return Ok(false) };
        while let Some(step) = walk.step()? {
            last = Some(step);
        }
        Ok(matches!(last, Some(Step::Gap(gap)) if gap.cause == GapCause::Truncated))
    }
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
    /// Another input, of this run or an earlier one, begins with it.
    Beginning,
    /// The input of this name may have begun with it, and is not at hand any more.
    Doubtful(String),
}

/// A file that inputs may be the beginning of: one of them, or one that an earlier run read.
enum Longer<'s> {
    Input(&'s Input),
    Read(&'s InputEntry),
}

/// How each input is related to the others, and to those that earlier runs read. Files are `at_hand` by their SHA-256.
pub fn relations(inputs: &[Input], state: &State, at_hand: &HashMap<&str, &Path>, stop: Stop) -> Vec<Relation> {
    // By size, then by place. Hardly any without a head has records.
    let mut by_head: BTreeMap<&str, Vec<(u64, usize)>> = BTreeMap::new();
    for (place, input) in inputs.iter().enumerate().filter(|(_, input)| !input.head.is_empty()) {
        by_head.entry(&input.head).or_default().push((input.stat.size, place));
    }
    by_head.values_mut().for_each(|alike| alike.sort_unstable());
    let shorter = |head: &str, size: u64| {
        let alike = by_head.get(head).map(Vec::as_slice).unwrap_or_default();
        &alike[..alike.partition_point(|(other, _)| *other < size)]
    };
    // The places of those that a file begins with, if it is at hand.
    let beginnings = |longer: &Longer| -> Option<Vec<usize>> {
        let (path, shorter) = match longer {
            Longer::Input(input) => (Some(&*input.path), shorter(&input.head, input.stat.size)),
            Longer::Read(read) => {
                let path = at_hand.get(&*read.sha256).copied();
                (path.or_else(|| unchanged(read)), shorter(&read.head, read.size))
            }
        };
        let mut sizes: Vec<u64> = shorter.iter().map(|(size, _)| *size).collect();
        sizes.dedup();
        let hashes = hashes(path?, &sizes, stop).ok()?;
        let by_size = shorter.chunk_by(|(a, _), (b, _)| a == b).zip(&hashes);
        let places = by_size.flat_map(|(others, hash)| others.iter().map(move |(_, place)| (*place, hash)));
        Some(places.filter(|(place, hash)| inputs[*place].sha256 == **hash).map(|(place, _)| place).collect())
    };
    let reads = by_head.keys().flat_map(|head| state.by_head(head)).map(|read| read.input);
    let reads = reads.filter(|read| !shorter(&read.head, read.size).is_empty());
    let longer: Vec<Longer> = inputs.iter().map(Longer::Input).chain(reads.map(Longer::Read)).collect();
    let found: Vec<Option<Vec<usize>>> = longer.par_iter().map(beginnings).collect();

    // How an input is related to earlier ones is settled if one of them has its content.
    let is_open: Vec<bool> = inputs.iter().map(|input| state.by_key(&input.key()).is_none()).collect();
    let mut relations = vec![Relation::Apart; inputs.len()];
    for (longer, found) in longer.iter().zip(&found) {
        if let (Longer::Read(read), None) = (longer, found) {
            for (_, place) in shorter(&read.head, read.size) {
                if is_open[*place] && relations[*place] == Relation::Apart {
                    relations[*place] = Relation::Doubtful(read.path.clone());
                }
            }
        }
    }
    for (longer, found) in longer.iter().zip(found) {
        // What cannot be read any more ends the run when it is converted.
        for place in found.unwrap_or_default() {
            if is_open[place] || matches!(longer, Longer::Input(_)) {
                relations[place] = Relation::Beginning;
            }
        }
    }
    relations
}

/// The file that an earlier run read, if it is still what it was.
fn unchanged(read: &InputEntry) -> Option<&Path> {
    let path = Path::new(&read.path);
    let stat = Looker::default().look(path).file()?;
    read.is_as(&stat).then_some(path)
}

/// SHA-256 of the beginnings of a file that have these sizes, ascending.
fn hashes(path: &Path, sizes: &[u64], stop: Stop) -> io::Result<Vec<String>> {
    let Some((longest, others)) = sizes.split_last() else { return Ok(Vec::new()) };
    let (last, mut hashes) = input::sha256(&input::open(path)?, *longest, others, stop)?;
    hashes.push(last);
    Ok(hashes)
}
