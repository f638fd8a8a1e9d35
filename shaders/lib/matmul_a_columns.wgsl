// Operand A of a matrix product where the elements of a column are neighbours: m, strides and offset are multiples of
// four. `const K_EDGE` is 1 where the kernel's steps run past k, which those that pass `edge` may do.
@group(0) @binding(1) var<storage, read> a: array<Four>; // strided [batches, m / 4, k]

// Where four rows start (x); rows past the last are the last.
fn a_places(start: u32, row: u32) -> vec4<u32> {
    return vec4(start + min(row, params.m - 4u));
}

// Four rows of column k, zeros from params.k on.
fn a_column(place: u32, k: u32, edge: bool) -> vec4<f32> {
    if K_EDGE == 1u && edge && k >= params.k {
        return vec4(0.0);
    }
    return four(a[(place + k * params.a_column_stride) / 4u]);
}

// Columns k to k + 3 of four rows.
fn a_block(places: vec4<u32>, k: u32, edge: bool) -> mat4x4<f32> {
    let left = mat2x4(a_column(places.x, k, edge), a_column(places.x, k + 1u, edge));
    return mat4x4(left[0], left[1], a_column(places.x, k + 2u, edge), a_column(places.x, k + 3u, edge));
}
