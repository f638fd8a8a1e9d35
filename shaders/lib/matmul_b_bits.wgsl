// An operand B of a matrix product in packed panels of 4 or 8 bits: where its columns stand, their scales and zero points. Each
// `const BLOCK` rows of a column have one of both: B = scale * (bits - zero point).
@group(0) @binding(4) var<storage, read> b_scales: array<Four>; // [n / PANEL, k / BLOCK, PANEL / 4]

// Where four columns start: their bits (x), their scales and zero points (y).
alias BPlaces = vec2<u32>;

// B = scale * bits + offset, in four columns.
struct BLevel {
    scale: vec4<f32>,
    offset: vec4<f32>,
}

fn b_places(start: u32, column: u32) -> BPlaces {
    return vec2(panel_place(column, panel_rows() / 4u), panel_place(column, (panel_rows() + BLOCK - 1u) / BLOCK));
}

fn b_level(places: BPlaces, k: u32) -> BLevel {
    let at = places.y + k / BLOCK * (PANEL / 4u);
    let scale = four(b_scales[at]);
    return BLevel(scale, -b_zero(at) * scale);
}

// One row of four columns, a column to each byte of a word.
fn b_row_of(word: u32, level: BLevel) -> vec4<f32> {
    let bits = (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
    return fma(vec4<f32>(bits), level.scale, level.offset);
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let level = b_level(places, k);
    let words = two_words(places.x, k);
    return mat2x4(b_row_of(words.x, level), b_row_of(words.y, level));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    return b_leveled(places, b_level(places, k), k);
}

// The same where their level is known.
fn b_leveled(places: BPlaces, level: BLevel, k: u32) -> mat4x4<f32> {
    let words = four_words(places.x, k);
    return mat4x4(b_row_of(words.x, level), b_row_of(words.y, level), b_row_of(words.z, level), b_row_of(words.w, level));
}
