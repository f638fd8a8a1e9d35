// Operand B of a matrix product where the elements of a row are neighbours: n, strides and offset are multiples of four.
// `const K_EDGE` is 1 where the kernel's steps run past k, which those that pass `edge` may do.
@group(0) @binding(2) var<storage, read> b: array<Four>; // strided [batches, k, n / 4]

alias BPlaces = u32;

// Where four columns start; columns past the last are the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    return start + min(column, params.n - 4u);
}

// Row k of four columns, which stands at `at`; zeros from params.k on.
fn b_row(at: u32, k: u32, edge: bool) -> vec4<f32> {
    if K_EDGE == 1u && edge && k >= params.k {
        return vec4(0.0);
    }
    return four(b[at]);
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    let at = (places + k * params.b_row_stride) / 4u;
    let step = params.b_row_stride / 4u;
    let upper = mat2x4(b_row(at, k, edge), b_row(at + step, k + 1u, edge));
    return mat4x4(upper[0], upper[1], b_row(at + 2u * step, k + 2u, edge), b_row(at + 3u * step, k + 3u, edge));
}

// Rows k and k + 1 of four columns.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let at = (places + k * params.b_row_stride) / 4u;
    return mat2x4(b_row(at, k, edge), b_row(at + params.b_row_stride / 4u, k + 1u, edge));
}
