//! The command that mends what was found.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::parts::Part;
use crate::dataset::compression;
use crate::dataset::encode::Encodings;
use crate::dataset::layout::{Layout, staged_name};
use crate::dataset::manifest::{Content, InputEntry, InputKind, Manifest};
use crate::dataset::state::{Read, State};
use crate::input::Stat;
use crate::memory::Memory;
use crate::tables::schema::TableId;
use crate::text::{is_harmful, path_of};
use crate::time::iso;

/// Converts again what part files have rows of: a command for each. Where files have inputs in common, one cannot be mended
/// without the others, since what stays of an input is read of all of its files: the first has the command for all.
pub fn reconvert_parts(layout: &Layout, state: &State, parts: &[Part]) -> Vec<String> {
    let mut commands = vec!["true # a command above mends it, too".to_owned(); parts.len()];
    for group in groups(parts) {
        let parts: Vec<Part> = group.iter().map(|place| parts[*place]).collect();
        commands[group[0]] = reconvert_together(layout, state, &parts);
    }
    commands
}

/// Places of part files that are connected by inputs. Those without rows are mended by any run: they go with the first.
fn groups(parts: &[Part]) -> impl Iterator<Item = Vec<usize>> {
    fn root(before: &mut [usize], mut place: usize) -> usize {
        while before[place] != place {
            before[place] = before[before[place]];
            place = before[place];
        }
        place
    }
    // For each a place of its group before it, or its own.
    let mut before: Vec<usize> = (0..parts.len()).collect();
    let mut first_of: HashMap<String, usize> = HashMap::new();
    let with_rows = parts.iter().position(|(_, part)| part.rows > 0);
    for (place, (run, part)) in parts.iter().enumerate() {
        let any = (part.rows == 0 || Some(place) == with_rows).then(String::new);
        for key in run.keys_of(part).chain(any) {
            let first = *first_of.entry(key).or_insert(place);
            let (a, b) = (root(&mut before, first), root(&mut before, place));
            before[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..parts.len() {
        groups.entry(root(&mut before, place)).or_default().push(place);
    }
    groups.into_values()
}

fn reconvert_together(layout: &Layout, state: &State, parts: &[Part]) -> String {
    let mut seen = HashSet::new();
    let all = parts.iter().flat_map(|(run, part)| run.keys_of(part)).filter(|key| seen.insert(key.clone()));
    let mut reads: Vec<Read> = all.filter_map(|key| state.by_key(&key)).collect();
    if reads.is_empty() {
        // Files without rows belong to none of the inputs; converting any of them writes them anew.
        reads.extend(any_input(state));
    }
    // Where options differ, rather more rows than before than fewer.
    let content = reads.iter().map(Read::content).reduce(|a, b| Cow::Owned(a.with(&b)));
    let content = content.unwrap_or(Cow::Borrowed(&parts[0].0.content));
    let inputs: Vec<&InputEntry> = reads.iter().map(|read| read.input).collect();
    let line = reconvert_inputs(layout, state, parts[0].0, &content, &inputs);
    // A run could neither remove nor replace a folder.
    let folders = parts.iter().map(|(_, part)| layout.root().join(&part.path)).filter(|path| path.is_dir());
    folders.map(|path| format!("rm -r {} && ", quoted(&path))).chain([line]).collect()
}

fn any_input(state: &State) -> Option<Read<'_>> {
    let live = state.live();
    let is_there = |read: &&Read| Stat::at(&path_of(&read.input.path)).is_some();
    live.iter().find(is_there).or(live.first()).copied()
}

/// Converts any input again, with all tables that the dataset has, so that each gets a file.
pub fn write_tables(layout: &Layout, state: &State) -> String {
    let Some(read) = any_input(state) else { return any_convert(layout) };
    let all = state.manifests.iter().map(|run| &run.content);
    let tables = all.fold(read.content().into_owned(), |all, one| Content { tables: all.with(one).tables, ..all });
    reconvert_inputs(layout, state, read.run, &tables, &[read.input])
}

/// Converts inputs again, with the options that decide which rows there are.
pub fn reconvert_inputs(
    layout: &Layout,
    state: &State,
    like: &Manifest,
    content: &Content,
    inputs: &[&InputEntry],
) -> String {
    with_lost(state, command(layout.root(), state, "--reconvert ", like, content, inputs))
}

/// Completes an interrupted run.
pub fn convert_again(layout: &Layout, state: &State, run: &Manifest) -> String {
    command(layout.root(), state, "", run, &run.content, &run.inputs.iter().collect::<Vec<_>>())
}

/// Any run cleans up after those before it, also one without inputs.
pub fn any_convert(layout: &Layout) -> String {
    format!("sf-parquet convert --files-from /dev/null --out {}", quoted(layout.root()))
}

/// Converts all inputs into a new dataset beside this one.
pub fn start_anew(layout: &Layout, state: &State, live: &[Read]) -> String {
    let names = (0..).map(|n| beside(layout, &if n == 0 { ".new".to_owned() } else { format!(".new{n}") }));
    let new = names.into_iter().find(|new| !new.exists()).unwrap_or_default();
    // All that any run was asked for of an input.
    let mut wanted: HashMap<String, Content> = HashMap::new();
    for run in &state.manifests {
        for input in &run.inputs {
            let content = run.content.of_times(input.window);
            let all = wanted.entry(input.key()).or_insert_with(|| content.clone().into_owned());
            *all = all.with(&content);
        }
    }
    let mut contents: Vec<(&Manifest, &Content, Vec<&InputEntry>)> = Vec::new();
    for read in live {
        let content = &wanted[&read.input.key()];
        match contents.iter_mut().find(|(_, other, _)| *other == content) {
            Some((_, _, inputs)) => inputs.push(read.input),
            None => contents.push((read.run, content, vec![read.input])),
        }
    }
    // A damaged input is no reason to leave out the others.
    let commands: Vec<String> =
        contents.iter().map(|(like, content, inputs)| command(&new, state, "", like, content, inputs)).collect();
    with_lost(state, commands.join("; "))
}

/// The name of the dataset with something behind it.
fn beside(layout: &Layout, suffix: &str) -> PathBuf {
    // A name such as `.` is none.
    let root = layout.root();
    let root = if root.file_name().is_none() { root.canonicalize().unwrap_or_default() } else { root.to_owned() };
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    root.with_file_name(name)
}

/// Moves a file that someone else put there, and may want, out of the dataset.
pub fn move_away(layout: &Layout, path: &Path, name: &str) -> String {
    if path.to_str().is_none() {
        return "true # its name is no UTF-8: move it away by hand".to_owned();
    }
    let to = beside(layout, ".strange").join(name);
    let folder = to.parent().unwrap_or(&to);
    format!("mkdir -p {} && mv --backup=numbered {} {}", quoted(folder), quoted(path), quoted(&to))
}

/// Puts a folder in the place of a link to it.
pub fn replace_link(layout: &Layout, path: &Path, name: &str) -> String {
    let (path, copy) = (quoted(path), quoted(&beside(layout, &format!(".{}.link-copied", staged_name(name)))));
    format!("cp -rLT {path} {copy} && rm {path} && mv -T {copy} {path}")
}

pub fn remove(path: &Path) -> String {
    format!("rm {}", quoted(path))
}

pub fn rename(from: &Path, to: &Path) -> String {
    format!("mv {} {}", quoted(from), quoted(to))
}

/// Removes a file of a run whose inputs nobody knows any more.
pub fn remove_for_good(path: &Path) -> String {
    format!("{} # and convert the inputs of its run again, with --reconvert", remove(path))
}

/// Converts traces and logs, with part files `like` those of a run: a command, or several if there are several logs, of which
/// each takes one. An input that is not where it was is looked for among its copies.
fn command(
    root: &Path,
    state: &State,
    flag: &str,
    like: &Manifest,
    content: &Content,
    inputs: &[&InputEntry],
) -> String {
    let mut start = format!("sf-parquet convert {flag}--out {}", quoted(root));
    if like.encodings == Encodings::Compatible {
        start += " --encodings compatible";
    }
    let compression = compression::name(&like.compression);
    if compression != compression::DEFAULT {
        let _ = write!(start, " --compression {compression}");
    }
    let memory = state.manifests.iter().map(|run| run.memory).max();
    if let Some(memory) = memory.filter(|memory| *memory > Memory::USUAL.0 as u64) {
        let _ = write!(start, " --memory {memory}");
    }
    if content.tables.len() < TableId::COUNT {
        let _ = write!(start, " --tables {}", content.tables.join(","));
    }
    for (option, time) in [("--since", content.since), ("--until", content.until)] {
        if let Some(time) = time {
            let _ = write!(start, " {option} {}", iso(time));
        }
    }
    let (logs, traces): (Vec<&InputEntry>, Vec<&InputEntry>) =
        inputs.iter().partition(|input| input.kind == InputKind::ExperimentLog);
    let path = |input| state.at_hand(input).unwrap_or_else(|| path_of(&input.path));
    // As given: what was rejected is known by that.
    let paths: Vec<Cow<Path>> = traces.iter().map(|input| path(*input)).collect();
    let is_like_option = |path: &Cow<Path>| path.as_os_str().as_bytes().starts_with(b"-");
    let end = if paths.iter().any(is_like_option) { " --" } else { "" };
    let traces = paths.iter().fold(end.to_owned(), |traces, path| format!("{traces} {}", as_given(path)));
    const NO_TRACES: &str = " --files-from /dev/null";
    let mut logs = logs.iter().map(|log| format!(" --experiment-log {}", quoted(&path(log))));
    let first = match logs.next() {
        Some(log) => log + if traces.is_empty() { NO_TRACES } else { &traces },
        None => traces,
    };
    let others = logs.map(|log| log + NO_TRACES);
    let lines: Vec<String> = [first].into_iter().chain(others).map(|inputs| format!("{start}{inputs}")).collect();
    lines.join("; ")
}

/// A remedy that converts inputs, and what it cannot name.
fn with_lost(state: &State, remedy: String) -> String {
    if state.has_lost() { remedy + " # and the inputs of the run whose manifest is lost" } else { remedy }
}

/// A path as a shell takes it, and commands for no option.
fn quoted(path: &Path) -> String {
    match path.as_os_str().as_bytes().starts_with(b"-") {
        true => as_given(&Path::new(".").join(path)),
        false => as_given(path),
    }
}

/// A path as a shell takes it; one that is no UTF-8, or not for terminals, as bash and zsh do.
fn as_given(path: &Path) -> String {
    let Some(text) = path.to_str().filter(|text| !text.contains(is_harmful)) else {
        let escaped = |byte: &u8| match byte {
            b' '..=b'~' if !b"'\\".contains(byte) => char::from(*byte).to_string(),
            byte => format!("\\{byte:03o}"),
        };
        return format!("$'{}'", path.as_os_str().as_bytes().iter().map(escaped).collect::<String>());
    };
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    let is_plain = !text.is_empty() && text.chars().all(plain);
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_a_path_for_what_it_is() {
        for name in [&b"a.sf"[..], b"-a b", b"it's \\x", b"\xfe1", b"-\xff'\\\n\x01$`\"", "\u{e4} \u{1f600}".as_bytes()]
        {
            let quoted = quoted(Path::new(OsStr::from_bytes(name)));
            let said = Command::new("bash").args(["-c", &format!("printf %s {quoted}")]).output().unwrap().stdout;
            let here = if name.starts_with(b"-") { &b"./"[..] } else { b"" };
            assert_eq!(said, [here, name].concat(), "{quoted}");
        }
    }
}
