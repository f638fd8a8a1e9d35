// OneHot: hot[outer, k, inner] = values[1] where k is indices[outer, inner], values[0] elsewhere. Indices count from the
// end when negative; one that is outside of the vector leaves all of it off.
//
// One element per invocation, numbered row-major over the output; the grid is one-dimensional, folded into y.

override INDEX_SCALAR: u32; // 0: f32, 1: i32, 2: u32

struct Params {
    depth: u32,
    inner: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;   // outer, inner
@group(0) @binding(2) var<storage, read> values: array<u32>;    // 2
@group(0) @binding(3) var<storage, read_write> hot: array<u32>; // outer, depth, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = place / params.inner;
    let outer = row / params.depth;
    let bits = indices[outer * params.inner + place - row * params.inner];
    var index = bitcast<i32>(bits);
    if INDEX_SCALAR == 0u {
        index = i32(bitcast<f32>(bits));
    }
    if INDEX_SCALAR != 2u && index < 0 {
        index += i32(params.depth);
    }
    hot[place] = values[select(0u, 1u, u32(index) == row - outer * params.depth)];
}
