// Operand A of a matrix product where the elements of a row are neighbours: k, strides and offset are multiples of four.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>; // strided [batches, m, k / 4]

// Elements (row, k) to (row, k + 3), zeros from k = params.k on; a row past the last is the last.
fn a_four(start: u32, row: u32, k: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    return a[(start + min(row, params.m - 1u) * params.a_row_stride + k) / 4u];
}

// Columns k to k + 3 of rows row to row + 3.
fn a_block(start: u32, row: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4(a_four(start, row, k), a_four(start, row + 1u, k), a_four(start, row + 2u, k), a_four(start, row + 3u, k)));
}
