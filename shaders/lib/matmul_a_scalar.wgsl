// Operand A of a matrix product with any strides. `const K_EDGE` is 1 where the kernel's steps run past k, which those that
// pass `edge` may do.
@group(0) @binding(1) var<storage, read> a: array<f32>; // strided [batches, m, k]

fn a_element(place: u32, k: u32, edge: bool) -> f32 {
    if K_EDGE == 1u && edge && k >= params.k {
        return 0.0;
    }
    return a[place + k * params.a_column_stride];
}

// Where a row starts; one past the last is the last.
fn a_place(start: u32, row: u32) -> u32 {
    return start + min(row, params.m - 1u) * params.a_row_stride;
}

fn a_elements(place: u32, k: u32, edge: bool) -> vec4<f32> {
    let first = vec2(a_element(place, k, edge), a_element(place, k + 1u, edge));
    return vec4(first, a_element(place, k + 2u, edge), a_element(place, k + 3u, edge));
}

// Elements k to k + 3 of a row, zeros from params.k on.
fn a_four(place: u32, k: u32) -> vec4<f32> {
    return a_elements(place, k, true);
}

// Where four rows start.
fn a_places(start: u32, row: u32) -> vec4<u32> {
    return vec4(a_place(start, row), a_place(start, row + 1u), a_place(start, row + 2u), a_place(start, row + 3u));
}

// Columns k to k + 3 of four rows.
fn a_block(places: vec4<u32>, k: u32, edge: bool) -> mat4x4<f32> {
    let upper = mat2x4(a_elements(places.x, k, edge), a_elements(places.y, k, edge));
    return transpose(mat4x4(upper[0], upper[1], a_elements(places.z, k, edge), a_elements(places.w, k, edge)));
}
