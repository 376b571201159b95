//! Values for fields that a record lacks, encoded.

use serde_json::Value;

use crate::trace::schema::{Schema, Type, TypeId};
use crate::trace::write::{put_bytes, put_long};

/// Types nested deeper than this have no value that ends.
const MAX_DEPTH: u8 = 32;
/// Bytes of a value, and values in it, at most: it is written for every record.
const MAX_SIZE: usize = 64 << 10;

/// A schema's default (Avro specification, "Complex Types"); `None` if it is no value of the type, or too large.
pub fn default(schema: &Schema, ty: TypeId, value: &Value) -> Option<Vec<u8>> {
    let mut filler = Filler { schema, out: Vec::new(), values: 0 };
    filler.default(ty, value, 0)?;
    filler.end()
}

/// The value that says nothing: null where a union has it, else empty, 0, false, the first symbol or branch. `None` if
/// the type has no value that ends, or only large ones.
pub fn neutral(schema: &Schema, ty: TypeId) -> Option<Vec<u8>> {
    let mut filler = Filler { schema, out: Vec::new(), values: 0 };
    filler.neutral(ty, 0)?;
    filler.end()
}

/// Encodes a value, or gives up.
struct Filler<'s> {
    schema: &'s Schema,
    out: Vec<u8>,
    values: usize,
}

impl Filler<'_> {
    /// Counts a value that is to be written.
    fn count(&mut self, depth: u8) -> Option<()> {
        self.values += 1;
        (depth < MAX_DEPTH && self.values <= MAX_SIZE && self.out.len() <= MAX_SIZE).then_some(())
    }

    fn end(self) -> Option<Vec<u8>> {
        (self.out.len() <= MAX_SIZE).then_some(self.out)
    }

    fn default(&mut self, ty: TypeId, value: &Value, depth: u8) -> Option<()> {
        self.count(depth)?;
        let (schema, out) = (self.schema, &mut self.out);
        match schema.get(ty) {
            Type::Null => value.as_null()?,
            Type::Boolean => out.push(u8::from(value.as_bool()?)),
            Type::Int | Type::Long => put_long(out, value.as_i64()?),
            Type::Float => out.extend((value.as_f64()? as f32).to_le_bytes()),
            Type::Double => out.extend(value.as_f64()?.to_le_bytes()),
            Type::String => put_bytes(out, value.as_str()?.as_bytes()),
            // Characters stand for bytes.
            Type::Bytes => put_bytes(out, &latin1(value)?),
            Type::Fixed(size) => out.extend(latin1(value).filter(|b| b.len() == *size)?),
            Type::Enum(symbols) => {
                let symbol = value.as_str()?;
                put_long(out, symbols.iter().position(|s| s == symbol)? as i64);
            }
            Type::Array(items) => {
                let list = value.as_array()?;
                if !list.is_empty() {
                    put_long(out, list.len() as i64);
                }
                list.iter().try_for_each(|v| self.default(*items, v, depth + 1))?;
                put_long(&mut self.out, 0);
            }
            Type::Map(values) => {
                let map = value.as_object()?;
                if !map.is_empty() {
                    put_long(out, map.len() as i64);
                }
                for (key, value) in map {
                    put_bytes(&mut self.out, key.as_bytes());
                    self.default(*values, value, depth + 1)?;
                }
                put_long(&mut self.out, 0);
            }
            // The specification wants the first branch; newer versions of it take any.
            Type::Union(branches) => {
                let start = out.len();
                branches.iter().enumerate().find_map(|(i, branch)| {
                    self.out.truncate(start);
                    put_long(&mut self.out, i as i64);
                    self.default(*branch, value, depth + 1)
                })?;
            }
            Type::Record(record) => {
                for field in &record.fields {
                    let value = value.as_object()?.get(&field.name).or(field.default.as_deref())?;
                    self.default(field.ty, value, depth + 1)?;
                }
            }
        }
        Some(())
    }

    fn neutral(&mut self, ty: TypeId, depth: u8) -> Option<()> {
        self.count(depth)?;
        let (schema, out) = (self.schema, &mut self.out);
        match schema.get(ty) {
            Type::Null => {}
            // One zero byte is false, 0, an empty string or list, and the first symbol.
            Type::Boolean | Type::Int | Type::Long | Type::Bytes | Type::String => out.push(0),
            Type::Enum(symbols) if symbols.is_empty() => return None,
            Type::Enum(_) | Type::Array(_) | Type::Map(_) => out.push(0),
            Type::Float => out.extend([0; 4]),
            Type::Double => out.extend([0; 8]),
            Type::Fixed(size) => out.resize(out.len() + size, 0),
            Type::Union(branches) => {
                let null = branches.iter().position(|b| *schema.get(*b) == Type::Null).unwrap_or(0);
                put_long(out, null as i64);
                self.neutral(*branches.get(null)?, depth + 1)?;
            }
            Type::Record(record) => {
                for field in &record.fields {
                    let start = self.out.len();
                    let default = field.default.as_deref().and_then(|value| self.default(field.ty, value, depth + 1));
                    if default.is_none() {
                        self.out.truncate(start);
                        self.neutral(field.ty, depth + 1)?;
                    }
                }
            }
        }
        Some(())
    }
}

