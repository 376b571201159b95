//! A trace read to its end and flattened in this process, without anything being written. The fuzz targets use it, too.

use std::path::Path;

use sf_parquet::batch::input::Input;
use sf_parquet::batch::options::Options;
use sf_parquet::batch::pipe::Item;
use sf_parquet::batch::source::{Last, Source};
use sf_parquet::dataset::encode::Encodings;
use sf_parquet::flatten::flattener::InputCounts;
use sf_parquet::input::{self, Stat};
use sf_parquet::memory::Memory;
use sf_parquet::progress::Meter;
use sf_parquet::tables::chunk::Chunk;
use sf_parquet::tables::schema::TableId;

/// Less than a user can set, so that a block which inflates to too much is found soon.
pub const MEMORY: Memory = Memory(64 << 20);

/// Everything converted, nothing compressed.
pub fn options(out: &Path) -> Options {
    Options {
        out: out.to_owned(),
        tables: TableId::ALL.into(),
        window: Default::default(),
        memory: MEMORY,
        strict: false,
        reconvert: false,
        dry_run: false,
        wait: false,
        compression: parquet::basic::Compression::UNCOMPRESSED,
        encodings: Encodings::Default,
    }
}

/// All rows of a trace, and what is to be said of it.
pub fn flatten(path: &Path) -> Last {
    let file = input::open(path).unwrap();
    let stat = Stat::of(&file).unwrap();
    let sha256 = input::sha256(&file, 0..stat.size, &Meter::default()).unwrap();
    let name = "trace".to_owned();
    let inputs = [Input { path: path.to_owned(), name, stat, sha256, ..Input::default() }];
    let (meter, options) = (Meter::default(), options(&inputs[0].path));
    let mut source = Source::new(&inputs, &options, std::env::temp_dir(), None, &meter);
    let mut chunks = Vec::new();
    while let Some(items) = source.read().unwrap() {
        chunks.extend(items.into_iter().filter_map(Item::rows));
    }
    let mut last = source.finish().unwrap();
    chunks.append(&mut last.chunks);
    Last { chunks, ..last }
}

/// Every record is a row, a header or unknown; every row that was counted is there.
pub fn balance(counts: &InputCounts, chunks: &[Chunk]) {
    use TableId::{Containers, Files, Pods, Processes, Records};
    let rows = |table: TableId| chunks.iter().filter(|c| c.table == table).map(|c| c.rows.len() as i64).sum::<i64>();
    for table in TableId::ALL {
        assert_eq!(counts.rows[table], rows(table), "{}", table.name());
    }
    let of_records: i64 = [Records, Processes, Files, Containers, Pods].map(rows).into_iter().sum();
    assert_eq!(counts.records, of_records + counts.headers + counts.unknown);
}
