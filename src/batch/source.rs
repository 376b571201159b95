//! Reads the inputs of a run in order and makes chunks of rows.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::input::{Input, Unreadable, perhaps_twice};
use super::options::Options;
use super::pipe;
use super::trace_date::trace_date;
use crate::dataset::manifest::{InputKind, Sound};
use crate::error::{Error, IoContext, Result};
use crate::experiment::{Step, lines};
use crate::flatten::entities::Room;
use crate::flatten::flattener::{Flattener, InputCounts, InputInfo};
use crate::input::{self, Stat};
use crate::memory::Memory;
use crate::progress::{Meter, Stopper};
use crate::reject::{Code, Severity};
use crate::tables::chunk::Chunk;
use crate::tables::pending::{Overflow, Pending};
use crate::text::hex;
use crate::time::{Date, Window};
use crate::trace::container::{FileHeader, HeaderError};
use crate::trace::reader::{Blocks, Damage, Item, Place};
use crate::trace::records::Record;
use crate::trace::schema::LeftOut;

/// Records, and bytes of a record, after which a run looks whether it was asked to stop.
const CHECKED: u64 = 4096;

/// What is left when all inputs are read.
pub struct Last {
    pub chunks: Vec<Chunk>,
    /// The earliest date of any row, whether its table is wanted or not.
    pub earliest: Option<Date>,
    /// What became of each input.
    pub ended: Vec<Ended>,
    /// What was wrong, one line each.
    pub problems: Vec<String>,
}

/// What became of an input.
pub struct Ended {
    pub counts: InputCounts,
    /// See [`InputEntry::sound`].
    ///
    /// [`InputEntry::sound`]: crate::dataset::manifest::InputEntry::sound
    pub sound: Option<Sound>,
}

/// All inputs of a run.
pub struct Source<'p> {
    inputs: &'p [Input],
    next: usize,
    open: Option<OpenInput>,
    /// The input behind the open one, if all of that was found.
    following: Option<OpenInput>,
    /// Inputs that were opened, or would be if that had worked before their time.
    opened: usize,
    flattener: Flattener,
    block_limit: usize,
    meter: &'p Meter,
    ended: Vec<Ended>,
    /// Where the last block of the current input is of which there are rows.
    last_block: Range<u64>,
    /// Whether no file is open that rows of earlier inputs lie in.
    apart: bool,
    /// See [`Input::was_other`], until something is said.
    was_other: bool,
}

struct OpenInput {
    file: Arc<File>,
    header: FileHeader,
    left_out: Vec<LeftOut>,
    blocks: Blocks,
    buffer: Vec<u8>,
}

impl OpenInput {
    fn new(
        file: Arc<File>,
        input: &Input,
        block_limit: usize,
        stopper: Stopper,
    ) -> std::result::Result<OpenInput, HeaderError> {
        let header = FileHeader::read(&file, input.stat.size)?;
        let blocks = Blocks::new(file.clone(), &header, input.stat.size, block_limit, stopper);
        let mut left_out: Vec<LeftOut> = header.schema.left_out().collect();
        // Not all are named.
        left_out.sort_by_key(|field| !field.is_known);
        Ok(OpenInput { file, left_out, header, blocks, buffer: Vec::new() })
    }
}

