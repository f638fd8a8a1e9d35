// Operand B of a matrix product where the elements of a column are neighbours: k (or what it is padded to with zeros),
// strides and offset are multiples of four.
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // strided [batches, k / 4, n]

// Elements (k, column) to (k + 3, column), zeros from k = params.k on; a column past the last is the last.
fn b_column(start: u32, k: u32, column: u32) -> vec4<f32> {
    if k >= params.k {
        return vec4(0.0);
    }
    return b[(start + k + min(column, params.n - 1u) * params.b_column_stride) / 4u];
}

// Columns column to column + 3 of rows k to k + 3.
fn b_columns(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_column(start, k, column),
        b_column(start, k, column + 1u),
        b_column(start, k, column + 2u),
        b_column(start, k, column + 3u),
    );
}

// Rows k to k + 3 of columns column to column + 3.
fn b_block(start: u32, k: u32, column: u32) -> mat4x4<f32> {
    return transpose(b_columns(start, k, column));
}
