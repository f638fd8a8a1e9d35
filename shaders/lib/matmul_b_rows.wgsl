// Operand B of a matrix product where the elements of a row are neighbours: n, strides and offset are multiples of four.
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // strided [batches, k, n / 4]

// Elements (k, column) to (k, column + 3), zeros from k = params.k on; columns past the last are the last.
fn b_row(start: u32, k: u32, column: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    return b[(start + k * params.b_row_stride + min(column, params.n - 4u)) / 4u];
}

// Rows k to k + 3 of columns column to column + 3.
fn b_block(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(b_row(start, k, column), b_row(start, k + 1u, column), b_row(start, k + 2u, column), b_row(start, k + 3u, column));
}
