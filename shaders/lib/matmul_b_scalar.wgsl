// Operand B of a matrix product with any strides. `const K_EDGE` is 1 where the kernel's steps run past k, which those that
// pass `edge` may do.
@group(0) @binding(2) var<storage, read> b: array<f32>; // strided [batches, k, n]

alias BPlaces = vec4<u32>;

// Where four columns start; a column past the last is the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let columns = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(params.n - 1u));
    return start + columns * params.b_column_stride;
}

// Row k of four columns, zeros from params.k on.
fn b_row(places: BPlaces, k: u32, edge: bool) -> vec4<f32> {
    if K_EDGE == 1u && edge && k >= params.k {
        return vec4(0.0);
    }
    let at = places + k * params.b_row_stride;
    return vec4(b[at.x], b[at.y], b[at.z], b[at.w]);
}

// Rows k and k + 1 of four columns.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    return mat2x4(b_row(places, k, edge), b_row(places, k + 1u, edge));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let upper = b_half(places, k, edge);
    let lower = b_half(places, k + 2u, edge);
    return mat4x4(upper[0], upper[1], lower[0], lower[1]);
}
