//! Records of one schema written in another, byte for byte where the two agree.
//!
//! A plan is compiled once for two schemas and then run over every record. Types are matched as Avro's schema
//! resolution does it (records and fields by name, enum symbols by name, an `int` fits a `long`), with what SysFlow's
//! versions need besides: short names, fields that were renamed, the oldest layout's process event. A field that the
//! target lacks is a loss; one that the source lacks gets the target's default, or else the neutral value (see `fill`).

mod fill;

use std::collections::HashMap;

use super::cursor::{Cursor, DecodeError};
use super::records::role;
use super::schema::{Field, NO_SLOT, RecordType, Schema, Type, TypeId};
use super::write::{put_bytes, put_long};
use crate::flatten::opflags;
use fill::{default, neutral};

type OpId = usize;

/// What to do with a value of the source.
#[derive(Debug, Clone)]
enum Op {
    /// A value without bytes, null or a record without fields; these are written.
    Empty(Vec<u8>),
    /// So many bytes as they are.
    Copy(usize),
    /// An `int` or `long`.
    Long,
    /// A string or bytes.
    Bytes,
    /// An enum; by symbol the number to write.
    Enum(Vec<i64>),
    /// An enum that becomes a string.
    Symbol(Vec<String>),
    Array(OpId),
    Map(OpId),
    /// A union; by branch what to do.
    Union(Vec<OpId>),
    /// A value that becomes this branch of a union.
    Branch(i64, OpId),
    Record(Vec<Step>),
    /// A record whose fields come in another order: the types of the source's fields, and the target's fields.
    Reordered(Vec<TypeId>, Vec<Placed>),
    /// A value that does not fit: it is passed over, and these bytes are written.
    Replace(TypeId, Vec<u8>),
}

/// A step through a record whose fields come in the same order.
#[derive(Debug, Clone)]
enum Step {
    Take(OpId),
    Drop(TypeId),
    Fill(Vec<u8>),
}

/// A field of the target: which field of the source it comes from, or what is written.
#[derive(Debug, Clone)]
enum Placed {
    From(usize, OpId),
    Fill(Vec<u8>),
}

/// How records of one schema become records of another.
#[derive(Debug)]
pub struct Transcoder {
    ops: Vec<Op>,
    /// By branch of the source; `None` drops the record.
    top: Vec<Option<OpId>>,
    /// What the target has no place for, each as `Record.field` or as a type of record.
    pub losses: Vec<String>,
    /// Fields that the source lacks, as `Record.field`.
    pub filled: Vec<String>,
    /// Where the target wants a value of which there is none that ends or is small enough. The plan cannot be run then.
    pub impossible: Vec<String>,
}

impl Transcoder {
    /// Compiles the plan that brings records of `source` into `target`.
    pub fn new(source: &Schema, target: &Schema) -> Transcoder {
        let plan = Transcoder {
            ops: Vec::new(),
            top: Vec::new(),
            losses: Vec::new(),
            filled: Vec::new(),
            impossible: Vec::new(),
        };
        let mut compiler = Compiler { source, target, plan, known: HashMap::new(), path: String::new() };
        for &branch in source.branches() {
            let op = compiler.union_branch(branch, target.branches());
            if op.is_none() {
                let name = name_of(source.get(branch));
                compiler.plan.losses.push(format!("the type {name}"));
            }
            compiler.plan.top.push(op);
        }
        compiler.plan
    }

    /// Writes the record at the cursor to `out`; `false` if the target has no place for it.
    ///
    /// # Errors
    /// The bytes are no value of the source's schema.
    pub fn record(&self, cur: &mut Cursor, source: &Schema, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        let index = usize::try_from(cur.long()?).map_err(|_| DecodeError::BadIndex)?;
        match self.top.get(index).ok_or(DecodeError::BadIndex)? {
            Some(op) => self.run(*op, cur, source, out).map(|()| true),
            None => cur.skip(source, source.branches()[index]).map(|()| false),
        }
    }

