//! The plan of a run: which inputs are new, grown, done or unreadable, and what the run is called.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::growth::{self, Outline, Relation};
use super::options::Options;
use super::progress::{Meter, Phase};
use crate::dataset::known::{Early, Known};
use crate::dataset::layout::Layout;
use crate::dataset::manifest::{Content, InputEntry, Manifest, State, Status};
use crate::error::Result;
use crate::input::{self, Found, Looker, Stat};
use crate::tables::files::hex;

/// An input that will be read.
#[derive(Debug, Clone)]
pub struct Input {
    pub path: PathBuf,
    /// The path as text, invalid UTF-8 replaced.
    pub name: String,
    pub stat: Stat,
    pub sha256: String,
    pub kind: Kind,
    /// See [`Outline::head`].
    pub head: String,
    /// The file ends inside a block, so it will probably grow.
    pub incomplete: bool,
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Trace,
    /// The log of an experiment.
    ExperimentLog,
}

impl Kind {
    /// Whether a run that came to this is all that can be done. A log may have been taken for a trace, which was rejected.
    fn is_done(self, status: Status) -> bool {
        self == Kind::Trace || status != Status::Rejected
    }
}

/// An input of which nothing can be read, and why.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub name: String,
    pub message: String,
}

/// Why an input will not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The dataset has its rows.
    Done,
    /// The dataset has its rows, but of other tables or times than are asked for now.
    DoneOtherwise,
    /// Another input of this run has the same content.
    Duplicate,
    /// Another input, of this run or an earlier one, begins with it.
    Beginning,
}

/// An input that may be the beginning of one that was converted and is not there any more as it was.
#[derive(Debug, Clone)]
pub struct Doubt {
    pub name: String,
    pub converted: String,
}

/// What a run will do.
#[derive(Debug, Default)]
pub struct Plan {
    /// The run's name: 16 hex digits that depend on inputs and options only.
    pub run: String,
    pub inputs: Vec<Input>,
    pub unreadable: Vec<Unreadable>,
    pub skipped: Vec<(String, Skip)>,
    /// Inputs that others may begin with, which nobody can tell any more.
    pub doubtful: Vec<Doubt>,
    /// Inputs of earlier runs whose rows this run replaces.
    pub superseded: Vec<InputEntry>,
    /// Part files that hold such rows.
    pub rewrite: Vec<String>,
}

impl Plan {
    /// Whether there is anything to convert or to say about an input.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.unreadable.is_empty()
    }
}

/// A plan to do nothing, if the dataset has all that was found and nothing changed since. This takes much less than
/// [`plan`], which would say the same. The manifests are read here unless somebody did it already.
///
/// # Errors
/// The run was asked to stop.
pub fn nothing_new(
    found: &Found,
    early: Option<Early>,
    layout: &Layout,
    options: &Options,
    meter: &Meter,
) -> Result<Option<Plan>> {
    if options.reconvert {
        return Ok(None);
    }
    // A wait for another run may have been long.
    let stats = if options.wait { &[] } else { &found.stats[..] };
    let stats = stats.iter().copied().chain(std::iter::repeat(None));
    let files: Vec<((&PathBuf, Kind), Option<Stat>)> = named(found).zip(stats).collect();
    meter.begin(Phase::Checking, files.len() as u64, 0);
    let look = |looker: &mut Looker, &((path, _), stat): &((&PathBuf, Kind), Option<Stat>)| {
        meter.check().ok()?;
        meter.files.fetch_add(1, Relaxed);
        stat.or_else(|| looker.look(path).file())
    };
    let stats: Vec<Option<Stat>> = files.par_iter().map_init(Looker::default, look).collect();
    meter.check()?;
    let known = early.and_then(|early| early.end(layout)).or_else(|| Known::read(layout));
    let Some(known) = known else { return Ok(None) };
    let content = options.content();
    let skip = |(((path, kind), _), stat): (&((&PathBuf, Kind), _), &Option<Stat>)| {
        let (name, stat) = (path.to_string_lossy(), stat.as_ref()?);
        let (done, _) = known.find(&name, stat.size, stat.mtime).filter(|(_, status)| kind.is_done(*status))?;
        Some((name.into_owned(), if *done == content { Skip::Done } else { Skip::DoneOtherwise }))
    };
    let skipped: Vec<Option<(String, Skip)>> = files.par_iter().zip(&stats).map(skip).collect();
    let skipped: Option<Vec<(String, Skip)>> = skipped.into_iter().collect();
    Ok(skipped.map(|skipped| Plan { skipped, ..Plan::default() }))
}

