// Tuples of `params.depth` indices into axes whose extents and strides are parameters. Wants `INDEX`.

// Where the slice starts that a tuple of `indices` names.
fn tuple_position(tuple: u32) -> u32 {
    var position = 0u;
    for (var k = 0u; k < params.depth; k += 1u) {
        let index = clamped_index(indices[tuple * params.depth + k], params.extents[k / 4u][k % 4u]);
        position += index * params.strides[k / 4u][k % 4u];
    }
    return position;
}
