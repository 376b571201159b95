//! The writer's Avro schema, compiled once per file into a flat list of types that decoding walks.
//!
//! Records and fields are matched by *short name* (after the last dot), because collectors, fastavro and the Java
//! tools write union branches both ways. A field that no SysFlow record knows gets no slot and is skipped.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::records::Slots;
use crate::text::shortened;

/// Index of a type in `Schema::types`.
pub type TypeId = u32;

/// A field without a place in our records.
pub const NO_SLOT: u8 = u8::MAX;

/// Types, fields and symbols: a schema has to describe a dozen records; anything far larger is an attack on memory, or
/// on time where the parts of two schemas are compared.
const MAX_PARTS: usize = 10_000;
/// SysFlow's only fixed type has 20 bytes.
const MAX_FIXED: u64 = 1 << 20;

/// One Avro type. Nested types are indexes, so a type may refer to itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(RecordType),
}

/// A record of the writer's schema, with the slot that each field has in our record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordType {
    /// Name without namespace.
    pub name: String,
    /// The SysFlow record as which it is read: that of its name, or the one that is wanted where it was defined.
    pub is: Option<&'static str>,
    pub fields: Vec<Field>,
    /// How each field is read.
    pub steps: Vec<Step>,
}

/// How a field is read: what records that come by the million must know of it, side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// See [`Field::slot`].
    pub slot: u8,
    pub reads: Reads,
    pub ty: TypeId,
}

/// Types that need no look at the schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reads {
    /// An `int` or `long`.
    Number,
    /// A record of two numbers in the order of their slots: an `OID`.
    TwoNumbers,
    Other,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// Index into the field list of the SysFlow record, or [`NO_SLOT`] if that has no such field, or of a type of
    /// which nothing fits.
    pub slot: u8,
    pub ty: TypeId,
    /// The default, as the schema's JSON has it.
    pub default: Option<Box<Value>>,
}

/// A compiled writer schema.
#[derive(Debug, Clone)]
pub struct Schema {
    types: Vec<Type>,
    /// The branches of the `rec` union.
    branches: Vec<TypeId>,
}

impl Schema {
    /// Compiles the JSON text of `avro.schema`.
    ///
    /// # Errors
    /// A sentence that says why this is no schema of a SysFlow trace.
    pub fn parse(text: &[u8]) -> Result<Schema, String> {
        let json: Value = serde_json::from_slice(text).map_err(|e| format!("the schema is no JSON: {e}"))?;
        let mut compiler = Compiler { types: Vec::new(), names: HashMap::new(), parts: 0 };
        let root = compiler.compile(&json, "", None)?;
        let rec = match &compiler.types[root as usize] {
            Type::Record(record) if record.fields.len() == 1 && record.fields[0].name == "rec" => record.fields[0].ty,
            _ => return Err("the schema is not SysFlow's: its top is no record with the one field 'rec'".into()),
        };
        let Type::Union(branches) = &compiler.types[rec as usize] else {
            return Err("the schema is not SysFlow's: 'rec' is no union".into());
        };
        Ok(Schema { branches: branches.clone(), types: compiler.types })
    }

    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id as usize]
    }

    /// The branches of the top union, in the writer's order.
    pub fn branches(&self) -> &[TypeId] {
        &self.branches
    }

    /// Fields of SysFlow records that are left out, in the schema's order.
    pub fn left_out(&self) -> impl Iterator<Item = LeftOut> + '_ {
        let of_record = |ty: &'_ Type| {
            let Type::Record(record) = ty else { return Vec::new() };
            let Some(slots) = record.is.and_then(Slots::of) else { return Vec::new() };
            let names: HashSet<&str> = record.fields.iter().map(|field| &*field.name).collect();
            let left_out = record.fields.iter().filter(|field| field.slot == NO_SLOT);
            let left_out = left_out.map(|Field { name, .. }| LeftOut {
                field: format!("{}.{name}", record.name),
                is_known: slots.find(name, |name| names.contains(name)).is_some(),
            });
            left_out.collect()
        };
        self.types.iter().flat_map(of_record)
    }
}

/// A field of a SysFlow record that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// As `Record.field`.
    pub field: String,
    /// SysFlow has it, but with another type.
    pub is_known: bool,
}

struct Compiler {
    types: Vec<Type>,
    /// Full and short names of the named types so far.
    names: HashMap<String, TypeId>,
    /// Types, fields and symbols so far.
    parts: usize,
}

impl Compiler {
    fn count(&mut self, parts: usize) -> Result<(), String> {
        self.parts += parts;
        match self.parts {
            ..=MAX_PARTS => Ok(()),
            _ => Err(format!("the schema has more than {MAX_PARTS} types, fields and symbols")),
        }
    }

    fn add(&mut self, ty: Type) -> Result<TypeId, String> {
        self.count(1)?;
        self.types.push(ty);
        Ok((self.types.len() - 1) as TypeId)
    }

