// Operand B of a matrix product in packed panels of floats.
@group(0) @binding(2) var<storage, read> b: array<Four>; // [n / PANEL, k, PANEL / 4]

alias BPlaces = u32;

fn b_places(start: u32, column: u32) -> BPlaces {
    return panel_place(column, panel_rows());
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let at = places + k * (PANEL / 4u);
    return mat4x4(four(b[at]), four(b[at + PANEL / 4u]), four(b[at + PANEL / 2u]), four(b[at + PANEL / 4u * 3u]));
}

// Rows k and k + 1 of four columns.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let at = places + k * (PANEL / 4u);
    return mat2x4(four(b[at]), four(b[at + PANEL / 4u]));
}
