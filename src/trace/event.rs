//! Events and flows (SysFlow specification, "Events" and "Flows"): one struct for all kinds, which share most fields.
//!
//! It is read millions of times, so it is reused from record to record, and its numbers lie side by side as columns
//! want them.

use super::cursor::{Cursor, DecodeError};
use super::decode::{Address, Decode};
use super::records::{Known, Oid, Text};
use super::schema::{Reads, Schema, Step, Type, TypeId};

/// Declares the fields once: what they are called in Avro, and whether they are numbers.
macro_rules! fields {
    (
        numbers { $($(#[$doc:meta])* $number:ident = $number_avro:literal,)* }
        others { $($other:ident: $ty:ty = $other_avro:literal,)* }
    ) => {
        /// The fields that are numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Number { $($(#[$doc])* $number,)* }

        #[derive(Clone, Copy)]
        enum Slot { $($number,)* $($other,)* }

        impl Number {
            const ALL: &'static [Number] = &[$(Number::$number,)*];
        }

        impl Event<'_> {
            pub(super) const SLOTS: &'static [Known] = &[
                $(Known { name: $number_avro, slot: Slot::$number as u8, fits: i64::fits, record: i64::RECORD },)*
                $(Known { name: $other_avro, slot: Slot::$other as u8, fits: <$ty>::fits, record: <$ty>::RECORD },)*
            ];
        }
    };
}

fields! {
    numbers {
        /// Start, nanoseconds since 1970 UTC.
        Ts = "ts",
        /// End of a flow, nanoseconds.
        EndTs = "endTs",
        Tid = "tid",
        OpFlags = "opFlags",
        OpenFlags = "openFlags",
        Ret = "ret",
        Fd = "fd",
        /// IPv4 address, lowest byte first.
        Sip = "sip",
        Sport = "sport",
        Dip = "dip",
        Dport = "dport",
        Proto = "proto",
        ReadBytes = "numRRecvBytes",
        Reads = "numRRecvOps",
        WrittenBytes = "numWSendBytes",
        Writes = "numWSendOps",
        ThreadsCloned = "numThreadsCloned",
        ThreadsExited = "numThreadsExited",
        CloneErrors = "numCloneErrors",
    }
    others {
        Process: Oid = "procOID",
        File: [u8; 20] = "fileOID",
        NewFile: [u8; 20] = "newFileOID",
        OpName: Text = "type",
        // Arguments of a process event: no column holds them, but they are known.
        Args: Vec<Text> = "args",
        Kind: Text = "kind",
        Action: Text = "action",
        Message: Text = "message",
    }
}

impl Number {
    pub const COUNT: usize = Number::ALL.len();

    /// Those that have 32 bits. A longer value is missing rather than wrong. Addresses may be given without a sign.
    const INTS: u32 = {
        use Number::{Dport, Fd, OpFlags, OpenFlags, Proto, Ret, Sport};
        OpFlags.bit() | OpenFlags.bit() | Ret.bit() | Fd.bit() | Sport.bit() | Dport.bit() | Proto.bit()
    };

    const ADDRESSES: u32 = Number::Sip.bit() | Number::Dip.bit();

    /// Its bit in [`Numbers::present`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The numbers of an event.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    present: u32,
    /// Those that are not present have any value.
    values: [i64; Number::COUNT],
}

impl Numbers {
    /// Which of them the event has, see [`Number::bit`].
    pub fn present(&self) -> u32 {
        self.present
    }

    /// All values; what is not present has any.
    pub fn values(&self) -> &[i64; Number::COUNT] {
        &self.values
    }

    fn get(&self, number: Number) -> Option<i64> {
        (self.present & number.bit() != 0).then(|| self.values[number as usize])
    }

    /// Gives the event a number, unless it is too long; says whether it fits.
    pub fn set(&mut self, number: Number, value: i64) -> bool {
        self.set_slot(number as u8, value)
    }

    #[inline]
    fn set_slot(&mut self, slot: u8, value: i64) -> bool {
        let bit = 1 << slot;
        let fits = match bit {
            _ if Number::INTS & bit != 0 => i32::try_from(value).is_ok(),
            _ if Number::ADDRESSES & bit != 0 => Address::is(value),
            _ => true,
        };
        self.values[usize::from(slot)] = value;
        self.present |= bit;
        if !fits {
            self.present ^= bit;
        }
        fits
    }
}

/// An event or flow: each kind fills the fields that it has.
#[derive(Debug, Clone, Default)]
pub struct Event<'a> {
    pub numbers: Numbers,
    pub process: Option<Oid<'a>>,
    pub file: Option<[u8; 20]>,
    pub new_file: Option<[u8; 20]>,
    /// The oldest layout names the one operation instead of giving flags.
    pub op_name: Option<Text<'a>>,
    pub kind: Option<Text<'a>>,
    pub action: Option<Text<'a>>,
    pub message: Option<Text<'a>>,
}

