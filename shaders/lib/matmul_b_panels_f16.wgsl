// Operand B of a matrix product in packed panels of half floats, which hold its values exactly. A group holds two rows of four columns,
// pairs of columns to a word.
@group(0) @binding(2) var<storage, read> b: array<FourBits>; // [n / PANEL, k / 2, PANEL / 4]

alias BPlaces = u32;

fn b_places(start: u32, column: u32) -> BPlaces {
    return panel_place(column, panel_rows() / 2u);
}

fn b_row_of(words: vec2<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let words = four_bits(b[places + k / 2u * (PANEL / 4u)]);
    return mat2x4(b_row_of(words.xy), b_row_of(words.zw));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let first = b_half(places, k, edge);
    let second = b_half(places, k + 2u, edge);
    return mat4x4(first[0], first[1], second[0], second[1]);
}
