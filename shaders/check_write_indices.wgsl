// CheckWriteIndices: 1 where all write indices are from 0 to the last one at which there is room, else 0.
//
// One invocation looks at all of them: there is one for each batch element.

struct Params {
    last: u32,  // the greatest index that has room behind it
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> write_indices: array<i32>; // count
@group(0) @binding(2) var<storage, read_write> fits: array<u32>;    // one

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    var all = 1u;
    for (var k = group.x; k < params.count; k++) {
        // A negative index is a great one.
        all = select(0u, all, u32(write_indices[k]) <= params.last);
    }
    fits[group.x] = all;
}
