//! Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): random words as a function of a key and
//! a counter, so that any of them can be made again anywhere. `shaders/lib/threefry.wgsl` is the same.

/// By how much the second word is turned in each round; then they come again.
const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// Keeps a key of zeros from being one.
const PARITY: u32 = 0x1BD1_1BDA;

/// Two random words.
pub(crate) fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let [mut x, mut y] = [counter[0].wrapping_add(key[0]), counter[1].wrapping_add(key[1])];
    for round in 0..20 {
        x = x.wrapping_add(y);
        y = y.rotate_left(ROTATIONS[round % 8]) ^ x;
        if round % 4 == 3 {
            let turn = round / 4 + 1;
            x = x.wrapping_add(keys[turn % 3]);
            // At most 5.
            y = y.wrapping_add(keys[(turn + 1) % 3]).wrapping_add(turn as u32);
        }
    }
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::threefry;

    #[test]
    fn words_are_those_that_its_authors_published() {
        assert_eq!(threefry([0; 2], [0; 2]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }
}
