// Takes index; combine (combine); index_tuples (tuple_position); scatter_nd; width1.
// ScatterND with a reduction: each element of the output, which holds the data already, is combined with those of the
// updates first .. end whose tuple names its slice. Indices count from the end when negative and are clamped.
//
// One element of the output per invocation, numbered row-major; the grid is one-dimensional, folded into y. Updates are
// taken in order, so the result is the same in every run. With BY_UPDATE = 1 there is one element of the updates per
// invocation instead, which takes in those behind it, unless one before it names the same slice.

override BY_UPDATE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let inner = place % params.inner;
    var slice = place - inner;
    var first = params.first;
    if BY_UPDATE == 1u {
        first += place / params.inner;
        slice = tuple_position(first);
        for (var row = params.first; row < first; row += 1u) {
            if tuple_position(row) == slice {
                return;
            }
        }
    }
    var value = scattered[slice + inner];
    for (var row = first; row < params.end; row += 1u) {
        if tuple_position(row) == slice {
            value = combine(value, updates[row * params.inner + inner]);
        }
    }
    scattered[slice + inner] = value;
}
