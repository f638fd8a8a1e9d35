// Takes width1 or width4 (Uint).
// ReverseSequence: the first lengths[batch] steps of each sequence in reverse, the others as they are. Lengths are
// clamped to the axis of time.
//
// One element (width1) or four neighbours (width4) per invocation, numbered row-major; the grid is one-dimensional,
// folded into y. `inner` and `count` count elements of that size.

override TIME_AXIS: u32; // 0 or 1; the other one is the batch

struct Params {
    outer: u32,
    second: u32,
    inner: u32,
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<Uint>;           // outer, second, inner
@group(0) @binding(2) var<storage, read> lengths: array<i32>;         // batch
@group(0) @binding(3) var<storage, read_write> reversed: array<Uint>; // outer, second, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    let row = place / params.inner;
    var outer = row / params.second;
    var second = row - outer * params.second;
    if TIME_AXIS == 0u {
        let length = u32(clamp(lengths[second], 0, i32(params.outer)));
        outer = select(outer, length - 1u - outer, outer < length);
    } else {
        let length = u32(clamp(lengths[outer], 0, i32(params.second)));
        second = select(second, length - 1u - second, second < length);
    }
    reversed[place] = data[(outer * params.second + second) * params.inner + place - row * params.inner];
}
