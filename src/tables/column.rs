//! A column of a table: its name, where its values come from, and the one place that makes columns of rows.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, DictionaryArray};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::dataset::encode::alike::Alike;
use crate::time::micros;

/// The types that columns have: those that DuckDB, Spark and every warehouse read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    Boolean,
    Int32,
    Int64,
    String,
    /// Microseconds since 1970 UTC.
    Timestamp,
    ListString,
    ListInt64,
    MapStringString,
}

/// Pairs of a MAP column.
pub type Pairs = [(Box<str>, Box<str>)];

/// How a column's value is taken from a row of type `R`, and with it the column's type.
pub enum Get<R: ?Sized> {
    Bool(fn(&R) -> Option<bool>),
    I32(fn(&R) -> Option<i32>),
    I64(fn(&R) -> Option<i64>),
    /// Numbers that mostly grow, such as nanoseconds and record numbers: an INT64 that is delta-encoded.
    Seq(fn(&R) -> Option<i64>),
    /// Nanoseconds since 1970 UTC, which become a TIMESTAMP of microseconds, floored.
    Time(fn(&R) -> Option<i64>),
    Str(for<'r> fn(&'r R) -> Option<Cow<'r, str>>),
    /// Appends a list's entries, and says whether it is no NULL.
    StrList(for<'r> fn(&'r R, &mut Vec<&'r str>) -> bool),
    I64List(fn(&R, &mut Vec<i64>) -> bool),
    Map(for<'r> fn(&'r R) -> Option<&'r Pairs>),
}

/// A column of the contract.
pub struct Column<R: ?Sized> {
    pub name: &'static str,
    /// The SysFlow attribute that it holds, or where else it comes from.
    pub attribute: &'static str,
    pub get: Get<R>,
    pub doc: &'static str,
}

/// Declares a column.
pub const fn column<R: ?Sized>(
    name: &'static str,
    attribute: &'static str,
    get: Get<R>,
    doc: &'static str,
) -> Column<R> {
    Column { name, attribute, get, doc }
}

/// The column `trace_id`, which every table but `rejects` has alike.
pub const fn trace_id<R: ?Sized>(get: for<'r> fn(&'r R) -> Option<Cow<'r, str>>) -> Column<R> {
    column("trace_id", "", Get::Str(get), "the trace: input hash and header ordinal")
}

/// The column `record_no` of what is a record.
pub const fn record_no<R: ?Sized>(get: fn(&R) -> Option<i64>) -> Column<R> {
    column("record_no", "", Get::Seq(get), "ordinal of the record in its file")
}

/// The values of one column in a batch.
#[derive(Debug, Clone)]
pub struct ColumnData<'r> {
    /// Which of the values each row has, where rows share them; otherwise there is a value for each row.
    pub keys: Option<Cow<'r, Keys>>,
    /// With keys, each belongs to some row; they may repeat.
    pub values: Values<'r>,
}

/// Values of a column, which may be borrowed from the rows.
#[derive(Debug, Clone)]
pub enum Values<'r> {
    /// Integers, truth values (0 and 1) and times.
    Numbers(Numbers<'r>),
    Texts(Texts<'r>),
    /// Lists and maps.
    Array(ArrayRef),
}

/// Strings, some of which may be NULL.
pub type Texts<'r> = Vec<Option<Cow<'r, str>>>;

/// Numbers, some of which may be NULL.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers<'r> {
    /// Those that are there, in order.
    pub values: Cow<'r, [i64]>,
    /// Whether each is there.
    pub present: Vec<bool>,
}

impl FromIterator<Option<i64>> for Numbers<'_> {
    fn from_iter<T: IntoIterator<Item = Option<i64>>>(numbers: T) -> Self {
        let numbers = numbers.into_iter();
        let len = numbers.size_hint().0;
        let (mut values, mut present) = (Vec::with_capacity(len), Vec::with_capacity(len));
        for number in numbers {
            present.push(number.is_some());
            values.extend(number);
        }
        Numbers { values: values.into(), present }
    }
}

