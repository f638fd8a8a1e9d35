// Panels of 4 bits in a texture: a word of a texel holds two rows of four columns, a byte for each column, the first row in the lower
// halves of the bytes. Bits become floats where they stand in a word, and what that multiplies them by is taken out of the scales
// (which come to nothing below 2^-102).
const DEPTH: u32 = 8u;

// B = scale * bits in place + offset, by rows that stand in the lower or upper halves.
struct BLevel {
    lower: vec4<f32>,
    upper: vec4<f32>,
    offset: vec4<f32>,
}

struct Pair {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

fn level_of(scale: vec4<f32>, offset: vec4<f32>) -> BLevel {
    let lower = scale * vec4(1.0, 0x1p-8, 0x1p-16, 0x1p-24);
    return BLevel(lower, vec4(lower.xyz, scale.w) * 0x1p-4, offset);
}

fn lower_row(word: u32, level: BLevel) -> vec4<f32> {
    let bits = vec4(word) & vec4(0xfu, 0xf00u, 0xf0000u, 0xf000000u);
    return fma(vec4<f32>(vec4<i32>(bits)), level.lower, level.offset);
}

// The last column would have the sign of an integer, so it is shifted.
fn upper_row(word: u32, level: BLevel) -> vec4<f32> {
    let bits = vec4(word, word, word, word >> 24u) & vec4(0xf0u, 0xf000u, 0xf00000u, 0xf0u);
    return fma(vec4<f32>(vec4<i32>(bits)), level.upper, level.offset);
}

fn four_rows(words: vec2<u32>, level: BLevel) -> mat4x4<f32> {
    return mat4x4(lower_row(words.x, level), upper_row(words.x, level), lower_row(words.y, level), upper_row(words.y, level));
}

fn pair_of(places: BPlaces, k: u32, first: BLevel, second: BLevel) -> Pair {
    let words = b_words(places, k);
    return Pair(four_rows(words.xy, first), four_rows(words.zw, second));
}

fn block_of(words: vec4<u32>, k: u32, level: BLevel) -> mat4x4<f32> {
    return four_rows(select(words.zw, words.xy, k % 8u == 0u), level);
}
