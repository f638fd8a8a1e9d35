// Operand B of a matrix product, packed into a texture when the model was loaded: panels of `const PANEL` columns, padded
// with zeros to whole panels and to a multiple of 32 rows. Four rows of a panel lie in one row of the texture.
@group(0) @binding(2) var b: texture_storage_2d<rgba32float, read>; // [n / PANEL, k, PANEL / 4]

alias BPlaces = u32;

// Where four columns start; a panel past the last is the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let panel = min(column / PANEL, (params.n - 1u) / PANEL);
    let rows = (params.k + 31u) / 32u * 32u;
    return panel * rows * (PANEL / 4u) + column % PANEL / 4u;
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
