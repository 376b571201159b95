//! Takes the rows of replaced inputs out of part files that hold rows of others, too.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayAccessor, BooleanArray, RecordBatch, StringArray, TypedDictionaryArray};
use arrow_select::filter::filter_record_batch;

use crate::dataset::layout::part_date;
use crate::dataset::manifest::{InputEntry, Manifest};
use crate::dataset::part::{OTHER_COLUMNS, PartFile, has_columns_of};
use crate::dataset::part_reader::{PartReader, written};
use crate::dataset::state::State;
use crate::dataset::writer::DatasetWriter;
use crate::error::{Error, IoContext, Result};
use crate::flatten::flattener::input_id;
use crate::progress::Meter;
use crate::tables::chunk::{Chunk, Rows};
use crate::tables::column::ColumnData;
use crate::tables::schema::TableId;

struct Batch(RecordBatch);

impl Rows for Batch {
    fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        ColumnData::from(self.0.column(index))
    }
}

/// Inputs whose rows go.
pub struct Gone<'s> {
    /// And their names.
    keys: BTreeMap<String, &'s str>,
    /// What trace ids and log ids begin with: so much of the hash.
    ids: HashSet<&'s str>,
}

impl<'s> Gone<'s> {
    pub fn new(inputs: &'s [InputEntry]) -> Gone<'s> {
        Gone {
            keys: inputs.iter().map(|input| (input.key(), &*input.path)).collect(),
            ids: inputs.iter().filter_map(|input| input_id(&input.sha256)).collect(),
        }
    }

    /// Which rows stay. They have the beginning of the hash in their trace id; a reject without a trace has only its
    /// input's name, of which `names` go.
    fn stays(&self, batch: &RecordBatch, names: &HashSet<&str>) -> BooleanArray {
        type Texts<'b> = TypedDictionaryArray<'b, Int32Type, StringArray>;
        fn value<'b>(texts: Option<Texts<'b>>, row: usize) -> Option<&'b str> {
            texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
        }
        let texts = |name| -> Option<Texts> { batch.column_by_name(name)?.as_dictionary_opt()?.downcast_dict() };
        let (ids, inputs) = (texts("trace_id").or_else(|| texts("log_id")), texts("input"));
        let goes = |row| match value(ids, row) {
            Some(id) => self.ids.contains(id.split('-').next().unwrap_or(id)),
            None => value(inputs, row).is_some_and(|name| names.contains(name)),
        };
        (0..batch.num_rows()).map(|row| Some(!goes(row))).collect()
    }
}

/// Copies the rows of a part file that stay into part files of the run that `writer` writes.
///
/// # Errors
/// The part file is not there, cannot be read or is not what was written, or it cannot be written anew, or `meter` says to
/// stop.
pub fn rewrite(
    root: &Path,
    state: &State,
    manifest: &Manifest,
    part: &PartFile,
    gone: &Gone,
    writer: &mut DatasetWriter,
    meter: &Meter,
) -> Result<()> {
    let path = root.join(&part.path);
    let lost = |message: &str| {
        let message = format!("{message}; 'sf-parquet verify' names the command that mends the dataset");
        Error::Dataset { path: path.clone(), message }
    };
    let table = TableId::by_name(&part.table).ok_or_else(|| lost("it belongs to no table of the contract"))?;
    let date = part_date(&part.path).ok_or_else(|| lost("its folder names no date"))?;
    let goes = |input: &&InputEntry| gone.keys.contains_key(&input.key());
    // All rows were written by one run first, which read each name once: no other input in the file has the name of one that goes.
    let inputs =
        manifest.inputs_of(part).chain(part.kept.iter().filter_map(|key| state.by_key(key)).map(|read| read.input));
    let unknown = part.kept.iter().filter(|key| state.by_key(key).is_none());
    let names =
        inputs.filter(goes).map(|input| &*input.path).chain(unknown.filter_map(|key| gone.keys.get(key).copied()));
    let names: HashSet<&str> = names.collect();
    let kept: BTreeSet<String> = manifest.keys_of(part).filter(|key| !gone.keys.contains_key(key)).collect();
    // Nothing of it stays, so it need not even be there: that is how a lost or damaged file is mended.
    if kept.is_empty() {
        return Ok(());
    }
    let error = |cause| Error::of_parquet("read", &path, cause);
    let file = match PartReader::open(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(lost("the file is not there")),
        opened => opened.during("open", &path)?,
    };
    if let Some(difference) = part.difference(&file.file, file.len, meter).during("read", &path)? {
        return Err(lost(&difference));
    }
    let metadata = file.metadata().map_err(error)?;
    if !has_columns_of(&table.info(), metadata.metadata()) {
        return Err(lost(OTHER_COLUMNS));
    }
    let first = writer.ended();
    let mut read = 0;
    for batch in written(metadata.metadata()) {
        for batch in file.read(&metadata, batch).map_err(error)? {
            let batch = batch.map_err(|e| error(e.into()))?;
            read += batch.num_rows() as u64;
            let batch = filter_record_batch(&batch, &gone.stays(&batch, &names)).map_err(|e| error(e.into()))?;
            if batch.num_rows() > 0 {
                let bytes = batch.get_array_memory_size();
                let rows = Box::new(Batch(batch));
                writer.write(&Chunk { table, date, inputs: BTreeSet::new(), rows, bytes })?;
            }
        }
    }
    if read != part.rows {
        return Err(lost("it does not have the rows that the manifest says"));
    }
    writer.cut_kept(first, &kept)
}