impl<'p> Source<'p> {
    /// Staged files lie in `staging`; `overflow` takes chunks when too many wait.
    pub fn new(
        inputs: &'p [Input],
        options: &Options,
        staging: PathBuf,
        overflow: Option<Overflow>,
        meter: &'p Meter,
    ) -> Source<'p> {
        let room = Room { folder: staging, exports: options.memory.exports(), index: options.memory.index() };
        let pending = Pending::new(options.memory.batch(), overflow);
        Source {
            inputs,
            next: 0,
            open: None,
            following: None,
            opened: 0,
            flattener: Flattener::new(pending, room),
            block_limit: options.memory.block(),
            meter,
            ended: Vec::with_capacity(inputs.len()),
            last_block: 0..0,
            apart: true,
            was_other: false,
        }
    }

    /// Reads until there is something for the writer; `None` when all inputs are read.
    ///
    /// # Errors
    /// An input cannot be read any more or has changed, the disk has no room for what waits there, or the run was asked to
    /// stop. Damage is no error.
    pub fn read(&mut self) -> Result<Option<Vec<pipe::Item>>> {
        loop {
            self.meter.check()?;
            self.flattener.check()?;
            if let Some(mut open) = self.open.take() {
                self.look_ahead(&open);
                if self.block(&mut open)? {
                    self.open = Some(open);
                } else if self.end_input(&open.file, Some(&open.header))? {
                    return Ok(Some(self.cut()));
                }
            } else {
                let Some(input) = self.inputs.get(self.next) else { return Ok(None) };
                // Rows of an incomplete input lie apart, so that replacing them only swaps files.
                if input.incomplete && !self.apart {
                    return Ok(Some(self.cut()));
                }
                self.begin_input(input)?;
            }
            if !self.flattener.pending.ready.chunks.is_empty() {
                return Ok(Some(self.ready().collect()));
            }
        }
    }

    fn ready(&mut self) -> impl Iterator<Item = pipe::Item> + use<> {
        self.flattener.pending.ready.take().into_iter().map(pipe::Item::Rows)
    }

    /// All rows so far, and the end of their files.
    fn cut(&mut self) -> Vec<pipe::Item> {
        self.flattener.pending.flush();
        self.apart = true;
        self.ready().chain([pipe::Item::Cut]).collect()
    }

    /// Accounts for inputs of which nothing could be read.
    pub fn reject_unreadable(&mut self, unreadable: &[Unreadable]) {
        for (i, input) in unreadable.iter().enumerate() {
            self.flattener.begin_input(InputInfo {
                index: (self.inputs.len() + i) as u32,
                name: input.name.as_str().into(),
                sha256: "".into(),
                bytes: 0,
                window: Window::default(),
            });
            self.flattener.reject(Severity::Error, Code::Unreadable, input.what(), None, None, None);
            self.flattener.end_input();
        }
    }

    /// The rows that still wait. What has no date gets the earliest of all, or 1970-01-01 if nothing has any.
    ///
    /// # Errors
    /// Rows that waited on disk do not come back.
    pub fn finish(mut self) -> Result<Last> {
        self.flattener.finish()?;
        let Source { flattener: Flattener { mut pending, problems, .. }, ended, .. } = self;
        Ok(Last { chunks: pending.ready.take(), earliest: pending.earliest_date(), ended, problems })
    }

    fn begin_input(&mut self, input: &'p Input) -> Result<()> {
        self.apart = false;
        self.last_block = 0..0;
        self.flattener.begin_input(InputInfo {
            index: self.next as u32,
            name: input.name.as_str().into(),
            sha256: input.sha256.as_str().into(),
            bytes: input.stat.size,
            window: input.window,
        });
        self.was_other = input.was_other;
        if let Some(doubt) = input.perhaps_twice() {
            self.was_other = false;
            self.flattener.doubt(doubt);
        }
        if let Some(open) = self.following.take() {
            self.open = Some(open);
            return Ok(());
        }
        let file = Arc::new(input::open(&input.path).during("open", &input.path)?);
        if input.kind == InputKind::ExperimentLog {
            self.experiment_log(&file, input)?;
            return self.end_input(&file, None).map(drop);
        }
        match OpenInput::new(file.clone(), input, self.block_limit, self.meter.stopper()) {
            Ok(open) => self.open = Some(open),
            // A disk that fails is no damage of the file: the next run may read it.
            Err(HeaderError::Io(e)) => return Err(unread(&input.path, e)),
            Err(e) => {
                let (code, message) = (e.code(), e.to_string());
                self.flattener.reject_input(code, message);
                self.end_input(&file, None)?;
            }
        }
        Ok(())
    }

    /// Has blocks of the open input inflated, or of the one that follows it. What is wrong with that is found when its time
    /// comes.
    fn look_ahead(&mut self, open: &OpenInput) {
        open.blocks.look_ahead();
        let following = self.next + 1;
        if self.opened > following || !open.blocks.is_found() {
            return;
        }
        self.opened = following + 1;
        if let Some(input) = self.inputs.get(following)
            && input.kind == InputKind::Trace
            && let Ok(file) = input::open(&input.path)
            && let Ok(following) = OpenInput::new(Arc::new(file), input, self.block_limit, self.meter.stopper())
        {
            following.blocks.look_ahead();
            self.following = Some(following);
        }
    }

    /// Converts a log line by line.
    fn experiment_log(&mut self, file: &File, input: &Input) -> Result<()> {
        let Source { flattener, meter, .. } = self;
        let mut first = None;
        lines(file, input.stat.size, &input.path, |line_no, line, _| {
            meter.check()?;
            first = Step::of(line_no, line).and_then(|step| step.ts);
            Ok(first.is_none())
        })?;
        flattener.begin_log(first.map(Date::of));
        lines(file, input.stat.size, &input.path, |line_no, line, bytes| {
            meter.check()?;
            meter.bytes.fetch_add(bytes as u64, Relaxed);
            flattener.experiment_line(line_no, line);
            Ok(true)
        })?;
        flattener.end_log();
        Ok(())
    }

    /// Ends the current input; says whether it must lie apart.
    fn end_input(&mut self, file: &File, header: Option<&FileHeader>) -> Result<bool> {
        let input = &self.inputs[self.next];
        let counts = self.flattener.end_input();
        let damaged = counts.damaged_at.zip(header);
        let sound = damaged.map(|(size, header)| sound(file, header, size, &self.last_block, self.meter));
        let sound = sound.transpose().map_err(|e| unread(&input.path, e))?;
        unchanged(file, input, self.meter)?;
        self.ended.push(Ended { counts, sound });
        self.next += 1;
        self.meter.files.fetch_add(1, Relaxed);
        Ok(input.incomplete)
    }

    /// Converts the next block; `false` at the end of the input.
    fn block(&mut self, open: &mut OpenInput) -> Result<bool> {
        let input = &self.inputs[self.next];
        let OpenInput { file, header, left_out, blocks, buffer } = open;
        let before = blocks.pos();
        let item = blocks.next(header, buffer).map_err(|e| unread(&input.path, e))?;
        self.meter.bytes.fetch_add(blocks.pos() - before, Relaxed);
        let block = match item {
            None => return Ok(false),
            Some(Item::Damage(mut damage)) => {
                if damage.code == Code::BlockTooLarge && self.block_limit < Memory::MAX_BLOCK {
                    damage.message += "; more --memory and --reconvert convert it";
                }
                let is_inside = damage.offset < input.extent().0;
                self.damage(damage, is_inside);
                return Ok(true);
            }
            Some(Item::Block(block)) => block,
        };
        self.meter.records.fetch_add(block.count, Relaxed);
        let after = blocks.pos();
        let flattener = &mut self.flattener;
        let limit = self.block_limit;
        let meter = self.meter;
        let damage = blocks.records(header, block, buffer, |place: Place, record| -> Result<()> {
            if flattener.starts_trace(&record) {
                let ahead = || Blocks::from(file.clone(), header, input.stat.size, limit, (after, 0), meter.stopper());
                let date = trace_date(header, &record, place.rest, ahead, meter);
                let date = date.map_err(|e| unread(&input.path, e))?;
                match &record {
                    Record::Header(h) => flattener.begin_trace(Some(h), date, left_out),
                    _ => flattener.begin_trace(None, date, left_out),
                }
            }
            // A small block may be of many records, or of some that become rows by the million.
            if place.record_no.is_multiple_of(CHECKED) || place.size as u64 > CHECKED {
                meter.check()?;
            }
            flattener.record(place, record)
        })?;
        self.last_block = block.offset..after;
        if let Some(damage) = damage {
            // There are rows of the block.
            self.damage(damage, true);
        }
        Ok(true)
    }

    /// Takes note of damage. What is behind the last whole block says nothing of those before it.
    fn damage(&mut self, damage: Damage, is_inside: bool) {
        if is_inside && std::mem::take(&mut self.was_other) {
            self.flattener.doubt(perhaps_twice(&self.inputs[self.next].name));
        }
        self.flattener.damage(damage, is_inside);
    }
}

/// An input that cannot be read any more. One that has become shorter than it was has changed.
fn unread(path: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => Error::InputChanged(path.to_owned()),
        _ => Error::of_io("read", path, cause),
    }
}

/// What is whole of an input that is damaged at byte `size`, and whose last block with rows is there.
fn sound(file: &File, header: &FileHeader, size: u64, last: &Range<u64>, meter: &Meter) -> io::Result<Sound> {
    let last = (last.start >= size).then(|| input::sha256(file, last.clone(), meter)).transpose()?;
    Ok(Sound { size, sha256: input::sha256(file, 0..size, meter)?, last, sync: hex(&header.sync) })
}

/// An input must be what it was when its hash was taken; what was appended since does not matter.
fn unchanged(file: &File, input: &Input, meter: &Meter) -> Result<()> {
    let now = Stat::of(file).during("read", &input.path)?;
    if now == input.stat {
        return Ok(());
    }
    match input::sha256(file, 0..input.stat.size, meter) {
        Ok(hash) if hash == input.sha256 => Ok(()),
        _ => {
            meter.check()?;
            Err(Error::InputChanged(input.path.clone()))
        }
    }
}
