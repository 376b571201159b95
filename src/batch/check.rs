//! What an input is to a dataset: new, grown, done or unreadable.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::growth::Piece;
use super::input::{Input, Unreadable};
use super::options::Options;
use super::outline::{self, Outline};
use super::skip::Skip;
use crate::dataset::manifest::{Content, CopyEntry, InputEntry, InputKind, Sound, Start, Status, rejected_key};
use crate::dataset::state::{Read, State};
use crate::flatten::time::Window;
use crate::input::{self, Stat};
use crate::progress::Meter;
use crate::text::path_text;

/// What an input is.
pub enum Checked<'s> {
    /// It is not converted.
    Skip {
        name: String,
        why: Skip,
        /// What an earlier run read of which it is a copy, or the beginning.
        read: Option<Piece<'s>>,
        /// What a run should know of it, so that it is not read again.
        copy: Option<CopyEntry>,
    },
    Unreadable(Unreadable),
    /// It takes the place of others, such as what it was before it grew.
    Input {
        input: Input,
        supersedes: Vec<InputEntry>,
    },
}

/// Looks at an input, and reads it if need be. Options and the `content` that they come to are those of the run.
pub fn check<'s>(
    path: &Path,
    kind: InputKind,
    state: &'s State,
    options: &Options,
    content: &Content,
    meter: &Meter,
) -> Checked<'s> {
    let name = path_text(path).into_owned();
    let reconvert = options.reconvert;
    let of_path: Vec<Read<'s>> = state.by_path(&name).collect();
    if !reconvert && let Some((read, why)) = known(path, &name, kind, state, &of_path, content) {
        return Checked::Skip { name, why, read: Some(read), copy: None };
    }
    let Seen { mut input, begins, was, restores } = match read(path, &name, kind, state, &of_path, options, meter) {
        Ok(seen) => seen,
        Err(e) => {
            let message = match e.kind() {
                io::ErrorKind::UnexpectedEof => "it became shorter while it was read".to_owned(),
                _ => e.to_string(),
            };
            return Checked::Unreadable(Unreadable { name, message });
        }
    };
    // A file that begins with what an earlier run read has grown since.
    let mut supersedes: Vec<Read<'s>> =
        begins.iter().copied().filter(|read| read.input.rank() < input.rank()).collect();
    let is_no_less = |old: &Read| old.input.sha256 != input.sha256 && old.input.rank() <= input.rank();
    let restored: Vec<Read<'s>> = restores.into_iter().filter(is_no_less).collect();
    supersedes.extend(&restored);
    // Nothing could be read of what the file was before, or the log was taken for a trace.
    let mistaken = |read: &&Read| {
        let Read { input: InputEntry { sha256, status, .. }, live, .. } = read;
        let is_other = !input.broken && *sha256 != input.sha256;
        *live
            && (sha256.is_empty()
                || *status == Status::Rejected
                    && (is_other || kind == InputKind::ExperimentLog && *sha256 == input.sha256))
    };
    supersedes.extend(of_path.iter().filter(mistaken));
    let rejected = || state.by_key(&rejected_key(&input.sha256, &input.name)).filter(|_| kind == InputKind::Trace);
    // Without a head there are hardly any records: no reason to read anything again.
    let has_rows = |old: &Read| match old.input.status {
        Status::Rejected => old.input.path == name,
        _ => !old.input.head.is_empty() && old.input.head == input.head,
    };
    let is_settled = restored.is_empty() && !supersedes.iter().any(has_rows);
    let is_known = last_seen(&name, kind, state, &of_path).is_some_and(|seen| seen.is_as(&input.stat));
    let copy_of = |read: &'s InputEntry, why, beginning| Checked::Skip {
        name: name.clone(),
        why,
        read: Some(if beginning { Piece::beginning(read, input.extent().0) } else { Piece::whole(read) }),
        copy: (!is_known).then(|| input.copy_of(read.key(), beginning)),
    };
    let mut otherwise = Skip::GrownOtherwise;
    match state.by_key(&input.key()).or_else(rejected) {
        Some(read) if read.live => {
            if !reconvert
                && is_settled
                && let Some(why) = Skip::done(&read.content(), content, read.input.span, kind)
            {
                return copy_of(read.input, why, false);
            }
            otherwise = Skip::DoneOtherwise;
            supersedes.push(read);
        }
        earlier => {
            let is_same = |read: &&Read| {
                let other = read.input;
                let as_much = other.extent() == input.extent() && other.rank() >= input.rank();
                as_much && other.status != Status::Rejected
            };
            let earlier = earlier.filter(|read| read.input.status != Status::Rejected);
            match (begins.iter().find(is_same), earlier) {
                // One has the same rows, and but another end that is no block.
                (Some(same), _) => {
                    let done = Skip::done(&same.content(), content, same.input.span, kind);
                    if !reconvert && is_settled && same.input.path != name && done == Some(Skip::Done) {
                        return copy_of(same.input, Skip::Beginning, true);
                    }
                    otherwise = Skip::DoneOtherwise;
                    supersedes.push(*same);
                }
                // What it has grown to has its rows.
                (None, Some(read)) => return copy_of(read.input, Skip::outgrown(read, state, content), false),
                (None, None) => {}
            }
        }
    }
    if !reconvert {
        // What the dataset has of it stays.
        for read in supersedes.iter().filter(|read| read.input.status != Status::Rejected) {
            let had = read.content();
            if !content.has_tables_of(&had) {
                return Checked::Skip { name, why: otherwise, read: None, copy: None };
            }
            input.window = input.window.with(had.window());
        }
    }
    (input.doubtful, input.alike) = copies(&input, state, &of_path, &was, &supersedes);
    let mut supersedes: Vec<InputEntry> = supersedes.into_iter().map(|read| read.input.clone()).collect();
    if let Some(tables) = state.tables_that_keep(&input.key()) {
        // Nothing tells for which times.
        let is_all = options.window == Window::default() && tables.iter().all(|table| content.tables.contains(table));
        if !reconvert && !is_all {
            return Checked::Skip { name, why: Skip::ManifestLost, read: None, copy: None };
        }
        supersedes.push(input.as_kept());
    }
    Checked::Input { input, supersedes }
}

