// An arithmetic progression: filled[i] = start + i * step, in any scalar type; a constant where the step is 0.
//
// One element per invocation; the grid is one-dimensional, folded into y.

override SCALAR: u32; // 0: f32, 1: i32, 2: u32

struct Params {
    start: u32,
    step: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> filled: array<u32>; // count

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    var value = params.start + index * params.step;
    if SCALAR == 0u {
        value = bitcast<u32>(bitcast<f32>(params.start) + f32(index) * bitcast<f32>(params.step));
    }
    filled[index] = value;
}