    fn run(&self, op: OpId, cur: &mut Cursor, source: &Schema, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match &self.ops[op] {
            Op::Empty(bytes) => {
                cur.nothing()?;
                out.extend_from_slice(bytes);
            }
            Op::Copy(len) => out.extend_from_slice(cur.take(*len)?),
            Op::Long => put_long(out, cur.long()?),
            Op::Bytes => put_bytes(out, cur.bytes()?),
            Op::Enum(numbers) => put_long(out, *select(numbers, cur)?),
            Op::Symbol(symbols) => put_bytes(out, select(symbols, cur)?.as_bytes()),
            Op::Array(item) => self.entries(cur, out, |cur, out| self.run(*item, cur, source, out))?,
            Op::Map(value) => self.entries(cur, out, |cur, out| {
                put_bytes(out, cur.bytes()?);
                self.run(*value, cur, source, out)
            })?,
            Op::Union(ops) => {
                let op = *select(ops, cur)?;
                cur.nested(|cur| self.run(op, cur, source, out))?;
            }
            Op::Branch(index, op) => {
                put_long(out, *index);
                self.run(*op, cur, source, out)?;
            }
            Op::Record(steps) => cur.nested(|cur| {
                steps.iter().try_for_each(|step| match step {
                    Step::Take(op) => self.run(*op, cur, source, out),
                    Step::Drop(ty) => cur.skip(source, *ty),
                    Step::Fill(bytes) => {
                        out.extend_from_slice(bytes);
                        Ok(())
                    }
                })
            })?,
            Op::Reordered(fields, placed) => {
                let mut starts = Vec::with_capacity(fields.len());
                for ty in fields {
                    starts.push(cur.rest());
                    cur.skip(source, *ty)?;
                }
                for field in placed {
                    match field {
                        // Skipping has shown that the value is sound and not too deep.
                        Placed::From(i, op) => self.run(*op, &mut Cursor::new(starts[*i]), source, out)?,
                        Placed::Fill(bytes) => out.extend_from_slice(bytes),
                    }
                }
            }
            Op::Replace(ty, bytes) => {
                cur.skip(source, *ty)?;
                out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Writes the entries of an array or map as one block.
    fn entries<'a>(
        &self,
        cur: &mut Cursor<'a>,
        out: &mut Vec<u8>,
        mut entry: impl FnMut(&mut Cursor<'a>, &mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let (mut count, mut bytes) = (0, Vec::new());
        cur.nested(|cur| {
            cur.entries(|cur| {
                count += 1;
                entry(cur, &mut bytes)
            })
        })?;
        if count > 0 {
            put_long(out, count);
            out.append(&mut bytes);
        }
        put_long(out, 0);
        Ok(())
    }
}

/// The element that the index at the cursor means.
fn select<'l, T>(list: &'l [T], cur: &mut Cursor) -> Result<&'l T, DecodeError> {
    usize::try_from(cur.long()?).ok().and_then(|i| list.get(i)).ok_or(DecodeError::BadIndex)
}

fn name_of(ty: &Type) -> &str {
    match ty {
        Type::Record(record) => &record.name,
        _ => "value",
    }
}

struct Compiler<'s> {
    source: &'s Schema,
    target: &'s Schema,
    plan: Transcoder,
    /// Operations by types, so that types may refer to themselves.
    known: HashMap<(TypeId, TypeId), OpId>,
    /// The field being compiled, for messages.
    path: String,
}

impl<'s> Compiler<'s> {
    fn add(&mut self, op: Op) -> OpId {
        self.plan.ops.push(op);
        self.plan.ops.len() - 1
    }

    /// The operation that makes a value of type `to` of one of type `from`.
    fn compile(&mut self, from: TypeId, to: TypeId) -> OpId {
        if let Some(&op) = self.known.get(&(from, to)) {
            return op;
        }
        // Known before its parts are, since they may refer to it.
        let id = self.add(Op::Empty(Vec::new()));
        self.known.insert((from, to), id);
        self.plan.ops[id] = self.operation(from, to);
        id
    }

    fn operation(&mut self, from: TypeId, to: TypeId) -> Op {
        let (source, target) = (self.source, self.target);
        match (source.get(from), target.get(to)) {
            (Type::Union(branches), _) => Op::Union(branches.iter().map(|b| self.compile(*b, to)).collect()),
            (_, Type::Union(branches)) => match self.union_branch(from, branches) {
                // A branch operation that is not shared.
                Some(op) => self.plan.ops[op].clone(),
                None => self.lost(from, to),
            },
            (Type::Null, Type::Null) => Op::Empty(Vec::new()),
            (Type::Boolean, Type::Boolean) => Op::Copy(1),
            (Type::Float, Type::Float) => Op::Copy(4),
            (Type::Double, Type::Double) => Op::Copy(8),
            (Type::Fixed(a), Type::Fixed(b)) if a == b => Op::Copy(*a),
            (Type::Int, Type::Int | Type::Long) | (Type::Long, Type::Long) => Op::Long,
            (Type::Bytes | Type::String, Type::Bytes | Type::String) => Op::Bytes,
            (Type::Enum(symbols), Type::String) => Op::Symbol(symbols.clone()),
            (Type::Enum(from_symbols), Type::Enum(to_symbols)) => {
                let number = |symbol: &String| to_symbols.iter().position(|s| s == symbol);
                for symbol in from_symbols.iter().filter(|s| number(s).is_none()) {
                    self.plan.losses.push(format!("{}: the symbol {symbol}", self.path));
                }
                if to_symbols.is_empty() {
                    self.plan.impossible.push(self.path.clone());
                }
                Op::Enum(from_symbols.iter().map(|s| number(s).unwrap_or(0) as i64).collect())
            }
            (Type::Array(a), Type::Array(b)) => Op::Array(self.compile(*a, *b)),
            (Type::Map(a), Type::Map(b)) => Op::Map(self.compile(*a, *b)),
            (Type::Record(a), Type::Record(b)) => self.record(a, b),
            _ => self.lost(from, to),
        }
    }

