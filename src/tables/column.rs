//! A column of a table: its name, where its values come from, and the one place that makes columns of rows.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::flatten::time::micros;

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

/// Entries of a `LIST<STRING>` column.
pub type Strings<'r> = Cow<'r, [Box<str>]>;

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
    StrList(for<'r> fn(&'r R) -> Option<Strings<'r>>),
    I64List(for<'r> fn(&'r R) -> Option<Cow<'r, [i64]>>),
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

/// The values of one column in a batch.
#[derive(Debug, Clone)]
pub struct ColumnData<'r> {
    /// Which of the values each row has, where rows share them; otherwise there is a value for each row.
    pub keys: Option<Arc<Keys>>,
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

/// For each row the place of its value. All columns of an entity have the same.
#[derive(Debug)]
pub struct Keys {
    /// Negative for NULL.
    rows: Vec<i32>,
    /// Those of the rows that have one, if not all have.
    present: Option<Vec<i32>>,
    /// What an encoder makes of them once for all columns.
    pub levels: OnceLock<Vec<u8>>,
}

impl Keys {
    pub fn new(rows: Vec<i32>) -> Keys {
        let present = rows.iter().any(|key| *key < 0).then(|| {
            // Each is put where the next one goes, and those without a place are put over: no branch to guess.
            let (mut present, mut len) = (vec![0; rows.len()], 0);
            for key in &rows {
                present[len] = *key;
                len += usize::from(*key >= 0);
            }
            present.truncate(len);
            present
        });
        Keys { rows, present, levels: OnceLock::new() }
    }

    /// For each row the place of its value, if it has one.
    pub fn places(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.rows.iter().map(|key| usize::try_from(*key).ok())
    }

    /// The places of the rows that have one.
    pub fn present(&self) -> &[i32] {
        self.present.as_ref().unwrap_or(&self.rows)
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
            (Some(keys), _) => keys.rows.len(),
            (None, Values::Numbers(numbers)) => numbers.present.len(),
            (None, Values::Texts(texts)) => texts.len(),
            (None, Values::Array(array)) => array.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'r> From<&'r ArrayRef> for Values<'r> {
    fn from(array: &'r ArrayRef) -> Self {
        fn numbers<'r, T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Values<'r> {
            Values::Numbers(array.as_primitive::<T>().iter().map(|v| v.map(Into::into)).collect())
        }
        match array.data_type() {
            DataType::Boolean => Values::Numbers(array.as_boolean().iter().map(|v| v.map(i64::from)).collect()),
            DataType::Int32 => numbers::<Int32Type>(array),
            DataType::Int64 => numbers::<Int64Type>(array),
            DataType::Timestamp(..) => numbers::<TimestampMicrosecondType>(array),
            DataType::Utf8 => Values::Texts(array.as_string::<i32>().iter().map(|v| v.map(Cow::Borrowed)).collect()),
            _ => Values::Array(array.clone()),
        }
    }
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
                rows.for_each(|r| match get(r) {
                    Some(list) => {
                        list.iter().for_each(|s| b.values().append_value(s));
                        b.append(true);
                    }
                    None => b.append(false),
                });
                Arc::new(b.finish())
            }
            Get::I64List(get) => {
                let mut b = ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64));
                rows.for_each(|r| match get(r) {
                    Some(list) => {
                        b.values().append_slice(&list);
                        b.append(true);
                    }
                    None => b.append(false),
                });
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
