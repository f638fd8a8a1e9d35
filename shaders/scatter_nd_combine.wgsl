// ScatterND with a reduction: each element of the output, which holds the data already, is combined with those of the
// updates first .. end whose tuple names its slice. Indices count from the end when negative and are clamped.
//
// One element of the output per invocation, numbered row-major; the grid is one-dimensional, folded into y. Updates are
// taken in order, so the result is the same in every run.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let inner = place % params.inner;
    let slice = place - inner;
    var value = scattered[place];
    for (var row = params.first; row < params.end; row += 1u) {
        if tuple_position(row) == slice {
            value = combine(value, updates[row * params.inner + inner]);
        }
    }
    scattered[place] = value;
}
