//! The plan of a run: which inputs are read, whose rows they replace, and what the run is called.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::check::{Checked, check};
use super::growth::{self, Relation};
use super::input::{Input, Unreadable};
use super::options::Options;
use super::skip::Skip;
use crate::dataset::manifest::{Content, CopyEntry, InputEntry, InputKind, Status, rejected_key};
use crate::dataset::state::{Read, State};
use crate::error::Result;
use crate::input::{Found, Stat};
use crate::progress::{Meter, Phase};
use crate::text::{hex, path_of};
use crate::time::Window;

/// What a run will do.
#[derive(Debug, Default)]
pub struct Plan<'f> {
    /// The run's name: 16 hex digits that depend on inputs, options, the program's version, earlier runs that read the same inputs, and
    /// the part files that are written anew.
    pub run: String,
    pub inputs: Vec<Input>,
    pub unreadable: Vec<Unreadable>,
    /// Those of which the dataset says so already.
    pub still_unreadable: Vec<Unreadable>,
    pub skipped: Vec<(Cow<'f, str>, Skip)>,
    /// Those of the skipped that no run knows by size and time.
    pub copies: Vec<CopyEntry>,
    /// Inputs of earlier runs whose rows this run replaces.
    pub superseded: Vec<InputEntry>,
    /// Part files that hold such rows, in order.
    pub rewrite: Vec<String>,
}

impl Plan<'_> {
    /// Whether there is anything to write, or to take out.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.unreadable.is_empty() && self.superseded.is_empty()
    }
}

/// All that was found, and for what it is taken.
pub fn named(found: &Found) -> impl Iterator<Item = (&PathBuf, InputKind, Option<Stat>)> {
    let traces = found.files.iter().map(|(path, stat)| (path, InputKind::Trace, *stat));
    traces.chain(found.experiment_log.iter().map(|path| (path, InputKind::ExperimentLog, None)))
}

/// Plans a run over what was found.
///
/// # Errors
/// The run was asked to stop.
pub fn plan<'f>(found: &'f Found, state: &State, options: &Options, meter: &Meter) -> Result<Plan<'f>> {
    let files: Vec<(&PathBuf, InputKind)> = named(found).map(|(path, kind, _)| (path, kind)).collect();
    meter.begin(Phase::Checking, files.len() as u64, 0);
    let content = options.content();
    let checked: Vec<Checked> = files
        .par_iter()
        .map(|&(path, kind)| {
            let checked = check(path, kind, state, options, &content, meter);
            meter.files.fetch_add(1, Relaxed);
            meter.check().map(|()| checked)
        })
        .collect::<Result<_>>()?;

    let mut plan = Plan::default();
    // Where each content is among the inputs, and what each of them replaces.
    let (mut places, mut replaced): (HashMap<String, usize>, Vec<Vec<InputEntry>>) = Default::default();
    let mut at_hand = Vec::new();
    for (checked, (path, _)) in checked.into_iter().zip(files) {
        match checked {
            Checked::Skip { name, why, read, copy } => {
                at_hand.extend(read.map(|piece| (path.as_path(), piece)));
                plan.skipped.push((name.into(), why));
                plan.copies.extend(copy);
            }
            Checked::Unreadable(unreadable) => {
                match state.by_key(&rejected_key("", &unreadable.name)).filter(|read| read.live) {
                    Some(_) if !options.reconvert => plan.still_unreadable.push(unreadable),
                    known => {
                        plan.superseded.extend(known.map(|read| read.input.clone()));
                        plan.unreadable.push(unreadable);
                    }
                }
            }
            Checked::Input { input, supersedes } => {
                let key = input.key();
                // The same empty or broken file twice is twice something to report.
                if let Some(&first) = places.get(&key).filter(|_| !input.broken) {
                    plan.copies.push(input.copy_of(key, false));
                    take_over(&mut plan.inputs[first], &mut replaced[first], input.window, supersedes);
                    plan.skipped.push((input.name.into(), Skip::Duplicate));
                } else {
                    places.insert(key, plan.inputs.len());
                    plan.inputs.push(input);
                    replaced.push(supersedes);
                }
            }
        }
    }
    let relations = growth::relations(&plan.inputs, state, &at_hand, meter);
    meter.check()?;
    settle(&mut plan, relations, &places, replaced, state, &content);
    plan.superseded.extend(now_listed(found, state));
    plan.superseded.sort_by_key(InputEntry::key);
    plan.superseded.dedup_by_key(|input| input.key());
    plan.rewrite = parts_of(state, &plan.superseded);
    plan.run = run_name(&plan, state, options);
    Ok(plan)
}

/// What was an input that could not be read, and now is a folder of which there are files.
fn now_listed(found: &Found, state: &State) -> impl Iterator<Item = InputEntry> {
    let unread = state.live().into_iter().filter(|read| read.input.sha256.is_empty());
    let is_listed = |read: &Read| {
        let folder = path_of(&read.input.path);
        found.paths().any(|path| **path != *folder && path.starts_with(&folder))
    };
    unread.filter(is_listed).map(|read| read.input.clone())
}