/// All that was found, and for what it is taken.
fn named(found: &Found) -> impl Iterator<Item = (&PathBuf, Kind)> {
    let traces = found.files.iter().map(|path| (path, Kind::Trace));
    traces.chain(found.experiment_log.iter().map(|path| (path, Kind::ExperimentLog)))
}

enum Checked<'s> {
    /// The content is that of an input that was read.
    Skip(String, Skip, &'s InputEntry),
    Unreadable(Unreadable),
    /// One of the longer ones, which were converted, may begin with it.
    Input {
        input: Input,
        supersedes: Vec<InputEntry>,
        longer: Vec<&'s InputEntry>,
    },
}

/// Plans a run over what was found.
///
/// # Errors
/// The run was asked to stop.
pub fn plan(found: &Found, state: &State, options: &Options, meter: &Meter) -> Result<Plan> {
    let files: Vec<(&PathBuf, Kind)> = named(found).collect();
    meter.begin(Phase::Checking, files.len() as u64, 0);
    let content = options.content();
    let checked: Vec<Checked> = files
        .par_iter()
        .map(|&(path, kind)| {
            let checked = check(path, kind, state, options.reconvert, &content, meter);
            meter.files.fetch_add(1, Relaxed);
            meter.check().map(|()| checked)
        })
        .collect::<Result<_>>()?;

    let mut plan = Plan::default();
    let (mut seen, mut at_hand, mut longer) = (HashSet::new(), HashMap::new(), Vec::new());
    for (checked, (path, _)) in checked.into_iter().zip(files) {
        match checked {
            Checked::Skip(name, why, read) => {
                at_hand.insert(&*read.sha256, path);
                plan.skipped.push((name, why));
            }
            Checked::Unreadable(unreadable) => plan.unreadable.push(unreadable),
            Checked::Input { input, supersedes, longer: of_input } => {
                plan.superseded.extend(supersedes);
                // The same empty or broken file twice is twice something to report.
                if !seen.insert(input.sha256.clone()) && input.stat.size > 0 {
                    plan.skipped.push((input.name, Skip::Duplicate));
                } else {
                    plan.inputs.push(input);
                    longer.push(of_input);
                }
            }
        }
    }
    let relations = growth::relations(&plan.inputs, &longer, &at_hand, &|| meter.check().map_err(io::Error::other));
    meter.check()?;
    for (input, relation) in std::mem::take(&mut plan.inputs).into_iter().zip(relations) {
        match relation {
            Relation::Beginning => {
                plan.skipped.push((input.name, Skip::Beginning));
                continue;
            }
            Relation::Doubtful(converted) => plan.doubtful.push(Doubt { name: input.name.clone(), converted }),
            Relation::Apart => {}
        }
        plan.inputs.push(input);
    }
    plan.superseded.sort_by_key(InputEntry::key);
    plan.superseded.dedup_by_key(|input| input.key());
    plan.rewrite = parts_of(state, &plan.superseded);
    plan.run = run_name(&plan, options);
    Ok(plan)
}

