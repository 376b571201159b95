//! Values for fields that a record lacks, encoded.

use serde_json::Value;

use crate::trace::schema::{Schema, Type, TypeId};
use crate::trace::write::{put_bytes, put_long};

/// Types nested deeper than this have no value that ends.
const MAX_DEPTH: u8 = 32;

/// A schema's default (Avro specification, "Complex Types"); `None` if it is no value of the type.
pub fn default(schema: &Schema, ty: TypeId, value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_default(schema, ty, value, &mut out, 0).map(|()| out)
}

fn put_default(schema: &Schema, ty: TypeId, value: &Value, out: &mut Vec<u8>, depth: u8) -> Option<()> {
    if depth == MAX_DEPTH {
        return None;
    }
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
            list.iter().try_for_each(|v| put_default(schema, *items, v, out, depth + 1))?;
            put_long(out, 0);
        }
        Type::Map(values) => {
            let map = value.as_object()?;
            if !map.is_empty() {
                put_long(out, map.len() as i64);
            }
            for (key, value) in map {
                put_bytes(out, key.as_bytes());
                put_default(schema, *values, value, out, depth + 1)?;
            }
            put_long(out, 0);
        }
        // The specification wants the first branch; newer versions of it take any.
        Type::Union(branches) => {
            let fitting = branches.iter().enumerate().find_map(|(i, branch)| {
                let mut bytes = Vec::new();
                put_long(&mut bytes, i as i64);
                put_default(schema, *branch, value, &mut bytes, depth + 1).map(|()| bytes)
            });
            out.extend(fitting?);
        }
        Type::Record(record) => {
            for field in &record.fields {
                let value = value.as_object()?.get(&field.name).or(field.default.as_deref())?;
                put_default(schema, field.ty, value, out, depth + 1)?;
            }
        }
    }
    Some(())
}

fn latin1(value: &Value) -> Option<Vec<u8>> {
    value.as_str()?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// The value that says nothing: null where a union has it, else empty, 0, false, the first symbol or branch.
pub fn neutral(schema: &Schema, ty: TypeId) -> Vec<u8> {
    let mut out = Vec::new();
    put_neutral(schema, ty, &mut out, 0);
    out
}

fn put_neutral(schema: &Schema, ty: TypeId, out: &mut Vec<u8>, depth: u8) {
    match schema.get(ty) {
        Type::Null => {}
        // One zero byte is false, 0, an empty string or list, and the first symbol.
        Type::Boolean | Type::Int | Type::Long | Type::Bytes | Type::String => out.push(0),
        Type::Enum(_) | Type::Array(_) | Type::Map(_) => out.push(0),
        Type::Float => out.extend([0; 4]),
        Type::Double => out.extend([0; 8]),
        Type::Fixed(size) => out.resize(out.len() + size, 0),
        Type::Union(branches) => {
            let null = branches.iter().position(|b| *schema.get(*b) == Type::Null).unwrap_or(0);
            put_long(out, null as i64);
            if let Some(branch) = branches.get(null).filter(|_| depth < MAX_DEPTH) {
                put_neutral(schema, *branch, out, depth + 1);
            }
        }
        Type::Record(record) if depth < MAX_DEPTH => {
            for field in &record.fields {
                match field.default.as_deref().and_then(|value| default(schema, field.ty, value)) {
                    Some(bytes) => out.extend(bytes),
                    None => put_neutral(schema, field.ty, out, depth + 1),
                }
            }
        }
        // Such a type has no value at all.
        Type::Record(_) => {}
    }
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
        assert_eq!(neutral(&schema, id), [0]);
    }

    #[test]
    fn neutral_values_end_even_where_the_type_does_not() {
        let endless = json!({"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]});
        let (schema, id) = schema(endless);
        assert!(neutral(&schema, id).is_empty());
    }
}
