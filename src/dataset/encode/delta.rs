//! DELTA_BINARY_PACKED of 64-bit integers (Parquet format, Encodings.md, DELTA_BINARY_PACKED = 5).

use crate::varint::{put_varint, zigzag};

/// Values in a block, and in one of its miniblocks, which have bit widths of their own.
const BLOCK: usize = 256;
const MINIBLOCK: usize = 64;

/// Appends `values`. Differences wrap around, as the specification has it.
pub fn encode(values: &[i64], out: &mut Vec<u8>) {
    let first = values.first().copied().unwrap_or(0);
    put_varint(BLOCK as u64, out);
    put_varint((BLOCK / MINIBLOCK) as u64, out);
    put_varint(values.len() as u64, out);
    put_varint(zigzag(first), out);
    let mut deltas = [0; BLOCK];
    let mut last = first;
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let deltas = &mut deltas[..block.len()];
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = *value;
        }
        let least = deltas.iter().fold(i64::MAX, |least, delta| least.min(*delta));
        put_varint(zigzag(least), out);
        let widths = out.len();
        out.extend_from_slice(&[0; BLOCK / MINIBLOCK]);
        for (i, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
            // All bits that any of them has: as wide as the greatest.
            let bits = miniblock.iter().fold(0, |bits, delta| bits | delta.wrapping_sub(least) as u64);
            let width = u64::BITS - bits.leading_zeros();
            out[widths + i] = width as u8;
            pack(miniblock, least, width, out);
        }
    }
}

/// Packs what the deltas of a miniblock exceed the least by; a miniblock that is not full is filled up with zeros.
fn pack(deltas: &[i64], least: i64, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let start = out.len();
    out.resize(start + MINIBLOCK / 8 * width as usize, 0);
    let (words, _) = out[start..].as_chunks_mut::<8>();
    let mut words = words.iter_mut();
    let mut put = |bits: u64| words.next().map(|word| *word = bits.to_le_bytes());
    let (mut bits, mut filled) = (0u64, 0);
    for delta in deltas {
        let value = delta.wrapping_sub(least) as u64;
        bits |= value << filled;
        filled += width;
        if filled >= u64::BITS {
            put(bits);
            filled -= u64::BITS;
            // Those of its bits that had no place; all had if nothing is left over.
            bits = if filled == 0 { 0 } else { value >> (width - filled) };
        }
    }
    put(bits);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::varint::unzigzag;

    fn read_varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    /// Reads what `encode` wrote, as the specification says.
    fn decode(mut bytes: &[u8]) -> Vec<i64> {
        let (block, miniblocks) = (read_varint(&mut bytes), read_varint(&mut bytes) as usize);
        let (count, first) = (read_varint(&mut bytes) as usize, unzigzag(read_varint(&mut bytes)));
        let size = block as usize / miniblocks;
        let mut values = vec![first];
        while values.len() < count {
            let least = unzigzag(read_varint(&mut bytes));
            let (widths, rest) = bytes.split_at(miniblocks);
            bytes = rest;
            for width in widths {
                if values.len() >= count {
                    break;
                }
                let width = usize::from(*width);
                for i in 0..size {
                    let bit = |b: usize| u64::from(bytes[b / 8] >> (b % 8) & 1);
                    let delta = (0..width).map(|b| bit(i * width + b) << b).sum::<u64>() as i64;
                    values.push(values[values.len() - 1].wrapping_add(least).wrapping_add(delta));
                }
                bytes = &bytes[size / 8 * width..];
            }
        }
        assert!(bytes.is_empty(), "bytes are left over");
        values.truncate(count);
        values
    }

    fn expect_back(values: &[i64]) {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        assert_eq!(decode(&bytes), values);
    }

    #[test]
    fn few_values_and_great_steps_come_back() {
        expect_back(&[]);
        expect_back(&[-7]);
        expect_back(&[i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN, -1]);
        expect_back(&[5; 1000]);
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(start in any::<i64>(), steps in prop::collection::vec(any::<i64>(), 0..700), shift in 0u32..64) {
            let values: Vec<i64> =
                steps.iter().scan(start, |last, step| { *last = last.wrapping_add(step >> shift); Some(*last) }).collect();
            let mut bytes = Vec::new();
            encode(&values, &mut bytes);
            prop_assert_eq!(decode(&bytes), values);
        }
    }
}