fn latin1(value: &Value) -> Option<Vec<u8>> {
    value.as_str()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(field: Value) -> (Schema, TypeId) {
        let text = json!({"type": "record", "name": "SysFlow", "fields": [{"name": "rec", "type": [field]}]});
        let schema = Schema::parse(text.to_string().as_bytes()).unwrap();
        let ty = schema.branches()[0];
        (schema, ty)
    }

    #[test]
    fn defaults_are_encoded_as_their_type() {
        for (ty, value, bytes) in [
            (json!("long"), json!(-2), Some(&[3][..])),
            (json!("string"), json!("NA"), Some(b"\x04NA")),
            (json!("bytes"), json!("\u{ff}"), Some(b"\x02\xff")),
            (json!("boolean"), json!(true), Some(&[1])),
            (json!("double"), json!(0.0), Some(&[0; 8])),
            (json!({"type": "array", "items": "int"}), json!([1, 2]), Some(&[4, 2, 4, 0])),
            (json!({"type": "map", "values": "int"}), json!({}), Some(&[0])),
            (json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), json!("B"), Some(&[2])),
            (json!({"type": "fixed", "name": "F", "size": 2}), json!("a"), None),
            (json!("int"), json!("one"), None),
        ] {
            let (schema, id) = schema(ty.clone());
            assert_eq!(default(&schema, id, &value).as_deref(), bytes, "{ty}");
        }
        let union = json!({"type": "record", "name": "R", "fields": [{"name": "u", "type": ["null", "string"]}]});
        let (schema, id) = schema(union);
        assert_eq!(default(&schema, id, &json!({"u": "x"})).as_deref(), Some(&b"\x02\x02x"[..]));
        assert_eq!(neutral(&schema, id).as_deref(), Some(&[0][..]));
    }

    #[test]
    fn values_that_do_not_end_or_are_too_large_are_none() {
        let endless = json!({"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]});
        let large = json!({"type": "fixed", "name": "F", "size": MAX_SIZE + 1});
        let mut many = json!({"type": "record", "name": "R0", "fields": []});
        for level in 1..10 {
            let mut fields = vec![json!({"name": "f0", "type": many, "default": {}})];
            let inner = format!("R{}", level - 1);
            fields.extend((1..10).map(|i| json!({"name": format!("f{i}"), "type": inner, "default": {}})));
            many = json!({"type": "record", "name": format!("R{level}"), "fields": fields});
        }
        let symbols = json!({"type": "enum", "name": "E", "symbols": []});
        for ty in [endless, large, many, json!([]), symbols] {
            let outer = json!({"type": "record", "name": "Outer", "fields": [{"name": "only", "type": ty}]});
            let (schema, id) = schema(outer);
            assert_eq!(neutral(&schema, id), None);
            assert_eq!(default(&schema, id, &json!({"only": {}})), None);
        }
    }
}
