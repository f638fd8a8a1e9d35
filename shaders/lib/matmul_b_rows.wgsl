// Operand B of a matrix product where the elements of a row are neighbours: n, strides and offset are multiples of four.
// `const K_EDGE` is 1 where the kernel's steps run past k.
@group(0) @binding(2) var<storage, read> b: array<Four>; // strided [batches, k, n / 4]

alias BPlaces = u32;

// Where four columns start; columns past the last are the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    return start + min(column, params.n - 4u);
}

// Row k of four columns, which stands at `at`; zeros from params.k on.
fn b_row(at: u32, k: u32) -> vec4<f32> {
    if K_EDGE == 1u && k >= params.k {
        return vec4(0.0);
    }
    return four(b[at]);
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32) -> mat4x4<f32> {
    let at = (places + k * params.b_row_stride) / 4u;
    let step = params.b_row_stride / 4u;
    return mat4x4(b_row(at, k), b_row(at + step, k + 1u), b_row(at + 2u * step, k + 2u), b_row(at + 3u * step, k + 3u));
}

// Rows k and k + 1 of four columns.
fn b_half(places: BPlaces, k: u32) -> mat2x4<f32> {
    let at = (places + k * params.b_row_stride) / 4u;
    return mat2x4(b_row(at, k), b_row(at + params.b_row_stride / 4u, k + 1u));
}
