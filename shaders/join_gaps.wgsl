// Zeros between the tensors of an arena.
//
// A workgroup for each gap, its lanes strided over the gap; the grid is one-dimensional, folded into y.

struct Params {
    gaps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gaps: array<vec2<u32>>;   // gaps: first element, number of elements
@group(0) @binding(2) var<storage, read_write> arena: array<u32>;  // length

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.x + group.y * groups.x;
    if number >= params.gaps {
        return;
    }
    let gap = gaps[number];
    for (var place = lane; place < gap.y; place += 64u) {
        arena[gap.x + place] = 0u;
    }
}
