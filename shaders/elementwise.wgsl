// Takes perhaps texels; a program.
// Elementwise arithmetic: output[i] = element(i).
//
// `element`, the alias `Out` of what it returns and the bindings it reads (from 2 on) are generated from the operator's
// program; so is the index arithmetic of broadcasting. An element here is one value or a group of four neighbours, as
// the width prelude says. One invocation makes one element; the grid is one row of workgroups, folded where it is long.

struct Params {
    // Elements of the output.
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> output: array<Out>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let index = (group.x + group.y * groups.x) * 64u + lane;
    if index < params.count {
        output[index] = element(index);
    }
}
