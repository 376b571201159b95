//! Arbitrary bytes as a trace: every block or damage in order, every record a row or lost, and what repair keeps is whole.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use sf_parquet::progress::Meter;
use sf_parquet::reject::Code;
use sf_parquet::repair::{self, Keep};
use sf_parquet::tables::schema::TableId;
use sf_parquet::trace::codec::Codec;
use sf_parquet::trace::container::FileHeader;
use sf_parquet::trace::reader::{Blocks, Item};
use tempfile::NamedTempFile;

use super::reading;

thread_local! {
    static FILES: RefCell<[NamedTempFile; 2]> = RefCell::new([temporary(), temporary()]);
}

/// A file in memory where there is a place for it.
fn temporary() -> NamedTempFile {
    NamedTempFile::new_in("/dev/shm").or_else(|_| NamedTempFile::new()).unwrap()
}

/// The bytes are the file.
pub fn check(data: &[u8]) {
    FILES.with_borrow_mut(|[file, repaired]| {
        write(file, data);
        let read = read(file.path());
        convert(file.path(), &read);
        if let Some(read) = read.filter(|read| !read.too_large) {
            check_repair(file.path(), &read, repaired);
        }
    });
}

fn write(file: &mut NamedTempFile, data: &[u8]) {
    file.as_file().set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(data).unwrap();
}

/// What the walk over a file came to.
#[derive(Debug, Default, PartialEq)]
struct Read {
    records: u64,
    /// Where it is known.
    lost: u64,
    damaged: bool,
    /// Whether a block was refused for its size.
    too_large: bool,
    /// Whether the codec takes so long to set up that less is checked.
    slow: bool,
}

/// Walks over a file; `None` if it has no header.
fn read(path: &Path) -> Option<Read> {
    let file = Arc::new(File::open(path).unwrap());
    let size = file.metadata().unwrap().len();
    let header = FileHeader::read(&file, size).ok()?;
    assert!(header.len <= size);
    let slow = matches!(header.codec, Codec::Bzip2 | Codec::Xz);
    let mut read = Read { slow, ..Read::default() };
    let mut blocks = Blocks::new(file, &header, size, reading::MEMORY.0 / 4, Default::default());
    let mut buffer = Vec::new();
    loop {
        let before = blocks.pos();
        let damage = match blocks.next(&header, &mut buffer).unwrap() {
            None => break,
            Some(Item::Damage(damage)) => Some(damage),
            Some(Item::Block(block)) => {
                let (first, mut records) = (block.first_record, 0);
                let Ok(damage) = blocks.records(&header, block, &buffer, |place, _| {
                    assert_eq!(place.record_no, first + records);
                    records += 1;
                    Ok::<_, Infallible>(())
                });
                assert!(damage.is_some() || records == block.count);
                let lost = damage.as_ref().map_or(Some(0), |damage| damage.records_lost);
                assert!(lost.is_none_or(|lost| records + lost <= block.count.max(records)));
                assert_eq!(blocks.next_record(), first + records + lost.unwrap_or(0));
                read.records += records;
                damage
            }
        };
        assert!(before < blocks.pos() && blocks.pos() <= size);
        read.lost += damage.as_ref().and_then(|damage| damage.records_lost).unwrap_or(0);
        read.damaged |= damage.is_some();
        read.too_large |= damage.is_some_and(|damage| damage.code == Code::BlockTooLarge);
    }
    assert_eq!(blocks.pos(), size);
    assert_eq!(blocks.next_record(), read.records + read.lost);
    Some(read)
}

/// Converts up to where files are written; all that was read or lost must be accounted for.
fn convert(path: &Path, read: &Option<Read>) {
    let last = reading::flatten(path);
    let counts = &last.ended[0].counts;
    reading::balance(counts, &last.chunks);
    assert_eq!(counts.rejected, read.is_none());
    let (records, lost) = (counts.records as u64, counts.lost as u64);
    let damaged = counts.damaged;
    assert_eq!(read.as_ref().map_or((0, 0), |r| (r.records, r.lost)), (records, lost));
    // A record may also be too large in some respect, which reading alone does not tell.
    let told = |is: &dyn Fn(&String) -> bool| last.problems.iter().any(is);
    let more = told(&|problem| problem.ends_with("there are more, see the table rejects"));
    let errors = told(&|problem| problem.starts_with("error: ")) || more && damaged;
    assert_eq!(damaged, errors || read.as_ref().is_some_and(|read| read.damaged));
    assert!(!(damaged || counts.rejected) || counts.rows[TableId::Rejects] > 0 || !last.problems.is_empty());
}

/// What is kept of a file is whole, and together all that could be read of it.
fn check_repair(path: &Path, read: &Read, repaired: &mut NamedTempFile) {
    let mut keep = |keep: Keep| {
        let mut out = Vec::new();
        let report = repair::repair(path, keep, &mut out, path, &Meter::default()).unwrap();
        assert_eq!(report.bytes_out, out.len() as u64);
        write(repaired, &out);
        let again = self::read(repaired.path()).expect("a repaired trace has a header");
        // What a cut block inflates to may be more than the limit here.
        assert!(again.too_large || again == Read { records: report.records, slow: read.slow, ..Read::default() });
        report
    };
    let all = keep(Keep::All);
    assert_eq!(!all.damage.is_empty(), read.damaged);
    // More than was read are the records of a block that the end of the file cuts, which were lost before.
    let more = all.records - read.records;
    assert!(all.more_lost || all.records_lost + more == read.lost);
    assert!(more == 0 || all.damage.last().is_some_and(|damage| damage.code == Code::Truncated));
    if read.damaged && !read.slow {
        let (prior, after) = (keep(Keep::Prior), keep(Keep::After));
        assert_eq!(prior.records + after.records, all.records);
        assert_eq!((prior.records_left_out, after.records_left_out), (after.records, prior.records));
    }
}