/// What an input is perhaps a copy of: [`Input::doubtful`] and [`Input::alike`].
fn copies(
    input: &Input,
    state: &State,
    of_path: &[Read],
    was: &[Read],
    replaced: &[Read],
) -> (Option<String>, Option<String>) {
    let stays = |read: &Read| {
        let is_replaced = replaced.iter().any(|replaced| replaced.input.key() == read.input.key());
        read.live && !is_replaced && read.input.sha256 != input.sha256 && read.input.kind == input.kind
    };
    let is_alike = |read: &Read| !input.head.is_empty() && read.input.head == input.head;
    // It was another under its name, or one that was damaged, and nobody can tell how much of that it has.
    let was = of_path.iter().filter(|read| is_alike(read)).chain(was).copied();
    let others = || state.by_head(&input.head).filter(is_alike);
    let damaged = others().filter(|read| read.input.status == Status::Damaged);
    let name_of = |read: Read| read.input.path.clone();
    let doubtful = was.chain(damaged).find(stays).map(name_of);
    (doubtful, others().chain(of_path.iter().copied()).find(stays).map(name_of))
}

/// What is seen of an input when it is read.
struct Seen<'s> {
    input: Input,
    /// What earlier runs read that it begins with, as far as that has rows.
    begins: Vec<Read<'s>>,
    /// What they read under its name that was damaged inside, and that it begins with up to there.
    was: Vec<Read<'s>>,
    /// Those of which it has what is behind the damage, too, if it is whole.
    restores: Vec<Read<'s>>,
}

fn read<'s>(
    path: &Path,
    name: &str,
    kind: InputKind,
    state: &'s State,
    of_path: &[Read<'s>],
    options: &Options,
    meter: &Meter,
) -> io::Result<Seen<'s>> {
    let stop = || meter.check_io();
    let file = Arc::new(input::open(path)?);
    let stat = Stat::of(&file)?;
    let outline = Outline::of(&file, stat.size, kind, meter)?;
    let (head, broken) = (outline.head.clone(), outline.broken);
    let alike = of_path.iter().copied().chain(state.by_head(&head)).filter(|read| read.input.kind == kind);
    let mut begins: Vec<Read<'s>> = alike.filter(|read| read.live && read.input.extent().0 <= stat.size).collect();
    let sound = |read: &Read<'s>| read.input.sound.as_ref().map(Sound::start);
    let mut was: Vec<Read<'s>> = of_path.iter().copied().filter(|read| read.live && read.input.kind == kind).collect();
    was.retain(|read| sound(read).is_some_and(|(size, _)| size <= stat.size));
    let sizes = begins.iter().map(|read| read.input.extent()).chain(was.iter().filter_map(sound));
    let mut sizes: Vec<u64> = sizes.map(|(size, _)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let (hashed, blocks) = rayon::join(
        || input::sha256_and_prefixes(&file, stat.size, &sizes, &stop),
        || outline.blocks(&file, stat.size, options.memory.block(), meter),
    );
    let ((sha256, mut hashes), blocks) = (hashed?, blocks?);
    hashes.extend((sizes.last() == Some(&stat.size)).then(|| sha256.clone()));
    let beginnings: HashSet<(u64, &str)> = sizes.into_iter().zip(hashes.iter().map(String::as_str)).collect();
    begins.retain(|read| beginnings.contains(&read.input.extent()));
    was.retain(|read| sound(read).is_some_and(|sound| beginnings.contains(&sound)));
    let restores = if blocks.is_sound { restored(&file, stat.size, &was, meter)? } else { Vec::new() };
    let start = |size| io::Result::Ok(Start { size, sha256: input::sha256(&file, 0..size, &stop)? });
    let whole = blocks.end.filter(|_| !head.is_empty()).map(start).transpose()?;
    let (path, name, incomplete) = (path.to_owned(), name.to_owned(), blocks.is_cut);
    let (window, doubtful, alike) = (options.window, None, None);
    let input = Input { path, name, stat, sha256, kind, head, broken, incomplete, whole, window, doubtful, alike };
    Ok(Seen { input, begins, was, restores })
}

