//! The steps of `convert`, one by one and together, over a trace tiled from the test data: `cargo bench`.
//! For whole runs on large inputs there is scripts/bench.sh.

#[allow(dead_code)]
#[path = "../scripts/floor.rs"]
mod floor;
#[path = "../scripts/tracegen/tile.rs"]
mod tile;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use parquet::basic::{Compression, ZstdLevel};
use sf_parquet::batch::input::Input;
use sf_parquet::batch::options::Options;
use sf_parquet::batch::pipe::Item;
use sf_parquet::batch::plan::plan;
use sf_parquet::batch::run;
use sf_parquet::batch::source::Source;
use sf_parquet::dataset::encode::Encodings;
use sf_parquet::dataset::state::State;
use sf_parquet::dataset::writer::{DatasetWriter, Limits};
use sf_parquet::input::Found;
use sf_parquet::memory::Memory;
use sf_parquet::progress::Meter;
use sf_parquet::tables::chunk::Chunk;
use sf_parquet::tables::schema::TableId;
use sf_parquet::time::Window;

/// As the program does it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn options(out: PathBuf) -> Options {
    Options {
        out,
        tables: TableId::ALL.into(),
        window: Window { since: None, until: None },
        memory: Memory::USUAL,
        strict: true,
        reconvert: false,
        dry_run: false,
        wait: false,
        compression: Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
        encodings: Encodings::Default,
    }
}

/// All rows of the inputs.
fn rows(inputs: &[Input], options: &Options) -> Vec<Chunk> {
    let meter = Meter::default();
    let mut source = Source::new(inputs, options, std::env::temp_dir(), None, &meter);
    let mut chunks = Vec::new();
    while let Some(items) = source.read().unwrap() {
        chunks.extend(items.into_iter().filter_map(Item::rows));
    }
    chunks.extend(source.finish().unwrap().chunks);
    chunks
}

fn encode(chunks: &[Chunk], staging: &Path, options: &Options) {
    let Options { tables, compression, encodings, memory, .. } = options;
    let limits = Limits::within(*memory);
    let mut writer = DatasetWriter::new(staging.to_owned(), "run", tables, *compression, *encodings, limits).unwrap();
    chunks.iter().for_each(|chunk| writer.write(chunk).unwrap());
    writer.finish().unwrap();
}

fn steps(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.sf");
    tile::tile(Path::new("testdata/1647542836.sf"), None, 50, None, &trace).unwrap();
    let found = Found { files: vec![(trace.clone(), None)], ..Found::default() };
    let out = folder.path().join("out");
    let options = options(out.clone());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();

    let mut group = criterion.benchmark_group("one thread");
    group.throughput(Throughput::Elements(floor::records(&trace).unwrap()));
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("floor: inflate and decode", |bench| bench.iter(|| floor::records(&trace).unwrap()));
    let inputs = plan(&found, &State::default(), &options, &Meter::default()).unwrap().inputs;
    group.bench_function("floor and flatten", |bench| {
        bench.iter_with_large_drop(|| pool.install(|| rows(&inputs, &options)))
    });
    let chunks = rows(&inputs, &options);
    group.bench_function("encode", |bench| {
        bench.iter_batched(
            || tempfile::tempdir_in(folder.path()).unwrap(),
            |staging| {
                pool.install(|| encode(&chunks, staging.path(), &options));
                staging
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("convert", |bench| {
        bench.iter_batched(
            || drop(fs::remove_dir_all(&out)),
            |()| pool.install(|| run::convert(&found, None, &options, &Meter::default())).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
