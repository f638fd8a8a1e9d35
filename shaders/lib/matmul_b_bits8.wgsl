// Operand B of a matrix product in 8 bits, packed when the model was loaded: panels of `const PANEL` columns, padded to whole
// panels and to a multiple of 32 rows. A group holds four rows of four columns, a row to a word. Each `const BLOCK` rows of
// a column have a scale and a zero point: B = scale * (bits - zero point).
@group(0) @binding(2) var<storage, read> b: array<FourBits>; // [n / PANEL, k / 4, PANEL / 4]
@group(0) @binding(4) var<storage, read> b_scales: array<Four>; // [n / PANEL, k / BLOCK, PANEL / 4]

// Where four columns start: their bits (x), their scales and zero points (y).
alias BPlaces = vec2<u32>;

// B = scale * bits + offset, in four columns.
struct BLevel {
    scale: vec4<f32>,
    offset: vec4<f32>,
}

// A panel past the last is the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let panel = min(column / PANEL, (params.n - 1u) / PANEL);
    let rows = (params.k + 31u) / 32u * 32u;
    return panel * (PANEL / 4u) * vec2(rows / 4u, (rows + BLOCK - 1u) / BLOCK) + column % PANEL / 4u;
}

fn b_level(places: BPlaces, k: u32) -> BLevel {
    let at = places.y + k / BLOCK * (PANEL / 4u);
    let scale = four(b_scales[at]);
    return BLevel(scale, -b_zero(at) * scale);
}

// One row of four columns.
fn b_row_of(word: u32, level: BLevel) -> vec4<f32> {
    let bits = (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
    return fma(vec4<f32>(bits), level.scale, level.offset);
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32) -> mat2x4<f32> {
    let level = b_level(places, k);
    let words = four_bits(b[places.x + k / 4u * (PANEL / 4u)]);
    let pair = select(words.zw, words.xy, k % 4u == 0u);
    return mat2x4(b_row_of(pair.x, level), b_row_of(pair.y, level));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32) -> mat4x4<f32> {
    let level = b_level(places, k);
    let words = four_bits(b[places.x + k / 4u * (PANEL / 4u)]);
    return mat4x4(b_row_of(words.x, level), b_row_of(words.y, level), b_row_of(words.z, level), b_row_of(words.w, level));
}

// Four columns of rows k to k + 3.
fn b_columns(places: BPlaces, k: u32) -> mat4x4<f32> {
    return transpose(b_block(places, k));
}
