// ScatterND without a reduction: scattered[tuple of indices[row], inner] = updates[row, inner], in an output that holds the
// data already. Indices count from the end when negative and are clamped to their axes.
//
// One element (width1) or four neighbours (width4) of the updates per invocation, numbered row-major; the grid is
// one-dimensional, folded into y. `strides`, `inner` and `count` count elements of that size.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = place / params.inner;
    scattered[tuple_position(row) + place - row * params.inner] = updates[place];
}
