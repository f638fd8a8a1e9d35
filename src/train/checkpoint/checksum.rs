//! What tells that the bytes of a file are those that were written.

use crate::error::Result;
use crate::tensor::Tensor;
use crate::train::safetensors::Safetensors;

/// The primes of XXH64 (Yann Collet, xxHash specification 0.1.1).
const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

/// The checksum of a file: of its texts but for one, and of all its tensors, with their names, types and order. It finds damage, and
/// withstands no malice.
pub(super) fn checksum(file: &Safetensors, but: &str) -> Result<String> {
    let mut sum = 0;
    for (name, text) in file.metadata.iter().filter(|(name, _)| name != but) {
        sum = xxh64(text.as_bytes(), xxh64(name.as_bytes(), sum));
    }
    for (name, tensor) in &file.tensors {
        sum = xxh64(tensor.ty().to_string().as_bytes(), xxh64(name.as_bytes(), sum));
        sum = of_tensor(tensor, sum);
    }
    Ok(format!("xxh64 {sum:016x}"))
}

/// The elements' bytes, the least of each first.
fn of_tensor(tensor: &Tensor, seed: u64) -> u64 {
    if cfg!(target_endian = "little") {
        return xxh64(tensor.bytes(), seed);
    }
    let mut turned = tensor.bytes().to_vec();
    turned.chunks_mut(tensor.dtype().size().max(1)).for_each(<[u8]>::reverse);
    xxh64(&turned, seed)
}

/// XXH64 of these bytes.
fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let [one, two, three, four, five] = PRIMES;
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut sum = seed.wrapping_add(five);
    if bytes.len() >= 32 {
        let mut lanes = [seed.wrapping_add(one).wrapping_add(two), seed.wrapping_add(two), seed, seed.wrapping_sub(one)];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = round(*lane, number(word));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        sum = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            sum = (sum ^ round(0, lane)).wrapping_mul(one).wrapping_add(four);
        }
    }
    sum = sum.wrapping_add(bytes.len() as u64);
    while let Some((word, left)) = rest.split_at_checked(8) {
        sum = (sum ^ round(0, number(word))).rotate_left(27).wrapping_mul(one).wrapping_add(four);
        rest = left;
    }
    if let Some((word, left)) = rest.split_at_checked(4) {
        sum = (sum ^ number(word).wrapping_mul(one)).rotate_left(23).wrapping_mul(two).wrapping_add(three);
        rest = left;
    }
    for byte in rest {
        sum = (sum ^ u64::from(*byte).wrapping_mul(five)).rotate_left(11).wrapping_mul(one);
    }
    sum = (sum ^ (sum >> 33)).wrapping_mul(two);
    sum = (sum ^ (sum >> 29)).wrapping_mul(three);
    sum ^ (sum >> 32)
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// The number of up to eight bytes, the least first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    /// The numbers are those of the package xxhash (Python).
    #[test]
    fn sums_are_those_of_the_specification() {
        let long: Vec<u8> = (0..101u8).collect();
        for (bytes, seed, expected) in [
            (&b""[..], 0, 0xef46_db37_51d8_e999),
            (b"a", 0, 0xd24e_c4f1_a98c_6e5b),
            (b"abc", 7, 0x9e75_5206_1566_76d7),
            (b"Nobody inspects the spammish repetition", 0, 0xfbce_a83c_8a37_8bf1),
            (&long, 2_654_435_761, 0xa1c6_d417_4c37_136d),
        ] {
            assert_eq!(xxh64(bytes, seed), expected, "{bytes:?}");
        }
    }
}
