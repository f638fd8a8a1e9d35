// Operand A of a matrix product where the elements of a column are neighbours: m, strides and offset are multiples of
// four.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>; // strided [batches, m / 4, k]

// Elements (row, k) to (row + 3, k), zeros from k = params.k on; rows past the last are the last.
fn a_column(start: u32, row: u32, k: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    return a[(start + min(row, params.m - 4u) + k * params.a_column_stride) / 4u];
}

// Columns k to k + 3 of rows row to row + 3.
fn a_block(start: u32, row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(a_column(start, row, k), a_column(start, row, k + 1u), a_column(start, row, k + 2u), a_column(start, row, k + 3u));
}