/// Those of which a file that begins with what was before the damage has the last block behind it, too.
fn restored<'s>(file: &Arc<File>, size: u64, was: &[Read<'s>], meter: &Meter) -> io::Result<Vec<Read<'s>>> {
    let sounds = || was.iter().filter_map(|read| Some((*read, read.input.sound.as_ref()?)));
    let wanted: HashSet<&str> = sounds().filter_map(|(_, sound)| sound.last.as_deref()).collect();
    let found = match sounds().map(|(_, sound)| sound.size).min() {
        Some(pos) if !wanted.is_empty() => outline::blocks_among(file, size, pos, &wanted, meter)?,
        _ => HashSet::new(),
    };
    let has = |sound: &Sound| sound.last.as_deref().is_none_or(|last| found.contains(last));
    Ok(sounds().filter(|(_, sound)| has(sound)).map(|(read, _)| read).collect())
}

/// What a run saw last under a name, of which another read the rows if it is not what that run read itself. What came before
/// may have rows, too, that a file which is as it was then should replace.
fn last_seen(name: &str, kind: InputKind, state: &State, of_path: &[Read]) -> Option<CopyEntry> {
    let read = of_path.iter().rev().find(|read| read.input.kind == kind);
    let is_of_kind = |copy: &&CopyEntry| state.by_key(&copy.of).is_some_and(|read| read.input.kind == kind);
    let copy = state.copies(name).rev().find(|(_, copy)| is_of_kind(copy));
    match (read, copy) {
        (read, Some((run, copy))) if read.is_none_or(|read| read.run.number < run.number) => Some(copy.clone()),
        (read, _) => read.map(|Read { input, .. }| CopyEntry {
            path: name.to_owned(),
            size: input.size,
            mtime: input.mtime,
            of: input.key(),
            beginning: false,
        }),
    }
}

/// What the dataset has of a file that is as large and as old as a run saw it, which spares reading it.
fn known<'s>(
    path: &Path,
    name: &str,
    kind: InputKind,
    state: &'s State,
    of_path: &[Read<'s>],
    content: &Content,
) -> Option<(Piece<'s>, Skip)> {
    let seen = last_seen(name, kind, state, of_path)?;
    let stat = Stat::at(path).filter(|stat| seen.is_as(stat))?;
    let read = state.by_key(&seen.of).filter(|read| !read.input.sha256.is_empty())?;
    let (input, beginning) = (read.input, seen.beginning);
    // Rows of its beginning may be there, too, from when nobody could tell.
    let shorter = |other: Read| other.live && other.input.doubtful && other.input.size < input.size;
    if !beginning && read.live && !input.head.is_empty() && state.by_head(&input.head).any(shorter) {
        return None;
    }
    let has_same_rows = |other: Read| other.live && other.input.extent() == input.extent();
    let why = match read.live {
        true if !beginning => Skip::done(&read.content(), content, input.span, kind)?,
        true => Skip::beginning(&read.content(), content, input.span),
        false if input.status == Status::Rejected || state.by_head(&input.head).any(has_same_rows) => return None,
        // What it has grown to has its rows.
        false => Skip::outgrown(read, state, content),
    };
    let piece = if beginning { Piece::beginning(input, stat.size) } else { Piece::whole(input) };
    Some((piece, why))
}
