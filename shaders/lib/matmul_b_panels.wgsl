// Operand B of a matrix product, packed when the model was loaded: panels of `const PANEL` columns, padded with zeros to
// whole panels and to a multiple of 16 rows.
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // [n / PANEL, k, PANEL / 4]

// Rows k to k + 3 of columns column to column + 3.
fn b_block(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    let rows = (params.k + 15u) / 16u * 16u;
    let at = (column / PANEL * rows + k) * (PANEL / 4u) + column % PANEL / 4u;
    return mat4x4(b[at], b[at + PANEL / 4u], b[at + PANEL / 2u], b[at + PANEL / 4u * 3u]);
}
