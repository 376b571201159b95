//! Which trace begins with which. One that has grown replaces what it was; one that another begins with has its rows there.
//!
//! Files that can begin with one another are found by their [`Outline::head`], and then by hashes of their beginnings: the
//! marker between Avro blocks is not enough, since collectors that begin a file in the same second have the same.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
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
    use std::os::unix::fs::FileExt;
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

/// How each input is related to the others, and to those that earlier runs read. Files are `at_hand` by their SHA-256.
pub fn relations(inputs: &[Input], state: &State, at_hand: &HashMap<&str, &PathBuf>, stop: Stop) -> Vec<Relation> {
    let beginnings = beginnings(inputs, stop);
    let relation = |(place, input): (usize, &Input)| {
        if beginnings.contains(&place) {
            return Relation::Beginning;
        }
        // An earlier run that read the same has settled it.
        if input.head.is_empty() || state.by_key(&input.key()).is_some() {
            return Relation::Apart;
        }
        let is_longer = |read: &&InputEntry| read.size > input.stat.size && read.head == input.head;
        let mut relation = Relation::Apart;
        for longer in state.by_head(&input.head).map(|read| read.input).filter(is_longer) {
            let path = at_hand.get(&*longer.sha256).map(|path| path.as_path()).or_else(|| unchanged(longer));
            let begins = path.and_then(|path| hashes(path, &[input.stat.size], stop).ok());
            match begins.map(|hashes| hashes[0] == input.sha256) {
                Some(true) => return Relation::Beginning,
                Some(false) => {}
                None => relation = Relation::Doubtful(longer.path.clone()),
            }
        }
        relation
    };
    inputs.par_iter().enumerate().map(relation).collect()
}

/// The file that an earlier run read, if it is still what it was.
fn unchanged(read: &InputEntry) -> Option<&Path> {
    let path = Path::new(&read.path);
    let stat = Looker::default().look(path).file()?;
    (stat.size == read.size && stat.mtime == read.mtime).then_some(path)
}

/// SHA-256 of the beginnings of a file that have these sizes, ascending.
fn hashes(path: &Path, sizes: &[u64], stop: Stop) -> io::Result<Vec<String>> {
    let Some((longest, others)) = sizes.split_last() else { return Ok(Vec::new()) };
    let (last, mut hashes) = input::sha256(&input::open(path)?, *longest, others, stop)?;
    hashes.push(last);
    Ok(hashes)
}

/// Those of the inputs, by their places, that others of them begin with.
fn beginnings(inputs: &[Input], stop: Stop) -> HashSet<usize> {
    // By size, then by place. Hardly any without a head has records.
    let mut by_head: HashMap<&str, Vec<(u64, usize)>> = HashMap::new();
    for (place, input) in inputs.iter().enumerate().filter(|(_, input)| !input.head.is_empty()) {
        by_head.entry(&input.head).or_default().push((input.stat.size, place));
    }
    by_head.values_mut().for_each(|alike| alike.sort_unstable());
    let of_input = |input: &Input| -> Vec<usize> {
        let alike = by_head.get(&*input.head).map(Vec::as_slice).unwrap_or_default();
        let shorter = &alike[..alike.partition_point(|(size, _)| *size < input.stat.size)];
        let mut sizes: Vec<u64> = shorter.iter().map(|(size, _)| *size).collect();
        sizes.dedup();
        // What cannot be read any more ends the run when it is converted.
        let hashes = hashes(&input.path, &sizes, stop).unwrap_or_default();
        let by_size = shorter.chunk_by(|(a, _), (b, _)| a == b).zip(hashes);
        let begins = |(others, hash): (&[(u64, usize)], String)| {
            let places = others.iter().map(|(_, place)| *place);
            places.filter(|place| inputs[*place].sha256 == hash).collect::<Vec<_>>()
        };
        by_size.flat_map(begins).collect()
    };
    inputs.par_iter().flat_map_iter(of_input).collect()
}
