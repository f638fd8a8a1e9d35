// Operand B of a matrix product in 8 bits, packed when the model was loaded: panels of `const PANEL` columns, padded to whole
// panels and to a multiple of 32 rows. A group holds four rows of four columns, a row to a word.
@group(0) @binding(2) var<storage, read> b: array<FourBits>; // [n / PANEL, k / 4, PANEL / 4]

// One row of four columns.
fn b_row_of(word: u32, level: BLevel) -> vec4<f32> {
    let bits = (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
    return fma(vec4<f32>(bits), level.scale, level.offset);
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let level = b_level(places, k);
    let words = four_bits(b[places.x + k / 4u * (PANEL / 4u)]);
    let pair = select(words.zw, words.xy, k % 4u == 0u);
    return mat2x4(b_row_of(pair.x, level), b_row_of(pair.y, level));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let level = b_level(places, k);
    let words = four_bits(b[places.x + k / 4u * (PANEL / 4u)]);
    return mat4x4(b_row_of(words.x, level), b_row_of(words.y, level), b_row_of(words.z, level), b_row_of(words.w, level));
}