    /// Compiles a type; a record in it of another name than SysFlow's is the one that is `wanted` there. serde_json bounds the
    /// nesting of `json` (128), and so the depth of this recursion.
    fn compile(&mut self, json: &Value, namespace: &str, wanted: Option<&'static str>) -> Result<TypeId, String> {
        match json {
            Value::String(name) => self.primitive_or_named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|b| self.compile(b, namespace, wanted)).collect::<Result<_, _>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(object) => {
                let ty = object.get("type").ok_or("a type in the schema lacks 'type'")?;
                match ty.as_str() {
                    Some("record" | "error") => self.record(json, namespace, wanted),
                    Some("enum") => {
                        let symbols = list(json, "symbols")?;
                        self.count(symbols.len())?;
                        let symbols = symbols
                            .iter()
                            .map(|s| s.as_str().map(str::to_owned).ok_or("an enum symbol is no string"))
                            .collect::<Result<_, _>>()?;
                        self.named(json, namespace, Type::Enum(symbols)).map(|(id, _)| id)
                    }
                    Some("fixed") => {
                        let size = json["size"].as_u64().ok_or("a fixed type lacks its size")?;
                        let ty = match size {
                            // It is read alike, and counted as a value without bytes.
                            0 => Type::Null,
                            1..=MAX_FIXED => Type::Fixed(size as usize),
                            _ => return Err(format!("a fixed type has more than {MAX_FIXED} bytes")),
                        };
                        self.named(json, namespace, ty).map(|(id, _)| id)
                    }
                    Some("array") => {
                        let items = self.compile(&json["items"], namespace, wanted)?;
                        self.add(Type::Array(items))
                    }
                    Some("map") => {
                        let values = self.compile(&json["values"], namespace, None)?;
                        self.add(Type::Map(values))
                    }
                    // {"type": "long", "logicalType": …} or {"type": {…}}: the logical type never counts here.
                    _ => self.compile(ty, namespace, wanted),
                }
            }
            _ => Err("a type in the schema is neither name, list nor object".into()),
        }
    }

    fn primitive_or_named(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::String,
            _ => {
                let full = format!("{namespace}.{name}");
                let found = self.names.get(&full).or_else(|| self.names.get(name));
                return found
                    .copied()
                    .ok_or_else(|| format!("the schema uses '{}' before it defines it", shortened(name)));
            }
        };
        self.add(primitive)
    }

    /// Registers a named type and returns its id and the namespace that holds inside it.
    fn named(&mut self, json: &Value, enclosing: &str, ty: Type) -> Result<(TypeId, String), String> {
        let name = json["name"].as_str().ok_or("a named type in the schema lacks its name")?;
        let (namespace, short) = match name.rsplit_once('.') {
            Some((namespace, short)) => (namespace, short),
            None => (json["namespace"].as_str().unwrap_or(enclosing), name),
        };
        let id = self.add(ty)?;
        self.names.insert(format!("{namespace}.{short}"), id);
        self.names.entry(short.to_owned()).or_insert(id);
        Ok((id, namespace.to_owned()))
    }

    fn record(&mut self, json: &Value, enclosing: &str, wanted: Option<&'static str>) -> Result<TypeId, String> {
        let name = json["name"].as_str().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        // Registered before its fields are compiled, since they may refer to it.
        let slots = Slots::of(&name).or_else(|| Slots::of(wanted?));
        let is = slots.map(|slots| slots.record);
        let empty = Type::Record(RecordType { name: name.clone(), is, fields: Vec::new(), steps: Vec::new() });
        let (id, namespace) = self.named(json, enclosing, empty)?;
        let mut fields: Vec<Field> = Vec::new();
        let list = list(json, "fields")?;
        self.count(list.len())?;
        let names: HashSet<&str> = list.iter().filter_map(|field| field["name"].as_str()).collect();
        for field in list {
            let name = field["name"].as_str().ok_or("a field in the schema lacks its name")?.to_owned();
            let known = slots.and_then(|slots| slots.find(&name, |name| names.contains(name)));
            let ty = self.compile(&field["type"], &namespace, known.and_then(|known| known.record))?;
            let slot = known.filter(|known| (known.fits)(&self.types, ty)).map_or(NO_SLOT, |known| known.slot);
            let default = field.get("default").cloned().map(Box::new);
            fields.push(Field { name, slot, ty, default });
        }
        let steps = fields.iter().map(|&Field { slot, ty, .. }| Step { slot, reads: self.reads(ty), ty }).collect();
        self.types[id as usize] = Type::Record(RecordType { name, is, fields, steps });
        Ok(id)
    }

    fn reads(&self, ty: TypeId) -> Reads {
        match &self.types[ty as usize] {
            Type::Int | Type::Long => Reads::Number,
            Type::Record(record) => match record.steps[..] {
                [Step { slot: 0, reads: Reads::Number, .. }, Step { slot: 1, reads: Reads::Number, .. }] => {
                    Reads::TwoNumbers
                }
                _ => Reads::Other,
            },
            _ => Reads::Other,
        }
    }
}