impl<'a> Event<'a> {
    pub fn get(&self, number: Number) -> Option<i64> {
        self.numbers.get(number)
    }

    /// A number of 32 bits.
    pub fn int(&self, number: Number) -> Option<i32> {
        self.get(number).and_then(|value| i32::try_from(value).ok())
    }

    /// Start, nanoseconds since 1970 UTC.
    pub fn ts(&self) -> Option<i64> {
        self.get(Number::Ts)
    }

    /// End of a flow, nanoseconds since 1970 UTC.
    pub fn end_ts(&self) -> Option<i64> {
        self.get(Number::EndTs)
    }

    /// End of a flow that has one, else the start. One that is not known may be 0.
    pub fn end(&self) -> Option<i64> {
        self.end_ts().max(self.ts())
    }

    /// Widens a span of time so that it includes the event.
    pub fn widen(&self, first: &mut Option<i64>, last: &mut Option<i64>) {
        *first = [*first, self.ts()].into_iter().flatten().min();
        *last = (*last).max(self.end());
    }

    /// Takes the place of the event before. Only a flow has an end.
    ///
    /// # Errors
    /// The bytes are no value of the schema.
    pub fn read(
        &mut self,
        cur: &mut Cursor<'a>,
        schema: &'a Schema,
        ty: TypeId,
        is_flow: bool,
    ) -> Result<(), DecodeError> {
        let Event { numbers, process, file, new_file, op_name, kind, action, message } = self;
        numbers.present = 0;
        (*process, *file, *new_file) = (None, None, None);
        for text in [&mut *op_name, &mut *kind, &mut *action, &mut *message] {
            *text = None;
        }
        let Type::Record(record) = schema.get(ty) else { return cur.skip(schema, ty) };
        record.steps.iter().try_for_each(|&Step { slot, reads, ty }| {
            const PROCESS: u8 = Slot::Process as u8;
            const FILE: u8 = Slot::File as u8;
            const NEW_FILE: u8 = Slot::NewFile as u8;
            const OP_NAME: u8 = Slot::OpName as u8;
            const KIND: u8 = Slot::Kind as u8;
            const ACTION: u8 = Slot::Action as u8;
            const MESSAGE: u8 = Slot::Message as u8;
            match slot {
                slot if usize::from(slot) < Number::COUNT => {
                    let value = match reads {
                        Reads::Number => cur.long()?,
                        _ => match Decode::decode(cur, schema, ty)? {
                            Some(value) => value,
                            None => {
                                numbers.present &= !(1 << slot);
                                return Ok(());
                            }
                        },
                    };
                    if !numbers.set_slot(slot, value) {
                        cur.oddities.too_long += 1;
                    }
                }
                PROCESS if reads == Reads::TwoNumbers => {
                    let (create_ts, hpid) = (Some(cur.long()?), Some(cur.long()?));
                    *process = Some(Oid { create_ts, hpid, ..Oid::default() });
                }
                PROCESS => *process = Decode::decode(cur, schema, ty)?,
                FILE => *file = Decode::decode(cur, schema, ty)?,
                NEW_FILE => *new_file = Decode::decode(cur, schema, ty)?,
                OP_NAME => *op_name = Decode::decode(cur, schema, ty)?,
                KIND => *kind = Decode::decode(cur, schema, ty)?,
                ACTION => *action = Decode::decode(cur, schema, ty)?,
                MESSAGE => *message = Decode::decode(cur, schema, ty)?,
                _ => cur.skip(schema, ty)?,
            }
            Ok(())
        })?;
        if !is_flow {
            numbers.present &= !Number::EndTs.bit();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_missing() {
        let mut numbers = Numbers::default();
        for (number, value, fits) in [
            (Number::Ret, i64::from(i32::MIN), true),
            (Number::Ret, 1 << 31, false),
            (Number::Sip, -1, true),
            (Number::Sip, i64::from(u32::MAX), true),
            (Number::Dip, 1 << 32, false),
            (Number::Ts, i64::MAX, true),
        ] {
            numbers.set(number, value);
            assert_eq!(numbers.get(number), Some(value).filter(|_| fits), "{value}");
        }
    }

    #[test]
    fn an_end_that_is_not_known_is_the_start() {
        let mut event = Event::default();
        assert_eq!(event.end(), None);
        event.numbers.set(Number::Ts, 5);
        for (end, expected) in [(0, 5), (7, 7)] {
            event.numbers.set(Number::EndTs, end);
            let (mut first, mut last) = (None, None);
            event.widen(&mut first, &mut last);
            assert_eq!((event.end(), first, last), (Some(expected), Some(5), Some(expected)));
        }
    }
}
