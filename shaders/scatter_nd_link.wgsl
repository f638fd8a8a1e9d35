// Takes index; index_tuples (tuple_position).
// The updates of ScatterND as chains: for each tuple, where its slice starts, the next tuple that names the same slice (`rows` where there
// is none), and whether it is the first that does, in the highest bit.
//
// One tuple per invocation, which looks through the others until it finds one; the grid is one-dimensional, folded into y.

struct Params {
    extents: array<vec4<u32>, 2>, // of the axes that tuples point into
    strides: array<vec4<u32>, 2>,
    depth: u32, // indices of a tuple
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<i32>;          // rows, depth
@group(0) @binding(2) var<storage, read_write> links: array<vec2<u32>>; // rows

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let own = id.x + id.y * groups.x * 64u;
    if own >= params.rows {
        return;
    }
    let slice = tuple_position(own);
    var before = own;
    while before > 0u && tuple_position(before - 1u) != slice {
        before -= 1u;
    }
    var next = own + 1u;
    while next < params.rows && tuple_position(next) != slice {
        next += 1u;
    }
    links[own] = vec2<u32>(slice, next | select(0u, 0x80000000u, before == 0u));
}
