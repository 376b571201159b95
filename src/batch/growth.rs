//! Which trace begins with which. One that has grown replaces what it was; one that another begins with has its rows there.
//!
//! Files that can begin with one another are found by their [head](super::outline::Outline::head), and then by hashes of their
//! beginnings: the marker between Avro blocks is not enough, since collectors that begin a file in the same second have the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use rayon::prelude::*;

use super::input::Input;
use crate::dataset::manifest::{InputEntry, Rank};
use crate::dataset::state::{Read, State};
use crate::input;
use crate::progress::Meter;

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

impl<'s> Longer<'s> {
    fn of_read(path: Option<&'s Path>, Piece { of, rank, is_whole: _ }: Piece<'s>) -> Longer<'s> {
        Longer { path, rank: (rank, 0), head: &of.head, read: Some(of), key: of.key() }
    }
}

/// The inputs by what they start with. Hardly any that has no head has records.
struct ByHead<'s> {
    inputs: &'s [Input],
    /// Ranks and places of those that start alike, ascending.
    alike: BTreeMap<&'s str, Vec<(Rank, usize)>>,
}

impl<'s> ByHead<'s> {
    fn of(inputs: &'s [Input]) -> ByHead<'s> {
        let mut alike: BTreeMap<&str, Vec<(Rank, usize)>> = BTreeMap::new();
        for (place, input) in inputs.iter().enumerate().filter(|(_, input)| !input.head.is_empty()) {
            alike.entry(&input.head).or_default().push((input.rank(), place));
        }
        alike.values_mut().for_each(|alike| alike.sort_unstable());
        ByHead { inputs, alike }
    }

    /// The inputs that a file of this head and rank may begin with.
    fn shorter(&self, head: &str, rank: (Rank, usize)) -> &[(Rank, usize)] {
        let alike = self.alike.get(head).map(Vec::as_slice).unwrap_or_default();
        &alike[..alike.partition_point(|other| *other < rank)]
    }

    /// All files that an input may be the beginning of, the longest at last.
    fn longer(&self, state: &'s State, at_hand: &'s [(&'s Path, Piece<'s>)]) -> Vec<Longer<'s>> {
        // There may be many that no input is the beginning of.
        let is_longer = |head: &str, rank: (Rank, usize)| !self.shorter(head, rank).is_empty();
        let of_inputs = self.inputs.iter().enumerate().map(|(place, input)| (input, (input.rank(), place)));
        let of_inputs = of_inputs.filter(|(input, rank)| is_longer(&input.head, *rank)).map(|(input, rank)| {
            let (path, head, key) = (Some(&*input.path), &*input.head, input.key());
            Longer { path, rank, head, read: None, key }
        });
        let skipped = at_hand.iter().filter(|(_, piece)| is_longer(&piece.of.head, (piece.rank, 0)));
        let skipped = skipped.map(|(path, piece)| Longer::of_read(Some(*path), *piece));
        let whole = at_hand.iter().filter(|(_, piece)| piece.is_whole);
        let whole: HashSet<String> = whole.map(|(_, piece)| piece.of.key()).collect();
        let reads = self.alike.keys().flat_map(|head| state.by_head(head)).map(|read| read.input);
        let reads = reads.filter(|read| is_longer(&read.head, (read.rank(), 0)) && !whole.contains(&read.key()));
        let reads = reads.map(|of| Longer::of_read(None, Piece::whole(of)));
        let mut longer: Vec<Longer> = of_inputs.chain(skipped).chain(reads).collect();
        longer.sort_by_key(|longer| longer.rank);
        longer
    }

    /// The places of the inputs that a file begins with, if it is at hand.
    fn beginnings(&self, longer: &Longer, state: &State, meter: &Meter) -> Option<Vec<usize>> {
        let path = longer.path.map(Cow::from).or_else(|| longer.read.and_then(|read| state.at_hand(read)))?;
        let shorter = self.shorter(longer.head, longer.rank);
        let mut sizes: Vec<u64> = shorter.iter().map(|((size, _), _)| *size).collect();
        sizes.dedup();
        let hashes = hashes(&path, &sizes, meter).ok()?;
        let by_size = shorter.chunk_by(|((a, _), _), ((b, _), _)| a == b).zip(&hashes);
        let places = by_size.flat_map(|(others, hash)| others.iter().map(move |(_, place)| (*place, hash)));
        Some(places.filter(|(place, hash)| self.inputs[*place].extent().1 == **hash).map(|(place, _)| place).collect())
    }
}

/// How each input is related to the others, and to those that earlier runs read, which are `at_hand` in other files.
pub fn relations<'s>(
    inputs: &'s [Input],
    state: &'s State,
    at_hand: &'s [(&'s Path, Piece<'s>)],
    meter: &Meter,
) -> Vec<Relation> {
    let by_head = ByHead::of(inputs);
    let longer = by_head.longer(state, at_hand);
    let found: Vec<Option<Vec<usize>>> =
        longer.par_iter().map(|longer| by_head.beginnings(longer, state, meter)).collect();

    // How an input is related to earlier ones is settled if one of them has its content.
    let known: Vec<Option<Read>> = inputs.iter().map(|input| state.by_key(&input.key())).collect();
    let is_doubtful = |place: usize| known[place].is_none_or(|read| read.live && read.input.doubtful);
    let mut relations = vec![Relation::Apart; inputs.len()];
    for (longer, found) in longer.iter().zip(&found) {
        let Some(read) = longer.read else { continue };
        let perhaps = by_head.shorter(longer.head, longer.rank).iter().map(|(_, place)| *place);
        for place in perhaps.filter(|place| found.as_ref().is_none_or(|found| found.contains(place))) {
            if is_doubtful(place) && relations[place] == Relation::Apart {
                relations[place] = Relation::Doubtful(read.path.clone());
            }
        }
    }
    // The longest has the last word, for that is not the beginning of another one.
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
fn hashes(path: &Path, sizes: &[u64], meter: &Meter) -> io::Result<Vec<String>> {
    let Some((longest, others)) = sizes.split_last() else { return Ok(Vec::new()) };
    let (last, mut hashes) = input::sha256_and_prefixes(&input::open(path)?, *longest, others, meter)?;
    hashes.push(last);
    Ok(hashes)
}
