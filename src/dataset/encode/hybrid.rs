//! The RLE/bit-packing hybrid of definition levels and dictionary keys (Parquet format, Encodings.md, RLE = 3).

use crate::varint::put_varint;

/// Values are packed in groups of this many; a group of one value begins a run.
const GROUP: usize = 8;

/// Bits that hold every number up to `max`.
pub fn width(max: u32) -> u32 {
    u32::BITS - max.leading_zeros()
}

/// Appends `values`, none negative and each of at most `width` bits.
pub fn encode(values: &[i32], width: u32, out: &mut Vec<u8>) {
    // Where the values begin that are neither in a run nor packed yet.
    let mut waiting = 0;
    let mut at = 0;
    while let Some(group) = values.get(at..at + GROUP) {
        let value = group[0];
        // No early end: all at once is faster than one after the other.
        let is_run = |group: &[i32]| group.iter().fold(0, |differ, v| differ | (v ^ value)) == 0;
        if !is_run(group) {
            at += GROUP;
            continue;
        }
        let rest = &values[at..];
        let groups = rest.chunks_exact(GROUP).take_while(|group| is_run(group)).count() * GROUP;
        let len = groups + rest[groups..].iter().take_while(|v| **v == value).count();
        pack(&values[waiting..at], width, out);
        run(value, len, width, out);
        at += len;
        waiting = at;
    }
    pack(&values[waiting..], width, out);
}

/// Appends `len` values that are all the same, as [`encode`] would do it.
pub fn encode_same(value: i32, len: usize, width: u32, out: &mut Vec<u8>) {
    match len < GROUP {
        true => pack(&[value; GROUP][..len], width, out),
        false => run(value, len, width, out),
    }
}

/// Appends flags as values of one bit, as [`encode`] would do it.
pub fn encode_flags(flags: &[bool], out: &mut Vec<u8>) {
    let flags: Vec<u8> = flags.iter().map(|flag| u8::from(*flag)).collect();
    let (mut waiting, mut at) = (0, 0);
    while let Some(group) = flags[at..].first_chunk::<GROUP>() {
        let same = [group[0]; GROUP];
        if *group != same {
            at += GROUP;
            continue;
        }
        let rest = &flags[at..];
        let groups = rest.chunks_exact(GROUP).take_while(|group| *group == same).count() * GROUP;
        let len = groups + rest[groups..].iter().take_while(|flag| **flag == same[0]).count();
        pack_flags(&flags[waiting..at], out);
        run(i32::from(same[0]), len, 1, out);
        at += len;
        waiting = at;
    }
    pack_flags(&flags[waiting..], out);
}

fn pack_flags(flags: &[u8], out: &mut Vec<u8>) {
    /// Brings the lowest bit of each byte into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    if flags.is_empty() {
        return;
    }
    put_varint((flags.len().div_ceil(GROUP) as u64) << 1 | 1, out);
    let (groups, rest) = flags.as_chunks::<GROUP>();
    out.extend(groups.iter().map(|group| (u64::from_le_bytes(*group).wrapping_mul(GATHER) >> 56) as u8));
    if !rest.is_empty() {
        out.push(rest.iter().rev().fold(0, |byte, flag| byte << 1 | flag));
    }
}

/// A run of one value.
pub fn run(value: i32, len: usize, width: u32, out: &mut Vec<u8>) {
    put_varint((len as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Packed values; the last group is filled up with zeros.
fn pack(values: &[i32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    put_varint((values.len().div_ceil(GROUP) as u64) << 1 | 1, out);
    let (groups, rest) = values.as_chunks::<GROUP>();
    match width <= NARROW {
        true => groups.iter().for_each(|group| pack_narrow(group, width, out)),
        false => pack_wide(groups.as_flattened(), width, out),
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        pack_wide(&group, width, out);
    }
}

/// Bits of a value of which a whole group fits in 128.
const NARROW: u32 = 128 / GROUP as u32;

/// A group of narrow values, as one number.
fn pack_narrow(group: &[i32; GROUP], width: u32, out: &mut Vec<u8>) {
    let half = |values: &[i32]| values.iter().rev().fold(0, |bits, value| bits << width | u64::from(*value as u32));
    let (low, high) = group.split_at(GROUP / 2);
    let bits = u128::from(half(high)) << (width * GROUP as u32 / 2) | u128::from(half(low));
    let len = out.len() + width as usize;
    // Faster than as many bytes as it takes.
    out.extend_from_slice(&bits.to_le_bytes());
    out.truncate(len);
}

/// Whole groups of values of any width.
fn pack_wide(values: &[i32], width: u32, out: &mut Vec<u8>) {
    let (start, len) = (out.len(), values.len() / GROUP * width as usize);
    // A group may end in the middle of a word.
    out.resize(start + len + 8, 0);
    let (words, _) = out[start..].as_chunks_mut::<4>();
    let mut words = words.iter_mut();
    let mut put = |bits: u32| words.next().map(|word| *word = bits.to_le_bytes());
    let (mut bits, mut filled) = (0u64, 0);
    for value in values {
        bits |= u64::from(*value as u32) << filled;
        filled += width;
        if filled >= 32 {
            put(bits as u32);
            bits >>= 32;
            filled -= 32;
        }
    }
    put(bits as u32);
    out.truncate(start + len);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads what `encode` wrote, as the specification says.
    fn decode(mut bytes: &[u8], width: u32, count: usize) -> Vec<i32> {
        let mut values = Vec::new();
        while values.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let len = width.div_ceil(8) as usize;
                let value = bytes[..len].iter().rev().fold(0, |v, b| v << 8 | i32::from(*b));
                bytes = &bytes[len..];
                values.extend(std::iter::repeat_n(value, (header >> 1) as usize));
            } else {
                let groups = (header >> 1) as usize;
                for i in 0..groups * 8 {
                    let bit = |b: usize| i32::from(bytes[b / 8] >> (b % 8) & 1);
                    values.push((0..width as usize).map(|b| bit(i * width as usize + b) << b).sum());
                }
                bytes = &bytes[groups * width as usize..];
            }
        }
        assert!(bytes.is_empty(), "bytes are left over");
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(
            runs in prop::collection::vec((any::<i32>(), 1usize..40), 0..60),
            width in 0u32..=31,
        ) {
            let mask = ((1i64 << width) - 1) as i32;
            let values: Vec<i32> =
                runs.iter().flat_map(|(v, n)| std::iter::repeat_n(v & mask, *n)).collect();
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len()), values);
        }
    }

    #[test]
    fn values_that_are_the_same_are_written_alike() {
        for len in 0..40 {
            let (mut same, mut each) = (Vec::new(), Vec::new());
            encode_same(5, len, 3, &mut same);
            encode(&vec![5; len], 3, &mut each);
            assert_eq!(same, each);
        }
    }

    proptest! {
        #[test]
        fn flags_come_back(runs in prop::collection::vec((any::<bool>(), 1usize..100), 0..40)) {
            let flags: Vec<bool> = runs.iter().flat_map(|(v, n)| std::iter::repeat_n(*v, *n)).collect();
            let mut bytes = Vec::new();
            encode_flags(&flags, &mut bytes);
            let numbers: Vec<i32> = flags.iter().copied().map(i32::from).collect();
            let mut as_numbers = Vec::new();
            encode(&numbers, 1, &mut as_numbers);
            prop_assert_eq!(&bytes, &as_numbers);
            prop_assert_eq!(decode(&bytes, 1, flags.len()), numbers);
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 3, 255, 256, u32::MAX].map(width), [0, 1, 2, 2, 8, 9, 32]);
    }
}
