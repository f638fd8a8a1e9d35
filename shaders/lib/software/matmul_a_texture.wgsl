// Operand A of a matrix product, packed into a texture when the model was loaded: tiles of `const ROWS` rows, in each of
// which the four values that every row has in a step of four terms are neighbours, padded to a multiple of 32 terms.
@group(0) @binding(1) var a: texture_storage_2d<rgba32float, read>; // [m / ROWS, k / 4, ROWS]

// Where a row starts; one past the last reads what stands in its tile.
fn a_place(start: u32, row: u32) -> u32 {
    return row / ROWS * ROWS * ((params.k + 31u) / 32u * 8u) + row % ROWS;
}

// Elements k to k + 3 of a row, zeros from params.k on.
fn a_four(place: u32, k: u32) -> vec4<f32> {
    return textureLoad(a, texel(place + k / 4u * ROWS));
}
