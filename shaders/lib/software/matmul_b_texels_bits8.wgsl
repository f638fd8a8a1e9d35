// Panels of 8 bits in a texture: a word of a texel is a row of four columns, a byte for each. Bytes become floats where they stand in a
// word, and what that multiplies them by is taken out of the scales (which come to nothing below 2^-110).
const DEPTH: u32 = 4u;

// B = scale * bytes in place + offset.
struct BLevel {
    scale: vec4<f32>,
    offset: vec4<f32>,
}

struct Pair {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

fn level_of(scale: vec4<f32>, offset: vec4<f32>) -> BLevel {
    return BLevel(scale * vec4(1.0, 0x1p-8, 0x1p-16, 1.0), offset);
}

// The last column would have the sign of an integer, so it is shifted.
fn row_of(word: u32, level: BLevel) -> vec4<f32> {
    let bits = vec4(word, word, word, word >> 24u) & vec4(0xffu, 0xff00u, 0xff0000u, 0xffu);
    return fma(vec4<f32>(vec4<i32>(bits)), level.scale, level.offset);
}

fn block_of(words: vec4<u32>, k: u32, level: BLevel) -> mat4x4<f32> {
    return mat4x4(row_of(words.x, level), row_of(words.y, level), row_of(words.z, level), row_of(words.w, level));
}

fn pair_of(places: BPlaces, k: u32, first: BLevel, second: BLevel) -> Pair {
    return Pair(block_of(b_words(places, k), k, first), block_of(b_words(places, k + 4u), k + 4u, second));
}
