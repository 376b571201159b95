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
use crate::input::{self, Stat};
use crate::progress::Meter;
use crate::text::path_text;
use crate::time::Window;

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
    let of_path = state.by_path(&name).collect();
    let candidate = Candidate { path, name, kind, state, of_path, content, options, meter };
    if !options.reconvert
        && let Some((read, why)) = candidate.known()
    {
        return Checked::Skip { name: candidate.name, why, read: Some(read), copy: None };
    }
    match candidate.read() {
        Ok(seen) => candidate.check(seen),
        Err(e) => {
            let message = match e.kind() {
                io::ErrorKind::UnexpectedEof => "it became shorter while it was read".to_owned(),
                _ => e.to_string(),
            };
            Checked::Unreadable(Unreadable { name: candidate.name, message })
        }
    }
}

/// An input that is looked at.
struct Candidate<'c, 's> {
    path: &'c Path,
    name: String,
    kind: InputKind,
    state: &'s State,
    /// What earlier runs read under its name.
    of_path: Vec<Read<'s>>,
    content: &'c Content,
    options: &'c Options,
    meter: &'c Meter,
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
    /// What they read under whatever name, in another form, that was damaged inside, and of which it has a block behind the damage.
    shares: Vec<Read<'s>>,
}

/// What earlier runs read that has the rows of an input.
enum Held<'s> {
    Nothing,
    /// The same content.
    Same(Read<'s>),
    /// Something that has but another end, which is no block.
    SameRows(Read<'s>),
    /// The same content, which has grown since.
    Outgrown(Read<'s>),
}

impl<'s> Candidate<'_, 's> {
    /// What becomes of the input that was read.
    fn check(self, seen: Seen<'s>) -> Checked<'s> {
        let reconvert = self.options.reconvert;
        let (mut supersedes, is_settled) = self.replaced(&seen);
        let mut otherwise = Skip::GrownOtherwise;
        match self.held(&seen) {
            Held::Nothing => {}
            Held::Outgrown(read) => {
                let why = Skip::outgrown(read, self.state, self.content);
                return self.copy(&seen.input, read, why, false);
            }
            Held::Same(read) => {
                let done = Skip::done(&read.content(), self.content, read.input.span, self.kind);
                if let Some(why) = done.filter(|_| !reconvert && is_settled) {
                    return self.copy(&seen.input, read, why, false);
                }
                otherwise = Skip::DoneOtherwise;
                supersedes.push(read);
            }
            Held::SameRows(read) => {
                let done = Skip::done(&read.content(), self.content, read.input.span, self.kind);
                if !reconvert && is_settled && read.input.path != self.name && done == Some(Skip::Done) {
                    return self.copy(&seen.input, read, Skip::Beginning, true);
                }
                otherwise = Skip::DoneOtherwise;
                supersedes.push(read);
            }
        }
        let Seen { mut input, was, shares, .. } = seen;
        if !reconvert {
            // What the dataset has of it stays.
            for read in supersedes.iter().filter(|read| read.input.status != Status::Rejected) {
                let had = read.content();
                if !self.content.has_tables_of(&had) {
                    return Checked::Skip { name: self.name, why: otherwise, read: None, copy: None };
                }
                input.window = input.window.with(had.window());
            }
        }
        self.find_copies(&mut input, &[was, shares].concat(), &supersedes);
        let mut supersedes: Vec<InputEntry> = supersedes.into_iter().map(|read| read.input.clone()).collect();
        if let Some(tables) = self.state.tables_that_keep(&input.key()) {
            // Nothing tells for which times.
            let is_all = self.options.window == Window::default()
                && tables.iter().all(|table| self.content.tables.contains(table));
            if !reconvert && !is_all {
                return Checked::Skip { name: self.name, why: Skip::ManifestLost, read: None, copy: None };
            }
            supersedes.push(input.as_kept());
        }
        Checked::Input { input, supersedes }
    }

    /// Leaves out an input that is a copy of what an earlier run read, or the beginning of that.
    fn copy(&self, input: &Input, read: Read<'s>, why: Skip, beginning: bool) -> Checked<'s> {
        let is_known = self.last_seen().is_some_and(|seen| seen.is_as(&input.stat));
        let piece = if beginning { Piece::beginning(read.input, input.extent().0) } else { Piece::whole(read.input) };
        Checked::Skip {
            name: self.name.clone(),
            why,
            read: Some(piece),
            copy: (!is_known).then(|| input.copy_of(read.input.key(), beginning)),
        }
    }

    /// What earlier runs read whose place the input takes, but for what has the same rows; and whether it need not be read for
    /// that.
    fn replaced(&self, Seen { input, begins, restores, .. }: &Seen<'s>) -> (Vec<Read<'s>>, bool) {
        // A file that begins with what an earlier run read has grown since.
        let mut replaced: Vec<Read> = begins.iter().copied().filter(|read| read.input.rank() < input.rank()).collect();
        let is_no_less = |old: &&Read| old.input.sha256 != input.sha256 && old.input.rank() <= input.rank();
        let restored: Vec<Read> = restores.iter().filter(is_no_less).copied().collect();
        replaced.extend(&restored);
        // Nothing could be read of what the file was before, or the log was taken for a trace.
        let mistaken = |read: &&Read| {
            let Read { input: InputEntry { sha256, status, .. }, live, .. } = read;
            let is_other = !input.broken && *sha256 != input.sha256;
            let is_log = self.kind == InputKind::ExperimentLog && *sha256 == input.sha256;
            *live && (sha256.is_empty() || *status == Status::Rejected && (is_other || is_log))
        };
        replaced.extend(self.of_path.iter().filter(mistaken));
        // Without a head there are hardly any records: no reason to read anything again.
        let has_rows = |old: &Read| match old.input.status {
            Status::Rejected => old.input.path == self.name,
            _ => !old.input.head.is_empty() && old.input.head == input.head,
        };
        let is_settled = restored.is_empty() && !replaced.iter().any(has_rows);
        (replaced, is_settled)
    }

    fn held(&self, Seen { input, begins, .. }: &Seen<'s>) -> Held<'s> {
        let rejected = || self.state.by_key(&rejected_key(&input.sha256, &input.name));
        let rejected = || rejected().filter(|_| self.kind == InputKind::Trace);
        let same = self.state.by_key(&input.key()).or_else(rejected);
        if let Some(read) = same.filter(|read| read.live) {
            return Held::Same(read);
        }
        let has_same_rows = |read: &&Read| {
            let other = read.input;
            let as_much = other.extent() == input.extent() && other.rank() >= input.rank();
            as_much && other.status != Status::Rejected
        };
        match (begins.iter().find(has_same_rows), same) {
            (Some(same), _) => Held::SameRows(*same),
            (None, Some(read)) if read.input.status != Status::Rejected => Held::Outgrown(read),
            _ => Held::Nothing,
        }
    }

    /// Finds what an input is perhaps a copy of. Traces that start alike are one, for no other has the sync marker and first block;
    /// logs have but their first line in common.
    fn find_copies(&self, input: &mut Input, pieces: &[Read], replaced: &[Read]) {
        let stays = |read: &Read| {
            let is_replaced = replaced.iter().any(|replaced| replaced.input.key() == read.input.key());
            read.live && !is_replaced && read.input.sha256 != input.sha256 && read.input.kind == input.kind
        };
        let is_alike = |read: &Read| !input.head.is_empty() && read.input.head == input.head;
        // It was another under its name, or has some of one that was damaged, and nobody can tell how much.
        let was = self.of_path.iter().filter(|read| is_alike(read)).chain(pieces).copied();
        let others = || self.state.by_head(&input.head).filter(is_alike);
        let damaged = others().filter(|read| read.input.status == Status::Damaged);
        let name_of = |read: Read| read.input.path.clone();
        let doubtful = was.chain(damaged).find(stays).map(name_of);
        let alike = others().filter(|_| self.kind == InputKind::Trace).find(stays).map(name_of);
        let was_other = self.of_path.iter().any(stays);
        (input.doubtful, input.alike, input.was_other) = (doubtful, alike, was_other);
    }

    /// Reads the input.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> io::Result<Seen<'s>> {
        let Candidate { path, kind, state, meter, .. } = *self;
        let file = Arc::new(input::open(path)?);
        let stat = Stat::of(&file)?;
        let outline = Outline::of(&file, stat.size, kind, meter)?;
        let (head, broken, sync) = (outline.head.clone(), outline.broken, outline.sync());
        let of_path = || self.of_path.iter().copied();
        let alike = of_path().chain(state.by_head(&head)).filter(|read| read.input.kind == kind);
        let mut begins: Vec<Read> = alike.filter(|read| read.live && read.input.extent().0 <= stat.size).collect();
        let sound = |read: &Read<'s>| read.input.sound.as_ref().map(Sound::start);
        let mut was: Vec<Read> = of_path().filter(|read| read.live && read.input.kind == kind).collect();
        was.retain(|read| sound(read).is_some_and(|(size, _)| size <= stat.size));
        let sizes = begins.iter().map(|read| read.input.extent()).chain(was.iter().filter_map(sound));
        let mut sizes: Vec<u64> = sizes.map(|(size, _)| size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let (hashed, blocks) = rayon::join(
            || input::sha256_and_prefixes(&file, stat.size, &sizes, meter),
            || outline.blocks(&file, stat.size, self.options.memory.block(), meter),
        );
        let ((sha256, mut hashes), blocks) = (hashed?, blocks?);
        hashes.extend((sizes.last() == Some(&stat.size)).then(|| sha256.clone()));
        let beginnings: HashSet<(u64, &str)> = sizes.into_iter().zip(hashes.iter().map(String::as_str)).collect();
        begins.retain(|read| beginnings.contains(&read.input.extent()));
        was.retain(|read| sound(read).is_some_and(|sound| beginnings.contains(&sound)));
        let restores = if blocks.is_sound { with_last_block(&file, stat.size, &was, meter)? } else { Vec::new() };
        // Of those that start like it nobody needs to know.
        let is_other = |read: &Read| read.live && read.input.head != head;
        let others: Vec<Read> = sync.iter().flat_map(|sync| state.by_sync(sync)).filter(is_other).collect();
        let shares = with_last_block(&file, stat.size, &others, meter)?;
        let start = |size| io::Result::Ok(Start { size, sha256: input::sha256(&file, 0..size, meter)? });
        let whole = blocks.end.filter(|_| !head.is_empty()).map(start).transpose()?;
        let (path, name, incomplete) = (path.to_owned(), self.name.clone(), blocks.is_cut);
        let window = self.options.window;
        let input =
            Input { path, name, stat, sha256, kind, head, broken, incomplete, whole, window, ..Input::default() };
        Ok(Seen { input, begins, was, restores, shares })
    }

    /// What a run saw last under the name, of which another read the rows if it is not what that run read itself. What came
    /// before may have rows, too, that a file which is as it was then should replace.
    fn last_seen(&self) -> Option<CopyEntry> {
        let read = self.of_path.iter().rev().find(|read| read.input.kind == self.kind);
        let is_of_kind =
            |copy: &&CopyEntry| self.state.by_key(&copy.of).is_some_and(|read| read.input.kind == self.kind);
        let copy = self.state.copies(&self.name).rev().find(|(_, copy)| is_of_kind(copy));
        match (read, copy) {
            (read, Some((run, copy))) if read.is_none_or(|read| read.run.number < run.number) => Some(copy.clone()),
            (read, _) => read.map(|Read { input, .. }| CopyEntry {
                path: self.name.clone(),
                size: input.size,
                mtime: input.mtime,
                of: input.key(),
                beginning: false,
            }),
        }
    }

    /// What the dataset has of a file that is as large and as old as a run saw it, which spares reading it.
    fn known(&self) -> Option<(Piece<'s>, Skip)> {
        let Candidate { state, content, .. } = *self;
        let seen = self.last_seen()?;
        let stat = Stat::at(self.path).filter(|stat| seen.is_as(stat))?;
        let read = state.by_key(&seen.of).filter(|read| !read.input.sha256.is_empty())?;
        let (input, beginning) = (read.input, seen.beginning);
        // Rows of its beginning may be there, too, from when nobody could tell.
        let shorter = |other: Read| other.live && other.input.doubtful && other.input.size < input.size;
        if !beginning && read.live && !input.head.is_empty() && state.by_head(&input.head).any(shorter) {
            return None;
        }
        let has_same_rows = |other: Read| other.live && other.input.extent() == input.extent();
        let why = match read.live {
            true if !beginning => Skip::done(&read.content(), content, input.span, self.kind)?,
            true => Skip::beginning(&read.content(), content, input.span),
            false if input.status == Status::Rejected || state.by_head(&input.head).any(has_same_rows) => return None,
            // What it has grown to has its rows.
            false => Skip::outgrown(read, state, content),
        };
        let piece = if beginning { Piece::beginning(input, stat.size) } else { Piece::whole(input) };
        Some((piece, why))
    }
}

/// Those of which a file has the last block behind the damage, if there is one; it begins with what was before the damage, or has another
/// header and first block.
fn with_last_block<'s>(file: &Arc<File>, size: u64, damaged: &[Read<'s>], meter: &Meter) -> io::Result<Vec<Read<'s>>> {
    let sounds = || damaged.iter().filter_map(|read| Some((*read, read.input.sound.as_ref()?)));
    let wanted: HashSet<&str> = sounds().filter_map(|(_, sound)| sound.last.as_deref()).collect();
    let found = match sounds().map(|(_, sound)| sound.size).min() {
        Some(pos) if !wanted.is_empty() => outline::blocks_among(file, size, pos, &wanted, meter)?,
        _ => HashSet::new(),
    };
    let has = |sound: &Sound| sound.last.as_deref().is_none_or(|last| found.contains(last));
    Ok(sounds().filter(|(_, sound)| has(sound)).map(|(read, _)| read).collect())
}
