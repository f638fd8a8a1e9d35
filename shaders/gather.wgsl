// Gather: picked[outer, n, inner] = data[outer, indices[n], inner]. Indices count from the end when negative and are
// clamped to the axis.
//
// One element (width1) or four neighbours (width4) per invocation, numbered row-major over the output; the grid is
// one-dimensional, folded into y. `inner` and `count` count elements of that size.

struct Params {
    extent: u32,
    indices: u32,
    inner: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<Uint>;         // outer, extent, inner
@group(0) @binding(2) var<storage, read> indices: array<i32>;       // indices
@group(0) @binding(3) var<storage, read_write> picked: array<Uint>; // outer, indices, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = divide(place, params.inner);
    let outer = divide(row, params.indices);
    let index = clamped_index(indices[row - outer * params.indices], params.extent);
    picked[place] = data[(outer * params.extent + index) * params.inner + place - row * params.inner];
}
