//! The command that mends what was found.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

use crate::dataset::layout::Layout;
use crate::dataset::manifest::{Content, InputEntry, Manifest, Read, State};
use crate::dataset::part::PartFile;
use crate::tables::schema::TableId;

/// Converts again what a part file has rows of.
pub fn reconvert_part(layout: &Layout, state: &State, manifest: &Manifest, part: &PartFile) -> String {
    let of_run = part.inputs.iter().filter_map(|i| manifest.inputs.get(*i as usize)).map(InputEntry::key);
    let mut reads: Vec<Read> = of_run.chain(part.kept.iter().cloned()).filter_map(|key| state.by_key(&key)).collect();
    if reads.is_empty() {
        // A file without rows belongs to none of the inputs; converting any of them writes it anew.
        reads.extend(manifest.inputs.first().and_then(|input| state.by_key(&input.key())));
    }
    // Where options differ, rather more rows than before than fewer.
    let contents = reads.iter().map(Read::content).reduce(|a, b| Cow::Owned(a.with(&b)));
    let content = contents.unwrap_or(Cow::Borrowed(&manifest.content));
    let inputs: Vec<&InputEntry> = reads.iter().map(|read| read.input).collect();
    let line = reconvert_inputs(layout, &content, &inputs);
    let path = layout.root().join(&part.path);
    // A run could neither remove nor replace it.
    if path.is_dir() { format!("rm -r {} && {line}", quoted(&path)) } else { line }
}

/// Converts inputs again, with the options that decide which rows there are.
pub fn reconvert_inputs(layout: &Layout, content: &Content, inputs: &[&InputEntry]) -> String {
    command(layout.root(), "--reconvert ", content, inputs)
}

/// Completes an interrupted run.
pub fn convert_again(layout: &Layout, run: &Manifest) -> String {
    command(layout.root(), "", &run.content, &run.inputs.iter().collect::<Vec<_>>())
}

/// Any run cleans up after those before it.
pub fn any_convert(layout: &Layout) -> String {
    format!("sf-parquet convert INPUT… --out {}", quoted(layout.root()))
}

/// Converts all inputs into a new dataset beside this one.
pub fn start_anew(layout: &Layout, live: &[Read]) -> String {
    // A name such as `.` is none.
    let root = layout.root();
    let root = if root.file_name().is_none() { root.canonicalize().unwrap_or_default() } else { root.to_owned() };
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let mut contents: Vec<(Cow<Content>, Vec<&InputEntry>)> = Vec::new();
    for read in live {
        match contents.iter_mut().find(|(content, _)| *content == read.content()) {
            Some((_, inputs)) => inputs.push(read.input),
            None => contents.push((read.content(), vec![read.input])),
        }
    }
    let new = root.with_file_name(name);
    let commands: Vec<String> = contents.iter().map(|(content, inputs)| command(&new, "", content, inputs)).collect();
    commands.join(" && ")
}

pub fn remove(path: &Path) -> String {
    format!("rm {}", quoted(path))
}

pub fn rename(from: &Path, to: &Path) -> String {
    format!("mv {} {}", quoted(from), quoted(to))
}

/// Removes a file of a run whose inputs nobody knows any more.
pub fn remove_for_good(path: &Path) -> String {
    format!("{} # and convert the inputs of its run again", remove(path))
}

fn command(root: &Path, flag: &str, content: &Content, inputs: &[&InputEntry]) -> String {
    let mut line = format!("sf-parquet convert {flag}--out {}", quoted(root));
    if content.tables.len() < TableId::COUNT {
        let _ = write!(line, " --tables {}", content.tables.join(","));
    }
    for (option, time) in [("--since", content.since), ("--until", content.until)] {
        if let Some(time) = time {
            let _ = write!(line, " {option} {time}");
        }
    }
    let (logs, traces): (Vec<&InputEntry>, Vec<&InputEntry>) = inputs.iter().partition(|input| input.log);
    if let Some(log) = logs.first() {
        let _ = write!(line, " --experiment-log {}", quoted(Path::new(&log.path)));
        if traces.is_empty() {
            line.push_str(" --files-from /dev/null");
        }
    }
    for input in traces {
        let _ = write!(line, " {}", quoted(Path::new(&input.path)));
    }
    line
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let mut text = path.to_string_lossy();
    if text.starts_with('-') {
        text = format!("./{text}").into();
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
