// Operand B of a matrix product with any strides.
@group(0) @binding(2) var<storage, read> b: array<f32>; // strided [batches, k, n]

fn b_element(row_start: u32, column: u32) -> f32 {
    return b[row_start + min(column, params.n - 1u) * params.b_column_stride];
}

// Elements (k, column) to (k, column + 3), zeros from k = params.k on; columns past the last are the last.
fn b_row(start: u32, k: u32, column: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    let at = start + k * params.b_row_stride;
    return vec4(b_element(at, column), b_element(at, column + 1u), b_element(at, column + 2u), b_element(at, column + 3u));
}

// Rows k to k + 3 of columns column to column + 3.
fn b_block(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(b_row(start, k, column), b_row(start, k + 1u, column), b_row(start, k + 2u, column), b_row(start, k + 3u, column));
}