/// For each row the place of its value, if it has one. All columns of an entity have the same.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Whether each row has a value.
    present: Vec<bool>,
    /// The places of those that have one, in order.
    places: Vec<i32>,
    /// What an encoder makes of them once for all columns.
    pub levels: OnceLock<Vec<u8>>,
    /// Pages that it made, which other columns may have, too.
    pub alike: Alike,
}

impl Keys {
    /// Room for so many rows, and as many that have a value.
    pub fn with_capacity(rows: usize) -> Keys {
        Keys { present: Vec::with_capacity(rows), places: Vec::with_capacity(rows), ..Keys::default() }
    }

    /// The next row has the value at this place, or none.
    pub fn push(&mut self, place: Option<i32>) {
        self.present.push(place.is_some());
        self.places.extend(place);
    }

    /// The next row has what the last one has.
    pub fn repeat(&mut self) {
        let last = self.places.last().copied().filter(|_| self.present.last() == Some(&true));
        self.push(last);
    }

    pub fn clear(&mut self) {
        let Keys { present, places, levels, alike } = self;
        present.clear();
        places.clear();
        levels.take();
        alike.clear();
    }

    /// Whether each row has a value.
    pub fn present(&self) -> &[bool] {
        &self.present
    }

    /// The places of the rows that have one, in order.
    pub fn places(&self) -> &[i32] {
        &self.places
    }

    /// For each row the place of its value, if it has one.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        let mut places = self.places.iter();
        self.present.iter().map(move |present| if *present { places.next().map(|place| *place as usize) } else { None })
    }
}

impl FromIterator<Option<i32>> for Keys {
    fn from_iter<T: IntoIterator<Item = Option<i32>>>(rows: T) -> Self {
        let rows = rows.into_iter();
        let mut keys = Keys::with_capacity(rows.size_hint().0);
        rows.for_each(|place| keys.push(place));
        keys
    }
}

impl<'r> From<Values<'r>> for ColumnData<'r> {
    fn from(values: Values<'r>) -> Self {
        ColumnData { keys: None, values }
    }
}

impl ColumnData<'_> {
    /// Rows of the batch.
    pub fn len(&self) -> usize {
        match (&self.keys, &self.values) {
            (Some(keys), _) => keys.present.len(),
            (None, Values::Numbers(numbers)) => numbers.present.len(),
            (None, Values::Texts(texts)) => texts.len(),
            (None, Values::Array(array)) => array.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Strings come as dictionaries.
impl<'r> From<&'r ArrayRef> for ColumnData<'r> {
    fn from(array: &'r ArrayRef) -> Self {
        fn numbers<'r, T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Values<'r> {
            Values::Numbers(array.as_primitive::<T>().iter().map(|v| v.map(Into::into)).collect())
        }
        let values = match array.data_type() {
            DataType::Boolean => Values::Numbers(array.as_boolean().iter().map(|v| v.map(i64::from)).collect()),
            DataType::Int32 => numbers::<Int32Type>(array),
            DataType::Int64 => numbers::<Int64Type>(array),
            DataType::Timestamp(..) => numbers::<TimestampMicrosecondType>(array),
            DataType::Dictionary(..) => return keyed(array.as_dictionary()),
            _ => Values::Array(array.clone()),
        };
        values.into()
    }
}

/// The strings that rows have of a dictionary, in the order in which they first come.
fn keyed<'r>(array: &'r DictionaryArray<Int32Type>) -> ColumnData<'r> {
    let all = array.values().as_string::<i32>();
    let mut places: Vec<Option<i32>> = vec![None; all.len()];
    let mut texts: Texts = Vec::new();
    let mut place = |key: i32| {
        *places[key as usize].get_or_insert_with(|| {
            texts.push(Some(Cow::Borrowed(all.value(key as usize))));
            texts.len() as i32 - 1
        })
    };
    let keys: Keys = array.keys().iter().map(|key| key.map(&mut place)).collect();
    ColumnData { keys: Some(Cow::Owned(keys)), values: Values::Texts(texts) }
}

