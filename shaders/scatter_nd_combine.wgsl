// ScatterND with a reduction: each element of the output, which holds the data already, is combined with those of the
// updates first .. end whose tuple names its slice. Indices count from the end when negative and are clamped.
//
// One element of the output per invocation, numbered row-major; the grid is one-dimensional, folded into y. Updates are
// taken in order, so the result is the same in every run.

struct Params {
    extents: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    depth: u32,
    inner: u32,
    first: u32,
    end: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<i32>; // rows, depth
@group(0) @binding(2) var<storage, read> updates: array<u32>; // rows, inner
@group(0) @binding(3) var<storage, read_write> scattered: array<u32>;

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
        var position = 0u;
        for (var k = 0u; k < params.depth; k += 1u) {
            let extent = i32(params.extents[k / 4u][k % 4u]);
            var index = indices[row * params.depth + k];
            index = clamp(select(index, index + extent, index < 0), 0, extent - 1);
            position += u32(index) * params.strides[k / 4u][k % 4u];
        }
        if position == slice {
            value = combine(value, updates[row * params.inner + inner]);
        }
    }
    scattered[place] = value;
}
