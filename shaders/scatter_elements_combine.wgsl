// ScatterElements with a reduction: each element of the output, which holds the data already, is combined with the
// updates first .. end along the axis whose index names it. Indices count from the end when negative and are clamped.
//
// One element of the output per invocation, numbered row-major; the grid is one-dimensional, folded into y. Updates are
// taken in order, so the result is the same in every run. `strides` are those of the updates.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    var start = 0u;
    var along = 0u;
    var reached = true;
    var rest = place;
    for (var k = AXES; k > 0u; k -= 1u) {
        let axis = k - 1u;
        let next = rest / params.extents[axis / 4u][axis % 4u];
        let own = rest - next * params.extents[axis / 4u][axis % 4u];
        if axis == params.axis {
            along = own;
        } else {
            reached = reached && own < params.update_extents[axis / 4u][axis % 4u];
            start += own * params.strides[axis / 4u][axis % 4u];
        }
        rest = next;
    }
    if !reached {
        return;
    }
    let stride = params.strides[params.axis / 4u][params.axis % 4u];
    var value = scattered[place];
    for (var k = params.first; k < params.end; k += 1u) {
        if named_index(start + k * stride) == along {
            value = combine(value, updates[start + k * stride]);
        }
    }
    scattered[place] = value;
}
