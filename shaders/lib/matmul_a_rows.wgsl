// Operand A of a matrix product where the elements of a row are neighbours: k (or what it is padded to with zeros), strides
// and offset are multiples of four, so that no step of four terms runs past it.
@group(0) @binding(1) var<storage, read> a: array<Four>; // strided [batches, m, k / 4]

// Where a row starts; one past the last is the last.
fn a_place(start: u32, row: u32) -> u32 {
    return (start + min(row, params.m - 1u) * params.a_row_stride) / 4u;
}

// Elements k to k + 3 of a row.
fn a_four(place: u32, k: u32) -> vec4<f32> {
    return four(a[place + k / 4u]);
}

// Where four rows start.
fn a_places(start: u32, row: u32) -> vec4<u32> {
    return vec4(a_place(start, row), a_place(start, row + 1u), a_place(start, row + 2u), a_place(start, row + 3u));
}

// Columns k to k + 3 of four rows.
fn a_block(places: vec4<u32>, k: u32, edge: bool) -> mat4x4<f32> {
    return transpose(mat4x4(a_four(places.x, k), a_four(places.y, k), a_four(places.z, k), a_four(places.w, k)));
}
