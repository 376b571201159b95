//! The writer's Avro schema, compiled once per file into a flat list of types that decoding walks.
//!
//! Records and fields are matched by *short name* (after the last dot), because collectors, fastavro and the Java
//! tools write union branches both ways. A field that no SysFlow record knows gets no slot and is skipped.

use std::collections::HashMap;

use serde_json::Value;

use super::records;
use crate::text::shortened;

/// Index of a type in [`Schema::types`].
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

/// A record of the writer's schema, with the slot that each field has in our record of the same name.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordType {
    /// Name without namespace.
    pub name: String,
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

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    /// Index into the field list of the SysFlow record of that name, or [`NO_SLOT`] if that has no such field, or of a type of
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
        let root = compiler.compile(&json, "")?;
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
            let Some(known) = records::slots(&record.name) else { return Vec::new() };
            let left_out = record.fields.iter().filter(|field| field.slot == NO_SLOT);
            let left_out = left_out.map(|Field { name, .. }| LeftOut {
                field: format!("{}.{name}", record.name),
                is_known: known.iter().any(|known| known.name == name),
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

    /// serde_json bounds the nesting of `json` (128), and so the depth of this recursion.
    fn compile(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        match json {
            Value::String(name) => self.primitive_or_named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|b| self.compile(b, namespace)).collect::<Result<_, _>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(object) => {
                let ty = object.get("type").ok_or("a type in the schema lacks 'type'")?;
                match ty.as_str() {
                    Some("record" | "error") => self.record(json, namespace),
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
                        let items = self.compile(&json["items"], namespace)?;
                        self.add(Type::Array(items))
                    }
                    Some("map") => {
                        let values = self.compile(&json["values"], namespace)?;
                        self.add(Type::Map(values))
                    }
                    // {"type": "long", "logicalType": …} or {"type": {…}}: the logical type never counts here.
                    _ => self.compile(ty, namespace),
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

    fn record(&mut self, json: &Value, enclosing: &str) -> Result<TypeId, String> {
        let name = json["name"].as_str().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        // Registered before its fields are compiled, since they may refer to it.
        let empty = Type::Record(RecordType { name: name.clone(), fields: Vec::new(), steps: Vec::new() });
        let (id, namespace) = self.named(json, enclosing, empty)?;
        let known = records::slots(&name).unwrap_or_default();
        let mut fields: Vec<Field> = Vec::new();
        self.count(list(json, "fields")?.len())?;
        for field in list(json, "fields")? {
            let name = field["name"].as_str().ok_or("a field in the schema lacks its name")?.to_owned();
            let ty = self.compile(&field["type"], &namespace)?;
            let known = known.iter().find(|known| known.name == name && (known.fits)(&self.types, ty));
            let slot = known.map_or(NO_SLOT, |known| known.slot);
            let default = field.get("default").cloned().map(Box::new);
            fields.push(Field { name, slot, ty, default });
        }
        let steps = fields.iter().map(|&Field { slot, ty, .. }| Step { slot, reads: self.reads(ty), ty }).collect();
        self.types[id as usize] = Type::Record(RecordType { name, fields, steps });
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