fn check<'s>(
    path: &Path,
    kind: Kind,
    state: &'s State,
    reconvert: bool,
    content: &Content,
    meter: &Meter,
) -> Checked<'s> {
    let name = path.to_string_lossy().into_owned();
    let known: Vec<(&Manifest, &'s InputEntry)> = state.by_path(&name).collect();
    let done = |its: &Content| if its == content { Skip::Done } else { Skip::DoneOtherwise };
    // Size and time of last change spare the reading.
    if !reconvert
        && !known.is_empty()
        && let Some(stat) = Looker::default().look(path).file()
        && let Some((manifest, entry)) = known
            .iter()
            .rev()
            .filter(|(_, entry)| kind.is_done(entry.status))
            .find(|(_, entry)| !entry.sha256.is_empty() && stat.size == entry.size && stat.mtime == entry.mtime)
    {
        return Checked::Skip(name, done(&manifest.content), entry);
    }
    let unreadable = |e: io::Error| {
        let message = match e.kind() {
            io::ErrorKind::UnexpectedEof => "it became shorter while it was read".to_owned(),
            _ => e.to_string(),
        };
        Checked::Unreadable(Unreadable { name: name.clone(), message })
    };
    let stop = || meter.check().map_err(io::Error::other);
    // What may have grown to this file, or may begin with it.
    let relatives = |head: &str| -> Vec<&'s InputEntry> {
        known.iter().map(|(_, entry)| *entry).chain(state.by_head(head)).collect()
    };
    let read = || -> io::Result<(Input, Vec<String>, Vec<u64>)> {
        let file = Arc::new(input::open(path)?);
        let stat = Stat::of(&file)?;
        let outline = Outline::of(&file, stat.size, kind, &stop)?;
        let head = outline.head.clone();
        let mut prefixes: Vec<u64> =
            relatives(&head).iter().map(|old| old.size).filter(|size| *size < stat.size).collect();
        prefixes.sort();
        prefixes.dedup();
        let (hashed, incomplete) =
            rayon::join(|| input::sha256(&file, stat.size, &prefixes, &stop), || outline.ends_inside_a_block());
        let ((sha256, hashes), incomplete) = (hashed?, incomplete?);
        let input = Input { path: path.to_owned(), name: name.clone(), stat, sha256, kind, head, incomplete };
        Ok((input, hashes, prefixes))
    };
    let (input, hashes, prefixes) = match read() {
        Ok(read) => read,
        Err(e) => return unreadable(e),
    };
    let relatives = relatives(&input.head);
    let mut supersedes = Vec::new();
    // A file that begins with what an earlier run read has grown since.
    for (hash, size) in hashes.iter().zip(&prefixes) {
        let old = relatives.iter().filter(|old| old.size == *size && old.sha256 == *hash && !state.is_gone(old));
        supersedes.extend(old.map(|old| InputEntry::clone(old)));
    }
    // What was rejected is known by its path, too: two empty files are not one.
    let same = known.iter().rev().find(|(_, entry)| entry.sha256 == input.sha256).copied();
    match same.or_else(|| state.by_hash(&input.sha256)) {
        Some((manifest, entry)) if !reconvert && kind.is_done(entry.status) => {
            return Checked::Skip(name, done(&manifest.content), entry);
        }
        // What it has grown to has its rows.
        Some((_, entry)) if state.is_gone(entry) => return Checked::Skip(name, Skip::Beginning, entry),
        Some((_, entry)) => {
            supersedes.push(entry.clone());
            return Checked::Input { input, supersedes, longer: Vec::new() };
        }
        None => {}
    }
    let is_longer = |entry: &&InputEntry| entry.size > input.stat.size && entry.head == input.head;
    let longer = relatives.into_iter().filter(is_longer).collect();
    Checked::Input { input, supersedes, longer }
}

/// Part files that hold rows of these inputs. Files without any rows are written anew with them, so that one that was
/// lost comes back.
fn parts_of(state: &State, superseded: &[InputEntry]) -> Vec<String> {
    let gone: HashSet<String> = superseded.iter().map(InputEntry::key).collect();
    let mut paths = BTreeSet::new();
    if superseded.is_empty() {
        return Vec::new();
    }
    for (manifest, file) in state.files() {
        let keeps = file.kept.iter().any(|key| gone.contains(key));
        let holds = |i: &u32| manifest.inputs.get(*i as usize).is_some_and(|input| gone.contains(&input.key()));
        if keeps || file.rows == 0 || file.inputs.iter().any(holds) {
            paths.insert(file.path.clone());
        }
    }
    paths.into_iter().collect()
}

/// Same inputs and options, same name; what is replaced counts, so that converting again gives new names.
fn run_name(plan: &Plan, options: &Options) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(env!("CARGO_PKG_VERSION"));
    let Options { out: _, tables: _, window: _, memory, strict: _, reconvert: _, dry_run: _, wait: _, .. } = options;
    part(&format!("{:?} {memory} {:?} {:?}", options.content(), options.compression, options.encodings));
    for input in &plan.inputs {
        part(&input.name);
        part(&input.sha256);
    }
    part("unreadable");
    for unreadable in &plan.unreadable {
        part(&unreadable.name);
        part(&unreadable.message);
    }
    part("rewrite");
    plan.rewrite.iter().for_each(|path| part(path));
    hex(&hash.finalize()[..8])
}
