// Accumulate: a share of what is added, put to a sum, or in its place where a new sum begins. The sum stays as it was once a batch was told of which
// nothing may be learned.
//
// One element per invocation; the grid is one-dimensional, folded into y.

override WATCHED: bool; // a batch may be told

struct Params {
    count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> added: array<f32>;      // count
@group(0) @binding(2) var<storage, read> controls: array<f32>;   // see ops/optimizer/controls.rs
@group(0) @binding(3) var<storage, read> first: array<i32>;      // one, not 0 once a batch was told
@group(0) @binding(4) var<storage, read_write> sum: array<f32>;  // count

const SUMMED: u32 = 5u;
const SHARE: u32 = 12u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = id.x + id.y * groups.x * 64u;
    if place >= params.count {
        return;
    }
    if WATCHED {
        if first[0] != 0 {
            return;
        }
    }
    var total = controls[SHARE] * added[place];
    if controls[SUMMED] != 0.0 {
        total += sum[place];
    }
    sum[place] = total;
}
