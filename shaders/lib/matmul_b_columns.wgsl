// Operand B of a matrix product where the elements of a column are neighbours: k (or what it is padded to with zeros),
// strides and offset are multiples of four, so that no step of four terms runs past it.
@group(0) @binding(2) var<storage, read> b: array<Four>; // strided [batches, k / 4, n]

alias BPlaces = vec4<u32>;

// Where four columns start; a column past the last is the last.
fn b_places(start: u32, column: u32) -> BPlaces {
    let columns = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(params.n - 1u));
    return (start + columns * params.b_column_stride) / 4u;
}

// Elements k to k + 3 of a column.
fn b_column(place: u32, k: u32) -> vec4<f32> {
    return four(b[place + k / 4u]);
}

// Four columns of rows k to k + 3.
fn b_columns(places: BPlaces, k: u32) -> mat4x4<f32> {
    return mat4x4(b_column(places.x, k), b_column(places.y, k), b_column(places.z, k), b_column(places.w, k));
}

// Rows k to k + 3 of four columns.
fn b_block(places: BPlaces, k: u32, edge: bool) -> mat4x4<f32> {
    return transpose(b_columns(places, k));
}

// Rows k and k + 1 of four columns; k is even.
fn b_half(places: BPlaces, k: u32, edge: bool) -> mat2x4<f32> {
    let block = b_block(places, k / 4u * 4u, edge);
    if k % 4u == 0u {
        return mat2x4(block[0], block[1]);
    }
    return mat2x4(block[2], block[3]);
}
