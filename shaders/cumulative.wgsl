// Takes combine (combine).
// Running sums or products along an axis, as bit patterns of any scalar type.
//
// One row (all elements that differ in nothing but the axis) per invocation, walked in order; the grid is
// one-dimensional over rows, folded into y.

override START: u32; // what the first element is combined with
override EXCLUSIVE: u32;
override REVERSE: u32;

struct Params {
    extent: u32,
    inner: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;          // outer, extent, inner
@group(0) @binding(2) var<storage, read_write> running: array<u32>; // outer, extent, inner

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = id.x + id.y * groups.x * 64u;
    if row >= params.rows {
        return;
    }
    let outer = row / params.inner;
    let start = outer * params.extent * params.inner + row - outer * params.inner;
    var total = START;
    for (var k = 0u; k < params.extent; k += 1u) {
        let step = select(k, params.extent - 1u - k, REVERSE != 0u);
        let place = start + step * params.inner;
        let next = combine(total, data[place]);
        running[place] = select(next, total, EXCLUSIVE != 0u);
        total = next;
    }
}
