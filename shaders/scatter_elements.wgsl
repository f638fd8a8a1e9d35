// ScatterElements without a reduction: scattered[i with the index along one axis replaced by indices[i]] = updates[i], in
// an output that holds the data already. Indices count from the end when negative and are clamped to the axis.
//
// One update per invocation, numbered row-major; the grid is one-dimensional, folded into y. `strides` are those of the
// output.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let index = named_index(place);
    var target_place = 0u;
    var rest = place;
    for (var k = AXES; k > 0u; k -= 1u) {
        let axis = k - 1u;
        let next = rest / params.update_extents[axis / 4u][axis % 4u];
        let own = rest - next * params.update_extents[axis / 4u][axis % 4u];
        target_place += select(own, index, axis == params.axis) * params.strides[axis / 4u][axis % 4u];
        rest = next;
    }
    scattered[target_place] = updates[place];
}
