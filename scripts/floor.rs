//! The floor of `convert`: reads traces, inflates their blocks and decodes the records, and does nothing with them.
//! Prints the number of records.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use sf_parquet::trace::container::FileHeader;
use sf_parquet::trace::reader::{BLOCK_LIMIT, Blocks, Item};

fn main() -> Result<()> {
    let mut count = 0;
    for path in std::env::args_os().skip(1) {
        count += records(Path::new(&path))?;
    }
    println!("{count}");
    Ok(())
}

/// The number of records of a trace, each of them decoded.
pub fn records(path: &Path) -> Result<u64> {
    let file = Arc::new(File::open(path)?);
    let size = file.metadata()?.len();
    let header = FileHeader::read(&file, size)?;
    let mut blocks = Blocks::new(file, &header, size, BLOCK_LIMIT, Default::default());
    let (mut buffer, mut count) = (Vec::new(), 0);
    while let Some(item) = blocks.next(&header, &mut buffer)? {
        let Item::Block(block) = item else { bail!("the trace is damaged: {item:?}") };
        let damage = blocks.records(&header, block, &buffer, |_, record| {
            std::hint::black_box(&record);
            count += 1;
            Ok::<(), anyhow::Error>(())
        })?;
        if let Some(damage) = damage {
            bail!("the trace is damaged: {damage}");
        }
    }
    Ok(count)
}
