//! Which of the inputs' schemas the result gets.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::Value;

use crate::error::Result;
use crate::progress::Meter;
use crate::trace::container::FileHeader;
use crate::trace::schema::{Schema, Type};
use crate::trace::transcode::Transcoder;

/// The different schemas of the inputs. Two are the same if their JSON says the same.
#[derive(Default)]
pub struct Schemas {
    all: Vec<Known>,
    by_bytes: HashMap<Vec<u8>, usize>,
}

struct Known {
    schema: Schema,
    text: Vec<u8>,
    json: Value,
    /// The first input that has it.
    origin: usize,
}

impl Schemas {
    /// The index of a header's schema; `input` is the ordinal of the input.
    pub fn index(&mut self, header: &FileHeader, input: usize) -> usize {
        if let Some(&index) = self.by_bytes.get(&header.schema_json) {
            return index;
        }
        // The header could not be parsed if this were no JSON.
        let json: Value = serde_json::from_slice(&header.schema_json).unwrap_or_default();
        let index = self.all.iter().position(|known| known.json == json).unwrap_or(self.all.len());
        if index == self.all.len() {
            let (schema, text) = (header.schema.clone(), header.schema_json.clone());
            self.all.push(Known { schema, text, json, origin: input });
        }
        self.by_bytes.insert(header.schema_json.clone(), index);
        index
    }

    /// The schema as written.
    pub fn json(&self, index: usize) -> &[u8] {
        &self.all[index].text
    }

    /// The first input that has the schema.
    pub fn origin(&self, index: usize) -> usize {
        self.all[index].origin
    }

    /// Chooses the schema that all others can become and in which the least of them is lost, of several the one of the newest version, of
    /// several the one that comes first. Returns it, and how the others become it.
    ///
    /// # Errors
    /// The run was asked to stop.
    pub fn choose(&self, meter: &Meter) -> Result<(usize, Vec<Option<Transcoder>>)> {
        let into = |target: usize| -> Result<Vec<Option<Transcoder>>> {
            meter.check()?;
            let transcoder = |(i, known): (usize, &Known)| {
                (i != target).then(|| Transcoder::new(&known.schema, &self.all[target].schema))
            };
            Ok(self.all.iter().enumerate().map(transcoder).collect())
        };
        let cost = |plans: Vec<Option<Transcoder>>| {
            let of = |list: fn(&Transcoder) -> usize| plans.iter().flatten().map(list).sum::<usize>();
            (of(|t| t.impossible.len()), of(|t| t.losses.len()))
        };
        let rank = |i: usize| Ok((cost(into(i)?), Reverse(version(&self.all[i].schema)), i));
        let ranks = (0..self.all.len()).map(rank).collect::<Result<Vec<_>>>()?;
        let best = ranks.into_iter().min().map_or(0, |(_, _, best)| best);
        Ok((best, into(best)?))
    }
}

/// The version that a schema gives as the default of its header's version; the first had none.
fn version(schema: &Schema) -> i64 {
    let header = schema.branches().iter().find_map(|b| match schema.get(*b) {
        Type::Record(record) if record.name == "SFHeader" => Some(record),
        _ => None,
    });
    let field = header.and_then(|h| h.fields.iter().find(|f| f.name == "version"));
    field.and_then(|f| f.default.as_ref()).and_then(|v| v.as_i64()).unwrap_or(1)
}
