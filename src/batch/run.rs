//! A whole run: lock, recover, plan, convert, publish.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use super::input::{Input, Unreadable};
use super::nothing_new::nothing_new;
use super::options::Options;
use super::pipe::{Item, Pipe};
use super::plan::{self, Plan};
use super::rewrite::{Gone, rewrite};
use super::source::{Ended, Source};
use super::summary::Summary;
use crate::dataset::commit;
use crate::dataset::journal;
use crate::dataset::known::Early;
use crate::dataset::layout::Layout;
use crate::dataset::lock::Lock;
use crate::dataset::manifest::{FORMAT, InputEntry, Manifest, Status};
use crate::dataset::part::PartFile;
use crate::dataset::state::State;
use crate::dataset::sync::Syncs;
use crate::dataset::writer::{DatasetWriter, Limits};
use crate::error::{Error, IoContext, Result};
use crate::fault;
use crate::flatten::flattener::InputCounts;
use crate::input::Found;
use crate::progress::{Meter, Phase};
use crate::tables::pending::Overflow;
use crate::tables::row_counts::RowCounts;
use crate::tables::schema::TableId;
use crate::text::Escaped;
use crate::time::Window;

/// Converts what is new of the inputs. Runs on the current rayon pool; `early` is a look at the manifests, if it has begun.
///
/// # Errors
/// Whatever keeps the run from being published. The dataset is then as it was, but for [`Error::HalfPublished`]. That an input
/// is damaged, with `strict`, is no error here: the summary says that the run was refused.
pub fn convert(found: &Found, early: Option<Early>, options: &Options, meter: &Meter) -> Result<Summary> {
    let start = Instant::now();
    let layout = Layout::new(&options.out);
    // Asking what would be done changes nothing, so it needs no lock, and counts with what a run would recover first.
    let (lock, unfinished) = if options.dry_run {
        (None, journal::unfinished(&layout)?)
    } else {
        let lock = Lock::take(&layout, options.wait, meter)?;
        commit::recover(&layout)?;
        (Some(lock), Vec::new())
    };
    let mut summary = Summary::default();
    if lock.as_ref().is_some_and(|lock| !lock.is_held) {
        summary
            .notes
            .push("the dataset's filesystem has no locks: see to it that only one run writes to it".to_owned());
    }
    summary
        .notes
        .extend(unfinished.iter().map(|run| format!("the interrupted run {} would be completed", Escaped(&run.run))));
    let nothing_new = match unfinished.is_empty() {
        true => nothing_new(found, early, &layout, options, meter)?,
        false => None,
    };
    let (plan, state) = match nothing_new {
        Some(plan) => (plan, State::default()),
        None => {
            let state = State::load(&layout, unfinished)?;
            if state.manifests.is_empty()
                && let Some(part) = layout.any_part()?
            {
                let message = "nothing tells which inputs it has rows of, since the dataset has no manifest (_sf_parquet/manifest): \
                               copy the dataset whole, or convert into another folder; 'sf-parquet verify' names what to remove";
                return Err(Error::Dataset { path: part, message: message.to_owned() });
            }
            (plan::plan(found, &state, options, meter)?, state)
        }
    };
    summary.dry_run = options.dry_run;
    summary.inputs.passed_over = found.passed_over.len();
    summary.skip(&plan.skipped);
    summary.inputs.rejected = plan.still_unreadable.len();
    summary.problems.extend(plan.still_unreadable.iter().map(Unreadable::problem));
    if options.dry_run {
        describe(&plan, &mut summary);
    } else if !plan.is_empty() {
        execute(&layout, &state, &plan, options, meter, &mut summary)?;
    } else {
        summary.refused = options.strict && summary.is_damaged();
    }
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

fn describe(plan: &Plan, summary: &mut Summary) {
    summary.run = (!plan.is_empty()).then(|| plan.run.clone());
    let broken = plan.inputs.iter().filter(|input| input.broken).count();
    summary.inputs.converted = plan.inputs.len() - broken;
    summary.inputs.rejected += plan.unreadable.len() + broken;
    summary.problems.extend(plan.unreadable.iter().map(Unreadable::problem));
    summary.bytes_in = plan.inputs.iter().map(|i| i.stat.size).sum();
    for input in &plan.inputs {
        let kind = match input {
            Input { broken: true, .. } => "would be rejected: it has no header that can be used",
            Input { incomplete: true, .. } => "would be converted as far as it is whole",
            _ => "would be converted",
        };
        summary.notes.push(format!("{} {kind}", Escaped(&input.name)));
        summary
            .notes
            .extend(input.perhaps_twice().map(|twice| format!("{}: {}", Escaped(&input.name), Escaped(&twice))));
    }
    for path in &plan.rewrite {
        summary.notes.push(format!("{} would be rewritten", Escaped(path)));
    }
}

fn execute(
    layout: &Layout,
    state: &State,
    plan: &Plan,
    options: &Options,
    meter: &Meter,
    summary: &mut Summary,
) -> Result<()> {
    let staging = layout.staging(&plan.run);
    fs::create_dir_all(&staging).during("create the folder", &staging)?;
    let discard = |error| {
        commit::discard(layout, &plan.run);
        error
    };
    let (manifest, problems, syncs) = stage(layout, state, plan, options, meter).map_err(discard)?;
    describe_result(plan, &manifest, problems, summary);
    if options.strict && summary.is_damaged() {
        summary.refused = true;
        commit::discard(layout, &plan.run);
        return Ok(());
    }
    meter.begin(Phase::Publishing, 0, 0);
    commit::publish(layout, &manifest, syncs, meter)?;
    summary.published = true;
    Ok(())
}

/// Converts all inputs into staged part files, which are on disk when the syncs are finished.
fn stage(
    layout: &Layout,
    state: &State,
    plan: &Plan,
    options: &Options,
    meter: &Meter,
) -> Result<(Manifest, Vec<String>, Syncs)> {
    let bytes = plan.inputs.iter().map(|i| i.stat.size).sum();
    meter.begin(Phase::Converting, plan.inputs.len() as u64, bytes);
    let rewritten = || state.files().filter(|(_, part)| plan.rewrite.binary_search(&part.path).is_ok());
    // Rows that stay are kept in tables that this run does not want, too.
    let mut tables = options.tables.clone();
    tables.extend(rewritten().filter_map(|(_, part)| TableId::by_name(&part.table)));
    let mut writer = DatasetWriter::new(
        layout.staging(&plan.run),
        &plan.run,
        &tables,
        options.compression,
        options.encodings,
        Limits::within(options.memory),
    )?;
    let gone = Gone::new(&plan.superseded);
    for (manifest, part) in rewritten() {
        meter.check()?;
        rewrite(layout.root(), state, manifest, part, &gone, &mut writer, meter)?;
    }
    writer.want_only(&options.tables);
    let needed = tables_without_files(state, plan, tables);
    let (ended, problems, writer) = convert_inputs(layout, plan, options, meter, writer, needed)?;
    let (files, syncs) = writer.finish()?;
    fault::point("all parts closed");
    let manifest = Manifest {
        format: FORMAT,
        run: plan.run.clone(),
        number: state.next_number(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        content: options.content(),
        compression: options.compression.to_string(),
        encodings: options.encodings,
        memory: options.memory.0 as u64,
        inputs: entries(plan, options, ended),
        copies: plan.copies.clone(),
        files,
        removed: plan.rewrite.clone(),
        superseded: plan.superseded.iter().map(InputEntry::key).collect(),
    };
    Ok((manifest, problems, syncs))
}

/// Reads the next rows while the last ones are encoded.
fn convert_inputs(
    layout: &Layout,
    plan: &Plan,
    options: &Options,
    meter: &Meter,
    writer: DatasetWriter,
    needed: BTreeSet<TableId>,
) -> Result<(Vec<Ended>, Vec<String>, DatasetWriter)> {
    let pipe = Arc::new(Pipe::new(writer, options.memory.batch()));
    let full = pipe.clone();
    let overflow: Overflow = Box::new(move |chunks| {
        full.push(chunks.into_iter().map(Item::Rows));
    });
    let mut source = Source::new(&plan.inputs, options, layout.staging(&plan.run), Some(overflow), meter);
    let (read, ()) = rayon::join(|| read_all(&mut source, &pipe), || pipe.write_to_the_end());
    read?;
    source.reject_unreadable(&plan.unreadable);
    let last = source.finish()?;
    let pipe = Arc::into_inner(pipe).unwrap_or_else(|| unreachable!("the source has ended"));
    let mut writer = pipe.finish()?;
    writer.write_last(last.chunks, needed, last.earliest)?;
    Ok((last.ended, last.problems, writer))
}

/// Reads all inputs, or until writing fails, which the end of the pipe tells.
fn read_all(source: &mut Source, pipe: &Pipe) -> Result<()> {
    /// The writer must not wait for a reader that is gone.
    struct Ends<'p>(&'p Pipe);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let _ends = Ends(pipe);
    while let Some(items) = source.read()? {
        if !pipe.push(items) {
            break;
        }
    }
    Ok(())
}

/// Those of these tables of which the dataset has no file that stays: they get one, with or without rows, so that readers
/// find their columns.
fn tables_without_files(state: &State, plan: &Plan, mut tables: BTreeSet<TableId>) -> BTreeSet<TableId> {
    let stays = state.files().filter(|(_, part)| plan.rewrite.binary_search(&part.path).is_err());
    for table in stays.filter_map(|(_, part)| TableId::by_name(&part.table)) {
        tables.remove(&table);
    }
    tables
}

/// When an input's events and flows start. Nothing is within the times of one that has none.
fn span(counts: &InputCounts) -> Window {
    match (counts.first_ts, counts.last_ts) {
        (Some(first), Some(last)) => Window { since: Some(first), until: last.checked_add(1) },
        _ => Window { since: Some(0), until: Some(0) },
    }
}

fn entries(plan: &Plan, options: &Options, ended: Vec<Ended>) -> Vec<InputEntry> {
    let read = plan.inputs.iter().zip(ended).map(|(input, Ended { counts, sound })| InputEntry {
        path: input.name.clone(),
        size: input.stat.size,
        mtime: input.stat.mtime,
        sha256: input.sha256.clone(),
        status: if counts.rejected {
            Status::Rejected
        } else if counts.damaged {
            Status::Damaged
        } else {
            Status::Converted
        },
        kind: input.kind,
        window: Some(input.window).filter(|window| *window != options.window),
        span: Some(span(&counts)).filter(|_| input.window != Window::default()),
        head: input.head.clone(),
        doubtful: input.doubtful.is_some(),
        truncated: counts.truncated,
        whole: input.whole.clone(),
        sound,
        traces: counts.traces,
        records: counts.records,
        headers: counts.headers,
        unknown: counts.unknown,
        lost: counts.lost,
        filtered: counts.filtered,
        dangling: counts.dangling,
        repaired: counts.repaired,
        rows: counts.rows,
    });
    let mut rejected = RowCounts::default();
    rejected[TableId::Rejects] = 1;
    let unread = plan.unreadable.iter().map(|unreadable| InputEntry {
        path: unreadable.name.clone(),
        status: Status::Rejected,
        rows: rejected.clone(),
        ..InputEntry::default()
    });
    read.chain(unread).collect()
}

fn describe_result(plan: &Plan, manifest: &Manifest, problems: Vec<String>, summary: &mut Summary) {
    summary.run = Some(plan.run.clone());
    summary.problems.extend(problems);
    for input in &manifest.inputs {
        match input.status {
            Status::Converted => summary.inputs.converted += 1,
            Status::Damaged => {
                summary.inputs.converted += 1;
                summary.inputs.damaged += 1;
            }
            Status::Rejected => summary.inputs.rejected += 1,
        }
        summary.records += input.records;
        summary.records_lost += input.lost;
        summary.records_filtered += input.filtered;
        summary.dangling_references += input.dangling;
        summary.repaired_strings += input.repaired;
        summary.bytes_in += input.size;
    }
    for table in &manifest.content.tables {
        summary.rows.insert(table.clone(), 0);
    }
    for input in &manifest.inputs {
        for (table, rows) in input.rows.iter() {
            if let Some(sum) = summary.rows.get_mut(table.name()) {
                *sum += rows;
            }
        }
    }
    summary.files = manifest.files.len();
    summary.bytes_out = manifest.files.iter().map(|f: &PartFile| f.bytes).sum();
}
