// Operand B of a matrix product in packed panels in a texture. Four rows of a panel lie in one row of the texture.
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>; // [n / PANEL, k, PANEL / 4]

alias BPlaces = u32;

fn b_places(start: u32, column: u32) -> BPlaces {
    return panel_place(column, panel_rows());
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let at = texel(places + k * (PANEL / 4u));
    return mat4x4(
        textureLoad(b, at),
        textureLoad(b, at + vec2(PANEL / 4u, 0u)),
        textureLoad(b, at + vec2(PANEL / 2u, 0u)),
        textureLoad(b, at + vec2(PANEL / 4u * 3u, 0u)),
    );
}