impl serde::Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl ColumnType {
    pub fn data_type(self) -> DataType {
        match self {
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::String => DataType::Utf8,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ColumnType::ListString => DataType::List(element(DataType::Utf8)),
            ColumnType::ListInt64 => DataType::List(element(DataType::Int64)),
            ColumnType::MapStringString => {
                let entries = Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Utf8, true),
                ]);
                DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
            }
        }
    }
}

/// The Parquet specification's name for a list's item.
fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, true))
}

impl Get<i64> {
    /// The values of a column of numbers that are there already.
    pub fn take<'r>(&self, numbers: &'r [i64]) -> Cow<'r, [i64]> {
        match self {
            Get::Time(_) => numbers.iter().copied().map(micros).collect(),
            _ => numbers.into(),
        }
    }
}

impl<R: ?Sized> Get<R> {
    pub fn column_type(&self) -> ColumnType {
        match self {
            Get::Bool(_) => ColumnType::Boolean,
            Get::I32(_) => ColumnType::Int32,
            Get::I64(_) | Get::Seq(_) => ColumnType::Int64,
            Get::Time(_) => ColumnType::Timestamp,
            Get::Str(_) => ColumnType::String,
            Get::StrList(_) => ColumnType::ListString,
            Get::I64List(_) => ColumnType::ListInt64,
            Get::Map(_) => ColumnType::MapStringString,
        }
    }

    /// Whether the values are times or record numbers, for which delta encoding beats a dictionary.
    pub fn is_sequence(&self) -> bool {
        matches!(self, Get::Seq(_) | Get::Time(_))
    }

    /// The column's values in `rows`.
    pub fn build<'r>(&self, rows: impl ExactSizeIterator<Item = &'r R>) -> Values<'r>
    where
        R: 'r,
    {
        Values::Array(match self {
            Get::Bool(get) => return Values::Numbers(rows.map(|r| get(r).map(i64::from)).collect()),
            Get::I32(get) => return Values::Numbers(rows.map(|r| get(r).map(i64::from)).collect()),
            Get::I64(get) | Get::Seq(get) => return Values::Numbers(rows.map(get).collect()),
            Get::Time(get) => return Values::Numbers(rows.map(|r| get(r).map(micros)).collect()),
            Get::Str(get) => return Values::Texts(rows.map(get).collect()),
            Get::StrList(get) => {
                let mut b = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
                let mut list = Vec::new();
                for r in rows {
                    let present = get(r, &mut list);
                    list.drain(..).for_each(|s| b.values().append_value(s));
                    b.append(present);
                }
                Arc::new(b.finish())
            }
            Get::I64List(get) => {
                let mut b = ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64));
                let mut list = Vec::new();
                for r in rows {
                    let present = get(r, &mut list);
                    b.values().append_slice(&list);
                    list.clear();
                    b.append(present);
                }
                Arc::new(b.finish())
            }
            Get::Map(get) => {
                let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
                let mut b = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
                for r in rows {
                    let pairs = get(r);
                    for (key, value) in pairs.unwrap_or_default() {
                        b.keys().append_value(key);
                        b.values().append_value(value);
                    }
                    // Fails only where keys and values differ in number.
                    b.append(pairs.is_some()).unwrap_or_else(|e| unreachable!("{e}"));
                }
                Arc::new(b.finish())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_places_that_they_were_given() {
        let mut keys = Keys::default();
        keys.repeat();
        for place in [Some(1), None, Some(0)] {
            keys.push(place);
            keys.repeat();
        }
        let rows = [None, Some(1), Some(1), None, None, Some(0), Some(0)];
        assert_eq!(keys.rows().collect::<Vec<_>>(), rows);
        assert_eq!((keys.present().len(), keys.places()), (7, &[1, 1, 0, 0][..]));
        let same: Keys = rows.iter().map(|place| place.map(|place| place as i32)).collect();
        assert!(same.rows().eq(keys.rows()));
        keys.clear();
        assert_eq!(keys.rows().len(), 0);
    }
}