fn list<'v>(json: &'v Value, key: &str) -> Result<&'v Vec<Value>, String> {
    json[key].as_array().ok_or_else(|| format!("a type in the schema lacks its list '{key}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(branches: &str) -> String {
        format!(r#"{{"type":"record","name":"SysFlow","fields":[{{"name":"rec","type":[{branches}]}}]}}"#)
    }

    #[test]
    fn short_and_full_names_are_the_same_record() {
        for name in [r#""name":"File","namespace":"sysflow.entity""#, r#""name":"sysflow.entity.File""#] {
            let fields = r#"[{"name":"path","type":"string"},{"name":"selabel","type":"string"}]"#;
            let text = top(&format!(r#"{{"type":"record",{name},"fields":{fields}}}"#));
            let schema = Schema::parse(text.as_bytes()).unwrap();
            let Type::Record(file) = schema.get(schema.branches()[0]) else { panic!("no record") };
            assert_eq!(file.name, "File");
            assert_ne!(file.fields[0].slot, NO_SLOT);
            let left_out = LeftOut { field: "File.selabel".into(), is_known: false };
            assert_eq!(schema.left_out().collect::<Vec<_>>(), [left_out]);
        }
    }

    #[test]
    fn a_record_of_another_name_is_the_one_that_is_wanted_there() {
        let id = |name: &str| {
            let fields =
                r#"[{"name":"hpid","type":"long"},{"name":"createTS","type":"long"},{"name":"x","type":"int"}]"#;
            format!(r#"{{"type":"record","name":"{name}","fields":{fields}}}"#)
        };
        let event = |id: &str| {
            let fields = format!(r#"[{{"name":"extra","type":"long"}},{{"name":"procOID","type":["null",{id}]}}]"#);
            format!(r#"{{"type":"record","name":"ProcessEvent","fields":{fields}}}"#)
        };
        let left_out = |branches: &str| {
            let schema = Schema::parse(top(branches).as_bytes()).unwrap();
            schema.left_out().map(|LeftOut { field, is_known }| (field, is_known)).collect::<Vec<_>>()
        };
        let all = |fields: &[(&str, bool)]| -> Vec<(String, bool)> {
            fields.iter().map(|(field, is_known)| ((*field).to_owned(), *is_known)).collect()
        };
        assert_eq!(left_out(&event(&id("Oid2"))), all(&[("ProcessEvent.extra", false), ("Oid2.x", false)]));
        // One that was defined elsewhere is nothing of ours.
        let other = format!(r#"{{"type":"record","name":"Other","fields":[{{"name":"id","type":{}}}]}}"#, id("Oid2"));
        let fields = [("ProcessEvent.extra", false), ("ProcessEvent.procOID", true)];
        assert_eq!(left_out(&format!("{other},{}", event(r#""Oid2""#))), all(&fields));
    }

    #[test]
    fn a_field_is_its_own_record_s_and_an_earlier_name_counts_where_the_later_one_is_not() {
        let slots = |record: &str, fields: &[&str]| -> Vec<bool> {
            let list: Vec<_> = fields.iter().map(|name| format!(r#"{{"name":"{name}","type":"string"}}"#)).collect();
            let text = top(&format!(r#"{{"type":"record","name":"{record}","fields":[{}]}}"#, list.join(",")));
            let schema = Schema::parse(text.as_bytes()).unwrap();
            let Type::Record(record) = schema.get(schema.branches()[0]) else { panic!("no record") };
            record.fields.iter().map(|field| field.slot != NO_SLOT).collect()
        };
        assert_eq!(slots("Process", &["type", "exe"]), [true, true]);
        assert_eq!(slots("Process", &["state", "type"]), [true, false]);
        assert_eq!(slots("Process", &["type", "state"]), [false, true]);
        assert_eq!(slots("K8sEvent", &["message", "args"]), [true, false]);
        assert_eq!(slots("ProcessEvent", &["message", "type"]), [false, true]);
    }

    #[test]
    fn a_record_may_refer_to_itself() {
        let text = top(r#"{"type":"record","name":"Tree","fields":[{"name":"next","type":["null","Tree"]}]}"#);
        assert!(Schema::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_sysflow_schema_says_why() {
        for (text, why) in [
            ("{", "no JSON"),
            (r#""string""#, "not SysFlow's"),
            (r#"{"type":"record","name":"A","fields":[{"name":"rec","type":"string"}]}"#, "no union"),
            (&top(r#""Nothing""#), "before it defines it"),
            (&top(r#"{"type":"fixed","name":"F"}"#), "size"),
            (&top(r#"{"type":"fixed","name":"F","size":1048577}"#), "more than 1048576 bytes"),
            (&top(&vec![r#""long""#; MAX_PARTS].join(",")), "more than 10000 types"),
        ] {
            let error = Schema::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Schema::parse(deep.as_bytes()).is_err());
    }
}