    fn lost(&mut self, from: TypeId, to: TypeId) -> Op {
        let null = if *self.source.get(from) == Type::Null { " that is null" } else { "" };
        self.plan.losses.push(format!("{}{null}", self.path));
        Op::Replace(from, self.neutral(to))
    }

    fn neutral(&mut self, to: TypeId) -> Vec<u8> {
        neutral(self.target, to).unwrap_or_else(|| {
            self.plan.impossible.push(self.path.clone());
            Vec::new()
        })
    }

    /// The operation that makes a value of type `from` a branch of a union.
    fn union_branch(&mut self, from: TypeId, branches: &[TypeId]) -> Option<OpId> {
        let index = branches.iter().position(|b| self.fits(from, *b))?;
        let op = self.compile(from, branches[index]);
        Some(self.add(Op::Branch(index as i64, op)))
    }

    /// Whether a branch of a union is meant for values of type `from`.
    fn fits(&self, from: TypeId, branch: TypeId) -> bool {
        match (self.source.get(from), self.target.get(branch)) {
            (Type::Record(a), Type::Record(b)) => role(a) == role(b),
            (Type::Int, Type::Long) | (Type::Bytes, Type::String) | (Type::String, Type::Bytes) => true,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    fn record(&mut self, from: &'s RecordType, to: &'s RecordType) -> Op {
        let mut placed = Vec::with_capacity(to.fields.len());
        let outer = std::mem::take(&mut self.path);
        for field in &to.fields {
            self.path = format!("{}.{}", from.name, field.name);
            placed.push(match self.origin(from, field) {
                Some((i, op)) => Placed::From(i, op),
                None => {
                    self.plan.filled.push(format!("{}.{}", to.name, field.name));
                    let given = field.default.as_ref().and_then(|value| default(self.target, field.ty, value));
                    Placed::Fill(given.unwrap_or_else(|| self.neutral(field.ty)))
                }
            });
        }
        self.path = outer;
        if from.fields.is_empty() {
            return Op::Empty(
                placed.into_iter().flat_map(|p| if let Placed::Fill(b) = p { b } else { vec![] }).collect(),
            );
        }
        let taken: Vec<usize> =
            placed.iter().filter_map(|p| if let Placed::From(i, _) = p { Some(*i) } else { None }).collect();
        for (i, field) in from.fields.iter().enumerate() {
            if !taken.contains(&i) {
                self.plan.losses.push(format!("{}.{}", from.name, field.name));
            }
        }
        if !taken.is_sorted_by(|a, b| a < b) {
            return Op::Reordered(from.fields.iter().map(|f| f.ty).collect(), placed);
        }
        let mut steps = Vec::new();
        let mut next = 0;
        for field in placed {
            match field {
                Placed::Fill(bytes) => steps.push(Step::Fill(bytes)),
                Placed::From(i, op) => {
                    steps.extend(from.fields[next..i].iter().map(|f| Step::Drop(f.ty)));
                    steps.push(Step::Take(op));
                    next = i + 1;
                }
            }
        }
        steps.extend(from.fields[next..].iter().map(|f| Step::Drop(f.ty)));
        Op::Record(steps)
    }

    /// The source's field that a field of the target comes from: that of its name, or one that is known to be the same
    /// under another name, or the oldest layout's one operation that later became a set of flags.
    fn origin(&mut self, from: &'s RecordType, field: &Field) -> Option<(usize, OpId)> {
        let by = |wanted: &dyn Fn(&Field) -> bool| from.fields.iter().position(wanted);
        if let Some(i) = by(&|f| f.name == field.name) {
            return Some((i, self.compile(from.fields[i].ty, field.ty)));
        }
        if let Some(i) = by(&|f| f.slot == field.slot && f.slot != NO_SLOT) {
            return Some((i, self.compile(from.fields[i].ty, field.ty)));
        }
        if field.name == "opFlags" && role(from) == "ProcessEvent" {
            let i = by(&|f| f.name == "type")?;
            let Type::Enum(symbols) = self.source.get(from.fields[i].ty) else { return None };
            let flags: Vec<i64> = symbols.iter().map(|s| opflags::flag(s).map(i64::from)).collect::<Option<_>>()?;
            let op = self.add(Op::Enum(flags));
            let is_number = |ty: TypeId| matches!(self.target.get(ty), Type::Int | Type::Long);
            return match self.target.get(field.ty) {
                Type::Union(branches) => {
                    let index = branches.iter().position(|branch| is_number(*branch))?;
                    Some((i, self.add(Op::Branch(index as i64, op))))
                }
                _ => is_number(field.ty).then_some((i, op)),
            };
        }
        None
    }
}
