// Takes width1 or width4 (Float); an epilogue.
// Adds the partial sums of a matrix product whose k was split over workgroups, a Float of C per invocation.
//
// Invocations are numbered along C; the grid is one-dimensional, folded into y.

struct Params {
    // Floats of C.
    count: u32,
    // Partial sums of each.
    parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<Float>; // [parts, count]
@group(0) @binding(2) var<storage, read_write> output: array<Float>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = id.x + id.y * groups.x * 64u;
    if index >= params.count {
        return;
    }
    var sum = partial[index];
    for (var part = 1u; part < params.parts; part++) {
        sum += partial[part * params.count + index];
    }
    output[index] = epilogue(sum, index);
}
