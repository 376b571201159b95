//! What is whole of a damaged trace, as a trace: every whole block as it is, and of a block that is damaged inside, or cut
//! by the end of the file, the records before that.

use std::convert::Infallible;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::error::{Error, IoContext, Result};
use crate::input;
use crate::progress::{Meter, Phase};
use crate::text::path_text;
use crate::trace::container::FileHeader;
use crate::trace::reader::{BLOCK_LIMIT, Blocks, Damage, Item};
use crate::trace::write::ContainerWriter;

/// Which of the whole records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    #[default]
    All,
    /// Those before the first damage.
    Prior,
    /// Those behind the first damage.
    After,
}

/// What was found, and what was kept of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub input: String,
    pub bytes: u64,
    /// Blocks that were kept as they are.
    pub whole_blocks: u64,
    /// Blocks of which the records before the damage were kept.
    pub partial_blocks: u64,
    pub records: u64,
    /// Whole records on the side of the damage that was not asked for.
    pub records_left_out: u64,
    /// Records known to be lost.
    pub records_lost: u64,
    /// Whether nobody can know how many more are lost.
    pub more_lost: bool,
    /// Bytes written, or that would be.
    pub bytes_out: u64,
    pub damage: Vec<Damage>,
    /// Places of damage beyond the `MAX_DAMAGE` above.
    pub more_damage: u64,
}

/// Places of damage that are told: a trace can have one in each twenty of its bytes.
const MAX_DAMAGE: usize = 100_000;

/// Reads the trace at `path` and writes what is whole to `out`. The name is for errors.
///
/// # Errors
/// The input cannot be read or its header is damaged, `out` fails, or `meter` says to stop.
pub fn repair(path: &Path, keep: Keep, out: impl Write, name: &Path, meter: &Meter) -> Result<Report> {
    let file = Arc::new(input::open(path).during("open", path)?);
    let size = file.metadata().during("read", path)?.len();
    meter.begin(Phase::Writing, 1, size);
    let header = FileHeader::read(&file, size).map_err(|e| match Error::of_header(path, e) {
        Error::Trace { path, message } => Error::Trace { path, message: format!("{message}; it cannot be repaired") },
        error => error,
    })?;
    // The header goes over as it is, whatever else it says.
    let mut bytes = vec![0; header.len as usize];
    file.read_exact_at(&mut bytes, 0).during("read", path)?;
    let writer = ContainerWriter::with_header(BufWriter::new(out), header.codec, &bytes, header.sync);
    let mut writer = writer.during("write", name)?;

    let mut report = Report { input: path_text(path).into_owned(), bytes: size, ..Report::default() };
    let mut blocks = Blocks::new(file, &header, size, BLOCK_LIMIT, meter.stopper());
    let mut data = Vec::new();
    loop {
        meter.check()?;
        let before = blocks.pos();
        let item = blocks.next(&header, &mut data).during("read", path)?;
        meter.bytes.fetch_add(blocks.pos() - before, Relaxed);
        let (mut records, mut whole) = (0, 0);
        let damage = match item {
            None => break,
            Some(Item::Damage(mut damage)) => {
                (records, whole) = blocks.cut_block(&header, &damage, &mut data).during("read", path)?;
                damage.records_lost = damage.records_lost.map(|lost| lost - records);
                Some(damage)
            }
            Some(Item::Block(block)) => {
                let Ok(damage) = blocks.records(&header, block, &data, |place, _| {
                    records += 1;
                    whole += place.size;
                    Ok::<_, Infallible>(())
                });
                damage
            }
        };
        meter.records.fetch_add(records, Relaxed);
        let behind = !report.damage.is_empty();
        let wanted = match keep {
            Keep::All => true,
            Keep::Prior => !behind,
            Keep::After => behind,
        };
        if !wanted {
            report.records_left_out += records;
        } else if records > 0 {
            report.records += records;
            match damage {
                None => writer.compressed_block(records, blocks.compressed()),
                Some(_) => writer.block(records, &data[..whole]),
            }
            .during("write", name)?;
            *(if damage.is_none() { &mut report.whole_blocks } else { &mut report.partial_blocks }) += 1;
        }
        damage.into_iter().for_each(|damage| report.found(damage));
    }
    report.bytes_out = writer.bytes();
    writer.finish().during("write", name)?;
    Ok(report)
}

impl Report {
    fn found(&mut self, damage: Damage) {
        self.records_lost += damage.records_lost.unwrap_or(0);
        self.more_lost |= damage.records_lost.is_none();
        if self.damage.len() < MAX_DAMAGE {
            self.damage.push(damage);
        } else {
            self.more_damage += 1;
        }
    }
}