/// Leaves out inputs that are the beginning of others. What an input replaces goes only if it is read after all, or a longer one of
/// this run instead of it; `places` are those of contents among the inputs.
fn settle(
    plan: &mut Plan,
    relations: Vec<Relation>,
    places: &HashMap<String, usize>,
    mut replaced: Vec<Vec<InputEntry>>,
    state: &State,
    content: &Content,
) {
    for (place, relation) in relations.iter().enumerate() {
        if let Relation::Beginning(longer) = relation
            && let Some(&longer) = places.get(longer)
        {
            let (window, replaces) = (plan.inputs[place].window, std::mem::take(&mut replaced[place]));
            take_over(&mut plan.inputs[longer], &mut replaced[longer], window, replaces);
        }
    }
    let mut longer_of = HashMap::new();
    let inputs = std::mem::take(&mut plan.inputs).into_iter().zip(replaced);
    for ((mut input, replaces), relation) in inputs.zip(relations) {
        // Of another with the same rows it was known how they are related to others.
        let mut same = replaces.iter().filter(|old| has_same_rows(old, &input)).peekable();
        let is_settled = same.peek().is_some() && same.all(|old| !old.doubtful);
        match relation {
            Relation::Beginning(longer) => {
                plan.copies.push(input.copy_of(longer.clone(), true));
                let read = state.by_key(&longer).filter(|_| !places.contains_key(&longer));
                let why = read.map_or(Skip::Beginning, |read| Skip::outgrown(read, state, content));
                plan.superseded.extend(replaces.into_iter().filter(|old| old.status == Status::Rejected));
                longer_of.insert(input.key(), longer);
                plan.skipped.push((input.name.into(), why));
                continue;
            }
            Relation::Doubtful(longer) if !is_settled => input.doubtful = Some(longer),
            Relation::Doubtful(_) | Relation::Apart => {}
        }
        plan.superseded.extend(replaces);
        plan.inputs.push(input);
    }
    name_alike(&mut plan.inputs);
    for copy in &mut plan.copies {
        if let Some(longer) = longer_of.get(&copy.of) {
            (copy.of, copy.beginning) = (longer.clone(), true);
        }
    }
}

/// Names the first of those that start alike to the others, see [`Input::alike`].
fn name_alike(inputs: &mut [Input]) {
    let mut firsts: HashMap<String, String> = HashMap::new();
    for input in inputs.iter_mut().filter(|input| !input.head.is_empty()) {
        match firsts.get(&input.head) {
            Some(first) => drop(input.alike.get_or_insert(first.clone())),
            None => drop(firsts.insert(input.head.clone(), input.name.clone())),
        }
    }
}

/// Has an input replace what another would, which is not read: it has all rows of that, for the times that it would have had them.
fn take_over(input: &mut Input, replaces: &mut Vec<InputEntry>, window: Window, others: Vec<InputEntry>) {
    input.window = input.window.with(window);
    input.doubtful.take_if(|doubtful| others.iter().any(|old| old.path == *doubtful));
    replaces.extend(others);
}

/// Whether the dataset has of an earlier input what this one has, which differs from it only behind that.
fn has_same_rows(old: &InputEntry, input: &Input) -> bool {
    old.status != Status::Rejected && old.sha256 != input.sha256 && old.extent() == input.extent()
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
        if file.rows == 0 || manifest.keys_of(file).any(|key| gone.contains(&key)) {
            paths.insert(file.path.clone());
        }
    }
    paths.into_iter().collect()
}

/// Same inputs and options, same name; but what earlier runs did with the inputs counts, so that converting again gives new
/// names.
fn run_name(plan: &Plan, state: &State, options: &Options) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(env!("CARGO_PKG_VERSION"));
    let Options {
        out: _,
        tables: _,
        window: _,
        memory,
        strict: _,
        reconvert: _,
        dry_run: _,
        wait: _,
        compression,
        encodings,
    } = options;
    part(&format!("{:?} {} {compression:?} {encodings:?}", options.content(), memory.0));
    let before = |key: &str| state.by_key(key).map_or("", |read| &read.run.run);
    for input in &plan.inputs {
        part(&input.name);
        part(&input.key());
        part(&format!("{:?}", input.window));
        part(before(&input.key()));
        part(before(&rejected_key(&input.sha256, &input.name)));
    }
    part("unreadable");
    for unreadable in &plan.unreadable {
        part(&unreadable.name);
        part(&unreadable.message);
        part(before(&rejected_key("", &unreadable.name)));
    }
    for input in &plan.superseded {
        part("superseded");
        part(&input.key());
        part(before(&input.key()));
    }
    part("rewrite");
    plan.rewrite.iter().for_each(|path| part(path));
    hex(&hash.finalize()[..8])
}
