// Operand B of a matrix product in 4 bits, packed when the model was loaded: panels of `const PANEL` columns, padded to whole
// panels and to a multiple of 32 rows. A group holds four rows of four columns, a column to each byte of a word and two
// rows to a word, the first in the lower halves of the bytes.
@group(0) @binding(2) var<storage, read> b: array<Two>; // [n / PANEL, k / 4, PANEL / 4]

// One row of four columns from the lower halves of a word's bytes.
fn b_row_of(word: u32, level: BLevel) -> vec4<f32> {
    let bits = (vec4(word & 0x0f0f0f0fu) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
    return fma(vec4<f32>(bits), level.scale, level.offset);
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let level = b_level(places, k);
    let words = two(b[places.x + k / 4u * (PANEL / 4u)]);
    let word = select(words.y, words.x, k % 4u == 0u);
    return mat2x4(b_row_of(word, level), b_row_of(word >> 4u, level));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let level = b_level(places, k);
    let words = two(b[places.x + k / 4u * (PANEL / 4u)]);
    return mat4x4(
        b_row_of(words.x, level),
        b_row_of(words.x >> 4u, level),
        b_row_of(words.y, level),
        b_row_of(words.y >> 4u, level),
    );
}
