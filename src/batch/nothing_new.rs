//! The plan of a run that has nothing to do, which most are: made of sizes and times, without reading an input.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::options::Options;
use super::plan::{Plan, named};
use super::skip::Skip;
use crate::dataset::known::{Early, Had, Known};
use crate::dataset::layout::Layout;
use crate::dataset::manifest::InputKind;
use crate::error::Result;
use crate::input::{Found, Looker, Stat};
use crate::progress::{Meter, Phase};
use crate::text::path_text;

/// A plan to do nothing, if the dataset has all that was found and nothing changed since. This takes much less than
/// [`plan`](super::plan::plan), which would say the same. The manifests are read here unless somebody did it already.
///
/// # Errors
/// The run was asked to stop.
pub fn nothing_new<'f>(
    found: &'f Found,
    early: Option<Early>,
    layout: &Layout,
    options: &Options,
    meter: &Meter,
) -> Result<Option<Plan<'f>>> {
    if options.reconvert {
        return Ok(None);
    }
    let files: Vec<(&'f PathBuf, InputKind, Option<Stat>)> = named(found).collect();
    meter.begin(Phase::Checking, files.len() as u64, 0);
    let look = |looker: &mut Looker, &(path, _, stat): &(&'f PathBuf, InputKind, Option<Stat>)| {
        meter.check().ok()?;
        meter.files.fetch_add(1, Relaxed);
        // A wait for another run may have been long.
        stat.filter(|_| !options.wait).or_else(|| looker.look(path).file())
    };
    let stats: Vec<Option<Stat>> = files.par_iter().map_init(Looker::default, look).collect();
    meter.check()?;
    let known = early.and_then(|early| early.end(layout)).or_else(|| Known::read(layout));
    let Some(known) = known else { return Ok(None) };
    let content = options.content();
    let skip = |((path, kind, _), stat): (&(&'f PathBuf, InputKind, _), &Option<Stat>)| {
        let (name, stat) = (path_text(path), stat.as_ref()?);
        let why = match known.find(&name, stat.size, stat.mtime, *kind)? {
            Had::Rows(had, span) => Skip::done(&had, &content, span, *kind)?,
            Had::More(had, span) => Skip::beginning(&had, &content, span),
        };
        Some((name, why))
    };
    let skipped: Vec<Option<_>> = files.par_iter().zip(&stats).map(skip).collect();
    let skipped: Option<Vec<_>> = skipped.into_iter().collect();
    Ok(skipped.map(|skipped| Plan { skipped, ..Plan::default() }))
}
